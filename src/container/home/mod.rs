//! Homes that are not the host's as they are. They lie in the folder `home` of a container's:
//!
//! - what a container has set aside of the user's home (`--home cow`): `upper` and `work`, as cowfs writes them, and `below`, by which it is
//!   found out what has changed in the home itself meanwhile (`cowfs::upper::below`). It is always cowfs, whatever keeps the changes of the root:
//!   the kernel's overlay does not say what happens when what is below it changes, as a home does all the time, and refuses a lower
//!   side in which its upper one lies, as this folder mostly lies in the home. All of it belongs to the user, and can be read and changed
//!   without any namespace, as long as the container does not run;
//! - a home of its own (`--home own`): `own`.

mod apply;
mod changes;
mod copy;

use std::collections::HashMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

use cowfs::upper::below::{self, Looks};
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::libc;
use nix::sys::stat::Mode;
use sys::statx::{Status, statx};

use super::Error;
use super::error::Told;
use super::folder::name;
use super::record::Storage;
use super::upper::Upper;
pub use apply::Outcome;
pub use changes::Change;

/// Where cowfs is mounted, as long as the container runs.
pub const ROOT: &str = "root";
/// A home of the container's own.
pub const OWN: &str = "own";
/// How files of the home looked that the upper side hides.
pub const BELOW: &str = "below";
/// The path of the home that something was set aside of.
pub(super) const OF: &str = "of";
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
        plan::Home::Aside { directory: of, .. } => {
            [name::UPPER, name::WORK, ROOT].iter().try_for_each(|part| directory(&home.join(part))).map_err(failed)?;
            belong_to(&home, of.as_path())
        }
        plan::Home::Own if home.join(OWN).symlink_metadata().is_ok() => Ok(()),
        plan::Home::Own => File::create(home.join(FRESH)).and_then(|_| directory(&home.join(OWN))).map_err(failed),
    }
}

/// Takes down of which home it is that something is set aside. What was set aside of one is none of another's.
fn belong_to(folder: &Path, home: &Path) -> Result<(), Told> {
    let path = folder.join(OF);
    let failed = |error: io::Error| Told {
        message: format!("cannot take down in {} whose home it is", path.display()),
        cause: Some(Box::new(Told::by(&error, None))),
        hint: None,
    };
    match fs::read(&path) {
        Ok(of) if of == home.as_os_str().as_bytes() => return Ok(()),
        Ok(of) if fs::read_dir(folder.join(name::UPPER)).map_err(failed)?.next().is_some() => {
            let of = PathBuf::from(OsString::from_vec(of));
            return Err(Told {
                message: format!("what was set aside here is of another home: {}", of.display()),
                cause: None,
                hint: Some(format!("apply or discard it first, or enter with HOME={}", of.display())),
            });
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let fresh = folder.join("of.new");
    fs::write(&fresh, home.as_os_str().as_bytes()).and_then(|()| fs::rename(&fresh, &path)).map_err(failed)
}

/// Makes a directory that is nobody else's. One that is there is none that leads elsewhere.
fn directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && fs::symlink_metadata(path)?.is_dir() => Ok(()),
        made => made,
    }
}

/// What a container has set aside of a home, opened to be looked at. Changed it may only be while the container does not run.
#[derive(Debug)]
pub struct Aside {
    /// Its folder: `home` in the container's.
    folder: PathBuf,
    /// The home, as the host has it.
    pub home: PathBuf,
    lower: OwnedFd,
    upper: Upper,
    below: HashMap<Vec<u8>, Looks>,
    /// Everything of ours, which is not shown in a home, and which nothing that was set aside may touch: device and number.
    state: Option<((u32, u32), u64)>,
    /// The same as a path in the home, if it lies there.
    ours: Option<Vec<u8>>,
}

