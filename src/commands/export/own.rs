//! `enter export bin NAME` and `enter export app NAME`: a program or application of a box, put where this machine finds it. It runs in the box.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use cowfs::tree;
use enter::container::exports::{self, Export, Kind};
use enter::container::planning::view::{self, Layered, View};
use enter::container::upper::Upper;
use enter::container::{Container, Containers};

use super::super::boxes::image;
use super::super::state::State;
use super::desktop;
use crate::cli::{ExportArgs, UnexportArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::{Ui, table};

/// A desktop file is no larger, nor an icon.
const LARGEST: usize = 4 << 20;

/// Puts it there.
pub fn export(ui: &Ui, args: &ExportArgs, kind: Kind, name: &str) -> Result<ExitCode, Failure> {
    let state = State::of_user()?;
    let containers = Containers::below(state.root());
    let container = named(&containers, args.from.as_deref())?;
    let asked = Asked { container: &container, name, to: args.to.as_deref(), called: args.called.as_deref() };
    let mut all = exports::read(&container.folder);
    let export = asked.make(&state, kind)?;
    all.retain(|before| before.target != export.target);
    let target = export.target.clone();
    all.push(export);
    exports::write(&container.folder, &all)?;
    ui.note(&format!("{name} of {} is {} here", container.record.name, target.display()));
    if kind == Kind::Bin && !path_folders().any(|folder| Some(&*folder) == target.parent()) {
        ui.warning(&format!("{} is not in your PATH", target.parent().unwrap_or(Path::new("/")).display()));
    }
    Ok(ExitCode::SUCCESS)
}

/// The box that is meant: the named one, or the only one.
fn named(containers: &Containers, from: Option<&str>) -> Result<Container, Failure> {
    if let Some(from) = from {
        return super::super::boxes::find(containers, from);
    }
    let mut boxes: Vec<Container> =
        containers.all()?.into_iter().filter(|container| container.record.spec.boxed.is_some()).collect();
    match (boxes.pop(), boxes.len()) {
        (Some(only), 0) => Ok(only),
        _ => Err(Failure::new("cannot tell which box to export from").with_hint("name it: --from BOX")),
    }
}

fn path_folders() -> impl Iterator<Item = PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

struct Asked<'a> {
    container: &'a Container,
    name: &'a str,
    to: Option<&'a Path>,
    called: Option<&'a str>,
}

