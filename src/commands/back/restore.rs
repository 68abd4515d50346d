//! `enter restore`: opens a throwaway shell again that was left, or makes it a box.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use enter::container::dropped::{self, Dropped};
use enter::container::events::{Event, Journal};
use enter::container::folder::Folder;
use enter::container::planning::caller::Caller;
use enter::container::record::Spec;
use enter::container::{Containers, Error};

use super::super::called;
use super::super::shell::{self, Back};
use super::super::state::State;
use super::{clear, find, list};
use crate::cli::{self, Cli, Command, RestoreArgs, ShellArgs};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::{self, Settings};
use crate::ui::Ui;

/// So long the monitor of a shell that was just left may take to be done.
const PATIENCE: Duration = Duration::from_secs(5);

/// Brings it back.
pub fn run(ui: &Ui, settings: &Settings, args: &RestoreArgs) -> Result<ExitCode, Failure> {
    let state = State::of_user()?;
    state.sweep(ui, &Caller::find()?);
    if args.list {
        return list::list(ui, settings, args, &state);
    }
    if args.forget {
        return forget(args, &state);
    }
    let dropped = find(state.root(), args.which.as_deref())?;
    let folder = take(&dropped)?;
    let back = Back { folder, record: dropped.record()? };
    // Without it neither can be opened.
    back.target(&state.store()?).map_err(|failure| failure.with_code(VERB_FAILED))?;
    match &args.name {
        Some(name) => as_box(ui, &state, back, name),
        None => as_shell(ui, back, args),
    }
}

/// Takes hold of its folder, so that nobody else does.
fn take(dropped: &Dropped) -> Result<Folder, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(folder) = Folder::take(&dropped.path)? {
            return Ok(folder);
        }
        if !dropped.path.exists() {
            return Err(Failure::new("that shell has just been restored or removed by another command")
                .with_hint("see which there still are with `enter restore --list`")
                .with_code(VERB_FAILED));
        }
        if Instant::now() >= deadline {
            return Err(Failure::from(Error::Busy(dropped.id[..12].to_owned())).with_code(VERB_FAILED));
        }
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// Makes it a box.
fn as_box(ui: &Ui, state: &State, back: Back, name: &str) -> Result<ExitCode, Failure> {
    let Back { folder, mut record } = back;
    refuse_host(&record.spec, name)?;
    let containers = Containers::below(state.root());
    record.spec.become_box();
    // Nothing of it was meant to survive a power cut until now.
    sync(folder.path())?;
    let (folder, record) = containers.take_back(folder, record, Some(name)).map_err(|error| match error {
        Error::NameInUse { name, .. } => Failure::new(format!("there is something called {name} already"))
            .with_hint("choose another name: enter restore -n OTHER-NAME; nothing has been changed")
            .with_code(VERB_FAILED),
        other => other.into(),
    })?;
    drop(folder);
    Journal::at(state.root()).add(&Event::of_container(&record, "create"));
    ui.note(&format!("the shell of {} is the box {name} now; go into it: enter {name}", record.spec.image.name));
    Ok(ExitCode::SUCCESS)
}

/// Refuses what cannot be a box.
pub fn refuse_host(spec: &Spec, name: &str) -> Result<(), Failure> {
    if spec.image.id.is_empty() {
        return Err(Failure::new(format!(
            "cannot make the box {name} of this machine: below it everything would change"
        ))
        .with_hint("`enter restore` brings its shell back as a throwaway one")
        .with_code(VERB_FAILED));
    }
    Ok(())
}

/// Sees that everything that was changed is on the disk.
pub fn sync(folder: &std::path::Path) -> Result<(), Failure> {
    let synced = std::fs::File::open(folder).and_then(|file| nix::unistd::syncfs(&file).map_err(Into::into));
    synced.map_err(|error| Failure::new("cannot write what was changed to the disk").because(error))
}

/// Opens it again as it was opened before, in the directory in which that was typed.
fn as_shell(ui: &Ui, back: Back, args: &RestoreArgs) -> Result<ExitCode, Failure> {
    let spec = &back.record.spec;
    let Some(mut typed) = typed(spec) else {
        return Err(Failure::new("cannot open that shell again: it is not known how it was opened")
            .with_hint("make it a box, which has all of it: enter restore -n NAME")
            .with_code(VERB_FAILED));
    };
    typed.command.clone_from(&args.command);
    if env::set_current_dir(&spec.created_in).is_err() {
        ui.warning(&format!(
            "the directory {} is not there any more: relative paths begin here",
            spec.created_in.display()
        ));
    }
    let settings = settings::load(typed.overrides())?;
    shell::open(ui, &settings, &typed, Some(back))
}

/// What was typed to open it.
fn typed(spec: &Spec) -> Option<ShellArgs> {
    let words: Vec<_> = spec.created_by.iter().map(|word| word.as_os_str().to_owned()).collect();
    if words.is_empty() {
        return None;
    }
    match cli::parse(&called::whole(words)).ok()? {
        Cli { command: None, shell } => Some(shell),
        Cli { command: Some(Command::Shell(args)), .. } => Some(*args),
        _ => None,
    }
}

/// Removes it, or all.
fn forget(args: &RestoreArgs, state: &State) -> Result<ExitCode, Failure> {
    let chosen = match args.which.as_deref() {
        Some("all") => dropped::all(state.root()),
        which => vec![find(state.root(), which)?],
    };
    for one in chosen {
        let removed = clear::remove(state, &one);
        let removed = removed.map_err(|error| Failure::new("cannot remove all of that shell").because(error))?;
        if !removed && one.path.exists() {
            return Err(Failure::from(Error::Busy(one.id[..12].to_owned())).with_code(VERB_FAILED));
        }
    }
    Ok(ExitCode::SUCCESS)
}
