//! What this machine has by now, and a box that runs was not started with: sockets that have appeared or were replaced, the cookies for them.
//!
//! Who comes into the box has it shown there before his shell starts. A child does it: it enters the user namespace that owns the box's
//! mounts, takes what is to be shown from a mount namespace that is a copy of this machine's, and enters the box's. Nothing of the box's runs in
//! that child, and every path is looked up inside the box's root.

use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, SFlag, fchmod, fstat, mkdirat};
use nix::sys::wait::waitpid;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, unlinkat};
use plan::{Plan, Restrictions, Step};
use serde::{Deserialize, Serialize};
use sys::mount::Attributes;
use sys::process::Fork;

use super::folder::name;
use super::record::State;
use super::users;

/// Said of a step that was taken.
const DONE: u8 = 1;

/// What a box that runs is shown: what it was started with, and what was added since.
#[derive(Debug)]
pub struct Shown {
    file: PathBuf,
    kept: Kept,
}

/// As it is kept, in the box's folder.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    /// The init of the run that it holds for, and when that began.
    run: (i32, Option<Timestamp>),
    /// What was shown at each place.
    shown: BTreeMap<String, String>,
}

impl Shown {
    /// What a box is shown that has just been started by `plan`.
    pub fn at_start(folder: &Path, state: &State, plan: &Plan) -> Self {
        let mut shown =
            Self { file: folder.join(name::SHOWN), kept: Kept { run: (state.init, state.started), ..Kept::default() } };
        shown.keep(plan.steps.iter());
        shown
    }

    /// What one is shown that somebody else has started. What is not known is none.
    pub fn find(folder: &Path, state: &State) -> Self {
        let file = folder.join(name::SHOWN);
        let run = (state.init, state.started);
        let kept = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Kept>(&text).ok());
        let kept = kept.filter(|kept| kept.run == run).unwrap_or(Kept { run, ..Kept::default() });
        Self { file, kept }
    }

    /// Whether all of it is there: the very sockets, and none that have been replaced outside since.
    #[must_use]
    pub fn has(&self, steps: &[Step]) -> bool {
        steps.iter().filter_map(identity).all(|(target, what)| self.kept.shown.get(&target) == Some(&what))
    }

    /// Shows more of it. What cannot be shown is left away.
    ///
    /// The caller must have a single thread.
    pub fn add(&mut self, plan: &Plan, steps: &[Step]) {
        if steps.is_empty() {
            return;
        }
        let Ok((ours, theirs)) = sys::socket::pair() else { return };
        let mut done = vec![0; steps.len()];
        match sys::process::fork() {
            Ok(Fork::Child) => {
                drop(ours);
                let _ = add_inside(self.kept.run.0, plan, steps, &mut done);
                let _ = sys::socket::send(&theirs, &done, None);
                sys::process::exit_now(0)
            }
            Ok(Fork::Parent(child)) => {
                drop(theirs);
                let _ = sys::socket::receive(&ours, &mut done);
                while let Err(Errno::EINTR) = waitpid(child, None) {}
            }
            Err(_) => return,
        }
        self.keep(steps.iter().zip(done).filter(|(_, done)| *done == DONE).map(|(step, _)| step));
    }

    fn keep<'a>(&mut self, steps: impl Iterator<Item = &'a Step>) {
        self.kept.shown.extend(steps.filter_map(identity));
        // Whoever finds nothing here shows everything again.
        let _ = serde_json::to_vec(&self.kept).map(|text| {
            let new = self.file.with_extension("new");
            std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, &self.file))
        });
    }
}

/// Where a step shows something, and what, so that another thing in its place is known for another.
fn identity(step: &Step) -> Option<(String, String)> {
    let text = |target: &plan::Text| target.as_os_str().to_string_lossy().into_owned();
    match step {
        Step::Offer { source, target, .. } => {
            // One that is gone is the same as none.
            let now = source.as_path().metadata().map_or((0, 0), |metadata| (metadata.dev(), metadata.ino()));
            Some((text(target), format!("{}:{}", now.0, now.1)))
        }
        Step::Write { target, content, .. } if target.as_path().starts_with("/run") => {
            let mut hasher = DefaultHasher::new();
            content.as_bytes().hash(&mut hasher);
            Some((text(target), format!("{:x}", hasher.finish())))
        }
        _ => None,
    }
}