impl Asked<'_> {
    fn make(&self, state: &State, kind: Kind) -> Result<Export, Failure> {
        let container = self.container;
        let image = image(state, container)?;
        let files = tree::Image::open(&image.tree, &image.tars)?;
        let upper = Upper::open(&container.folder, container.record.spec.storage)
            .map_err(|errno| self.failed("its files cannot be looked at").because(errno))?;
        let view = Layered::new(&upper, &files);
        match kind {
            Kind::Bin => self.program(&view),
            Kind::App => self.application(&view),
        }
    }

    fn failed(&self, why: &str) -> Failure {
        let message = format!("cannot export {} of {}", self.name, self.container.record.name);
        Failure::new(message).because(why).with_code(VERB_FAILED)
    }

    fn program(&self, view: &dyn View) -> Result<Export, Failure> {
        let given = Path::new(self.name);
        let found = if given.is_absolute() {
            Some(given.to_owned()).filter(|path| view.is_program(path))
        } else {
            Some(self.name)
                .filter(|name| !name.contains('/'))
                .and_then(|name| view::find_program(view, OsStr::new(name)))
        };
        let source = found.ok_or_else(|| {
            self.failed("the box has no such program").with_hint("see what there is: enter BOX -- ls /usr/bin")
        })?;
        let called = self.called.or_else(|| source.file_name().and_then(OsStr::to_str)).unwrap_or_default();
        let is_word = |char: char| char.is_ascii_graphic() && !"/\\'\"`$*?[]<>|&;(){}!#~=".contains(char);
        if called.is_empty() || !called.chars().all(is_word) || called.starts_with(['-', '.']) || called == "enter" {
            return Err(self.failed("it cannot be called so here").with_hint("choose a name: --as NAME"));
        }
        let folder = self.folder(Path::new(".local/bin"))?;
        let target = folder.join(called);
        self.refuse_foreign(&target)?;
        let other = path_folders().map(|folder| folder.join(called)).find(|path| *path != target && path.exists());
        if let Some(other) = other {
            return Err(self
                .failed(&format!("{} is called so already, and one would hide the other", other.display()))
                .with_hint(format!("choose another name: --as {}-{called}", self.container.record.name)));
        }
        exports::put(&target, wrapper(self.container, &source).as_bytes(), 0o755)?;
        Ok(Export { kind: Kind::Bin, name: called.to_owned(), source, target, icon: None })
    }

    fn application(&self, view: &dyn View) -> Result<Export, Failure> {
        let stem = self.name.strip_suffix(".desktop").unwrap_or(self.name);
        if stem.is_empty()
            || stem.starts_with('.')
            || !stem.chars().all(|char| char.is_ascii_alphanumeric() || "-_.+".contains(char))
        {
            return Err(self.failed("an application is called as its desktop file, without folders"));
        }
        let folders = ["/usr/share/applications", "/usr/local/share/applications"];
        let paths = folders.map(|folder| Path::new(folder).join(format!("{stem}.desktop")));
        let found = paths.into_iter().find_map(|path| Some((view.read(&path, LARGEST)?, path)));
        let (text, source) = found.ok_or_else(|| {
            self.failed("the box has no such desktop file").with_hint(format!(
                "see what there is: enter {} -- ls /usr/share/applications",
                self.container.record.name
            ))
        })?;
        let text = String::from_utf8(text).map_err(|_| self.failed("its desktop file is not UTF-8"))?;
        let id = &self.container.record.id;
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|data| data.is_absolute());
        let folder = self.folder(&data.unwrap_or_else(|| ".local/share".into()).join("applications"))?;
        let target = folder.join(format!("{}{stem}.desktop", exports::icon_prefix(id)));
        self.refuse_foreign(&target)?;
        let icon = self.icon(view, &text, stem, &folder)?;
        let runner = runner(self.container)?;
        let picture = icon.as_deref().map(Path::to_string_lossy);
        let parts = desktop::Parts {
            runner: &runner.to_string_lossy(),
            mark: &exports::mark(id),
            place: &self.container.record.name,
            icon: picture.as_deref(),
        };
        let text =
            desktop::rewritten(&text, &parts).ok_or_else(|| self.failed("its desktop file starts no program"))?;
        exports::put(&target, text.as_bytes(), 0o644)?;
        Ok(Export { kind: Kind::App, name: stem.to_owned(), source, target, icon })
    }

    /// Copies the icon beside the user's own ones.
    fn icon(&self, view: &dyn View, text: &str, stem: &str, folder: &Path) -> Result<Option<PathBuf>, Failure> {
        let Some(asked) = desktop::icon(text) else { return Ok(None) };
        let found = desktop::icon_places(&asked).into_iter().find_map(|path| Some((view.read(&path, LARGEST)?, path)));
        let Some((content, path)) = found else { return Ok(None) };
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or("png");
        let icons = folder.parent().unwrap_or(folder).join("icons");
        std::fs::create_dir_all(&icons)
            .map_err(|error| self.failed("there is no place for its icon").because(error))?;
        let target = icons.join(format!("{}{stem}.{ending}", exports::icon_prefix(&self.container.record.id)));
        exports::put(&target, &content, 0o644)?;
        Ok(Some(target))
    }

    /// Where it goes, made where it is missing.
    fn folder(&self, default: &Path) -> Result<PathBuf, Failure> {
        let folder = match (self.to, std::env::var_os("HOME")) {
            (Some(to), _) => {
                std::path::absolute(to).map_err(|error| self.failed("--to is no folder").because(error))?
            }
            (None, Some(home)) => Path::new(&home).join(default),
            (None, None) => return Err(self.failed("HOME is not set").with_hint("name a folder: --to DIR")),
        };
        std::fs::create_dir_all(&folder)
            .map_err(|error| self.failed(&format!("there is no folder {}", folder.display())).because(error))?;
        Ok(folder)
    }

    /// What is somebody else's stays as it is.
    fn refuse_foreign(&self, target: &Path) -> Result<(), Failure> {
        if target.symlink_metadata().is_err() || exports::is_own(target, &self.container.record.id) {
            return Ok(());
        }
        Err(self
            .failed(&format!("{} is there already, and not this box's", target.display()))
            .with_hint("move it away, or choose another name (--as NAME) or folder (--to DIR)"))
    }
}

