//! `enter NAME`: a shell, or one command, in a throwaway container.

mod asked;
mod ending;

use std::process::ExitCode;

use cowfs::tree::Image;
use enter::container::planning::caller::Caller;
use enter::container::planning::{self, Place};
use enter::container::{Told, folder, launch, users};

use super::resolve::{self, Target};
use super::state::{self, State};
use crate::cli::ShellArgs;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::Ui;

/// Opens the shell, and ends as what was run in it ends.
pub fn run(ui: &Ui, settings: &Settings, args: &ShellArgs) -> Result<ExitCode, Failure> {
    asked::refuse_what_cannot_be(settings, args)?;
    // What the caller has open is his: a lock or a pipe that the monitor kept would outlive this process.
    sys::descriptor::close_on_exec_from(3)
        .map_err(|errno| Failure::new("cannot keep open files from the container's parts").because(errno))?;
    let caller = Caller::find()?;
    let state = State::of_user()?;
    state.sweep(ui, &caller);
    let mut warn = |told: Told| warn(ui, &told);
    let maps = state::outer_maps(&caller, &mut warn)?;
    // Mapped while everything else is found out.
    let users = if args.dry_run { None } else { Some(users::make(&maps)?) };

    let target = resolve::target(ui, settings, &state.store()?, args.name(), args.literal)?;
    // The monitor holds the lease too: an image that is in use is not removed.
    let (lease, files) = match &target {
        Target::Image(image) => (Some(image.lease()?), Some(Image::open(&image.tree, &image.tars)?)),
        Target::Host => (None, None),
    };
    let request = asked::request(settings, args, &target, files.as_ref())?;
    let id = folder::new_id()?;
    let place = Place { folder: state.containers().join(&id), state: state.root().to_owned(), id };
    let Some(users) = users else {
        return show(ui, &planning::plan(&request, &caller, maps, place, &mut warn)?);
    };
    let folder = folder::Folder::create(&state.containers(), &place.id, |_| Ok(()))?;
    let plan = planning::plan(&request, &caller, maps, place, &mut warn).inspect_err(|_| folder.discard())?;
    let held = lease.iter().map(|lease| lease.file()).collect::<Vec<_>>();
    let end = launch::foreground(&plan, folder, users, &held, &mut warn)?;
    ending::code(&plan, end)
}

fn show(ui: &Ui, plan: &plan::Plan) -> Result<ExitCode, Failure> {
    let json = plan.to_json().map_err(|error| Failure::new("cannot show the plan").because(error))?;
    let mut output = ui.output();
    output.line(json);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn warn(ui: &Ui, told: &Told) {
    let mut text = told.message.clone();
    let mut cause = &told.cause;
    while let Some(told) = cause {
        text = format!("{text}: {}", told.message);
        cause = &told.cause;
    }
    ui.warning(&text);
    if let Some(hint) = &told.hint {
        ui.note(&format!("hint: {hint}"));
    }
}
