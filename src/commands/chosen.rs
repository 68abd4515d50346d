//! Several containers on one command line: each is tried, whatever happens to those before it, and the exit code tells.

use std::process::ExitCode;
use std::{fs, io};

use enter::container::{Container, Containers, Error};

use crate::cli::Chosen;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// How one was named, and what was found under that name.
pub type Found = (String, Result<Container, Error>);

/// What else can be said than names.
#[derive(Clone, Copy, Debug, Default)]
pub struct Others {
    /// `--all`.
    pub all: bool,
    /// `--latest`.
    pub latest: bool,
    /// `--ignore`: a file that names a container may be missing, as the container may.
    pub ignore: bool,
}

/// Looks up all that was named. `fits`: which of them `--all` means. What `--all` and `--latest` mean is named by its whole id.
pub fn find(
    containers: &Containers,
    chosen: &Chosen,
    others: Others,
    fits: impl Fn(&Container) -> bool,
) -> Result<Vec<Found>, Failure> {
    let by_id = |container: Container| (container.record.id.clone(), Ok(container));
    if others.all {
        return Ok(containers.all()?.into_iter().filter(fits).map(by_id).collect());
    }
    if others.latest {
        let latest = containers.latest()?;
        let none = || Failure::new("there is no container").with_code(VERB_FAILED);
        return Ok(vec![by_id(latest.ok_or_else(none)?)]);
    }
    let mut found: Vec<Found> = chosen.containers.iter().map(|typed| (typed.clone(), containers.find(typed))).collect();
    for file in &chosen.cidfile {
        match fs::read_to_string(file) {
            Ok(text) => {
                let id = text.trim().to_owned();
                let container = containers.find(&id);
                found.push((id, container));
            }
            Err(error) if others.ignore && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                let failure = Failure::new(format!("cannot read a container's ID from {}", file.display()));
                return Err(failure
                    .because(error)
                    .with_hint("it is written by `enter run --cidfile FILE`")
                    .with_code(VERB_FAILED));
            }
        }
    }
    if found.is_empty() && chosen.cidfile.is_empty() {
        return Err(Failure::new("CONTAINER is missing")
            .with_hint("name at least one; see which there are with `enter ps -a`")
            .with_code(VERB_FAILED));
    }
    Ok(found)
}

/// Does something to each, and prints the names of those where that went well, as they were typed.
pub fn each(
    ui: &Ui,
    found: Vec<Found>,
    mut work: impl FnMut(Container) -> Result<(), Failure>,
) -> Result<ExitCode, Failure> {
    let mut code = ExitCode::SUCCESS;
    for (typed, container) in found {
        let container = container.map_err(|error| Failure::from(error).with_code(VERB_FAILED));
        match container.and_then(&mut work) {
            Ok(()) => {
                let mut output = ui.output();
                output.line(&typed);
                output.finish()?;
            }
            Err(failure) => {
                ui.failure(&failure);
                code = ExitCode::from(VERB_FAILED);
            }
        }
    }
    Ok(code)
}