/// In the child. Says of each step whether it was taken.
fn add_inside(init: i32, plan: &Plan, steps: &[Step], done: &mut [u8]) -> Result<(), Errno> {
    let namespace = |kind: &str| {
        open(format!("/proc/{init}/ns/{kind}").as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
    };
    let mounts = namespace("mnt")?;
    users::enter(namespace("user")?)?;
    unshare(CloneFlags::CLONE_NEWNS)?;
    let taken: Vec<Option<OwnedFd>> = steps.iter().map(take).collect();
    setns(&mounts, CloneFlags::CLONE_NEWNS)?;
    nix::sys::stat::umask(Mode::empty());
    let root = open("/", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    for ((step, mount), done) in steps.iter().zip(taken).zip(done) {
        // Each for itself: one that fails keeps no other away.
        if put(&root, plan, step, mount).is_ok() {
            *done = DONE;
        }
    }
    Ok(())
}

/// A detached copy of what a step shows.
fn take(step: &Step) -> Option<OwnedFd> {
    let Step::Offer { source, recursive, restrictions, .. } = step else { return None };
    let origin = open(source.as_path(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
    let mount = sys::mount::clone_tree(origin.as_fd(), *recursive).ok()?;
    let Restrictions { read_only, no_suid, no_dev, no_exec } = *restrictions;
    sys::mount::set_attributes(mount.as_fd(), Attributes { read_only, no_suid, no_dev, no_exec }, *recursive).ok()?;
    Some(mount)
}

/// Takes one step in the box.
fn put(root: &OwnedFd, plan: &Plan, step: &Step, mount: Option<OwnedFd>) -> Result<(), Errno> {
    match step {
        Step::Offer { target, .. } => {
            let mount = mount.ok_or(Errno::ENOENT)?;
            let is_folder = SFlag::from_bits_truncate(fstat(&mount)?.st_mode & SFlag::S_IFMT.bits()) == SFlag::S_IFDIR;
            // What was shown there has been replaced outside: nothing can be mounted upon what is deleted.
            let (above, name) = parent(root, target.as_path())?;
            nix::unistd::fchdir(&above)?;
            let _ = sys::mount::detach(name);
            let place = match sys::path::find_in_root(root, target.as_path()) {
                Ok(place) => place,
                Err(_) if is_folder => folder(root, target.as_path(), Mode::from_bits_truncate(0o755))?,
                Err(_) => file(root, target.as_path())?,
            };
            sys::mount::attach(mount.as_fd(), place.as_fd())
        }
        Step::Write { target, content, mode } => {
            let mut made = File::from(file(root, target.as_path())?);
            made.write_all(content.as_bytes()).map_err(|_| Errno::EIO)?;
            fchmod(&made, Mode::from_bits_truncate(*mode))
        }
        Step::Directory { target, mode, owner: (uid, gid) } => {
            if sys::path::find_in_root(root, target.as_path()).is_ok() {
                return Ok(());
            }
            let made = folder(root, target.as_path(), Mode::from_bits_truncate(*mode))?;
            let (uid, gid) = (plan.users.outer_uid(*uid), plan.users.outer_gid(*gid));
            fchown(&made, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// The directory that a path is in, and the name in it.
fn parent<'a>(root: &OwnedFd, path: &'a Path) -> Result<(OwnedFd, &'a Path), Errno> {
    let (above, name) = path.parent().zip(path.file_name()).ok_or(Errno::EINVAL)?;
    let found =
        sys::path::find_in_root(root, above).or_else(|_| folder(root, above, Mode::from_bits_truncate(0o755)))?;
    Ok((found, Path::new(name)))
}

/// A new directory, with those above it.
fn folder(root: &OwnedFd, path: &Path, mode: Mode) -> Result<OwnedFd, Errno> {
    let (above, name) = parent(root, path)?;
    mkdirat(&above, name, mode)?;
    nix::fcntl::openat(&above, name, OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())
}

/// A new and empty file, in place of one that is there.
fn file(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let (above, name) = parent(root, path)?;
    match unlinkat(&above, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno),
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::openat(&above, name, flags, Mode::from_bits_truncate(0o600))
}