/// In quotes of the shell's.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// The beginning of a script that finds `enter` and the box's data, wherever both are by then.
fn script(container: &Container) -> String {
    let own = std::env::current_exe().unwrap_or_else(|_| "enter".into());
    let data = std::env::var("XDG_DATA_HOME").ok().filter(|data| data.starts_with('/'));
    let data = data.map(|data| format!("XDG_DATA_HOME={}\nexport XDG_DATA_HOME\n", quoted(&data)));
    format!(
        "#!/bin/sh\n{}\n# Made by `enter export`; `enter unexport` takes it away.\n{}\
         enter=$(command -v enter) || enter={}\n",
        exports::mark(&container.record.id),
        data.unwrap_or_default(),
        quoted(&own.to_string_lossy())
    )
}

/// A program, as a script.
fn wrapper(container: &Container, program: &Path) -> String {
    let (name, program) = (quoted(&container.record.name), quoted(&program.to_string_lossy()));
    format!(
        "{}# In the box itself, whose home this may be, it is the program.\n\
         [ \"${{ENTER_BOX-}}\" != {name} ] || exec {program} \"$@\"\n\
         # A box that is gone is not to be fetched as an image.\n\
         ENTER_PULL=never exec \"$enter\" shell {name} -- {program} \"$@\"\n",
        script(container)
    )
}

/// The script in the box's folder that runs whatever it is given in the box.
fn runner(container: &Container) -> Result<PathBuf, Failure> {
    let path = container.folder.join("run");
    let name = quoted(&container.record.name);
    let text = format!("{}ENTER_PULL=never exec \"$enter\" shell {name} -- \"$@\"\n", script(container));
    exports::put(&path, text.as_bytes(), 0o755)?;
    Ok(path)
}

/// A box has another name: what was put outside is to find it.
pub fn renamed(container: &Container) -> Result<(), Failure> {
    let id = &container.record.id;
    let all = exports::read(&container.folder);
    for export in all.iter().filter(|export| exports::is_own(&export.target, id)) {
        match export.kind {
            Kind::Bin => exports::put(&export.target, wrapper(container, &export.source).as_bytes(), 0o755)?,
            Kind::App => drop(runner(container)?),
        }
    }
    Ok(())
}

/// Takes away what was exported.
pub fn unexport(ui: &Ui, args: &UnexportArgs) -> Result<ExitCode, Failure> {
    let containers = Containers::below(State::of_user()?.root());
    let mut found = false;
    for container in containers.all()? {
        if args.from.as_ref().is_some_and(|from| *from != container.record.name) {
            continue;
        }
        let all = exports::read(&container.folder);
        let (gone, stays): (Vec<Export>, Vec<Export>) = all.into_iter().partition(|export| export.name == args.name);
        if gone.is_empty() {
            continue;
        }
        found = true;
        for left in gone.iter().filter_map(|export| exports::remove(export, &container.record.id)) {
            ui.warning(&format!("{} is not enter's any more, and stays", left.display()));
        }
        exports::write(&container.folder, &stays)?;
    }
    if found {
        return Ok(ExitCode::SUCCESS);
    }
    Err(Failure::new(format!("{} is not exported", args.name))
        .with_hint("see what is: enter export --list")
        .with_code(VERB_FAILED))
}

/// Lists what is exported, and how it is.
pub fn list(ui: &Ui, from: Option<&str>) -> Result<ExitCode, Failure> {
    let containers = Containers::below(State::of_user()?.root());
    let mut rows = vec![["KIND", "NAME", "BOX", "STATE", "PATH"].map(String::from).to_vec()];
    for container in containers.all()? {
        let (id, name) = (&container.record.id, &container.record.name);
        for export in exports::read(&container.folder) {
            let state = match export.target.symlink_metadata() {
                Err(_) => "gone",
                Ok(_) if exports::is_own(&export.target, id) => "there",
                Ok(_) => "replaced",
            };
            let target = export.target.to_string_lossy().into_owned();
            if from.is_none_or(|from| from == name) {
                rows.push(vec![export.kind.word().into(), export.name, name.clone(), state.into(), target]);
            }
        }
    }
    let cells: Vec<Vec<&str>> = rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
    let mut output = ui.output();
    output.text(table::layout(&cells));
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}
