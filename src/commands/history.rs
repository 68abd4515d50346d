//! `enter history`: the steps by which an image was made, in docker's columns.

use std::process::ExitCode;
use std::time::SystemTime;

use enter::image::{HistoryStep, history_of};
use enter::store::{self, Image, Store};
use serde_json::{Value, json};

use super::format::{Format, Heading};
use crate::cli::HistoryArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::{Ui, human};

/// What a template may name, and what stands above it in a table.
const HEADINGS: &[Heading] = &[
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];
const TABLE: &str = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
const TABLE_FOR_PROGRAMS: &str = "table {{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";
/// As many characters of a command and of a comment are shown.
const WIDTH: usize = 45;
/// What stands for the ID of a step that no image here is.
const MISSING: &str = "<missing>";

/// Prints the steps, the last first.
pub fn run(ui: &Ui, settings: &Settings, args: &HistoryArgs) -> Result<ExitCode, Failure> {
    let failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let table = if args.human { TABLE } else { TABLE_FOR_PROGRAMS };
    let template = match args.format.as_deref() {
        None | Some("table") if args.quiet => "{{.ID}}",
        None | Some("table") => table,
        Some(template) => template,
    };
    let format = Format::parse(template, HEADINGS).map_err(|error| failed(error.into()))?;
    let store = super::state::store()?;
    let image = super::tag::find(settings, &store, &args.image)?;
    let rows = rows(&store, &image, args)?;
    let mut output = ui.output();
    output.text(format.render(&rows).map_err(|error| failed(error.into()))?);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn rows(store: &Store, image: &Image, args: &HistoryArgs) -> Result<Vec<Value>, Failure> {
    let layers = store.layers_here(&image.config.diff_ids)?;
    let mut sizes = layers.iter().map(store::Layer::size);
    let steps = history_of(&store.config_of(image)?, layers.len())?;
    let now = SystemTime::now();
    let mut rows = Vec::new();
    let last = steps.len().saturating_sub(1);
    for (number, step) in steps.iter().enumerate() {
        let size = if step.has_layer { sizes.next().transpose()?.unwrap_or_default() } else { 0 };
        rows.push(row(step, size, (number == last).then_some(image), args, now));
    }
    rows.reverse();
    Ok(rows)
}

/// A time without what is below a second, which docker does not keep.
fn seconds(created: &str) -> String {
    match created.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        Err(_) if created.is_empty() => "N/A".to_owned(),
        Err(_) => created.to_owned(),
    }
}

fn row(step: &HistoryStep, size: u64, image: Option<&Image>, args: &HistoryArgs, now: SystemTime) -> Value {
    let created = store::time(&step.created);
    let id = match image {
        Some(image) if args.no_trunc => image.id.to_string(),
        Some(image) => image.id.short().to_owned(),
        None => MISSING.to_owned(),
    };
    let cut = |text: &str| {
        let text = one_line(text);
        if args.no_trunc || text.chars().count() <= WIDTH {
            return text;
        }
        text.chars().take(WIDTH - 1).chain(['…']).collect()
    };
    json!({
        "ID": id,
        "CreatedSince": created.map_or_else(|| "N/A".to_owned(), |time| human::ago(time, now)),
        "CreatedAt": seconds(&step.created),
        "CreatedBy": cut(&step.created_by),
        "Size": if args.human { human::size(size) } else { size.to_string() },
        "Comment": one_line(&step.comment),
    })
}

/// What an image says of itself, without what would begin another row or column.
fn one_line(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_of_a_second() {
        assert_eq!(seconds("2026-11-22T11:47:50.393311814Z"), "2026-11-22T11:47:50Z");
        assert_eq!((seconds(""), seconds("yesterday")), ("N/A".to_owned(), "yesterday".to_owned()));
    }

    #[test]
    fn a_comment_with_a_newline_makes_no_row() {
        assert_eq!(one_line("a\nforged\trow\r"), "a forged row ");
    }
}
