//! The answer to one call.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use nix::errno::Errno;
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::unistd::Pid;
use sys::memory;
use sys::notify::{self, Notification, Reply};
use sys::statx;

use crate::call::{Call, Kind, Place, Which, decode};
use crate::carried;
use crate::credentials::{Change, Credentials, Ids, MOST_GROUPS, Refusal, SAME};
use crate::owners::Owner;
use crate::server::{Baton, Listener, Server, TO_THE_KERNEL};
use crate::target::{Patience, Target};

/// CAP_CHOWN, CAP_SETGID and CAP_SETUID in `linux/capability.h`.
const CHOWN: u64 = 1;
const SETGID: u64 = 1 << 6;
const SETUID: u64 = 1 << 7;

/// One call, and all that it takes to answer it.
pub(crate) struct Answering<'a, 'b> {
    pub server: &'a Server,
    pub listener: &'a Listener,
    pub notification: &'a Notification,
    pub target: Target<'a>,
    pub baton: &'a mut Baton<'b>,
}

impl Answering<'_, '_> {
    /// The answer; `None` where it has been given already.
    pub fn reply(mut self) -> Option<Reply> {
        let Some(call) = decode(self.notification).filter(|_| self.is_ours()) else { return TO_THE_KERNEL };
        let outcome = match call {
            Call::Own { place, uid, gid } => self.own(place, uid, gid),
            Call::Status { place, buffer } => self.status(place, |file, owner| {
                let bytes = statx::stat_bytes(file, |stat| (stat.st_uid, stat.st_gid) = (owner.uid, owner.gid))?;
                Ok((buffer, bytes))
            }),
            Call::LongStatus { place, flags, mask, buffer } => self.status(place, |file, owner| {
                let change = |stat: &mut libc::statx| (stat.stx_uid, stat.stx_gid) = (owner.uid, owner.gid);
                Ok((buffer, statx::statx_bytes(file, flags, mask, change)?))
            }),
            Call::Tell(kind, which) => Ok(self.tell(kind, which)),
            Call::TellThree(kind, places) => self.tell_three(kind, places),
            Call::TellGroups { room, buffer } => self.tell_groups(room, buffer),
            Call::Change(kind, change) => self.change(kind, change),
            Call::ChangeGroups { count, buffer } => self.change_groups(count, buffer),
            Call::KeepCapabilities(keeps) => self.keep_capabilities(keeps),
            Call::Execute { place } => self.execute(place),
            Call::Peer { socket, buffer, length } => self.peer(socket, buffer, length),
            Call::Open { .. } | Call::MakeDirectory { .. } | Call::MakeNode { .. } | Call::MakeLink { .. } => {
                self.make(call)
            }
        };
        outcome.unwrap_or_else(|errno| Some(Reply::Fail(errno)))
    }

    /// Whether the caller is in the namespace that is pretended for: one that made a namespace of its own has its ids from there. The
    /// first to call is the one who has installed the filter.
    fn is_ours(&self) -> bool {
        let namespace = self.target.user_namespace();
        namespace.is_ok_and(|namespace| *self.listener.namespace.get_or_init(|| namespace) == namespace)
    }

    /// Whether the caller still waits, and all that was read was its own.
    pub fn is_waiting(&self) -> bool {
        notify::is_waiting(self.listener.descriptor.as_fd(), self.notification.id)
    }

    /// What the caller is told that it is.
    pub fn credentials(&self) -> Arc<Credentials> {
        let carried = self.server.carried.lock().unwrap_or_else(PoisonError::into_inner);
        carried.of(self.target.proc, self.target.thread).unwrap_or_else(|| self.listener.initial.clone())
    }

    fn has(&self, capability: u64) -> bool {
        self.server.setting.capabilities & capability != 0
    }

    /// Finds a file; first with what the kernel has at hand, and then in its own time.
    pub fn find(&mut self, place: Place) -> Result<OwnedFd, Errno> {
        let path = self.target.path(place)?;
        match self.target.find(place, &path, Patience::None) {
            Err(Errno::EAGAIN | Errno::EINVAL) => {
                self.baton.pass();
                self.target.find(place, &path, Patience::Some)
            }
            found => found,
        }
    }

