//! `enter volume export` and `enter volume import`.

use std::fs::File;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use enter::container::files;
use enter::container::planning::caller::Caller;
use enter::volume::Volume;

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
    check_on_disk(&volume, "export")?;
    let maps = state::outer_maps(&Caller::find()?)?;
    let (tar, worker) = files::export_folder(&volume.data(), &maps)?;
    let written = cp::pass_on(tar, args.output.as_deref());
    match (written, worker.finish()) {
        (Err(failure), _) => Err(failure),
        (Ok(()), told) => Ok(told.map(|_| ExitCode::SUCCESS)?),
    }
}

/// Refuses a volume in memory, whose folder is empty whatever is in it.
fn check_on_disk(volume: &Volume, verb: &str) -> Result<(), Failure> {
    let name = &volume.record.name;
    match volume.record.memory() {
        None => Ok(()),
        Some(_) => Err(Failure::new(format!(
            "cannot {verb} the volume {name}: its files are in memory, and only in the container that it is mounted in"
        ))
        .with_hint("pack them there: enter exec CONTAINER tar c -C TARGET . >FILE".to_owned())),
    }
}

/// Unpacks a tar.
pub fn import(ui: &Ui, args: &VolumeImportArgs) -> Result<ExitCode, Failure> {
    let volume = super::of_user()?.find(&args.volume)?;
    check_on_disk(&volume, "import files into")?;
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
