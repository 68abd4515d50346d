//! The outer user namespace: made early, and mapped by programs that run while everything else is being found out.
//!
//! newuidmap and newgidmap take a few milliseconds, which nobody waits for: [`make`] is the first thing that a command does,
//! and [`Making::finish`] comes when a container is about to be started. The namespace then lives by its descriptor.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use cowfs::owners::{Extent, Owners};
use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::wait::waitpid;
use nix::unistd::{Gid, Pid, Uid, User};
use sys::process::Fork;
use uidmap::{Maps, SubIds, Tool, Writing};

use super::Error;
use super::error::Told;

/// A user namespace that is being mapped.
#[must_use = "the namespace is usable only when this has finished"]
pub struct Making {
    holder: Holder,
    writing: Writing,
}

/// The outer user namespace that a container is to be in.
pub enum Users {
    /// One of its own.
    Made(Making),
    /// Another container's, which it shares something with.
    Joined(OwnedFd),
}

impl From<Making> for Users {
    fn from(making: Making) -> Self {
        Self::Made(making)
    }
}

impl Users {
    /// That of a running container, by its init.
    ///
    /// # Errors
    /// Where it does not run any more.
    pub fn of(init: i32) -> Result<Self, Error> {
        let path = format!("/proc/{init}/ns/user");
        File::open(&path).map(|file| Self::Joined(file.into())).map_err(Error::file("open", path))
    }

    /// The namespace, which is not to be entered before [`Users::finish`].
    ///
    /// # Errors
    /// Where /proc does not show it.
    pub fn namespace(&self) -> Result<OwnedFd, Error> {
        match self {
            Self::Made(making) => making.namespace(),
            Self::Joined(namespace) => namespace.try_clone().map_err(Error::Monitor),
        }
    }

    /// Waits until it can be entered.
    ///
    /// # Errors
    /// Where the mapping is refused.
    pub fn finish(self) -> Result<(), Error> {
        match self {
            Self::Made(making) => making.finish(),
            Self::Joined(_) => Ok(()),
        }
    }
}

/// A process that does nothing but be in the namespace, until nobody needs it there.
struct Holder {
    pid: Pid,
    /// Closed, it ends.
    socket: Option<OwnedFd>,
}

/// Makes a user namespace, and begins to map it. The caller must have a single thread.
///
/// # Errors
/// Where the kernel refuses user namespaces, or the mapping cannot be begun.
pub fn make(maps: &Maps) -> Result<Making, Error> {
    let refused = |errno| Error::Told(Told::refused("cannot start a process for a user namespace", errno, None));
    let (ours, theirs) = sys::socket::pair().map_err(refused)?;
    let holder = match sys::process::fork().map_err(refused)? {
        Fork::Parent(pid) => Holder { pid, socket: Some(ours) },
        Fork::Child => {
            drop(ours);
            let made = nix::sched::unshare(CloneFlags::CLONE_NEWUSER).err().map_or(0, |errno| errno as i32);
            let _ = sys::socket::send(&theirs, &made.to_le_bytes(), None);
            let _ = sys::socket::receive(&theirs, &mut [0; 4]);
            sys::process::exit_now(0)
        }
    };
    drop(theirs);
    let mut made = [0; 4];
    if let Some(socket) = &holder.socket {
        sys::socket::receive(socket, &mut made).map_err(refused)?;
    }
    match i32::from_le_bytes(made) {
        0 => {}
        errno => {
            let errno = Errno::from_raw(errno);
            let hint = super::preflight::namespaces(errno);
            return Err(Error::Told(Told::refused("cannot make a user namespace", errno, hint)));
        }
    }
    let writing = uidmap::start(holder.pid, maps).map_err(failed)?;
    Ok(Making { holder, writing })
}

impl Making {
    /// The namespace, which is not to be entered before [`Making::finish`].
    ///
    /// # Errors
    /// Where /proc does not show it.
    pub fn namespace(&self) -> Result<OwnedFd, Error> {
        let path = format!("/proc/{}/ns/user", self.holder.pid);
        File::open(&path).map(OwnedFd::from).map_err(Error::file("open", path))
    }

    /// Waits until the namespace is mapped.
    ///
    /// # Errors
    /// Where the mapping is refused.
    pub fn finish(self) -> Result<(), Error> {
        self.writing.finish().map_err(failed)
    }
}

fn failed(error: uidmap::Error) -> Error {
    Error::Told(Told::by(&error, error.hint()))
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.socket = None;
        while let Err(Errno::EINTR) = waitpid(self.pid, None) {}
    }
}

/// Enters a user namespace of the user's own, and becomes its id 0, which is the user. The caller must have a single thread.
///
/// # Errors
/// Those of setns(2), setresgid(2) and setresuid(2).
pub fn enter(namespace: impl AsFd) -> Result<(), Errno> {
    nix::sched::setns(namespace, CloneFlags::CLONE_NEWUSER)?;
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)
}

/// Why this process's user can have one id only; `None` where he need not.
pub fn lacking_ids() -> Option<Told> {
    let uid = Uid::current();
    let name = User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name);
    let subids = SubIds::of(&uidmap::User { name: name.clone(), uid: uid.as_raw() }).ok()?;
    lacking(&name, &subids)
}

/// Why a user with these subordinate ids can have one id only; `None` where he need not.
pub fn lacking(name: &str, subids: &SubIds) -> Option<Told> {
    let tools = [Tool::NewUidMap, Tool::NewGidMap].into_iter().find_map(|tool| uidmap::find_tool(tool).err());
    let (message, hint) = match tools {
        _ if subids.is_empty() => {
            let message = format!("{name} has no line in /etc/subuid and /etc/subgid");
            (message, Some(uidmap::add_subids_command(name)))
        }
        Some(missing) => (missing.to_string(), missing.hint()),
        None => return None,
    };
    Some(Told { message, cause: None, hint })
}

/// Whom a container's owners are in the outer namespace, which its filesystem is mounted in.
pub fn owners(users: &plan::Users) -> Owners {
    if users.inner.kind == uidmap::Kind::Single {
        return Owners::squash(0, 0);
    }
    let extents = |map: &uidmap::IdMap| -> Vec<Extent> {
        let extent =
            |extent: &uidmap::Extent| Extent { inside: extent.inside, outside: extent.outside, count: extent.count };
        map.extents().iter().map(extent).collect()
    };
    Owners::new(&extents(&users.inner.uids), &extents(&users.inner.gids))
}
