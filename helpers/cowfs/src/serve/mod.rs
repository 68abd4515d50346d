//! Shows an image, or a directory of the host, through FUSE: read-only, its owners translated.
//!
//! Mounting and serving are apart, since they happen in different places. [`mount`] is called inside the
//! user and mount namespace where the filesystem is to be seen, by a process with one thread. [`serve`]
//! may run in any process that holds the descriptor, and starts threads. To show a host directory it must
//! run *outside* that namespace: inside, the kernel shows every owner who is not mapped as the same nobody.
//!
//! ```no_run
//! # fn example(tree: &std::path::Path, tars: &[std::path::PathBuf]) -> cowfs::Result<()> {
//! use cowfs::{owners::{Extent, Owners}, serve, tree::Image};
//!
//! // In the new user and mount namespace, with one thread:
//! let fuse = serve::mount("/run/enter/lower".as_ref(), serve::Access::ReadOnly)?;
//! // … start whatever is to use the mount; it waits for the first answer …
//! // In the same or another process, which holds `fuse`:
//! let all = [Extent { inside: 0, outside: 0, count: 65536 }];
//! let lower = serve::Lower::Image(Image::open(tree, tars)?);
//! serve::serve(fuse, lower, Owners::new(&all, &all))
//! # }
//! ```

mod change;
mod dirs;
mod file;
mod host;
mod image;
mod manner;
mod passthrough;
mod session;
mod union;
mod view;
mod wire;

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::MsFlags;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::dirs::Dirs;
use crate::error::{Error, Result};
use crate::host::HostDir;
use crate::owners::Owners;
use crate::tree::Image;
use crate::upper::Ownership;
pub use manner::{Manner, Trace};

/// For `tests/fuzz` of the program: a message of the kernel's, cut up in every way that there is.
#[doc(hidden)]
pub fn cut_up(message: &[u8]) {
    let Some(request) = wire::Request::parse(message) else { return };
    let _ = (view::Reading::parse(request.body), wire::hello(request.body));
    for skip in 0..64 {
        let _ = request.name(skip);
    }
}
use session::Session;

/// What is shown.
#[derive(Debug)]
pub enum Lower {
    /// An image. Nothing in it ever changes, so the kernel may keep what it has been told.
    Image(Image),
    /// A directory of the host, which may change at any time.
    Host(HostDir),
    /// Directories of the host that nobody changes, laid over each other.
    Dirs(Dirs),
}

/// What a mount can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// For reading.
    ReadOnly,
    /// For writing as well.
    ReadWrite,
}

/// What of what is written survives a machine that goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// What fsync(2) was called for; and files that are copied up are complete, as with the kernel's overlay.
    Durable,
    /// What fsync(2) was called for.
    Kept,
    /// Nothing: fsync(2) is not waited for.
    Volatile,
}

/// The writable side.
#[derive(Clone, Debug)]
pub struct Upper {
    /// The directory that holds what was written.
    pub upper: PathBuf,
    /// A directory of the same filesystem, for what is on its way there.
    pub work: PathBuf,
    /// Whose its files are.
    pub ownership: Ownership,
    /// What is synced.
    pub durability: Durability,
    /// The lower side changes meanwhile, as a directory of the host does: this file takes down how each file of it looked when the upper
    /// side hid it first ([`crate::upper::below`]). Nothing of the upper side then stands on what the lower one holds: files are copied whole,
    /// and each name of a lower file is a file of its own.
    pub below: Option<PathBuf>,
    /// The kernel collects small writes. Quicker for databases and logs, slower for the attributes of files that were just read.
    pub writeback: bool,
}

/// The device that FUSE servers speak through.
const DEVICE: &str = "/dev/fuse";

/// Mounts a FUSE filesystem at `target` and returns the descriptor that [`serve`] is to be given.
///
/// The caller is in the user namespace that owns its mount namespace, and has CAP_SYS_ADMIN there. The
/// device is opened here and not earlier, since the kernel wants it opened in that user namespace.
/// Every process in that namespace and its children may use the mount; the kernel checks permissions.
///
/// # Errors
///
/// [`Error::Fuse`], whose hint says what the machine lacks.
pub fn mount(target: &Path, access: Access) -> Result<OwnedFd> {
    let open = File::options().read(true).write(true).open(DEVICE);
    let device = open.map_err(|source| Error::Fuse { action: format!("open {DEVICE}"), source })?;
    let options =
        format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", device.as_raw_fd());
    let read_only = if access == Access::ReadOnly { MsFlags::MS_RDONLY } else { MsFlags::empty() };
    let flags = read_only | MsFlags::MS_NODEV | MsFlags::MS_NOATIME;
    nix::mount::mount(Some("cowfs"), target, Some("fuse.cowfs"), flags, Some(options.as_str())).map_err(|errno| {
        Error::Fuse { action: format!("mount a FUSE filesystem at {}", target.display()), source: errno.into() }
    })?;
    Ok(device.into())
}

