//! Homes that are not the host's as they are. They lie in the folder `home` of a container's:
//!
//! - what a container has set aside of the user's home (`--home cow`): `upper` and `work`, as cowfs writes them, and `below`, by which it is
//!   found out what has changed in the home itself meanwhile (`cowfs::upper::below`). It is always cowfs, whatever keeps the changes of the root:
//!   the kernel's overlay does not say what happens when what is below it changes, as a home does all the time, and refuses a lower
//!   side in which its upper one lies, as this folder mostly lies in the home. All of it belongs to the user, and can be read and changed
//!   without any namespace, as long as the container does not run;
//! - a home of its own (`--home own`): `own`.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use super::error::Told;
use super::folder::name;

/// Where cowfs is mounted, as long as the container runs.
pub const ROOT: &str = "root";
/// A home of the container's own.
pub const OWN: &str = "own";
/// How files of the home looked that the upper side hides.
pub const BELOW: &str = "below";
/// There as long as nothing was taken over into a home of the container's own: see `fill` of init.
pub(super) const FRESH: &str = "fresh";

/// Makes ready in a container's folder what its plan wants to have there.
///
/// # Errors
/// Where it cannot be made.
pub fn prepare(folder: &Path, wanted: &plan::Home) -> Result<(), Told> {
    let home = folder.join(name::HOME);
    let failed = |error: io::Error| Told {
        message: format!("cannot make a place for the home in {}", home.display()),
        cause: Some(Box::new(Told::by(&error, None))),
        hint: None,
    };
    directory(&home).map_err(failed)?;
    match wanted {
        plan::Home::Aside { .. } => {
            [name::UPPER, name::WORK, ROOT].iter().try_for_each(|part| directory(&home.join(part))).map_err(failed)
        }
        plan::Home::Own if home.join(OWN).symlink_metadata().is_ok() => Ok(()),
        plan::Home::Own => File::create(home.join(FRESH)).and_then(|_| directory(&home.join(OWN))).map_err(failed),
    }
}

/// Makes a directory that is nobody else's. One that is there is none that leads elsewhere.
fn directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && fs::symlink_metadata(path)?.is_dir() => Ok(()),
        made => made,
    }
}
