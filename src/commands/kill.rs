//! `enter kill CONTAINER…`: sends the payload a signal.

use std::process::ExitCode;

use enter::container::{Container, Error, Remote};
use nix::sys::signal::Signal;

use super::chosen::{self, Others};
use super::containers;
use crate::cli::KillArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Sends it to each. What is killed has ended when this returns.
pub fn run(ui: &Ui, args: &KillArgs) -> Result<ExitCode, Failure> {
    let others = Others { all: args.all, latest: args.latest, ..Others::default() };
    let found = chosen::find(&containers::of_user()?, &args.chosen, others, Container::is_alive)?;
    chosen::each(ui, found, |container| {
        let sent = Remote::of(&container).and_then(|remote| send(&remote, args.signal));
        let name = &container.record.name;
        sent.map_err(|error| Failure::new(format!("cannot kill {name}")).because(error).with_code(VERB_FAILED))
    })
}

fn send(remote: &Remote, signal: i32) -> Result<(), Error> {
    if signal == Signal::SIGKILL as i32 { remote.end_for_good(signal) } else { remote.signal(signal, false) }
}