/// Answers the kernel's requests until the filesystem is unmounted, also where its mount namespace ends with its
/// last process. It starts threads, as requests have to wait.
///
/// # Errors
///
/// [`Error::Fuse`] where the kernel does not speak the protocol or the device fails.
pub fn serve(fuse: OwnedFd, lower: Lower, owners: Owners) -> Result<()> {
    serve_in(Manner::default(), fuse, lower, None, owners)
}

/// Like [`serve()`], with an upper side that takes what is written. The process should have nothing else to do: its umask becomes 0.
///
/// # Errors
///
/// Like [`serve()`]; [`Error::Fuse`] also where the upper side cannot be used.
pub fn serve_writable(fuse: OwnedFd, lower: Lower, upper: &Upper, owners: Owners) -> Result<()> {
    serve_in(Manner::default(), fuse, lower, Some(upper), owners)
}

/// Like [`serve()`] or [`serve_writable()`], in a manner of its own.
///
/// # Errors
///
/// Like those.
pub fn serve_in(manner: Manner, fuse: OwnedFd, lower: Lower, upper: Option<&Upper>, owners: Owners) -> Result<()> {
    let server = Server { manner, fuse, upper, owners };
    let failed = |what: &str, source| Error::Fuse { action: format!("look at {what}"), source };
    // Below an upper side the lower one speaks the image's ids: what is copied up must be recorded in them.
    let seen = if upper.is_some() { Owners::identity() } else { server.owners.clone() };
    match lower {
        Lower::Image(image) => server.run(image::ImageView::new(image, seen)),
        Lower::Host(dir) => {
            raise_open_files();
            let separate = server.upper.is_some_and(|upper| upper.below.is_some());
            let view =
                host::HostView::new(dir, seen, separate).map_err(|source| failed("the host's mounts", source))?;
            server.run(view)
        }
        Lower::Dirs(dirs) => {
            raise_open_files();
            let acls = upper.is_some() && !server.manner.no_acls;
            let view = dirs::DirsView::new(dirs, seen, acls);
            server.run(view.map_err(|source| failed("the lower directories", source))?)
        }
    }
}

/// What is to be done with a lower side.
struct Server<'u> {
    manner: Manner,
    fuse: OwnedFd,
    upper: Option<&'u Upper>,
    owners: Owners,
}

impl Server<'_> {
    fn run<V: view::View>(self, lower: V) -> Result<()> {
        let Some(upper) = self.upper else { return run(self.fuse, lower, self.manner) };
        raise_open_files();
        nix::sys::stat::umask(nix::sys::stat::Mode::empty());
        // A write beyond the user's own limit is an error to whoever writes, and not the server's end.
        let failed = |errno: Errno| Error::Fuse { action: "ignore SIGXFSZ".to_owned(), source: errno.into() };
        sys::process::ignore_signal(nix::sys::signal::Signal::SIGXFSZ).map_err(failed)?;
        let unusable = |errno: Errno| Error::Fuse {
            action: format!("use {} as the upper side", upper.upper.display()),
            source: errno.into(),
        };
        let union = union::Union::new(lower, upper, self.owners).map_err(unusable)?;
        run(self.fuse, union, self.manner)
    }
}

fn run<V: view::View>(fuse: OwnedFd, view: V, manner: Manner) -> Result<()> {
    let failed = |errno: Errno| Error::Fuse { action: "serve a FUSE filesystem".to_owned(), source: errno.into() };
    match Session::begin(fuse, view, manner).map_err(failed)? {
        Some(session) => session.run().map_err(failed),
        // Unmounted before anybody used it.
        None => Ok(()),
    }
}

/// Every file that is open in a view of a host directory is open here too, so as many as may be must be
/// possible.
fn raise_open_files() {
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        // Where it fails the limit stays as it is, and the container is told so at the file that is too many.
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}
