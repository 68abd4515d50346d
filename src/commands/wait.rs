//! `enter wait CONTAINER…`: prints the exit code of each, one a line, as it ends.

use std::process::ExitCode;
use std::time::Duration;

use enter::container::{Container, Containers, Error, Remote, Until};

use super::chosen::{self, Others};
use super::containers;
use crate::cli::{Condition, WaitArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// How often is looked for what nobody tells of: a start, and the last moment of a folder.
const LOOK: Duration = Duration::from_millis(50);

/// Waits for each in turn.
pub fn run(ui: &Ui, args: &WaitArgs) -> Result<ExitCode, Failure> {
    let containers = containers::of_user()?;
    let others = Others { all: false, latest: args.latest, ..Others::default() };
    let mut code = ExitCode::SUCCESS;
    for (_, container) in chosen::find(&containers, &args.chosen, others, |_| true)? {
        match container.and_then(|container| wait(&containers, &container, args.condition)) {
            Ok(exit) => {
                let mut output = ui.output();
                output.line(exit.to_string());
                output.finish()?;
            }
            Err(error) => {
                ui.failure(&error.into());
                code = ExitCode::from(VERB_FAILED);
            }
        }
    }
    Ok(code)
}

/// Waits for one; its exit code.
fn wait(containers: &Containers, container: &Container, condition: Condition) -> Result<i32, Error> {
    let until = if condition == Condition::Removed { Until::Gone } else { Until::Exit };
    let mut code = container.state.exit_code;
    loop {
        match Remote::of(container).and_then(|remote| remote.wait(until)) {
            Ok(end) if condition != Condition::Removed => return Ok(end.code()),
            Ok(end) => code = end.code(),
            // What has just ended, or was killed with its monitor, is looked up.
            Err(Error::NotRunning(_) | Error::MonitorGone) => {}
            Err(error) => return Err(error),
        }
        match (containers.find(&container.record.id), condition) {
            (Ok(now), Condition::NotRunning) if !now.is_alive() => return Ok(now.state.exit_code),
            (Ok(now), Condition::NextExit) if now.state.finished > container.state.finished => {
                return Ok(now.state.exit_code);
            }
            (Err(Error::NoSuchContainer(_)), Condition::Removed) => return Ok(code),
            (Err(error), _) => return Err(error),
            (Ok(_), _) => std::thread::sleep(LOOK),
        }
    }
}
