//! `enter events`: what has happened to containers and images, and what happens, from the journal that every command and
//! monitor writes.

mod filter;
mod show;

use std::process::ExitCode;
use std::time::Duration;

use enter::container::changes::Changes;
use enter::container::events::Journal;
use jiff::Timestamp;

use super::moment;
use super::state::State;
use crate::cli::EventsArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;
use filter::Filters;
use show::Form;

/// How long nothing is looked at where nothing happens.
const PATIENCE: Duration = Duration::from_secs(5);

/// Shows what was asked for, until the end of the time that was asked for, or until the user has seen enough.
pub fn run(ui: &Ui, args: &EventsArgs) -> Result<ExitCode, Failure> {
    let since = moment::of_flag("--since", args.since.as_deref())?;
    let until = moment::of_flag("--until", args.until.as_deref())?;
    let filters = Filters::parse(&args.filter)?;
    let form = Form::parse(args.format.as_deref(), !args.no_trunc)?;
    show(ui, args, (since, until), &filters, &form).map_err(|failure| failure.with_code(VERB_FAILED))?;
    Ok(ExitCode::SUCCESS)
}

fn show(
    ui: &Ui,
    args: &EventsArgs,
    (since, until): (Option<Timestamp>, Option<Timestamp>),
    filters: &Filters,
    form: &Form,
) -> Result<(), Failure> {
    let state = State::of_user()?;
    let is_over = || until.is_some_and(|until| until <= Timestamp::now());
    let follow = args.stream && !is_over();
    // Watched first, so that nothing happens between the two.
    let mut changes = Changes::within([state.root()]);
    let mut happened = Journal::at(state.root()).read(since.is_some() || !follow, follow)?;
    loop {
        let over = is_over();
        let mut output = ui.output();
        let any = happened.drain(|event| {
            let asked = since.is_none_or(|since| event.time >= since) && until.is_none_or(|until| event.time <= until);
            if asked && filters.take(&event) {
                output.line(form.show(&event)?);
            }
            Ok::<_, Failure>(())
        })?;
        output.finish()?;
        if !follow || over {
            return Ok(());
        }
        if !any {
            let left = until.map_or(PATIENCE, |until| {
                Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default()
            });
            changes.wait(left.clamp(Duration::from_millis(1), PATIENCE));
        }
    }
}
