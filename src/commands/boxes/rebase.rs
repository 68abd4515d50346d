//! `enter rebase BOX IMAGE`: what was changed in a box, on another image. What both have changed is listed; the box's stays.

use std::process::ExitCode;

use cowfs::tree;
use enter::container::events::{Event, Journal};
use enter::container::files::{self, Base, Change, Hidden};
use enter::container::rebase::{self, Collision};
use enter::container::record::ImageUse;
use enter::container::{Container, Containers};
use enter::store::{Image, Store};

use super::super::format::{Format, Heading};
use super::super::start::Starter;
use super::super::state::State;
use super::super::{files as access, resolve};
use crate::cli::RebaseArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

const HEADINGS: &[Heading] = &[("Box", "IN THE BOX"), ("Image", "IN THE IMAGE"), ("Path", "PATH")];
const TABLE: &str = "table {{.Path}}\t{{.Box}}\t{{.Image}}";

/// What package managers know of what is installed: where that lies, who they are, and what brings it in line with the files.
const LISTS: [(&str, &str, &str); 6] = [
    ("var/lib/dpkg/status", "dpkg and apt", "apt-get update && apt-get -y dist-upgrade"),
    ("var/lib/rpm", "rpm", "dnf -y distro-sync || zypper -n dup"),
    ("usr/lib/sysimage/rpm", "rpm", "dnf -y distro-sync || zypper -n dup"),
    ("lib/apk/db/installed", "apk", "apk update && apk upgrade --available && apk fix"),
    ("usr/lib/apk/db/installed", "apk", "apk update && apk upgrade --available && apk fix"),
    ("var/lib/pacman/local", "pacman", "pacman -Syu --noconfirm"),
];

/// Files with users in them, which are the box's as a whole.
const ACCOUNTS: [&str; 4] = ["etc/passwd", "etc/group", "etc/shadow", "etc/gshadow"];

/// Says what collides, and does it.
pub fn rebase(ui: &Ui, settings: &Settings, args: &RebaseArgs) -> Result<ExitCode, Failure> {
    let state = State::of_user()?;
    let containers = Containers::below(state.root());
    let container = super::find(&containers, &args.name)?;
    let work = Work { ui, settings, store: state.store()?, containers: &containers, args };
    work.run(&container).map_err(|failure| failure.with_code(VERB_FAILED))
}

/// As [`rebase`], for `enter set --image`: to this image, and nothing is printed but what has to be known.
pub fn onto(
    ui: &Ui,
    settings: &Settings,
    containers: &Containers,
    store: &Store,
    container: &Container,
    image: &str,
) -> Result<(), Failure> {
    let args = RebaseArgs {
        name: container.record.name.clone(),
        image: Some(image.to_owned()),
        back: false,
        dry_run: false,
        force: false,
        noheading: false,
    };
    Work { ui, settings, store: store.clone(), containers, args: &args }.run(container).map(drop)
}

struct Work<'a> {
    ui: &'a Ui,
    settings: &'a Settings,
    store: Store,
    containers: &'a Containers,
    args: &'a RebaseArgs,
}

