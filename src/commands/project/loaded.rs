//! The project's file that counts here, read, understood, and allowed or not.

use std::path::{Path, PathBuf};

use super::super::state::State;
use super::kept::Kept;
use crate::failure::Failure;
use crate::project::{self, Found, Project};
use crate::ui::Ui;

/// A project's file.
pub struct Loaded {
    /// Where it is, from `/` on and without links.
    pub file: PathBuf,
    /// The folder that it is in.
    pub folder: PathBuf,
    /// The user's home, without links.
    pub home: Option<PathBuf>,
    /// Its text.
    pub text: String,
    /// What that says.
    pub project: Project,
    /// What is kept about it.
    pub kept: Kept,
}

/// The file in or above `folder`, if there is one of the user's own. One of somebody else's is told, and not used.
pub fn find(ui: &Ui, folder: &Path) -> Option<PathBuf> {
    match project::from(folder, home().as_deref(), uid())? {
        Found::Own(file) => Some(file),
        Found::Foreign(file, owner) => {
            ui.warning(&format!("{} is not used: it belongs to {}, and not to you", file.display(), name_of(owner)));
            None
        }
    }
}

fn uid() -> u32 {
    nix::unistd::geteuid().as_raw()
}

fn home() -> Option<PathBuf> {
    let home = PathBuf::from(std::env::var_os("HOME").filter(|home| !home.is_empty())?);
    home.canonicalize().ok()
}

fn name_of(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    user.map_or_else(|| format!("the user {uid}"), |user| user.name)
}

impl Loaded {
    /// Reads the file of the working directory; `None` where there is none.
    pub fn here(ui: &Ui) -> Result<Option<Self>, Failure> {
        let Ok(folder) = std::env::current_dir() else {
            ui.warning("the working directory is gone: no project is looked for");
            return Ok(None);
        };
        find(ui, &folder).map(Self::read).transpose()
    }

    /// Reads and understands a file.
    pub fn read(file: PathBuf) -> Result<Self, Failure> {
        let failed = |error: project::Error| {
            let hint = error.hint();
            Failure::from_error(error, hint)
        };
        let text = project::read(&file, uid()).map_err(failed)?;
        let project = project::parse(&file, &text).map_err(failed)?;
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        let kept = Kept::about(State::of_user()?.root(), &file);
        Ok(Self { folder, home: home(), text, project, kept, file })
    }

    /// Refuses what the user has not allowed, and tells what it would do.
    pub fn must_be_allowed(&self, ui: &Ui) -> Result<(), Failure> {
        if self.kept.allows(&self.text)? {
            return Ok(());
        }
        let file = self.file.display();
        let what = match self.kept.has_allowed() {
            true => format!("{file} has changed since it was allowed"),
            false => format!("{file} is not allowed yet"),
        };
        self.tell(ui);
        Err(Failure::new(what).with_hint("if you trust it: enter allow"))
    }

    /// Whether a volume, from `/` on, shows something that is not the project's.
    pub fn is_beyond(&self, volume: &str) -> bool {
        let source = volume.split(':').next().unwrap_or_default();
        let real = Path::new(source).canonicalize();
        !Path::new(source).starts_with(&self.folder) || real.is_ok_and(|real| !real.starts_with(&self.folder))
    }

    /// Says what the file would do.
    pub fn tell(&self, ui: &Ui) {
        ui.note(&format!("{} makes a box of the image {}.", self.file.display(), self.project.image));
        for (what, value) in self.lines() {
            ui.note(&format!("  {what}: {value}"));
        }
        ui.note(match self.project.home.as_deref() {
            None | Some("share") => "  It has your home in it, as every box: what runs in it can change that.",
            Some("cow") => "  It has your home in it: what runs in it can read that, and changes a copy.",
            _ => "  It has no more of your home in it than that.",
        });
    }

    /// All that it does beyond naming an image.
    fn lines(&self) -> Vec<(&'static str, String)> {
        let project = &self.project;
        let mut lines = Vec::new();
        let mut add = |what, values: Vec<String>| {
            if !values.is_empty() {
                lines.push((what, values.join(", ")));
            }
        };
        add("installs as root of the box", project.packages.clone());
        let volumes = project.volumes(&self.folder, self.home.as_deref());
        let (beyond, within): (Vec<String>, Vec<String>) =
            volumes.into_iter().partition(|volume| self.is_beyond(volume));
        add("shows of this machine, beyond the project", beyond);
        add("shows of the project", within);
        add("publishes ports", project.ports.clone());
        add("is on networks", project.networks.clone());
        add("has you be", project.user.iter().cloned().collect());
        let (set, passed): (Vec<_>, Vec<_>) = project.environment.iter().cloned().partition(|pair| pair.contains('='));
        add("sets variables", set);
        add("passes your variables on", passed);
        for (what, hooks) in [
            ("runs once, after it was made", &project.hooks.once),
            ("runs after each start", &project.hooks.start),
            ("runs each time that you go in", &project.hooks.enter),
        ] {
            hooks.iter().for_each(|line| add(what, vec![line.clone()]));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_leads_out_of_the_project_is_beyond_it() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().canonicalize().unwrap().join("web");
        std::fs::create_dir_all(folder.join("data")).unwrap();
        std::os::unix::fs::symlink("/etc", folder.join("out")).unwrap();
        let loaded = Loaded {
            file: folder.join(".enter.toml"),
            home: None,
            text: String::new(),
            project: Project::default(),
            kept: Kept::about(root.path(), Path::new("x")),
            folder: folder.clone(),
        };
        let volume = |name: &str| format!("{}:/x", folder.join(name).display());
        assert!(!loaded.is_beyond(&volume("data")) && !loaded.is_beyond(&volume("not-there")));
        assert!(loaded.is_beyond(&volume("out")) && loaded.is_beyond("/etc:/x"));
    }
}