    /// Whose a file is said to be, if that is not what the kernel says.
    fn owner(&mut self, file: &OwnedFd) -> Result<Option<Owner>, Errno> {
        let owner = match self.server.owners.of(file.as_fd(), Patience::None) {
            Err(Errno::EAGAIN) => {
                self.baton.pass();
                self.server.owners.of(file.as_fd(), Patience::Some)
            }
            known => known,
        };
        let setting = &self.server.setting;
        Ok(owner?.filter(|owner| (owner.uid, owner.gid) != (setting.uid, setting.gid)))
    }

    fn status(
        &mut self,
        place: Place,
        bytes: impl FnOnce(&OwnedFd, Owner) -> Result<(u64, Vec<u8>), Errno>,
    ) -> Result<Option<Reply>, Errno> {
        // What cannot be found here, the kernel says why.
        let Ok(file) = self.find(place) else { return Ok(TO_THE_KERNEL) };
        let Ok(Some(owner)) = self.owner(&file) else { return Ok(TO_THE_KERNEL) };
        let Ok((buffer, bytes)) = bytes(&file, owner) else { return Ok(TO_THE_KERNEL) };
        if !self.is_waiting() {
            return Ok(TO_THE_KERNEL);
        }
        memory::write(self.target.thread, buffer, &bytes)?;
        Ok(Some(Reply::Return(0)))
    }

    fn own(&mut self, place: Place, uid: u32, gid: u32) -> Result<Option<Reply>, Errno> {
        self.baton.pass();
        // What is to be found by another way, such as /proc/self/fd/1, the kernel finds; it then takes only the ids that there are.
        let Ok(file) = self.find(place) else { return Ok(TO_THE_KERNEL) };
        let by = self.credentials();
        if !self.is_waiting() {
            return Ok(TO_THE_KERNEL);
        }
        let privileged = by.users.files == 0 && self.has(CHOWN);
        if !privileged && (uid, gid) != (SAME, SAME) {
            let owner = self.server.owners.said(file.as_fd())?;
            let own = by.users.files == owner.uid;
            let same = uid == SAME || uid == owner.uid;
            let group = gid == SAME || gid == owner.gid || by.is_in(gid);
            if !(own && same && group) {
                return Err(Errno::EPERM);
            }
        }
        self.server.owners.give(file.as_fd(), uid, gid)?;
        Ok(Some(Reply::Return(0)))
    }

    fn tell(&self, kind: Kind, which: Which) -> Option<Reply> {
        let credentials = self.credentials();
        let ids = ids(&credentials, kind);
        let id = if which == Which::Real { ids.real } else { ids.effective };
        Some(Reply::Return(id.into()))
    }

    fn tell_three(&self, kind: Kind, places: [u64; 3]) -> Result<Option<Reply>, Errno> {
        let credentials = self.credentials();
        let ids = ids(&credentials, kind);
        if !self.is_waiting() {
            return Ok(TO_THE_KERNEL);
        }
        for (place, id) in places.into_iter().zip([ids.real, ids.effective, ids.saved]) {
            memory::write(self.target.thread, place, &id.to_ne_bytes())?;
        }
        Ok(Some(Reply::Return(0)))
    }

