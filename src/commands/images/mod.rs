//! `enter images`: what is in the store, in docker's columns.

mod filter;
pub mod pattern;
pub mod row;

use std::process::ExitCode;
use std::time::SystemTime;

use enter::image::Platform;

use super::format::{Format, Heading};
use crate::cli::{ImageSortKey, ImagesArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;
use filter::Filters;
use row::Row;

/// What a template may name, and what stands above it in a table.
pub const HEADINGS: &[Heading] = &[
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("Pinned", "PINNED"),
];

const TABLE: &str = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
/// For people, who also want to know what an image alone would free. Scripts get docker's columns.
const WIDE: &str = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.UniqueSize}}";
const TABLE_WITH_DIGESTS: &str = "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

/// Lists the images that fit, the newest first.
pub fn run(ui: &Ui, settings: &Settings, args: &ImagesArgs) -> Result<ExitCode, Failure> {
    let verb_failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let format = format(args, is_wide(ui, args)).map_err(|error| verb_failed(error.into()))?;
    let store = super::state::store()?;
    let platform = settings.platform.clone().unwrap_or_else(Platform::host);
    let filters = Filters::parse(&args.filter, args.name.as_deref(), &store, &platform).map_err(verb_failed)?;

    let mut images = store.images()?;
    images.retain(|image| filters.take(image));
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    let now = SystemTime::now();
    // Nobody waits for all containers to be read who has not asked for their number.
    let asks = |field: &str| args.format.as_deref().is_some_and(|format| format.contains(field) || format == "json");
    let counted = args.format.as_deref().is_some_and(|format| format.contains(".Containers"));
    let containers = if counted { super::containers::of_user()?.all()? } else { Vec::new() };
    // Nor for the disk.
    let wide = is_wide(ui, args);
    let measured = wide || ["SharedSize", "UniqueSize", "{{json .}}"].iter().any(|field| asks(field));
    let usage = if measured { Some(store.usage()?) } else { None };
    let fields = |row: Row<'_>| {
        let mut fields = row.fields(!args.no_trunc, now);
        if counted {
            let id = row.id();
            let users = containers.iter().filter(|container| container.record.spec.image.id == id).count();
            fields["Containers"] = users.to_string().into();
        }
        if let Some(share) = usage.as_ref().and_then(|usage| usage.images.get(&row.image.id)) {
            row::measure(&mut fields, *share);
        }
        fields
    };
    let rows = images.iter().flat_map(Row::of).filter(|row| filters.take_name(row.name));
    let mut rows: Vec<Row<'_>> = rows.collect();
    if let Some(key) = args.sort {
        sort(&mut rows, key);
    }
    let rows: Vec<_> = rows.into_iter().map(fields).collect();

    let mut output = ui.output();
    output.text(format.render(&rows).map_err(|error| verb_failed(error.into()))?);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Sorts as podman does: upwards, but by time with the newest first.
fn sort(rows: &mut [Row<'_>], key: ImageSortKey) {
    match key {
        ImageSortKey::Created => rows.sort_by_key(|row| std::cmp::Reverse(row.image.created)),
        ImageSortKey::Id => rows.sort_by_key(Row::id),
        ImageSortKey::Repository => rows.sort_by_key(|row| row.name.map(|name| name.familiar())),
        ImageSortKey::Size => rows.sort_by_key(|row| row.image.size),
        ImageSortKey::Tag => rows.sort_by_key(|row| row.name.and_then(|name| name.tag().map(str::to_owned))),
    }
}

/// Whether the list is for somebody who reads it.
fn is_wide(ui: &Ui, args: &ImagesArgs) -> bool {
    ui.output_is_terminal() && matches!(args.format.as_deref(), None | Some("table")) && !args.quiet && !args.digests
}

fn format(args: &ImagesArgs, wide: bool) -> Result<Format, crate::template::Error> {
    let table = match (wide, args.digests) {
        (true, _) => WIDE,
        (false, true) => TABLE_WITH_DIGESTS,
        (false, false) => TABLE,
    };
    let template = match args.format.as_deref() {
        None | Some("table") if args.quiet => "{{.ID}}",
        None | Some("table") => table,
        Some(template) => template,
    };
    Ok(Format::parse(template, HEADINGS)?.without_headings(args.noheading))
}
