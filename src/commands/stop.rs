//! `enter stop CONTAINER…`: asks the payload to end, and ends it by force if it does not.

use std::process::ExitCode;
use std::time::Duration;

use enter::container::{Container, Error, Remote};

use super::chosen::{self, Others};
use super::containers;
use crate::cli::StopArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Stops each. All are asked before any is waited for, so that several take no longer than the slowest.
pub fn run(ui: &Ui, args: &StopArgs) -> Result<ExitCode, Failure> {
    let others = Others { all: args.all, latest: args.latest, ignore: args.ignore };
    let mut found = chosen::find(&containers::of_user()?, &args.chosen, others, Container::is_alive)?;
    if args.ignore {
        found.retain(|(_, container)| !matches!(container, Err(Error::NoSuchContainer(_))));
    }
    let mut asked = found.iter().map(|(_, container)| {
        let Ok(container) = container else { return Ok(None) };
        begin(container, args.signal, args.time.map(grace))
    });
    let mut asked = asked.by_ref().collect::<Vec<_>>().into_iter();
    chosen::each(ui, found, |container| {
        let asked = asked.by_ref().next().unwrap_or(Ok(None));
        finish(&container, asked)
    })
}

/// How long is waited before force is used; -1 is for ever.
pub fn grace(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::from(u32::MAX)))
}

/// Asks a container to stop; `None` where it does not run, which is just as well.
pub fn begin(container: &Container, signal: Option<i32>, grace: Option<Duration>) -> Result<Option<Remote>, Error> {
    match Remote::of(container) {
        Ok(remote) => remote.ask_to_stop(signal, grace).map(|()| Some(remote)),
        Err(Error::NotRunning(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Waits until one that was asked has ended.
pub fn finish(container: &Container, asked: Result<Option<Remote>, Error>) -> Result<(), Failure> {
    let stopped = asked.and_then(|remote| remote.map_or(Ok(()), |remote| remote.until_gone()));
    let name = &container.record.name;
    stopped.map_err(|error| Failure::new(format!("cannot stop {name}")).because(error).with_code(VERB_FAILED))
}
