//! Boxes as hosts of ssh, for editors and whatever else goes to other machines by it: `enter ssh-config` tells ssh of them, and `enter
//! ssh-proxy` is the server, which ssh starts itself, as its `ProxyCommand`. No sshd, no port and no key of the user's is needed: the
//! only way to that server is to be able to start it.
//!
//! The server (`serve`) lives on this side of the box. For each program, it starts `enter` once more, which goes into the box as
//! from any terminal (`program`); files and ports are served by the small client that every box has (`/run/enter/enter`).
//!
//! russh was tried in the place of our own crate `ssh`: it brings 60 crates and 2 MB, a tenth of this program, and takes what comes for
//! a channel whether or not its reader does.

mod config;
mod keys;
mod program;
mod serve;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use enter::container::Containers;
use enter::container::planning::caller::Caller;

use super::boxes;
use super::state::State;
use crate::cli::SshProxyArgs;
use crate::failure::Failure;
use crate::ui::Ui;

pub use config::run as config;

/// What stands behind a box's name to make it a host's.
const SUFFIX: &str = ".enter";

/// `enter ssh-proxy BOX`: serves until the client goes. The box is there as long.
pub fn proxy(ui: &Ui, args: &SshProxyArgs) -> Result<ExitCode, Failure> {
    if std::io::stdin().is_terminal() || std::io::stdout().is_terminal() {
        return Err(Failure::new("cannot speak ssh to a terminal").with_hint(
            "ssh starts this itself: put what `enter ssh-config` prints into ~/.ssh/config, then: ssh BOX.enter",
        ));
    }
    let state = State::of_user()?;
    let key = keys::key(state.root())?;
    let containers = Containers::below(state.root());
    let name = args.name.strip_suffix(SUFFIX).unwrap_or(&args.name);
    // A box may have the suffix in its own name.
    let container = match boxes::named(&containers, &args.name)? {
        Some(container) => container,
        None => boxes::find(&containers, name)?,
    };
    let caller = Caller::find()?;
    // It could not be given back before the end.
    let (container, held, _) = boxes::open(ui, &containers, &container)?;
    let served = serve::serve(key, &container.record.name, &caller.name);
    drop(held);
    served.map(|()| ExitCode::SUCCESS)
}
