//! `enter network`: networks of one's own.

pub mod connect;
pub mod create;
mod filter;
pub mod inspect;
pub mod ls;
mod predefined;
pub mod remove;
pub mod update;

use std::process::ExitCode;

use enter::container::events::{Event, Journal, Kind};
use enter::container::{Container, Containers};
use enter::network::{Error, Network, Networks};

use super::state::State;
use crate::cli::{NetworkCommand, NetworkExistsArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// What the verbs work on.
pub struct Place {
    /// The networks.
    pub networks: Networks,
    /// The containers that may be on them.
    pub containers: Containers,
    journal: Journal,
}

impl Place {
    /// This user's.
    pub fn of_user() -> Result<Self, Failure> {
        let state = State::of_user()?;
        let root = state.root();
        Ok(Self { networks: Networks::below(root), containers: Containers::below(root), journal: Journal::at(root) })
    }

    /// The network that was meant.
    fn find(&self, typed: &str) -> Result<Network, Failure> {
        self.networks.find(typed).map_err(|error| Failure::from(error).with_code(VERB_FAILED))
    }

    /// The containers that are on a network, running or not.
    fn users(&self, network: &str) -> Result<Vec<Container>, Failure> {
        let mut all = self.containers.all()?;
        all.retain(|container| container.record.spec.networks.iter().any(|wanted| wanted.network == network));
        Ok(all)
    }

    /// Writes down what was done to a network.
    fn tell(&self, network: &Network, action: &str, container: Option<&str>) {
        let mut event = Event::of_image(&network.id, &network.name, action).with("type", "bridge");
        event.kind = Kind::Network;
        if let Some(container) = container {
            event = event.with("container", container);
        }
        self.journal.add(&event);
    }
}

/// Does what a verb says.
pub fn run(ui: &Ui, verb: &NetworkCommand) -> Result<ExitCode, Failure> {
    match verb {
        NetworkCommand::Create(args) => create::run(ui, args),
        NetworkCommand::Ls(args) => ls::run(ui, args),
        NetworkCommand::Inspect(args) => inspect::run(ui, args),
        NetworkCommand::Connect(args) => connect::connect(args),
        NetworkCommand::Disconnect(args) => connect::disconnect(args),
        NetworkCommand::Rm(args) => remove::rm(ui, args),
        NetworkCommand::Prune(args) => remove::prune(ui, args),
        NetworkCommand::Reload(args) => connect::reload(ui, args),
        NetworkCommand::Update(args) => update::run(ui, args),
        NetworkCommand::Exists(args) => exists(args),
    }
}

/// 0 if there is such a network, 1 if there is none.
fn exists(args: &NetworkExistsArgs) -> Result<ExitCode, Failure> {
    if predefined::find(&args.network).is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    match Place::of_user()?.networks.find(&args.network) {
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(Error::NoSuchNetwork(_)) => Ok(ExitCode::from(VERB_FAILED)),
        Err(error) => Err(error.into()),
    }
}
