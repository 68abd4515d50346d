//! The log of a container whose output goes to systemd's journal: what journalctl(1) prints of it, as a log.

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::time::Duration;

use enter::container::Container;
use enter::container::changes::Changes;
use enter::container::logs::{Error, Query, journalctl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::printer::Printer;
use super::{PATIENCE, is_alive};
use crate::failure::Failure;

/// How long the journal may take to have what a container wrote last.
const BELATED: Duration = Duration::from_millis(500);

/// Shows what was asked for.
pub fn show(container: &Container, query: &Query, mut printer: Printer) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::from(Error::Journal(error.to_string()));
    let mut journalctl = journalctl::command(&container.record.id, query).spawn().map_err(failed)?;
    let Some(output) = journalctl.stdout.take() else { return Ok(()) };
    if query.follow {
        end_with(container.clone(), &journalctl);
    }
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        if let Some(entry) = journalctl::parse(&line) {
            printer.print(&entry)?;
        }
        line.clear();
        if lines.buffer().is_empty() {
            printer.flush()?;
        }
    }
    printer.flush()?;
    let ended = journalctl.wait().map_err(failed)?;
    if !ended.success() && !query.follow {
        return Err(Error::Journal(format!("it ended with {ended}")).into());
    }
    Ok(())
}

/// Ends a journalctl that follows when the container has ended. It is waited for only after that, so that its id is still its own.
fn end_with(container: Container, journalctl: &Child) {
    let process = Pid::from_raw(journalctl.id().cast_signed());
    std::thread::spawn(move || {
        let mut changes = Changes::within([container.folder.as_path()]);
        while is_alive(&container) {
            changes.wait(PATIENCE);
        }
        std::thread::sleep(BELATED);
        let _ = kill(process, Signal::SIGTERM);
    });
}
