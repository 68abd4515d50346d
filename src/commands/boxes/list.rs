//! `enter ls`: boxes, those that were used last first.

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use enter::container::record::Status;
use enter::container::upper::Upper;
use enter::container::{Container, Remote};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::format::{Format, Heading};
use super::super::ps::ports;
use super::super::ps::row::{Names, short};
use super::super::{containers, state};
use crate::cli::LsArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::{Ui, human};

const HEADINGS: &[Heading] = &[
    ("CreatedAt", "CREATED AT"),
    ("ID", "ID"),
    ("Image", "IMAGE"),
    ("LastUsed", "LAST USED"),
    ("Name", "NAME"),
    ("Ports", "PORTS"),
    ("Shells", "SHELLS"),
    ("Size", "CHANGED"),
    ("State", "STATE"),
];

const TABLE: &str = "table {{.Name}}\t{{.Image}}\t{{.State}}\t{{.Shells}}\t{{.Size}}\t{{.LastUsed}}";

/// So long files are counted, in all boxes together: a list comes at once.
const COUNTING: Duration = Duration::from_millis(300);

/// Lists them.
pub fn ls(ui: &Ui, _settings: &Settings, args: &LsArgs) -> Result<ExitCode, Failure> {
    let failed = |error: crate::template::Error| Failure::from(error).with_code(VERB_FAILED);
    let template = match args.format.as_deref() {
        None | Some("table") if args.quiet => "{{.Name}}",
        None | Some("table") => TABLE,
        Some(template) => template,
    };
    let format = Format::parse(template, HEADINGS).map_err(failed)?.without_headings(args.noheading);
    let mut boxes = containers::of_user()?.all()?;
    boxes.retain(|container| container.record.spec.boxed.is_some());
    boxes.sort_by_key(|container| std::cmp::Reverse((container.is_alive(), last_used(container))));
    let counts = template == TABLE || template == "json" || template.contains(".Size") || template.contains("json");
    let store = state::store()?;
    let (mut names, now, until) = (Names::of(&store), SystemTime::now(), Instant::now() + COUNTING);
    let rows: Vec<Value> =
        boxes.iter().map(|container| row(container, &mut names, now, counts.then_some(until))).collect();
    let mut output = ui.output();
    output.text(format.render(&rows).map_err(failed)?);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// One line. `until`: when counting has to end; `None`: nothing is counted.
fn row(container: &Container, names: &mut Names<'_>, now: SystemTime, until: Option<Instant>) -> Value {
    let record = &container.record;
    let shells = if container.is_alive() { Remote::of(container).and_then(|remote| remote.count()).ok() } else { None };
    json!({
        "CreatedAt": human::local(SystemTime::from(record.created)),
        "ID": short(&record.id),
        "Image": names.shown(container, true),
        "LastUsed": if shells > Some(0) { "now".into() } else { human::ago(last_used(container).into(), now) },
        "Name": record.name,
        "Ports": ports::text(&record.spec, container.is_alive()),
        "Shells": shells.unwrap_or(0).to_string(),
        "Size": until.map(|until| size(container, until)).unwrap_or_default(),
        "State": state(container),
    })
}

fn state(container: &Container) -> &'static str {
    match container.state.status {
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Restarting => "restarting",
        Status::Created | Status::Exited => "stopped",
    }
}

/// When somebody was in it last, as far as it is written down.
fn last_used(container: &Container) -> Timestamp {
    let state = &container.state;
    state.finished.max(state.started).unwrap_or(container.record.created)
}

/// The bytes of the files that were changed; with a plus where there are more than could be counted.
fn size(container: &Container, until: Instant) -> String {
    let Ok(upper) = Upper::open(&container.folder, container.record.spec.storage) else { return "?".into() };
    let (bytes, all) = upper.bytes_until(until);
    format!("{}{}", human::size(bytes), if all { "" } else { "+" })
}
