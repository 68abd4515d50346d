//! `enter system df`: what is stored, and how much of it nothing needs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use enter::container::{Container, Containers};
use enter::store::Image;
use serde_json::{Value, json};

use crate::cli::DfArgs;
use crate::commands::format::{Format, Heading};
use crate::commands::images;
use crate::commands::ps::row::{self, Manner, Names};
use crate::commands::ps::size;
use crate::commands::state::State;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::{Ui, human};

const HEADINGS: &[Heading] = &[
    ("Active", "ACTIVE"),
    ("Reclaimable", "RECLAIMABLE"),
    ("Size", "SIZE"),
    ("TotalCount", "TOTAL"),
    ("Type", "TYPE"),
];
const TABLE: &str = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";

/// All that is stored.
struct Stored {
    images: Vec<Image>,
    containers: Vec<(Container, u64)>,
    /// What each layer takes, and how many images have it.
    layers: BTreeMap<std::path::PathBuf, (u64, usize)>,
}

/// Prints it.
pub fn run(ui: &Ui, args: &DfArgs) -> Result<ExitCode, Failure> {
    let verb_failed = |error: crate::template::Error| Failure::from(error).with_code(VERB_FAILED);
    let template = args.format.as_deref().filter(|format| *format != "table").unwrap_or(TABLE);
    let format = Format::parse(template, HEADINGS).map_err(verb_failed)?;
    let state = State::of_user()?;
    let stored = Stored::look(&state)?;
    let text =
        if args.verbose { stored.verbose(&state)? } else { format.render(&stored.rows()).map_err(verb_failed)? };
    let mut output = ui.output();
    output.text(text);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

impl Stored {
    fn look(state: &State) -> Result<Self, Failure> {
        let images = state.store()?.images()?;
        let containers = Containers::below(state.root()).all()?;
        let containers = containers.into_iter().map(|container| {
            let written = size::written(&container);
            (container, written)
        });
        let length = |tar: &Path| std::fs::metadata(tar).map_or(0, |metadata| metadata.len());
        let mut layers = BTreeMap::new();
        for image in &images {
            // A layer may stand twice in an image.
            for tar in image.tars.iter().collect::<BTreeSet<_>>() {
                layers.entry(tar.clone()).or_insert_with(|| (length(tar), 0)).1 += 1;
            }
        }
        Ok(Self { images, containers: containers.collect(), layers })
    }

    fn users(&self, image: &Image) -> usize {
        let id = image.id.to_string();
        self.containers.iter().filter(|(container, _)| container.record.spec.image.id == id).count()
    }

    /// One row for each kind of thing, docker's four.
    fn rows(&self) -> Vec<Value> {
        let used: Vec<&Image> = self.images.iter().filter(|image| self.users(image) > 0).collect();
        let needed: BTreeSet<_> = used.iter().flat_map(|image| &image.tars).collect();
        let all: u64 = self.layers.values().map(|(length, _)| length).sum();
        let free = self.layers.iter().filter(|(tar, _)| !needed.contains(tar)).map(|(_, (length, _))| length).sum();
        let written = self.containers.iter().map(|(_, written)| written).sum();
        let ended = self.containers.iter().filter(|(container, _)| !container.is_alive());
        let alive = self.containers.iter().filter(|(container, _)| container.is_alive()).count();
        vec![
            line("Images", self.images.len(), used.len(), all, free),
            line("Containers", self.containers.len(), alive, written, ended.map(|(_, written)| written).sum()),
            line("Local Volumes", 0, 0, 0, 0),
            line("Build Cache", 0, 0, 0, 0),
        ]
    }

    fn verbose(&self, state: &State) -> Result<String, Failure> {
        let now = SystemTime::now();
        let mut rows = Vec::new();
        for image in &self.images {
            let part = |shared: bool| -> u64 {
                let own: BTreeSet<_> = image.tars.iter().collect();
                let layers = own.iter().filter_map(|tar| self.layers.get(*tar));
                layers.filter(|(_, users)| (*users > 1) == shared).map(|(length, _)| length).sum()
            };
            for name in images::row::Row::of(image) {
                let mut fields = name.fields(true, now);
                fields["SharedSize"] = human::size(part(true)).into();
                fields["UniqueSize"] = human::size(part(false)).into();
                fields["Containers"] = self.users(image).to_string().into();
                rows.push(fields);
            }
        }
        let table = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
        let images = Format::parse(table, images::HEADINGS)?.render(&rows)?;

        let store = state.store()?;
        let mut names = Names::of(&store);
        let manner = Manner { truncate: true, sizes: false, now };
        let rows: Vec<Value> = (self.containers.iter())
            .map(|(container, written)| {
                let mut fields = row::fields(container, &mut names, &manner);
                fields["Size"] = human::size(*written).into();
                fields
            })
            .collect();
        let table = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";
        let containers = Format::parse(table, crate::commands::ps::HEADINGS)?.render(&rows)?;
        Ok(format!(
            "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\nLocal Volumes space usage:\n\n\
             VOLUME NAME   LINKS     SIZE\n\nBuild cache usage: 0B\n\nCACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   \
             USAGE     SHARED\n"
        ))
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole percents are shown"
)]
fn line(kind: &str, total: usize, active: usize, size: u64, free: u64) -> Value {
    let share = if size == 0 { String::new() } else { format!(" ({}%)", (free as f64 / size as f64 * 100.0) as u64) };
    json!({
        "Active": active.to_string(),
        "Reclaimable": format!("{}{share}", human::size(free)),
        "Size": human::size(size),
        "TotalCount": total.to_string(),
        "Type": kind,
    })
}
