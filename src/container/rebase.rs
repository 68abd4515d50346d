//! A container on another image: where what it changed meets what the new image has otherwise than the old one, and what has to be done
//! to what it changed before the old one is gone from below it.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cowfs::tree::{Image, Inode, Kind};
use cowfs::upper::marks::At;
use cowfs::upper::{METACOPY, REDIRECT};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use nix::sys::time::TimeSpec;
use plan::Text;

use super::Error;
use super::files::Change;
use super::folder::name;
use super::record::Storage;
use super::upper::{Found, Upper};

/// As much is compared and copied at once.
const AT_ONCE: usize = 128 << 10;

/// Where box and image do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// From the root on, without a slash at the front.
    pub path: Vec<u8>,
    /// What the container did to it.
    pub ours: Change,
    /// What the new image has done to it, seen from the old one.
    pub theirs: Change,
    /// A directory of the container's hides what is no directory in the new image: none of what it leads to is found there any more.
    pub hides: bool,
}

/// All collisions, in the order of the changes. What a container changed and the new image has as the old one had it, is none; nor are
/// directories that both have.
///
/// # Errors
/// What of the images cannot be read.
pub fn collisions(changes: &[(Change, Text)], old: &Image, new: &Image) -> io::Result<Vec<Collision>> {
    let mut found = Vec::new();
    for (ours, path) in changes {
        let bytes = path.as_bytes();
        let (before, after) = (old.tree().lookup(bytes), new.tree().lookup(bytes));
        let was_directory = before.as_ref().is_none_or(|inode| inode.kind == Kind::Directory);
        let theirs = match (&before, &after) {
            (None, None) => continue,
            (Some(_), None) => Change::Deleted,
            // A directory of both is what both have in it.
            (_, Some(inode)) if inode.kind == Kind::Directory && was_directory && *ours != Change::Deleted => continue,
            (None, Some(_)) => Change::Added,
            (Some(before), Some(after)) => {
                if are_alike((old, before), (new, after))? {
                    continue;
                }
                Change::Changed
            }
        };
        let is_gone = *ours == Change::Deleted && theirs == Change::Deleted;
        // The directory was there for what is in it, and that is told.
        let is_empty_way = theirs == Change::Deleted && was_directory;
        if is_gone || is_empty_way {
            continue;
        }
        let has_below = changes.iter().any(|(change, other)| {
            *change != Change::Deleted
                && other.as_bytes().strip_prefix(bytes).is_some_and(|rest| rest.starts_with(b"/"))
        });
        let hides = after.is_some_and(|inode| inode.kind != Kind::Directory) && has_below;
        found.push(Collision { path: bytes.to_vec(), ours: *ours, theirs, hides });
    }
    Ok(found)
}

/// Whether two images have the same there. Times do not count.
fn are_alike((old, before): (&Image, &Inode), (new, after): (&Image, &Inode)) -> io::Result<bool> {
    let looks = |inode: &Inode| (inode.kind, inode.mode, inode.uid, inode.gid);
    if looks(before) != looks(after) {
        return Ok(false);
    }
    match before.kind {
        Kind::Directory | Kind::Fifo => Ok(true),
        Kind::Symlink => Ok(old.tree().target(before) == new.tree().target(after)),
        Kind::CharDevice | Kind::BlockDevice => Ok(before.device() == after.device()),
        Kind::File if before.size != after.size => Ok(false),
        Kind::File => {
            let (mut one, mut other) = (vec![0; AT_ONCE], vec![0; AT_ONCE]);
            let mut at = 0;
            while at < before.size {
                let (length, same) = (old.read_at(before, at, &mut one)?, new.read_at(after, at, &mut other)?);
                if length == 0 || one[..length] != other[..same] {
                    return Ok(length == 0 && same == 0);
                }
                at += length as u64;
            }
            Ok(true)
        }
    }
}

/// Gives the files of the container in a folder their content that have only their attributes of their own, and the rest of the old image:
/// from then on they need it no more. The container does not run.
///
/// # Errors
/// What cannot be read or written.
pub fn settle(folder: &Path, storage: Storage, old: &Image) -> Result<(), Error> {
    // The kernel's overlay is mounted without such files.
    if storage == Storage::Overlay {
        return Ok(());
    }
    let failed = |errno: Errno| Error::file("keep what was changed in", folder.join(name::UPPER))(errno.into());
    let upper = Upper::open(folder, storage).map_err(failed)?;
    let mut outcome = Ok(());
    upper.visit(&mut |at, found| {
        if outcome.is_ok() && matches!(found, Ok(Found::File(..))) && upper.marks().get(at, METACOPY).is_ok() {
            outcome = complete(&upper, at, old);
        }
    });
    outcome.map_err(failed)?;
    // What refers to the old image no more is on the disk before anybody may remove that.
    File::open(folder).and_then(|top| Ok(nix::unistd::syncfs(&top)?)).map_err(Error::file("write to", folder))
}

/// Copies the content of one file.
fn complete(upper: &Upper, at: At<'_>, old: &Image) -> Result<(), Errno> {
    let path = upper.marks().get(at, REDIRECT)?;
    let inode = old.tree().lookup(&path).filter(|inode| inode.kind == Kind::File).ok_or(Errno::EIO)?;
    let name = Path::new(OsStr::from_bytes(at.name.to_bytes()));
    let open = |flags: OFlag| -> Result<OwnedFd, Errno> { sys::path::open_beneath(at.dir, name, flags, Mode::empty()) };
    let file = File::from(open(OFlag::O_WRONLY | OFlag::O_NONBLOCK)?);
    let before = sys::statx::statx(&file, c"")?;
    let errno = |error: &io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let (mut buffer, mut done) = (vec![0; AT_ONCE], 0);
    // It may have been shortened, and is no longer than what it is a copy of.
    let length = before.size.min(inode.size);
    while done < length {
        let most = AT_ONCE.min(usize::try_from(length - done).unwrap_or(AT_ONCE));
        let read = old.read_at(&inode, done, &mut buffer[..most]).map_err(|error| errno(&error))?;
        if read == 0 {
            return Err(Errno::EIO);
        }
        file.write_all_at(&buffer[..read], done).map_err(|error| errno(&error))?;
        done += read as u64;
    }
    let time = |(seconds, nanos): (i64, u32)| TimeSpec::new(seconds, nanos.into());
    nix::sys::stat::futimens(&file, &time(before.atime), &time(before.mtime))?;
    // By these words alone the content counts as its own; a process that is killed before has lost nothing.
    file.sync_data().map_err(|error| errno(&error))?;
    upper.marks().remove(at, METACOPY)?;
    let _ = upper.marks().remove(at, REDIRECT);
    Ok(())
}
