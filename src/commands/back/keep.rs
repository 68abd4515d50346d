//! `enter keep`: a throwaway shell that runs becomes a box, without being interrupted.

use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::container::{Container, Containers, Error, Remote};

use super::super::state::State;
use super::restore;
use crate::cli::KeepArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Keeps it, and prints the name of the box.
pub fn keep(ui: &Ui, args: &KeepArgs) -> Result<ExitCode, Failure> {
    let state = State::of_user()?;
    let containers = Containers::below(state.root());
    let shell = find(&containers, args.shell.as_deref()).map_err(|failure| failure.with_code(VERB_FAILED))?;
    let name = args.name.as_ref().unwrap_or(&shell.record.name);
    keep_as(&containers, &shell, name)?;
    let mut output = ui.output();
    output.line(name);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a box of a shell that runs.
pub fn keep_as(containers: &Containers, shell: &Container, name: &str) -> Result<(), Failure> {
    if shell.record.spec.boxed.is_some() {
        return Err(is_box(&shell.record.name));
    }
    restore::refuse_host(&shell.record.spec, name)?;
    let kept = Remote::of(shell).and_then(|remote| remote.keep(name));
    kept.map_err(|error| match error {
        Error::NotRunning(_) | Error::MonitorGone => Failure::new("that shell has just ended")
            .with_hint(format!("bring it back as a box: enter restore -n {name}"))
            .with_code(VERB_FAILED),
        other => Failure::from(other).with_code(VERB_FAILED),
    })?;
    restore::sync(&shell.folder)?;
    if let Ok(kept) = containers.find(&shell.record.id) {
        Journal::beside(&shell.folder).add(&Event::of_container(&kept.record, "create"));
    }
    Ok(())
}

fn is_box(name: &str) -> Failure {
    Failure::new(format!("{name} is a box already"))
        .with_hint(format!("give it another name: enter rename {name} NEW-NAME"))
}

/// The shell that was meant: the only one that runs, where nothing was typed.
fn find(containers: &Containers, typed: Option<&str>) -> Result<Container, Failure> {
    if let Some(typed) = typed {
        let found = containers.find(typed)?;
        let name = &found.record.name;
        return match &found.record.spec {
            spec if spec.boxed.is_some() => Err(is_box(name)),
            spec if !spec.shell => Err(Failure::new(format!("{name} is a container, and no throwaway shell"))
                .with_hint("what a container has changed is kept by `enter commit`, and until `enter rm` anyway")),
            _ => Ok(found),
        };
    }
    let mut shells = containers.all()?;
    shells.retain(|container| container.record.spec.shell && container.is_alive());
    match shells.len() {
        0 => Err(Failure::new("there is no throwaway shell that runs")
            .with_hint("one that was left is brought back as a box by: enter restore -n NAME")),
        1 => Ok(shells.remove(0)),
        several => {
            let names: Vec<String> = shells
                .iter()
                .take(10)
                .map(|shell| format!("{} ({})", shell.record.name, shell.record.spec.image.name))
                .collect();
            Err(Failure::new(format!("there are {several} throwaway shells: {}", names.join(", ")))
                .with_hint("say which: enter keep --shell SHELL NAME"))
        }
    }
}
