//! Files that are made by a pretended user: they are made here, and given to that user at once.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use libc::{S_IFBLK, S_IFCHR, S_IFMT};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, mkdirat, mknodat};
use sys::memory;
use sys::notify::{self, Reply};

use crate::answer::Answering;
use crate::call::{Call, Place};
use crate::owners::Owner;
use crate::server::TO_THE_KERNEL;

/// Where something is to be made.
struct New {
    directory: OwnedFd,
    name: CString,
    owner: Owner,
    /// The bits that the caller does not want to be set.
    umask: u32,
}

impl Answering<'_, '_> {
    /// Makes a file for a caller who is not the user that it would belong to anyway.
    ///
    /// Whatever is not as usual, such as a file that is there already, is left to the kernel, which knows what to say.
    pub fn make(&mut self, call: Call) -> Result<Option<Reply>, Errno> {
        let by = self.credentials();
        let owner = Owner { uid: by.users.files, gid: by.groups.files };
        let place = match call {
            Call::Open { place, .. }
            | Call::MakeDirectory { place, .. }
            | Call::MakeNode { place, .. }
            | Call::MakeLink { place, .. } => place,
            _ => return Ok(TO_THE_KERNEL),
        };
        // A file without a word about its owner is root's, where owners are recorded, and else the real user's.
        let setting = &self.server.setting;
        let is_device = matches!(call, Call::MakeNode { mode, .. } if matches!(mode & S_IFMT, S_IFCHR | S_IFBLK));
        if !is_device && owner == (Owner { uid: 0, gid: 0 }) && (setting.uid, setting.gid) == (0, 0) {
            return Ok(TO_THE_KERNEL);
        }
        self.baton.pass();
        if let Call::MakeNode { mode, device, .. } = call
            && is_device
        {
            return self.make_device(place, mode, device, owner);
        }
        if let Call::Open { flags, mode, .. } = call {
            return self.open(place, flags, mode, owner);
        }
        let Ok(new) = self.new_place(place, owner) else { return Ok(TO_THE_KERNEL) };
        let made = match call {
            Call::MakeDirectory { mode, .. } => mkdirat(&new.directory, &*new.name, new.mode(mode)),
            Call::MakeNode { mode, .. } => {
                let kind = if mode & S_IFMT == 0 { SFlag::S_IFREG } else { SFlag::from_bits_truncate(mode) };
                mknodat(&new.directory, &*new.name, kind & SFlag::S_IFMT, new.mode(mode), 0)
            }
            Call::MakeLink { target, .. } => memory::read_path(self.target.thread, target).and_then(|target| {
                if !self.is_waiting() {
                    return Err(Errno::ESRCH);
                }
                nix::unistd::symlinkat(&*target, &new.directory, &*new.name)
            }),
            _ => Err(Errno::ENOSYS),
        };
        if made.is_err() {
            return Ok(TO_THE_KERNEL);
        }
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        if let Ok(file) = openat(&new.directory, &*new.name, flags, Mode::empty()) {
            self.give(&file, &new);
        }
        Ok(Some(Reply::Return(0)))
    }

    /// Makes a device that is none, but looks like one. The kernel lets nobody make a real one here.
    fn make_device(&self, place: Place, mode: u32, device: u64, owner: Owner) -> Result<Option<Reply>, Errno> {
        if owner.uid != 0 {
            return Err(Errno::EPERM);
        }
        let path = self.target.path(place)?;
        let Ok((directory, name)) = self.target.find_parent(place.at, &path) else { return Ok(TO_THE_KERNEL) };
        let status = self.target.status()?;
        if !self.is_waiting() {
            return Ok(TO_THE_KERNEL);
        }
        let mode = mode & (S_IFMT | 0o7777) & !status.umask;
        // As the kernel reads what it is given for a device's number: 12 bits and 20.
        let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
        match self.server.owners.make_device(directory.as_fd(), &name, owner, mode, (major as u32, minor as u32)) {
            // It could not be kept.
            Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Err(Errno::EPERM),
            made => made.map(|()| Some(Reply::Return(0))),
        }
    }

    fn open(&mut self, place: Place, flags: i32, mode: u32, owner: Owner) -> Result<Option<Reply>, Errno> {
        let asked = OFlag::from_bits_retain(flags);
        if asked.contains(OFlag::O_PATH) {
            return Ok(TO_THE_KERNEL);
        }
        let close_on_exec = asked.contains(OFlag::O_CLOEXEC);
        let kept = (asked - OFlag::O_CREAT - OFlag::O_EXCL - OFlag::O_TRUNC) | OFlag::O_CLOEXEC | OFlag::O_NOCTTY;
        let (file, new) = if asked.contains(OFlag::O_TMPFILE) {
            let Ok(directory) = self.find(Place { follow: true, ..place }) else { return Ok(TO_THE_KERNEL) };
            let Ok(new) = self.in_directory(directory, c".".to_owned(), owner) else { return Ok(TO_THE_KERNEL) };
            let kept = kept | (asked & OFlag::O_EXCL);
            (openat(&new.directory, c".", kept, new.mode(mode)), new)
        } else {
            if !matches!(self.find(place), Err(Errno::ENOENT)) {
                return Ok(TO_THE_KERNEL);
            }
            let Ok(new) = self.new_place(place, owner) else { return Ok(TO_THE_KERNEL) };
            let make = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
            (openat(&new.directory, &*new.name, kept | make, new.mode(mode)), new)
        };
        // A link that leads to no file yet is one of the reasons.
        let Ok(file) = file else { return Ok(TO_THE_KERNEL) };
        self.give(&file, &new);
        match notify::answer_with(self.listener.descriptor.as_fd(), self.notification.id, file.as_fd(), close_on_exec) {
            // Killed, or answered.
            Ok(()) | Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// What is not the maker's by that is no reason to have nothing.
    fn give(&self, file: &OwnedFd, new: &New) {
        let _ = self.server.owners.give_new(file.as_fd(), new.directory.as_fd(), new.owner);
    }

    fn new_place(&self, place: Place, owner: Owner) -> Result<New, Errno> {
        let path = self.target.path(place)?;
        let (directory, name) = self.target.find_parent(place.at, &path)?;
        self.in_directory(directory, name, owner)
    }

    fn in_directory(&self, directory: OwnedFd, name: CString, owner: Owner) -> Result<New, Errno> {
        let setting = &self.server.setting;
        let real = owner == Owner { uid: setting.uid, gid: setting.gid };
        // As the kernel would make it, it would be the maker's.
        let recorded = self.server.owners.are_recorded(directory.as_fd())?;
        if (real && !recorded) || (owner == Owner { uid: 0, gid: 0 } && recorded) {
            return Err(Errno::EEXIST);
        }
        let umask = self.target.status()?.umask;
        if !self.is_waiting() {
            return Err(Errno::ESRCH);
        }
        Ok(New { directory, name, owner, umask })
    }
}

impl New {
    fn mode(&self, asked: u32) -> Mode {
        Mode::from_bits_truncate(asked & !self.umask)
    }
}