impl Work<'_> {
    fn run(&self, container: &Container) -> Result<ExitCode, Failure> {
        let box_name = &container.record.name;
        if container.is_alive() {
            return Err(Failure::new(format!("cannot put {box_name} on another image: it is running"))
                .with_hint(format!("leave it first, or stop it: enter stop {box_name}")));
        }
        let old = access::image(&self.store, container)?
            .ok_or_else(|| Failure::new(format!("{box_name} is made from this machine, and from no image")))?;
        let (wanted, typed) = self.wanted(container)?;
        let (new, _lease) =
            resolve::held(|| resolve::image(self.ui, self.settings, &self.store, &wanted), |image| Some(image))?;
        if new.id == old.id {
            self.ui.note(&format!("{box_name} is on {} already", new.id));
            return self.rename_image(container, &typed);
        }
        if (&new.platform.os, &new.platform.architecture) != (&old.platform.os, &old.platform.architecture) {
            return Err(Failure::new(format!(
                "cannot put {box_name} on {typed}: that is for {}, and what was changed in the box is for {}",
                new.platform, old.platform
            ))
            .with_hint("make another box from it: enter -n NAME IMAGE"));
        }
        self.store.mend(&new)?;
        let (before, after) = (tree::Image::open(&old.tree, &old.tars)?, tree::Image::open(&new.tree, &new.tars)?);
        let found = self.collisions(container, &before, &after)?;
        if let Some(hiding) = found.iter().find(|collision| collision.hides)
            && !(self.args.force || self.args.dry_run)
        {
            let path = String::from_utf8_lossy(&hiding.path).into_owned();
            return Err(Failure::new(format!(
                "cannot put {box_name} on {typed}: its directory /{path} would hide what the image has there, which is none"
            ))
            .with_hint("take away what was put in there; or do it all the same, with --force; --dry-run tells all that collides"));
        }
        self.print(&found)?;
        self.tell(box_name, &typed, &found);
        if self.args.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        self.change(container, &before, &new, &typed)?;
        let back = self.name_of(&container.record.spec.image, &old);
        self.ui.note(&format!("{box_name} is on {typed} from now on; the way back: enter rebase {box_name} {back}"));
        Ok(ExitCode::SUCCESS)
    }

    /// What is looked for, and what it is called: as it was typed, or the image of before.
    fn wanted(&self, container: &Container) -> Result<(String, String), Failure> {
        if let Some(image) = &self.args.image {
            return match image.as_str() {
                "host" => Err(Failure::new("cannot put a box on this machine: it is no image")
                    .with_hint("`enter host` is a throwaway view of it")),
                _ => Ok((image.clone(), image.clone())),
            };
        }
        let previous = container.record.spec.boxed.as_ref().and_then(|boxed| boxed.previous.as_ref());
        let name = &container.record.name;
        previous.map(|image| (image.id.clone(), image.name.clone())).ok_or_else(|| {
            Failure::new(format!("there is no way back for {name}: it was never put on another image"))
                .with_hint(format!("put it on one: enter rebase {name} IMAGE"))
        })
    }

    fn collisions(
        &self,
        container: &Container,
        old: &tree::Image,
        new: &tree::Image,
    ) -> Result<Vec<Collision>, Failure> {
        let access = access::access(&self.store, container)?;
        let base = Base::open(access.lower())?;
        let plan = files::plan_of(&container.folder)?;
        let hidden = Hidden::of(plan.as_ref(), base.image());
        let changes = files::diff(&access, &base, &hidden)?;
        let reading = |error| Failure::new("cannot compare the images").because(error);
        rebase::collisions(&changes, old, new).map_err(reading)
    }

    fn print(&self, found: &[Collision]) -> Result<(), Failure> {
        if found.is_empty() {
            return Ok(());
        }
        let word = |change: Change| match change {
            Change::Added => "added",
            Change::Changed => "changed",
            Change::Deleted => "deleted",
        };
        let row = |collision: &Collision| {
            serde_json::json!({
                "Path": format!("/{}", String::from_utf8_lossy(&collision.path)),
                "Box": word(collision.ours),
                "Image": word(collision.theirs),
            })
        };
        let format = Format::parse(TABLE, HEADINGS)?.without_headings(self.args.noheading);
        let rows: Vec<_> = found.iter().map(row).collect();
        let mut output = self.ui.output();
        output.text(format.render(&rows)?);
        output.finish()?;
        Ok(())
    }

    /// What a list of paths does not say by itself.
    fn tell(&self, box_name: &str, image: &str, found: &[Collision]) {
        if found.is_empty() {
            self.ui.note(&format!("nothing that was changed in {box_name} is otherwise in {image}"));
            return;
        }
        self.ui.note(&format!(
            "{} of both: what is in {box_name} stays, and hides what {image} has there",
            counted(found.len())
        ));
        let is_at = |place: &str| {
            found.iter().any(|collision| {
                let rest = collision.path.strip_prefix(place.as_bytes());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            })
        };
        if let Some((place, who, mend)) = LISTS.iter().find(|(place, ..)| is_at(place)) {
            self.ui.warning(&format!(
                "the list of installed packages (/{place}) stays that of {box_name}: {who} cannot know what {image} has otherwise"
            ));
            self.ui.note(&format!("to bring both in line: enter {box_name} -- sudo sh -c '{mend}'"));
        }
        if let Some(place) = ACCOUNTS.iter().find(|place| is_at(place)) {
            self.ui.note(&format!("users that {image} has anew are not known: /{place} stays that of {box_name}"));
        }
    }

    /// Does it, while nobody can start the box.
    fn change(&self, container: &Container, old: &tree::Image, new: &Image, typed: &str) -> Result<(), Failure> {
        let Some(folder) = Starter::hold(container)? else {
            return Err(Failure::new(format!(
                "cannot put {} on another image: it was started just now",
                container.record.name
            )));
        };
        rebase::settle(folder.path(), container.record.spec.storage, old)?;
        // By this its files are seen until its next start.
        if let Some(mut plan) = files::plan_of(folder.path())? {
            let layers = new.tars.iter().map(|tar| tar.clone().into()).collect();
            plan.root.lower = plan::Lower::Image { tree: new.tree.clone().into(), layers };
            let json = plan.to_json().map_err(|error| Failure::new("cannot write the plan").because(error))?;
            enter::container::launch::write_plan(folder.path(), &json)?;
        }
        let record = self.containers.change(container, |record| {
            let used = ImageUse { name: typed.to_owned(), id: new.id.to_string() };
            let before = std::mem::replace(&mut record.spec.image, used);
            record.spec.exposed.clone_from(&new.config.execution.exposed_ports);
            if let Some(boxed) = &mut record.spec.boxed {
                boxed.previous = Some(before);
            }
            Ok(())
        })?;
        Journal::beside(folder.path()).add(&Event::of_container(&record, "update"));
        Ok(())
    }

    /// The same image by another name.
    fn rename_image(&self, container: &Container, typed: &str) -> Result<ExitCode, Failure> {
        if !self.args.dry_run && !self.args.back {
            self.containers.change(container, |record| {
                typed.clone_into(&mut record.spec.image.name);
                Ok(())
            })?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// By what an image is found for certain: its name, if that leads to it still.
    fn name_of(&self, used: &ImageUse, image: &Image) -> String {
        let options = resolve::options(self.settings);
        match enter::registry::find(&self.store, &used.name, &options.platform, &options.environment) {
            Ok(Some(found)) if found.id == image.id => used.name.clone(),
            _ => image.id.to_string().trim_start_matches("sha256:").chars().take(12).collect(),
        }
    }
}

fn counted(paths: usize) -> String {
    if paths == 1 { "one path is".into() } else { format!("{paths} paths are") }
}
