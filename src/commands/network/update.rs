//! `enter network update`: whom a network asks about names.

use std::process::ExitCode;

use super::{Place, VERB_FAILED, connect, predefined};
use crate::cli::NetworkUpdateArgs;
use crate::failure::Failure;
use crate::ui::Ui;

/// Changes a network, and prints its name, as podman does.
pub fn run(ui: &Ui, args: &NetworkUpdateArgs) -> Result<ExitCode, Failure> {
    predefined::refuse(&args.network, "changed")?;
    let place = Place::of_user()?;
    let network = place.find(&args.network)?;
    let changed = place.networks.change(&network.name, |network| {
        network.dns_servers.retain(|server| !args.dns_drop.contains(server));
        for server in &args.dns_add {
            if !network.dns_servers.contains(server) {
                network.dns_servers.push(*server);
            }
        }
    });
    changed.map_err(|error| Failure::from(error).with_code(VERB_FAILED))?;
    for user in place.users(&network.name)?.iter().filter(|user| user.is_alive()) {
        connect::refresh(user)?;
    }
    let mut output = ui.output();
    output.line(&network.name);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}
