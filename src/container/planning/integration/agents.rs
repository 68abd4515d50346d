//! Agents that hold keys.

use super::{Offer, Outside, is_socket, socket};

/// The agent that holds ssh keys, which may be one that came along with an ssh connection.
pub fn ssh(outside: &Outside<'_>) -> Result<Offer, String> {
    let path = outside.path("SSH_AUTH_SOCK").ok_or("SSH_AUTH_SOCK is not set")?;
    if !is_socket(&path) {
        return Err(format!("SSH_AUTH_SOCK leads to no socket ({})", path.display()));
    }
    let target = outside.inside("ssh-agent");
    Ok(Offer {
        source: path.display().to_string(),
        variables: vec![("SSH_AUTH_SOCK".into(), target.clone().into())],
        steps: vec![socket(&path, target)],
    })
}
