//! `enter healthcheck run CONTAINER`: one check now, and not when its time comes.

use std::process::ExitCode;
use std::time::Duration;

use enter::container::record::Status;
use enter::container::{Container, Error, Remote};
use jiff::Timestamp;

use super::containers;
use crate::cli::HealthcheckArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// How often it is looked whether the check has ended.
const LOOK: Duration = Duration::from_millis(20);

/// Checks, and tells by the exit code what was found.
pub fn run(ui: &Ui, args: &HealthcheckArgs) -> Result<ExitCode, Failure> {
    let container = containers::find(&containers::of_user()?, &args.container)?;
    let name = &container.record.name;
    let failed = || Failure::new(format!("cannot check {name}")).with_code(VERB_FAILED);
    if container.record.spec.health.is_none() {
        return Err(failed().because("nothing is checked").with_hint("make it with --health-cmd"));
    }
    if container.state.status == Status::Paused {
        return Err(failed().because("it is paused").with_hint(format!("let it go on first: enter unpause {name}")));
    }
    let asked = Timestamp::now();
    let ended = Remote::of(&container).and_then(|remote| remote.check_health()).and_then(|()| code(&container, asked));
    if ended.map_err(|error| failed().because(error))? == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let mut output = ui.output();
    output.line("unhealthy");
    output.finish()?;
    Ok(ExitCode::from(VERB_FAILED))
}

/// What the check ended with that was the first to end since.
fn code(container: &Container, since: Timestamp) -> Result<i32, Error> {
    loop {
        let now = Container::read(container.folder.clone())?.filter(Container::is_alive);
        let Some(now) = now else { return Err(Error::NotRunning(container.record.name.clone())) };
        let mut checks = now.state.health.iter().flat_map(|health| &health.log);
        if let Some(check) = checks.find(|check| check.end >= since) {
            return Ok(check.exit_code);
        }
        std::thread::sleep(LOOK);
    }
}