    fn tell_groups(&self, room: i32, buffer: u64) -> Result<Option<Reply>, Errno> {
        let credentials = self.credentials();
        let Some(groups) = &credentials.more else { return Ok(TO_THE_KERNEL) };
        let room = usize::try_from(room).map_err(|_| Errno::EINVAL)?;
        if room != 0 && !groups.is_empty() {
            if room < groups.len() {
                return Err(Errno::EINVAL);
            }
            if !self.is_waiting() {
                return Ok(TO_THE_KERNEL);
            }
            let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_ne_bytes()).collect();
            memory::write(self.target.thread, buffer, &bytes)?;
        }
        Ok(Some(Reply::Return(groups.len() as i64)))
    }

    fn change(&self, kind: Kind, change: Change) -> Result<Option<Reply>, Errno> {
        let before = self.credentials();
        let old = *ids(&before, kind);
        let capability = if kind == Kind::User { SETUID } else { SETGID };
        let privileged = before.is_privileged() && self.has(capability);
        let new = old.changed(change, privileged).map_err(|refusal| match refusal {
            Refusal::Invalid => Errno::EINVAL,
            Refusal::Forbidden => Errno::EPERM,
        })?;
        let after = match kind {
            Kind::User => before.with_users(new),
            Kind::Group => Credentials { groups: new, ..(*before).clone() },
        };
        self.become_(&before, &after)?;
        // setfsuid(2) and setfsgid(2) return the old id, whatever becomes of it.
        Ok(Some(Reply::Return(if matches!(change, Change::Files(_)) { old.files.into() } else { 0 })))
    }

    fn change_groups(&self, count: i32, buffer: u64) -> Result<Option<Reply>, Errno> {
        let before = self.credentials();
        if !before.is_privileged() || !self.has(SETGID) {
            return Err(Errno::EPERM);
        }
        let count = usize::try_from(count).ok().filter(|count| *count <= MOST_GROUPS).ok_or(Errno::EINVAL)?;
        let mut bytes = vec![0; count * 4];
        if count > 0 {
            memory::read(self.target.thread, buffer, &mut bytes)?;
        }
        let number = |bytes: &[u8]| u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let mut groups: Vec<u32> = bytes.chunks_exact(4).map(number).collect();
        groups.sort_unstable();
        let after = Credentials { more: Some(groups), ..(*before).clone() };
        self.become_(&before, &after)?;
        Ok(Some(Reply::Return(0)))
    }

    /// Makes the caller what it is to be from now on.
    fn become_(&self, before: &Credentials, after: &Credentials) -> Result<(), Errno> {
        if before == after {
            return Ok(());
        }
        let number = self.server.carried.lock().unwrap_or_else(PoisonError::into_inner).number(after)?;
        if !self.is_waiting() {
            return Err(Errno::ESRCH);
        }
        carried::give(self.target.proc, self.target.thread, number).map_err(|_| Errno::EPERM)?;
        self.tell_of(after.users.effective);
        Ok(())
    }

    /// Has it told, once, that a user is only pretended. Nobody waits for it to be heard.
    fn tell_of(&self, uid: u32) {
        if uid != self.server.setting.uid && !self.server.told.swap(true, Ordering::Relaxed) {
            let name = self.target.account(uid).unwrap_or_else(|| format!("the user {uid}"));
            let _ = sys::socket::send(&self.server.client, name.as_bytes(), None);
        }
    }

    /// The kernel does so too, with what is real.
    fn keep_capabilities(&self, keeps: bool) -> Result<Option<Reply>, Errno> {
        let before = self.credentials();
        self.become_(&before, &Credentials { keeps, ..(*before).clone() })?;
        Ok(TO_THE_KERNEL)
    }

    /// A program is about to be run: it may be marked to be run as its owner.
    fn execute(&mut self, place: Place) -> Result<Option<Reply>, Errno> {
        let Ok(file) = self.find(place) else { return Ok(TO_THE_KERNEL) };
        let Ok(status) = statx::statx(&file, c"") else { return Ok(TO_THE_KERNEL) };
        if status.mode & libc::S_IFMT != libc::S_IFREG || status.mode & 0o111 == 0 {
            return Ok(TO_THE_KERNEL);
        }
        let before = self.credentials();
        let (mut user, mut group) = (None, None);
        let marked = status.mode & (libc::S_ISUID | libc::S_ISGID) != 0;
        if marked && !self.server.setting.no_new_privileges && is_effective(self.target, &file) {
            let owner = self.server.owners.said(file.as_fd())?;
            user = (status.mode & libc::S_ISUID != 0).then_some(owner.uid);
            group = (status.mode & libc::S_ISGID != 0 && status.mode & libc::S_IXGRP != 0).then_some(owner.gid);
        }
        if !self.server.setting.no_new_privileges && self.is_roots(&file) {
            user = Some(0);
        }
        self.tell_of(before.users.effective);
        self.become_(&before, &before.executing(user, group))?;
        Ok(TO_THE_KERNEL)
    }

    /// Whether a program runs as root whoever runs it. The kernel names it by its path in the container (see `Owners::is_in_volume`), in which
    /// no link is left: the directory is known by its own name. Who makes one of that name becomes nobody who he could not be otherwise.
    fn is_roots(&self, file: &OwnedFd) -> bool {
        let directories = &self.server.setting.roots_programs;
        if directories.is_empty() {
            return false;
        }
        let Ok(path) = nix::fcntl::readlink(format!("self/fd/{}", file.as_raw_fd()).as_str()) else { return false };
        let own = std::path::Path::new(&path).parent().and_then(std::path::Path::file_name);
        own.is_some() && directories.iter().any(|directory| directory.file_name() == own)
    }

    /// Who is at the other end of a socket: what that process is told that it is.
    fn peer(&mut self, socket: i32, buffer: u64, length: u64) -> Result<Option<Reply>, Errno> {
        let found = self.peer_of(socket);
        let Ok(Some(credentials)) = found else { return Ok(TO_THE_KERNEL) };
        let mut room = [0; 4];
        memory::read(self.target.thread, length, &mut room)?;
        let size = u32::try_from(credentials.len()).map_err(|_| Errno::EINVAL)?;
        if u32::from_ne_bytes(room) < size || !self.is_waiting() {
            return Ok(TO_THE_KERNEL);
        }
        memory::write(self.target.thread, buffer, &credentials)?;
        memory::write(self.target.thread, length, &size.to_ne_bytes())?;
        Ok(Some(Reply::Return(0)))
    }

    /// The `struct ucred` of the other end; `None` where the kernel knows as much.
    fn peer_of(&self, socket: i32) -> Result<Option<Vec<u8>>, Errno> {
        let own = self.target.status()?;
        let pidfd = sys::process::pidfd_open(Pid::from_raw(own.process))?;
        let socket = notify::copy_descriptor(&pidfd, socket)?;
        if !self.is_waiting() {
            return Ok(None);
        }
        let peer = getsockopt(&socket, PeerCredentials).map_err(|_| Errno::ENOTSOCK)?.pid();
        let carried = self.server.carried.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(credentials) = carried.of(self.target.proc, peer).filter(|_| peer > 0) else { return Ok(None) };
        let theirs = Target { thread: peer, ..self.target }.status()?;
        // As the caller's pid namespace counts, where that has the process at all.
        let number = own.numbers.len().checked_sub(1).and_then(|level| theirs.numbers.get(level)).copied().unwrap_or(0);
        let words = [number as u32, credentials.users.effective, credentials.groups.effective];
        Ok(Some(words.into_iter().flat_map(u32::to_ne_bytes).collect()))
    }
}

fn ids(credentials: &Credentials, kind: Kind) -> &Ids {
    match kind {
        Kind::User => &credentials.users,
        Kind::Group => &credentials.groups,
    }
}

/// Whether set-id bits count: not on a mount without them, and not of a script, whose interpreter is what is run.
fn is_effective(target: Target<'_>, file: &OwnedFd) -> bool {
    use nix::fcntl::{OFlag, openat};
    use nix::sys::statvfs::{FsFlags, fstatvfs};
    use std::os::fd::AsRawFd;
    let mounted = fstatvfs(file).is_ok_and(|about| !about.flags().contains(FsFlags::ST_NOSUID));
    let path = format!("self/fd/{}", file.as_raw_fd());
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut begin = [0; 2];
    mounted
        && openat(target.proc, path.as_str(), flags, nix::sys::stat::Mode::empty())
            .is_ok_and(|open| nix::unistd::read(open, &mut begin) == Ok(2) && &begin != b"#!")
}