impl Aside {
    /// Opens it; `None` where nothing was ever set aside. `folder`: the container's; `state`: the folder of everything of ours.
    ///
    /// # Errors
    /// Where it cannot be looked at.
    pub fn open(folder: &Path, state: &Path) -> Result<Option<Self>, Error> {
        let folder = folder.join(name::HOME);
        let of = match fs::read(folder.join(OF)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            of => of.map_err(Error::file("read", folder.join(OF)))?,
        };
        // All of it may have been forgotten.
        let top = folder.join(name::UPPER);
        directory(&top).map_err(Error::file("make the directory", &top))?;
        let home = PathBuf::from(OsString::from_vec(of));
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let opened = |path: &Path| {
            nix::fcntl::open(path, flags, Mode::empty()).map_err(|errno| Error::file("open", path)(errno.into()))
        };
        let lower = opened(&home)?;
        let upper = Upper::open(&folder, Storage::Fuse)
            .map_err(|errno| Error::file("open", folder.join(name::UPPER))(errno.into()))?;
        let below = below::read(&fs::read(folder.join(BELOW)).unwrap_or_default());
        let number = opened(state).ok().and_then(|state| statx(&state, c"").ok());
        let number = number.map(|status| (status.device, status.inode));
        let aside = Self { folder, home, lower, upper, below, state: number, ours: None };
        let ours = state.canonicalize().ok().and_then(|state| aside.inside(&state, None));
        Ok(Some(Self { ours, ..aside }))
    }

    /// The path in the home that a path of the user's names: relative to `here` if that is in the home, else to the home itself; empty for all of
    /// it, `None` for one that is not in it.
    pub fn inside(&self, typed: &Path, here: Option<&Path>) -> Option<Vec<u8>> {
        let real = self.home.canonicalize().unwrap_or_else(|_| self.home.clone());
        let below = |path: &Path| {
            [&self.home, &real].into_iter().find_map(|home| path.strip_prefix(home).ok()).map(Path::to_owned)
        };
        let whole = match typed.is_absolute() {
            true => below(typed)?,
            false => here.and_then(below).unwrap_or_default().join(typed),
        };
        let mut parts: Vec<&OsStr> = Vec::new();
        for part in whole.components() {
            match part {
                Component::Normal(name) => parts.push(name),
                Component::ParentDir => drop(parts.pop()?),
                _ => {}
            }
        }
        Some(parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>().join(&b'/'))
    }

    /// A directory of the home, found without following any link.
    fn lower_dir(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        directory_at(&self.lower, path)
    }

    /// A directory of the upper side.
    fn upper_dir(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        directory_at(self.upper.top(), path)
    }

    /// Whether a file is the folder of everything of ours.
    fn is_ours(&self, status: &Status) -> bool {
        self.state == Some((status.device, status.inode))
    }
}

/// Whether a path is another, or lies below it; everything lies below the empty one.
fn is_at(path: &[u8], above: &[u8]) -> bool {
    above.is_empty() || path.strip_prefix(above).is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

/// The directory that a path is in, and its last name.
fn split(path: &[u8]) -> (&[u8], CString) {
    let at = path.iter().rposition(|byte| *byte == b'/');
    let (parent, name) = at.map_or((&b""[..], path), |at| (&path[..at], &path[at + 1..]));
    (parent, CString::new(name).unwrap_or_default())
}

fn joined(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
}

fn directory_at(top: &OwnedFd, path: &[u8]) -> Result<OwnedFd, Errno> {
    let path = if path.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(path)) };
    sys::path::open_beneath(top, path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())
}

/// The names in a directory, sorted.
fn names(directory: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let again =
        nix::fcntl::openat(directory, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::from_fd(again)?.iter() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn kind(status: &Status) -> u32 {
    status.mode & libc::S_IFMT
}

fn is_dir(status: &Status) -> bool {
    kind(status) == libc::S_IFDIR
}

/// How many files a container has set aside of the home, for a line that tells so; none where that cannot be found out.
pub fn count(folder: &Path, state: &Path) -> usize {
    let aside = Aside::open(folder, state).ok().flatten();
    aside.and_then(|aside| aside.changes().ok()).map_or(0, |changes| changes.iter().filter(|one| !one.is_frame).count())
}
