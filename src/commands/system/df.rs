//! `enter system df`: what is stored, and how much of it nothing needs.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::SystemTime;

use enter::container::{Container, Containers};
use enter::store::{Image, Usage};
use enter::volume::Volumes;
use serde_json::{Value, json};

use crate::cli::DfArgs;
use crate::commands::format::{Format, Heading};
use crate::commands::images;
use crate::commands::ps::row::{self, Manner, Names};
use crate::commands::ps::size;
use crate::commands::state::State;
use crate::commands::volume::{ls, row as volume_row};
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
    volumes: Vec<Kept>,
    /// What the images take on the disk.
    usage: Usage,
    /// What of that would be free without the images that no container was made from and that are not pinned: what
    /// `enter image prune --all` frees.
    free: u64,
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

/// A volume.
struct Kept {
    name: String,
    /// How many containers use it.
    links: usize,
    size: u64,
}

impl Stored {
    fn look(state: &State) -> Result<Self, Failure> {
        let images = state.store()?.images()?;
        let containers = Containers::below(state.root()).all()?;
        let volumes = Volumes::below(state.root()).all()?.into_iter().map(|volume| Kept {
            links: ls::links(&containers, &volume),
            size: volume_row::size(&volume),
            name: volume.record.name,
        });
        let volumes = volumes.collect();
        let containers = containers.into_iter().map(|container| {
            let written = size::written(&container);
            (container, written)
        });
        let containers: Vec<_> = containers.collect();
        let usage = state.store()?.usage()?;
        let ids: BTreeSet<&str> = containers
            .iter()
            .map(|(container, _): &(Container, u64)| container.record.spec.image.id.as_str())
            .collect();
        let stays = |image: &&Image| image.pinned || ids.contains(image.id.to_string().as_str());
        let stay = images.iter().filter(stays).map(|image| image.id.clone()).collect();
        let free = usage.free_without_all_but(&stay);
        Ok(Self { images, containers, volumes, usage, free })
    }

    fn users(&self, image: &Image) -> usize {
        let id = image.id.to_string();
        self.containers.iter().filter(|(container, _)| container.record.spec.image.id == id).count()
    }

    /// One row for each kind of thing, docker's four.
    fn rows(&self) -> Vec<Value> {
        let used: Vec<&Image> = self.images.iter().filter(|image| self.users(image) > 0).collect();
        let written = self.containers.iter().map(|(_, written)| written).sum();
        let ended = self.containers.iter().filter(|(container, _)| !container.is_alive());
        let alive = self.containers.iter().filter(|(container, _)| container.is_alive()).count();
        let volumes = self.volumes.iter().map(|volume| volume.size).sum();
        let used_volumes = self.volumes.iter().filter(|volume| volume.links > 0).count();
        let unused = self.volumes.iter().filter(|volume| volume.links == 0).map(|volume| volume.size).sum();
        vec![
            line("Images", self.images.len(), used.len(), self.usage.total, self.free),
            line("Containers", self.containers.len(), alive, written, ended.map(|(_, written)| written).sum()),
            line("Local Volumes", self.volumes.len(), used_volumes, volumes, unused),
            line("Build Cache", 0, 0, 0, 0),
        ]
    }

    fn verbose(&self, state: &State) -> Result<String, Failure> {
        let now = SystemTime::now();
        let mut rows = Vec::new();
        for image in &self.images {
            let share = self.usage.images.get(&image.id).copied().unwrap_or_default();
            for name in images::row::Row::of(image) {
                let mut fields = name.fields(true, now);
                images::row::measure(&mut fields, share);
                fields["Size"] = human::size(share.unique + share.shared).into();
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
        let rows: Vec<Value> = (self.volumes.iter())
            .map(|volume| json!({ "Name": volume.name, "Links": volume.links.to_string(), "Size": human::size(volume.size) }))
            .collect();
        let volumes = Format::parse("table {{.Name}}\t{{.Links}}\t{{.Size}}", ls::HEADINGS)?.render(&rows)?;
        Ok(format!(
            "Images space usage:\n\n{images}\nContainers space usage:\n\n{containers}\nLocal Volumes space usage:\n\n{volumes}\n\
             Build cache usage: 0B\n\nCACHE ID   CACHE TYPE   SIZE      CREATED   LAST USED   \
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
