//! `enter logs`: what a container has written, from the files of its log. The container never waits for who reads.

mod journal;
mod printer;

use std::process::ExitCode;
use std::time::Duration;

use enter::container::changes::Changes;
use enter::container::logs::{self, Error, Query, Reader};
use enter::container::record::LogDriver;
use enter::container::{Container, Containers};
use jiff::Timestamp;

use super::{containers, moment};
use crate::cli::LogsArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;
use printer::Printer;

/// How long nothing is looked at where nothing changes.
const PATIENCE: Duration = Duration::from_secs(1);

/// Shows what was asked for, in the order in which it was written.
pub fn run(ui: &Ui, args: &LogsArgs) -> Result<ExitCode, Failure> {
    let query = Query {
        since: moment::of_flag("--since", args.since.as_deref())?,
        until: moment::of_flag("--until", args.until.as_deref())?,
        // As docker has it: `all`, and whatever else is no number.
        tail: args.tail.parse().ok(),
        follow: args.follow,
    };
    let container = meant(&containers::of_user()?, args)?;
    show(ui, args, &container, &query).map_err(|failure| failure.with_code(VERB_FAILED))?;
    if let Ok(Some(ended)) = Container::read(container.folder)
        && !ended.is_alive()
        && !ended.state.error.is_empty()
    {
        // It could not write that itself.
        ui.warning(&ended.state.error);
    }
    Ok(ExitCode::SUCCESS)
}

fn meant(containers: &Containers, args: &LogsArgs) -> Result<Container, Failure> {
    match &args.container {
        Some(typed) => containers::find(containers, typed),
        None => containers.latest()?.ok_or_else(|| Failure::new("there is no container").with_code(VERB_FAILED)),
    }
}

fn show(ui: &Ui, args: &LogsArgs, container: &Container, query: &Query) -> Result<(), Failure> {
    let record = &container.record;
    if record.spec.shell {
        let hint = "what a container of `enter run` writes is kept";
        let message = format!("container {} is a shell, and what is said in a shell is not kept", record.name);
        return Err(Failure::new(message).with_hint(hint));
    }
    let config = &record.spec.log;
    let printer = Printer::new(ui.feed(args.raw), args, record);
    match logs::files(config, &container.folder) {
        Some(files) => files_of(ui, container, Reader::open(files, query)?, (query, printer)),
        None if config.driver == LogDriver::Journald => journal::show(container, query, printer),
        None => Err(Error::Unreadable.into()),
    }
}

fn files_of(
    ui: &Ui,
    container: &Container,
    mut reader: Reader,
    (query, mut printer): (&Query, Printer),
) -> Result<(), Failure> {
    let log = logs::file(&container.record.spec.log, &container.folder);
    let folders = [log.as_deref().and_then(std::path::Path::parent), Some(container.folder.as_path())];
    let mut changes = query.follow.then(|| Changes::within(folders.into_iter().flatten()));
    loop {
        // In this order, so that what it wrote last is not missed.
        let alive = is_alive(container);
        let any = reader.drain(|entry| printer.print(entry))?;
        if !alive {
            reader.finish(|entry| printer.print(entry))?;
        }
        printer.flush()?;
        if reader.has_skipped() {
            ui.warning("the container writes more than is read here: what its log no longer has is left out");
        }
        let past = reader.is_past() || query.until.is_some_and(|until| until < Timestamp::now());
        match &mut changes {
            Some(changes) if alive && !past => {
                if !any {
                    changes.wait(PATIENCE);
                }
            }
            _ => return Ok(()),
        }
    }
}

/// Whether it may write more; one that was removed will not, and neither will one that cannot be read.
fn is_alive(container: &Container) -> bool {
    Container::read(container.folder.clone()).ok().flatten().is_some_and(|container| container.is_alive())
}
