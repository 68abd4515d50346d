//! `enter volume ls`.

use std::process::ExitCode;

use enter::container::{Container, Containers, volumes};
use enter::volume::{Volume, Volumes};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex_lite::Regex;

use super::row;
use crate::cli::VolumeLsArgs;
use crate::commands::filter::{self, Label, bad};
use crate::commands::format::{Format, Heading};
use crate::commands::moment;
use crate::commands::state::State;
use crate::failure::Failure;
use crate::ui::Ui;

/// The fields, and what stands above them.
pub const HEADINGS: &[Heading] = &[
    ("Anonymous", "ANONYMOUS"),
    ("Availability", "AVAILABILITY"),
    ("CreatedAt", "CREATED AT"),
    ("Driver", "DRIVER"),
    ("Group", "GROUP"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Name", "VOLUME NAME"),
    ("Scope", "SCOPE"),
    ("Size", "SIZE"),
    ("Status", "STATUS"),
];
const TABLE: &str = "table {{.Driver}}\t{{.Name}}";

/// Lists the volumes that fit.
pub fn run(ui: &Ui, args: &VolumeLsArgs) -> Result<ExitCode, Failure> {
    let template = match args.format.as_deref() {
        None | Some("table") if args.quiet => "{{.Name}}",
        None | Some("table") => TABLE,
        Some(template) => template,
    };
    let format = Format::parse(template, HEADINGS)?.without_headings(args.noheading);
    let state = State::of_user()?;
    let all = Volumes::below(state.root());
    let filters = Filters::parse(&args.filter, &all)?;
    let containers = Containers::below(state.root()).all()?;
    let sizes = template.contains(".Size");
    let rows: Vec<_> = all
        .all()?
        .into_iter()
        .filter_map(|volume| {
            let links = links(&containers, &volume);
            if !filters.take(&volume, links) {
                return None;
            }
            let size = sizes.then(|| row::size(&volume));
            Some((row::fields(&volume, links, size), volume.record.labels))
        })
        .collect();
    let rows: Vec<_> = rows.iter().map(|(fields, labels)| (fields.clone(), labels)).collect();
    let mut output = ui.output();
    output.text(format.render_labelled(&rows)?);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// How many containers use a volume.
pub fn links(containers: &[Container], volume: &Volume) -> usize {
    let uses = |container: &&Container| volumes::of(&container.record).any(|name| name == volume.record.name);
    containers.iter().filter(uses).count()
}

/// The filters of one command line. Of names one is enough; all else must fit.
#[derive(Debug, Default)]
pub struct Filters {
    names: Vec<Regex>,
    with: Vec<Label>,
    without: Vec<Label>,
    options: Vec<Label>,
    dangling: Option<bool>,
    anonymous: Option<bool>,
    /// Something was asked for that no volume is.
    never: bool,
    until: Option<Timestamp>,
    since: Option<Timestamp>,
}

impl Filters {
    /// Reads `KEY=VALUE` texts.
    pub fn parse(texts: &[String], volumes: &Volumes) -> Result<Self, Failure> {
        let mut filters = Self::default();
        let truth = |text: &str, value: &str| {
            filter::boolean(value).ok_or_else(|| bad(text, "it wants true or false")).map(Some)
        };
        for text in texts {
            match filter::pair(text)? {
                ("name", value) => {
                    let name = Regex::new(value);
                    filters.names.push(name.map_err(|error| bad(text, "it is no regular expression").because(error))?);
                }
                ("label", value) => filters.with.push(Label::parse(value)),
                ("label!", value) => filters.without.push(Label::parse(value)),
                ("opt", value) => filters.options.push(Label::parse(value)),
                ("dangling", value) => filters.dangling = truth(text, value)?,
                ("anonymous", value) => filters.anonymous = truth(text, value)?,
                // docker's word, of prune.
                ("all", value) => filters.anonymous = truth(text, value)?.filter(|all| !all).map(|all| !all),
                ("driver" | "scope", value) => filters.never |= value != "local",
                ("until", value) => {
                    let until = moment::parse(value, Timestamp::now(), &TimeZone::system());
                    filters.until =
                        Some(until.ok_or_else(|| bad(text, "it wants a time, such as 24h or 2026-11-22T04:50:59Z"))?);
                }
                ("since" | "after", value) => filters.since = Some(volumes.find(value)?.record.created),
                (key, _) => {
                    let keys = "anonymous, dangling, driver, label, label!, name, opt, scope, since, until";
                    return Err(filter::unknown(key, keys));
                }
            }
        }
        Ok(filters)
    }

    /// Whether a volume fits that so many containers use.
    pub fn take(&self, volume: &Volume, links: usize) -> bool {
        let record = &volume.record;
        !self.never
            && (self.names.is_empty() || self.names.iter().any(|name| name.is_match(&record.name)))
            && self.with.iter().all(|label| label.is_in(&record.labels))
            && !self.without.iter().any(|label| label.is_in(&record.labels))
            && self.options.iter().all(|option| option.is_in(&record.options))
            && self.dangling.is_none_or(|dangling| dangling == (links == 0))
            && self.anonymous.is_none_or(|anonymous| anonymous == record.anonymous)
            && self.until.is_none_or(|until| record.created < until)
            && self.since.is_none_or(|since| record.created > since)
    }
}
