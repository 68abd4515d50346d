//! The box of a project, made the first time: what the file says becomes the flags of `enter -n BOX IMAGE`.

use std::ffi::OsString;
use std::path::Path;

use jiff::Timestamp;

use super::super::{boxes, resolve};
use super::Work;
use super::kept::Boxed;
use crate::cli::{self, Cli, Command, ShellArgs};
use crate::failure::Failure;
use crate::settings;

/// How many names are tried.
const MOST_NAMES: u32 = 99;

impl Work<'_> {
    /// Makes it, and holds it.
    pub(super) fn make(&self) -> Result<(boxes::Open<'_>, Boxed), Failure> {
        let (project, kept) = (&self.loaded.project, &self.loaded.kept);
        let name = self.free_name()?;
        if let Some(wanted) = project.name.as_ref().filter(|wanted| **wanted != name) {
            self.ui.note(&format!("the name {wanted} is taken: this project's box is called {name}"));
        }
        let mut boxed =
            Boxed { name: name.clone(), begun: Some(Timestamp::now()), applied: project.clone(), ..Boxed::default() };
        kept.keep(&boxed)?;
        let args = shell_args(self.flags(&name)?)?;
        self.ui.note(&format!("making the box {name} of {} for {}", project.image, self.loaded.folder.display()));
        // Flags such as --home take the place of settings.
        let settings = settings::load(args.overrides())?;
        let open = boxes::made(self.ui, &settings, &args, (self.state, self.caller), &name)?;
        boxed.id.clone_from(&open.container.record.id);
        kept.keep(&boxed)?;
        Ok((open, boxed))
    }

    /// The command line that makes it.
    fn flags(&self, name: &str) -> Result<Vec<OsString>, Failure> {
        let project = &self.loaded.project;
        let mut flags: Vec<OsString> = ["enter", "shell", "--name", name].map(Into::into).to_vec();
        let mut add = |flag: &str, value: &str| flags.push(format!("--{flag}={value}").into());
        self.volumes()?.iter().for_each(|volume| add("volume", volume));
        project.environment.iter().filter(|pair| pair.contains('=')).for_each(|pair| add("env", pair));
        project.home.iter().for_each(|home| add("home", home));
        project.ports.iter().for_each(|port| add("publish", port));
        project.networks.iter().for_each(|network| add("network", network));
        flags.extend(["--", project.image.as_str()].map(Into::into));
        Ok(flags)
    }

    /// What is shown of this machine: also the project's own folder, where no home is in the box that it is in.
    pub(super) fn volumes(&self) -> Result<Vec<String>, Failure> {
        let loaded = self.loaded;
        let folder = loaded.folder.to_str().filter(|folder| !folder.contains(':'));
        let at_home =
            loaded.project.has_home() && loaded.home.as_ref().is_some_and(|home| loaded.folder.starts_with(home));
        let own = (!at_home).then_some(folder);
        if own == Some(None)
            || (folder.is_none() && loaded.project.mounts.iter().any(|mount| !mount.starts_with(['/', '~'])))
        {
            return Err(Failure::new(format!("cannot show {} in a box", loaded.folder.display()))
                .because("its path has a colon in it, or is not UTF-8, as no path of a volume can")
                .with_hint("rename the folder"));
        }
        let own = own.flatten().map(|folder| format!("{folder}:{folder}"));
        Ok(own.into_iter().chain(loaded.project.volumes(&loaded.folder, loaded.home.as_deref())).collect())
    }

    /// The name that the file wants, or the folder's, or one with a number behind it where that is taken.
    fn free_name(&self) -> Result<String, Failure> {
        let project = &self.loaded.project;
        let wanted = project.name.clone().unwrap_or_else(|| name_of(&self.loaded.folder));
        let store = self.state.store()?;
        for number in 1..=MOST_NAMES {
            let name = if number == 1 { wanted.clone() } else { format!("{wanted}-{number}") };
            // A folder that a stranger has called `debian` does not get in the way of the image.
            let hides = project.name.is_none() && resolve::is_in_store(self.settings, &store, &name);
            if !hides && self.containers.by_name(&name)?.is_none() {
                return Ok(name);
            }
        }
        Err(Failure::new(format!(
            "cannot find a name for this project's box: {wanted} is taken, and all with a number behind it"
        ))
        .with_hint("choose one: `name` in the file"))
    }
}

/// What the box of a folder is called.
fn name_of(folder: &Path) -> String {
    const LONGEST: usize = 48;
    let typed = folder.file_name().unwrap_or_default().to_string_lossy();
    let letter = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '-' };
    let clean: String = typed.chars().map(letter).take(LONGEST).collect();
    let clean = clean.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let name = if clean.is_empty() { "project" } else { clean };
    cli::box_name(name).unwrap_or_else(|_| format!("{name}-box"))
}

/// Reads a command line of ours, `enter shell …`.
pub(super) fn shell_args(words: Vec<OsString>) -> Result<Box<ShellArgs>, Failure> {
    match cli::parse(&words) {
        Ok(Cli { command: Some(Command::Shell(args)), .. }) => Ok(args),
        Err(cli::Said::Wrong(failure)) => Err(failure),
        _ => Err(Failure::new("cannot make a command line of the project's file")),
    }
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[test]
    fn a_folder_s_name_becomes_one_of_a_box() {
        for (folder, name) in [
            ("/home/u/web", "web"),
            ("/w/My Project!", "My-Project"),
            ("/w/run", "run-box"),
            ("/w/host", "host-box"),
            ("/w/..x", "x"),
            ("/w/größe", "gr--e"),
            ("/w/日本", "project"),
            ("/", "project"),
        ] {
            assert_eq!(name_of(folder.as_ref()), name, "{folder}");
        }
    }
}
