//! `enter volume export` and `enter volume import`.

use std::fs::File;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use enter::container::files;
use enter::container::planning::caller::Caller;

use crate::cli::{VolumeExportArgs, VolumeImportArgs};
use crate::commands::{cp, state};
use crate::failure::Failure;
use crate::ui::Ui;

/// Writes the tar.
pub fn export(args: &VolumeExportArgs) -> Result<ExitCode, Failure> {
    if args.output.is_none() {
        cp::refuse_terminal()?;
    }
    let volume = super::of_user()?.find(&args.volume)?;
    let maps = state::outer_maps(&Caller::find()?)?;
    let (tar, worker) = files::export_folder(&volume.data(), &maps)?;
    let written = cp::pass_on(tar, args.output.as_deref());
    match (written, worker.finish()) {
        (Err(failure), _) => Err(failure),
        (Ok(()), told) => Ok(told.map(|_| ExitCode::SUCCESS)?),
    }
}

/// Unpacks a tar.
pub fn import(ui: &Ui, args: &VolumeImportArgs) -> Result<ExitCode, Failure> {
    let volume = super::of_user()?.find(&args.volume)?;
    let tar = if args.source.as_os_str() == "-" {
        if std::io::stdin().is_terminal() {
            return Err(Failure::new("cannot read an archive from a terminal")
                .with_hint(format!("name a file: enter volume import {} FILE", args.volume)));
        }
        let stdin = std::io::stdin().as_fd().try_clone_to_owned();
        stdin.map_err(|error| Failure::new("cannot read the standard input").because(error))?.into()
    } else {
        File::open(&args.source)
            .map_err(|error| Failure::new(format!("cannot open {}", args.source.display())).because(error))?
    };
    let maps = state::outer_maps(&Caller::find()?)?;
    let done = files::import_folder(&volume.data(), &maps, tar)?.finish().map_err(|error| {
        Failure::from(error).with_hint("give it a tar, such as `enter volume export` writes, plain or compressed")
    })?;
    if done.devices > 0 {
        ui.warning(&format!("{} device files were left out: nobody but root can make them", done.devices));
    }
    Ok(ExitCode::SUCCESS)
}
