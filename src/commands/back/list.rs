//! `enter restore --list`: the throwaway shells that can be brought back, the last first.

use std::process::ExitCode;
use std::time::SystemTime;

use enter::container::dropped::{self, Dropped};
use serde_json::{Value, json};

use super::super::format::{Format, Heading};
use super::super::ps::row::short;
use super::super::state::State;
use crate::cli::RestoreArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::{Ui, human};

const HEADINGS: &[Heading] = &[
    ("Command", "COMMAND"),
    ("Files", "FILES"),
    ("ID", "ID"),
    ("Image", "IMAGE"),
    ("Left", "LEFT"),
    ("LeftAt", "LEFT AT"),
    ("Number", "NUMBER"),
    ("Size", "SIZE"),
    ("Until", "UNTIL"),
];

const TABLE: &str =
    "table {{.Number}}\t{{.Left}}\t{{.Image}}\t{{.Command}}\t{{.Files}}\t{{.Size}}\t{{.Until}}\t{{.ID}}";

/// As much of a command is shown.
const WIDTH: usize = 30;

/// Lists them.
pub fn list(ui: &Ui, settings: &Settings, args: &RestoreArgs, state: &State) -> Result<ExitCode, Failure> {
    let failed = |error: crate::template::Error| Failure::from(error).with_code(VERB_FAILED);
    let template = match args.format.as_deref() {
        None | Some("table") => TABLE,
        Some(template) => template,
    };
    let format = Format::parse(template, HEADINGS).map_err(failed)?;
    let now = SystemTime::now();
    let all = dropped::all(state.root());
    let rows: Vec<Value> = (1..).zip(&all).filter_map(|(number, one)| row(settings, one, number, now)).collect();
    let mut output = ui.output();
    output.text(format.render(&rows).map_err(failed)?);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// One line; none for one that has just gone.
fn row(settings: &Settings, dropped: &Dropped, number: u32, now: SystemTime) -> Option<Value> {
    let spec = dropped.record().ok()?.spec;
    let words: Vec<_> = spec.command.iter().map(|word| word.as_os_str().to_string_lossy()).collect();
    let command: String = words.join(" ").chars().take(WIDTH).collect();
    let more = if dropped.changed.all { "" } else { "+" };
    Some(json!({
        "Command": command,
        "Files": format!("{}{more}", dropped.changed.files),
        "ID": short(&dropped.id),
        "Image": spec.image.name,
        "Left": human::ago(dropped.time(), now),
        "LeftAt": human::local(dropped.time()),
        "Number": number.to_string(),
        "Size": format!("{}{more}", human::size(dropped.changed.bytes)),
        "Until": human::local(dropped.until(settings.restore_time)),
    }))
}
