//! A container's files, seen from outside: for `cp`, `diff`, `commit` and `export`.
//!
//! What a container has put into its files is hostile, and may change while it is looked at. So the work is done by a child in the
//! container's outer user namespace ([`Access`]), which never walks a path but beneath a descriptor. Files travel between it
//! and the command as tars, in the container's ids.

mod access;
mod changes;
mod copy;
mod hidden;
mod image;
mod layer;
mod mounted;
mod put;
mod read;
mod told;
mod tree;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use nix::fcntl::OFlag;
use plan::{Plan, Text};
use uidmap::Maps;

use super::folder::name;
use super::{Error, Told};
pub use access::{Access, Part, Unplanned, View, Worker};
pub use changes::{Base, Change, Changed};
pub use copy::{Copied, Into, Whose};
pub use hidden::Hidden;
pub use image::configure;
pub use put::Unpacked;

/// The plan of a container's last start; `None` where it was never started.
///
/// # Errors
/// Where it is damaged.
pub fn plan_of(folder: &Path) -> Result<Option<Plan>, Error> {
    let path = folder.join(name::PLAN);
    match std::fs::read(&path) {
        Ok(text) => Plan::from_json(&text).map(Some).map_err(|error| Error::file("understand", path)(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file("read", path)(error)),
    }
}

/// What a container has changed, sorted by path.
///
/// # Errors
/// What cannot be read.
pub fn diff(access: &Access, base: &Base, hidden: &Hidden) -> Result<Vec<(Change, Text)>, Error> {
    use std::os::unix::ffi::OsStringExt;
    let worker = access.start(Part::Changes, &[], |view| {
        let text = |path| Text::from(std::ffi::OsString::from_vec(path));
        let found = changes::find(view, base, hidden)?;
        Ok(found.into_iter().map(|found| (found.change, text(found.path))).collect())
    })?;
    worker.finish()
}

/// What a container has changed, as a layer that comes out of the file. The worker tells whether there is anything.
///
/// # Errors
/// Where the worker cannot be started.
pub fn layer(access: &Access, base: &Base, hidden: &Hidden) -> Result<(File, Worker<bool>), Error> {
    let (read, write) = pipe()?;
    let worker = access.start(Part::Changes, &[read.as_fd()], |view| layer::write(view, base, hidden, write))?;
    Ok((read, worker))
}

/// All files of a container's root, without what is mounted on it, as a tar that comes out of the file. What `hidden` covers is
/// left out.
///
/// # Errors
/// Where the worker cannot be started.
pub fn whole(access: &Access, hidden: Option<&Hidden>) -> Result<(File, Worker<bool>), Error> {
    let (read, write) = pipe()?;
    let worker = access.start(Part::Bare, &[read.as_fd()], |view| tree::write(view, hidden, write))?;
    Ok((read, worker))
}

/// Packs what is at a path of a container: a tar that comes out of the file.
///
/// # Errors
/// Where the worker cannot be started.
pub fn pack(access: &Access, from: &Copied) -> Result<(File, Worker<()>), Error> {
    let (read, write) = pipe()?;
    let worker = access.start(Part::Root, &[read.as_fd()], |view| copy::pack(view, from, write))?;
    Ok((read, worker))
}

/// Unpacks the tar that comes out of a file into a container.
///
/// # Errors
/// Where the worker cannot be started.
pub fn unpack(access: &Access, tar: File, into: &Into, foreign: &[&File]) -> Result<Worker<Unpacked>, Error> {
    let foreign: Vec<_> = foreign.iter().map(|file| file.as_fd()).collect();
    access.start(Part::Root, &foreign, |view| copy::unpack(view, tar, into))
}

/// Packs what is at a path of this machine.
///
/// # Errors
/// What cannot be read, and what the output says.
pub fn pack_host(from: &Copied, out: File) -> Result<(), Told> {
    copy::pack(&View::of_host()?, from, out)
}

/// Unpacks a tar, which may be hostile, on this machine.
///
/// # Errors
/// What is wrong with it, and what the filesystem says.
pub fn unpack_host(tar: impl io::Read, into: &Into) -> Result<Unpacked, Told> {
    copy::unpack(&View::of_host()?, tar, into)
}

/// All files below a folder of the host's, such as a volume's, as a tar that comes out of the file; owners are those of a user namespace with
/// these mappings.
///
/// # Errors
/// Where the worker cannot be started.
pub fn export_folder(folder: &Path, outer: &Maps) -> Result<(File, Worker<bool>), Error> {
    let (read, write) = pipe()?;
    let worker = access::in_folder(folder, outer, &[read.as_fd()], |view| tree::write(view, None, write))?;
    Ok((read, worker))
}

/// Unpacks a tar, which may be hostile, in such a folder.
///
/// # Errors
/// Where the worker cannot be started.
pub fn import_folder(folder: &Path, outer: &Maps, tar: File) -> Result<Worker<Unpacked>, Error> {
    access::in_folder(folder, outer, &[], |view| copy::unpack(view, tar, &Into::Directory("/".into())))
}

/// A pipe for files on their way: what comes out, and what goes in.
///
/// # Errors
/// Where too many files are open.
pub fn pipe() -> Result<(File, File), Error> {
    let made = nix::unistd::pipe2(OFlag::O_CLOEXEC);
    let (read, write) = made.map_err(|errno| Error::file("make a pipe for", "the container's files")(errno.into()))?;
    Ok((read.into(), write.into()))
}
