//! `enter ps`: containers in docker's columns, those that were made last first.

pub mod filter;
pub mod ports;
pub mod row;
pub mod size;
pub mod status;

use std::process::ExitCode;
use std::time::SystemTime;

use enter::container::Container;
use enter::image::Platform;
use serde_json::Value;

use super::format::{Format, Heading};
use super::{containers, state};
use crate::cli::{PsArgs, SortKey};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;
use filter::{Filters, Place};
use row::{Manner, Names};

/// What a template may name, and what stands above it in a table.
pub const HEADINGS: &[Heading] = &[
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Labels", "LABELS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Mounts", "MOUNTS"),
    ("Names", "NAMES"),
    ("Networks", "NETWORKS"),
    ("Ports", "PORTS"),
    ("RunningFor", "CREATED"),
    ("Size", "SIZE"),
    ("State", "STATE"),
    ("Status", "STATUS"),
];

const TABLE: &str = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

/// Lists the containers that fit.
pub fn run(ui: &Ui, settings: &Settings, args: &PsArgs) -> Result<ExitCode, Failure> {
    let verb_failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let format = format(args).map_err(|error| verb_failed(error.into()))?;
    let (containers, store) = (containers::of_user()?, state::store()?);
    let platform = settings.platform.clone().unwrap_or_else(Platform::host);
    let filters = Filters::parse(&args.filter, &Place { containers: &containers, store: &store, platform: &platform })?;

    let last = if args.latest { 1 } else { args.last };
    let all = args.all || last > 0 || filters.name_states();
    let mut listed = containers.all()?;
    listed.retain(|container| (all || container.is_alive()) && filters.take(container));
    if let Ok(most @ 1..) = usize::try_from(last) {
        listed.truncate(most);
    }

    let sizes = args.size
        || args.sort == Some(SortKey::Size)
        || args.format.as_deref().is_some_and(|text| text.contains(".Size"));
    let manner = Manner { truncate: !args.no_trunc, sizes, now: SystemTime::now() };
    let mut names = Names::of(&store);
    let mut rows: Vec<(&Container, Value)> =
        listed.iter().map(|container| (container, row::fields(container, &mut names, &manner))).collect();
    if let Some(key) = args.sort {
        sort(&mut rows, key);
    }
    let rows: Vec<_> = rows.into_iter().map(|(container, fields)| (fields, &container.record.spec.labels)).collect();

    let mut output = ui.output();
    output.text(format.render_labelled(&rows).map_err(|error| verb_failed(error.into()))?);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn format(args: &PsArgs) -> Result<Format, crate::template::Error> {
    let with_size = format!("{TABLE}\t{{{{.Size}}}}");
    let template = match args.format.as_deref() {
        None | Some("table") if args.quiet => "{{.ID}}",
        None | Some("table") => {
            if args.size {
                &with_size
            } else {
                TABLE
            }
        }
        Some(template) => template,
    };
    Ok(Format::parse(template, HEADINGS)?.without_headings(args.noheading))
}

/// Sorts as podman does: upwards, but by time with the oldest first.
fn sort(rows: &mut [(&Container, Value)], key: SortKey) {
    let text = |row: &(&Container, Value), field: &str| row.1[field].as_str().unwrap_or_default().to_owned();
    match key {
        SortKey::Created | SortKey::Runningfor => rows.sort_by_key(|row| row.0.record.created),
        SortKey::Size => rows.sort_by_key(|row| size::written(row.0)),
        SortKey::Command => rows.sort_by_key(|row| row::command(row.0)),
        SortKey::Id => rows.sort_by_key(|row| row.0.record.id.clone()),
        SortKey::Image => rows.sort_by_key(|row| text(row, "Image")),
        SortKey::Names => rows.sort_by_key(|row| row.0.record.name.clone()),
        SortKey::Status => rows.sort_by_key(|row| text(row, "Status")),
    }
}
