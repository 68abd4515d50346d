//! A project's file that has changed since its box was made: what can be changed is, as `enter set` does; what cannot is told.

use std::ffi::OsString;

use enter::container::Container;

use super::super::boxes;
use super::Work;
use super::kept::Boxed;
use crate::cli::{self, BoxSetting, Cli, Command, Unset};
use crate::failure::Failure;
use crate::project::Project;
use clap::Subcommand as _;

impl Work<'_> {
    /// Brings the box up to what the file says.
    pub(super) fn apply(&self, container: &Container, boxed: &mut Boxed) -> Result<(), Failure> {
        let (name, now) = (&container.record.name, &self.loaded.project);
        let made_of = &container.record.spec.image.name;
        if *made_of != now.image {
            let image = &now.image;
            let rebase = match cli::Command::has_subcommand("rebase") {
                true => format!("enter rebase {name} {image}; or "),
                false => String::new(),
            };
            self.ui.warning(&format!(
                "{name} was made of {made_of}, and the file says {image} now. To change that: {rebase}remove the box with all that was changed in it, and \
                 it is made anew: enter rm {name}"
            ));
        }
        if boxed.applied == *now {
            return Ok(());
        }
        let flags = self.changes(container, &boxed.applied)?;
        if !flags.is_empty() {
            let words = ["enter", "set", name].into_iter().map(OsString::from).chain(flags);
            let Ok(Cli { command: Some(Command::Set(args)), .. }) = cli::parse(&words.collect::<Vec<_>>()) else {
                return Err(Failure::new("cannot make a command line of what has changed in the project's file"));
            };
            boxes::set(self.ui, self.settings, &args)?;
        }
        self.tell(name, boxed, now);
        boxed.applied = now.clone();
        self.loaded.kept.keep(boxed)
    }

    /// The flags of `enter set`.
    fn changes(&self, container: &Container, before: &Project) -> Result<Vec<OsString>, Failure> {
        let (now, loaded) = (&self.loaded.project, self.loaded);
        let mut flags = Vec::new();
        let mut take_back = |what: BoxSetting, word: &str, which: &str| {
            // Perhaps somebody has taken it back by hand already.
            if boxes::is_set(container, &Unset { what, which: Some(which.to_owned()) }) {
                flags.push(format!("--unset={word}={which}"));
            }
        };
        for old in gone(&names(&before.environment), &names(&now.environment)) {
            take_back(BoxSetting::Env, "env", &old);
        }
        let (old, new) = (before.volumes(&loaded.folder, loaded.home.as_deref()), self.volumes()?);
        for target in gone(&targets(&old), &targets(&new)) {
            take_back(BoxSetting::Volume, "volume", &target);
        }
        for port in gone(&before.ports, &now.ports) {
            take_back(BoxSetting::Publish, "publish", &port);
        }
        for network in gone(&before.networks, &now.networks) {
            take_back(BoxSetting::Network, "network", &network);
        }
        let mut add = |flag: &str, values: Vec<String>| {
            flags.extend(values.into_iter().map(|value| format!("--{flag}={value}")));
        };
        let values = |project: &Project| {
            project.environment.iter().filter(|pair| pair.contains('=')).cloned().collect::<Vec<_>>()
        };
        add("env", gone(&values(now), &values(before)));
        add(
            "volume",
            gone(&new, &old)
                .into_iter()
                .filter(|volume| now.home != before.home || !self.is_own_folder(volume))
                .collect(),
        );
        if now.home != before.home {
            add("home", vec![now.home.clone().unwrap_or_else(|| "share".into())]);
        }
        add("publish", gone(&now.ports, &before.ports));
        if now.networks.is_empty() && !before.networks.is_empty() {
            add("network", vec!["pasta".into()]);
        }
        add("network", gone(&now.networks, &before.networks));
        Ok(flags.into_iter().map(Into::into).collect())
    }

    /// The mount of the project's folder, which is there from the beginning where the home is not shown.
    fn is_own_folder(&self, volume: &str) -> bool {
        let folder = self.loaded.folder.display().to_string();
        volume == format!("{folder}:{folder}")
    }

    /// Says what does not change.
    fn tell(&self, name: &str, boxed: &Boxed, now: &Project) {
        let before = &boxed.applied;
        let stay = gone(&boxed.packages, &now.packages);
        if !stay.is_empty() {
            self.ui.note(&format!("no longer in the file, and still installed in {name}: {}", stay.join(", ")));
        }
        if boxed.once && before.hooks.once != now.hooks.once {
            self.ui.note(&format!("`hooks.once` has changed; it was run when {name} was made, and is not run again"));
        }
        if let Some(wanted) = now.name.as_ref().filter(|_| before.name != now.name).filter(|wanted| *wanted != name) {
            self.ui.note(&format!("the box keeps its name; to change it: enter rename {name} {wanted}"));
        }
    }
}

/// Those of `old` that are not in `new`.
fn gone(old: &[String], new: &[String]) -> Vec<String> {
    old.iter().filter(|one| !new.contains(one)).cloned().collect()
}

/// The names of variables that have a value.
fn names(environment: &[String]) -> Vec<String> {
    environment.iter().filter_map(|pair| Some(pair.split_once('=')?.0.to_owned())).collect()
}

fn targets(volumes: &[String]) -> Vec<String> {
    volumes.iter().filter_map(|volume| Some(volume.split(':').nth(1)?.to_owned())).collect()
}
