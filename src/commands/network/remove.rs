//! `enter network rm` and `enter network prune`.

use std::process::ExitCode;

use enter::network::{Error, Network};

use super::{Place, predefined};
use crate::cli::{NetworkPruneArgs, NetworkRmArgs};
use crate::commands::prune::{agreed, filter::Filters};
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Removes each; with `--force` one that is not there is told, and is no failure, as docker has it.
pub fn rm(ui: &Ui, args: &NetworkRmArgs) -> Result<ExitCode, Failure> {
    let place = Place::of_user()?;
    let mut output = ui.output();
    let mut failed = false;
    for typed in &args.networks {
        match place.remove(typed) {
            Ok(()) => output.line(typed),
            Err((failure, missing)) => {
                failed |= !(missing && args.force);
                ui.failure(&failure);
            }
        }
    }
    output.finish()?;
    Ok(if failed { ExitCode::from(VERB_FAILED) } else { ExitCode::SUCCESS })
}

/// Removes all that no container is on.
pub fn prune(ui: &Ui, args: &NetworkPruneArgs) -> Result<ExitCode, Failure> {
    let place = Place::of_user()?;
    let filters = Filters::parse(&args.prune.filter, false)?;
    if !agreed(ui, &args.prune, "WARNING! This will remove all custom networks not used by at least one container.")? {
        return Ok(ExitCode::SUCCESS);
    }
    let gone = place.remove_unused(&filters)?;
    let mut output = ui.output();
    if !gone.is_empty() {
        output.line("Deleted Networks:");
        gone.iter().for_each(|name| output.line(name));
        output.line("");
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

impl Place {
    /// Removes one; beside a failure, whether that is because there is none.
    fn remove(&self, typed: &str) -> Result<(), (Failure, bool)> {
        predefined::refuse(typed, "removed").map_err(|failure| (failure, false))?;
        let failed = |error: Error| {
            let missing = matches!(error, Error::NoSuchNetwork(_));
            (Failure::from(error).with_code(VERB_FAILED), missing)
        };
        let found = match self.networks.find(typed) {
            // It can still be removed by its name.
            Err(Error::File { .. }) => {
                self.networks.remove::<Error>(typed, || Ok(())).map_err(failed)?;
                return Ok(());
            }
            found => found.map_err(failed)?,
        };
        self.remove_found(&found).map_err(|failure| (failure, false))
    }

    fn remove_found(&self, network: &Network) -> Result<(), Failure> {
        let check = || -> Result<(), Failure> {
            let users = self.users(&network.name)?;
            let Some(user) = users.iter().find(|user| user.is_alive()).or(users.first()) else { return Ok(()) };
            let name = &user.record.name;
            Err(Failure::new(format!("cannot remove the network {}: the container {name} is on it", network.name))
                .with_hint(format!(
                    "disconnect it with `enter network disconnect {} {name}`, or remove it with `enter rm -f {name}`",
                    network.name
                )))
        };
        self.networks.remove(&network.name, check).map_err(|failure: Failure| failure.with_code(VERB_FAILED))?;
        self.tell(network, "destroy", None);
        Ok(())
    }

    /// Removes the networks that fit and that no container is on; their names.
    pub fn remove_unused(&self, filters: &Filters) -> Result<Vec<String>, Failure> {
        let mut gone = Vec::new();
        for network in self.networks.all()? {
            let fits = filters.take(network.created.into(), &network.labels);
            if !fits || !self.users(&network.name)?.is_empty() {
                continue;
            }
            // Somebody may have come onto it meanwhile.
            if self.remove_found(&network).is_ok() && !network.hidden {
                gone.push(network.name);
            }
        }
        Ok(gone)
    }
}
