//! Takes over into the home what was set aside, or forgets it. Whoever is killed in the middle leaves every file whole, old or new, and can do it
//! again: what was taken over is forgotten only when all of it is on the disk, and what the home has already is not taken over twice.
//!
//! The home may be hostile, as anything that runs as the user may be: no link in it is followed, and nothing outside of it is reached.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{CStr, CString, OsStr};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cowfs::upper::below::Looks;
use nix::errno::Errno;
use nix::fcntl::{OFlag, RenameFlags, openat, renameat, renameat2};
use nix::libc;
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, fchmod, mkdirat, mknodat, utimensat};
use nix::unistd::{LinkatFlags, UnlinkatFlags, linkat, symlinkat, unlinkat};
use sys::statx::{Status, statx};

use super::changes::{Change, OURS, goal_mode};
use super::copy::{fill, own_group, remove_tree, times};
use super::{Aside, BELOW, is_at, is_dir, joined, kind, names, split};
use crate::container::folder::name;
use crate::container::upper::at;
use crate::container::{Error, sweep};

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Paths that are in the home now as they were set aside.
    pub applied: Vec<Vec<u8>>,
    /// Paths that were left alone, and why.
    pub conflicts: Vec<(Vec<u8>, &'static str)>,
    /// Paths that could not be taken over, and why.
    pub failed: Vec<(Vec<u8>, Errno)>,
    /// Where the user's own files were kept that were in the way.
    pub kept: Vec<PathBuf>,
}

/// Why a path is not taken over.
enum Left {
    Conflict(&'static str),
    Failed(Errno),
}

impl From<Errno> for Left {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno)
    }
}

const RACED: &str = "it is changing in your home at this moment";

impl Aside {
    /// Takes over what lies at or below these paths; all for none. `force`: also what has changed in the home since; that is kept beside.
    ///
    /// # Errors
    /// What cannot be read or written of what was set aside. Of the home, that is in the outcome.
    pub fn apply(&self, paths: &[Vec<u8>], force: bool) -> Result<Outcome, Error> {
        let changes = self.changes()?;
        self.show_openly(&[], true, false)?;
        let chosen = |path: &[u8]| paths.is_empty() || paths.iter().any(|above| is_at(path, above));
        // A directory that is new is needed for what is chosen in it.
        let mut wanted: BTreeSet<&[u8]> = BTreeSet::new();
        for change in changes.iter().filter(|change| chosen(&change.path)) {
            wanted.insert(&change.path);
            let new = |other: &&Change| !other.lower.as_ref().is_some_and(is_dir);
            let above = changes.iter().filter(new).filter(|other| other.upper.as_ref().is_some_and(is_dir));
            if !paths.is_empty() {
                wanted.extend(above.map(|other| &*other.path).filter(|other| is_at(&change.path, other)));
            }
        }
        let mut work = Work {
            aside: self,
            force,
            temporary: self.temporary(),
            linked: HashMap::new(),
            touched: BTreeSet::new(),
            outcome: Outcome::default(),
        };
        let wanted: Vec<&Change> = changes.iter().filter(|change| wanted.contains(&*change.path)).collect();
        work.all(&wanted);
        work.sync();
        let Work { outcome, .. } = work;
        for path in outcome.applied.iter().rev() {
            self.forget(path).map_err(|errno| self.refused("forget what was set aside of", path, errno))?;
        }
        self.settle()?;
        Ok(outcome)
    }

    /// Forgets what was set aside at or below these paths; all of it for none.
    ///
    /// # Errors
    /// What cannot be removed.
    pub fn discard(&self, paths: &[Vec<u8>]) -> Result<(), Error> {
        let failed = |path: &Path| Error::file("remove", path.to_owned());
        if paths.is_empty() || paths.iter().any(Vec::is_empty) {
            for part in [name::UPPER, name::WORK] {
                let path = self.folder.join(part);
                sweep::remove_tree(&path).map_err(failed(&path))?;
            }
            let path = self.folder.join(BELOW);
            return File::create(&path).map(drop).map_err(failed(&path));
        }
        self.show_openly(&[], true, false)?;
        for path in paths {
            self.forget_tree(path).map_err(|errno| self.refused("forget what was set aside of", path, errno))?;
        }
        self.settle()
    }

    /// A name for what is on its way into the home: that of a process that was killed is found again.
    fn temporary(&self) -> CString {
        let id = self.folder.parent().and_then(Path::file_name).map(|id| id.to_string_lossy().into_owned());
        let id: String = id.unwrap_or_default().chars().rev().take(12).collect();
        CString::new(format!(".enter-apply.{id}")).unwrap_or_default()
    }

    /// Says by whiteouts what directories hide that hide all of the home's: so each name can be forgotten by itself.
    fn show_openly(&self, path: &[u8], shown: bool, opaque: bool) -> Result<(), Error> {
        let refused = |errno| self.refused("prepare what was set aside of", path, errno);
        let upper = self.upper_dir(path).map_err(refused)?;
        let lower = if shown { self.lower_dir(path).ok() } else { None };
        let mine = names(&upper).map_err(refused)?;
        for name in &mine {
            let Ok(status) = statx(&upper, name) else { continue };
            if is_dir(&status) {
                let merged = lower.as_ref().is_some_and(|lower| statx(lower, name).is_ok_and(|status| is_dir(&status)));
                let opaque = opaque || self.upper.is_opaque(at(&upper, name));
                self.show_openly(&joined(path, name.to_bytes()), merged, opaque)?;
            }
        }
        if !opaque {
            return Ok(());
        }
        for name in lower.iter().flat_map(|lower| names(lower).unwrap_or_default()) {
            if mine.binary_search(&name).is_err() {
                self.upper.put_whiteout(&upper, &name).map_err(refused)?;
            }
        }
        self.upper.clear_opaque(&upper).map_err(refused)
    }

    /// Forgets one path that was set aside; of a directory, only that it differs.
    fn forget(&self, path: &[u8]) -> Result<(), Errno> {
        let (parent, name) = split(path);
        let dir = match self.upper_dir(parent) {
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(()),
            dir => dir?,
        };
        match statx(&dir, &name) {
            Ok(status) if !is_dir(&status) => self.upper.remove(&dir, &name),
            _ => Ok(()),
        }
    }

    fn forget_tree(&self, path: &[u8]) -> Result<(), Errno> {
        let (parent, name) = split(path);
        match self.upper_dir(parent) {
            // What is above was deleted, or was never touched.
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(()),
            dir => remove_tree(&dir?, &name, &mut |dir, name| self.upper.remove(dir, name)),
        }
    }

    /// Removes directories that say nothing any more, and what was taken down of files that are not hidden any more.
    fn settle(&self) -> Result<(), Error> {
        let changes = self.changes()?;
        let told: BTreeSet<&[u8]> = changes.iter().map(|change| &*change.path).collect();
        self.tidy(&[], &told).map_err(|errno| self.refused("tidy up what was set aside of", &[], errno))?;
        let kept: Vec<u8> = (self.below.iter())
            .filter(|(path, _)| self.hides(path))
            .flat_map(|(path, looks)| looks.line(path))
            .collect();
        let (path, fresh) = (self.folder.join(BELOW), self.folder.join("below.new"));
        let write = || {
            let mut file = File::create(&fresh)?;
            file.write_all(&kept)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)
        };
        write().map_err(Error::file("write", &path))
    }

    /// Whether the upper side has, or hides, what is at a path.
    pub fn hides(&self, path: &[u8]) -> bool {
        let mut above = Vec::new();
        for part in path.split(|byte| *byte == b'/') {
            let Ok(dir) = self.upper_dir(&above) else { return true };
            let Ok(name) = CString::new(part) else { return false };
            match statx(&dir, &name) {
                Err(_) => return false,
                Ok(status) if !is_dir(&status) => return true,
                Ok(_) if self.upper.is_opaque(at(&dir, &name)) => return true,
                Ok(_) => above = joined(&above, part),
            }
        }
        true
    }

    fn tidy(&self, path: &[u8], told: &BTreeSet<&[u8]>) -> Result<(), Errno> {
        let dir = self.upper_dir(path)?;
        for name in names(&dir)? {
            let child = joined(path, name.to_bytes());
            if statx(&dir, &name).is_ok_and(|status| is_dir(&status)) {
                self.tidy(&child, told)?;
                if !told.contains(&*child) {
                    match unlinkat(&dir, &*name, UnlinkatFlags::RemoveDir) {
                        Ok(()) | Err(Errno::ENOTEMPTY | Errno::EEXIST) => {}
                        Err(errno) => return Err(errno),
                    }
                }
            } else if !told.contains(&*child) {
                // It is in the home as it is here, or says that nothing is where nothing is.
                self.upper.remove(&dir, &name)?;
            }
        }
        Ok(())
    }
}

/// Changes on their way into the home.
struct Work<'a> {
    aside: &'a Aside,
    force: bool,
    temporary: CString,
    /// Where in the home a file with several names is, by its number in the upper side.
    linked: HashMap<u64, Vec<u8>>,
    /// Directories in which something was changed.
    touched: BTreeSet<Vec<u8>>,
    outcome: Outcome,
}

impl Work<'_> {
    /// What is there comes first, what goes last: so nothing is lost that was only moved.
    fn all(&mut self, changes: &[&Change]) {
        let mut looks = Vec::new();
        for change in changes.iter().filter(|change| change.upper.is_some()) {
            if let Some((_, why)) = self.outcome.conflicts.iter().find(|(above, _)| is_at(&change.path, above)) {
                let why = *why;
                self.outcome.conflicts.push((change.path.clone(), why));
                continue;
            }
            let new = match &change.upper {
                Some(upper) if is_dir(upper) => {
                    looks.push(*change);
                    self.directory(change)
                }
                _ => self.file(change),
            };
            self.took(change, new);
        }
        for change in changes.iter().filter(|change| change.upper.is_none()) {
            let gone = self.remove(change);
            self.took(change, gone);
        }
        // From within: a time, or a lack of permissions, is the last that a directory gets.
        for change in looks.into_iter().rev() {
            if let Err(errno) = self.finish_directory(change) {
                self.outcome.failed.push((change.path.clone(), errno));
            }
        }
    }

    fn took(&mut self, change: &Change, result: Result<(), Left>) {
        let path = change.path.clone();
        match result {
            Ok(()) => self.outcome.applied.push(path),
            Err(Left::Conflict(why)) => self.outcome.conflicts.push((path, why)),
            Err(Left::Failed(errno)) => self.outcome.failed.push((path, errno)),
        }
    }

    /// The directory of the home that a path is in, without what a process left there that was killed.
    fn parent(&mut self, path: &[u8]) -> Result<(OwnedFd, CString), Left> {
        let (parent, name) = split(path);
        let dir = self.aside.lower_parent(parent)?;
        if self.touched.insert(parent.to_vec()) {
            remove_tree(&dir, &self.temporary, &mut |dir, name| unlinkat(dir, name, UnlinkatFlags::NoRemoveDir))?;
        }
        Ok((dir, name))
    }

    /// Whether a conflict is one that is not overcome.
    fn stops(&self, change: &Change) -> bool {
        change.conflict.is_some_and(|why| !self.force || why == OURS)
    }

    /// What is at a path now, if it may be replaced or was put out of the way. Directories in which things are made show through.
    fn cleared(&mut self, change: &Change, dir: &OwnedFd, name: &CStr) -> Result<Option<Status>, Left> {
        let now = match statx(dir, name) {
            Err(Errno::ENOENT) => None,
            now => Some(now?),
        };
        let looks = |status: &Option<Status>| status.as_ref().map(Looks::of);
        let same = match (&now, &change.lower) {
            (Some(now), Some(then)) if is_dir(now) && is_dir(then) => now.inode == then.inode,
            (now, then) => match (looks(now), looks(then)) {
                (Some(now), Some(then)) => then.is_unchanged(&now),
                (now, then) => now == then,
            },
        };
        match (change.conflict, &now) {
            (None, _) if !same => Err(Left::Conflict(RACED)),
            (None, _) => Ok(now),
            (Some(why), _) if self.stops(change) => Err(Left::Conflict(why)),
            (Some(_), None) => Ok(None),
            (Some(_), Some(_)) => {
                self.keep(change, dir, name)?;
                Ok(None)
            }
        }
    }

    /// Puts what the home has beside itself, under a name that nothing has.
    fn keep(&mut self, change: &Change, dir: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        for number in 1..1000 {
            let ending = if number == 1 { ".kept".to_owned() } else { format!(".kept-{number}") };
            let kept = CString::new([name.to_bytes(), ending.as_bytes()].concat()).map_err(|_| Errno::EINVAL)?;
            match renameat2(dir, name, dir, &*kept, RenameFlags::RENAME_NOREPLACE) {
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno),
                Ok(()) => {
                    let (parent, _) = split(&change.path);
                    let path = joined(parent, kept.to_bytes());
                    self.outcome.kept.push(self.aside.home.join(OsStr::from_bytes(&path)));
                    return Ok(());
                }
            }
        }
        Err(Errno::EEXIST)
    }

    fn directory(&mut self, change: &Change) -> Result<(), Left> {
        let (dir, name) = self.parent(&change.path)?;
        if change.is_frame || change.lower.as_ref().is_some_and(is_dir) {
            return match change.conflict.filter(|_| self.stops(change)) {
                Some(why) => Err(Left::Conflict(why)),
                None => Ok(()),
            };
        }
        if statx(&dir, &name).is_ok_and(|now| is_dir(&now)) && change.lower.is_none() && change.conflict.is_none() {
            return Ok(());
        }
        let in_the_way = self.cleared(change, &dir, &name)?;
        mkdirat(&dir, &*self.temporary, Mode::from_bits_truncate(0o700))?;
        if let Some(upper) = &change.upper {
            // Whoever is killed before it is finished leaves one that is as it is to be, but for what its owner could not do.
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let made = openat(&dir, &*self.temporary, flags, Mode::empty())?;
            own_group(&made, upper);
            fchmod(&made, Mode::from_bits_truncate(goal_mode(upper) | 0o700))?;
        }
        self.give_place(&dir, &name, in_the_way.as_ref())
    }

    /// Gives a directory its permissions; and its times, if it is new.
    fn finish_directory(&self, change: &Change) -> Result<(), Errno> {
        let Some(upper) = change.upper.as_ref().filter(|_| !change.is_frame) else { return Ok(()) };
        if !self.outcome.applied.contains(&change.path) {
            return Ok(());
        }
        let dir = self.aside.lower_dir(&change.path)?;
        own_group(&dir, upper);
        fchmod(&dir, Mode::from_bits_truncate(goal_mode(upper)))?;
        if !change.lower.as_ref().is_some_and(is_dir) {
            let (access, modified) = times(upper);
            nix::sys::stat::futimens(&dir, &access, &modified)?;
        }
        Ok(())
    }

    fn file(&mut self, change: &Change) -> Result<(), Left> {
        let Some(upper) = &change.upper else { return Ok(()) };
        let (dir, name) = self.parent(&change.path)?;
        let in_the_way = match change.conflict {
            Some(_) => None,
            None => self.cleared(change, &dir, &name)?,
        };
        if let (Some(why), true) = (change.conflict, self.stops(change)) {
            return Err(Left::Conflict(why));
        }
        // All of it is there before what is in the way is touched.
        self.make(change, upper, &dir)?;
        let in_the_way = match change.conflict {
            Some(_) => self.cleared(change, &dir, &name)?,
            None => in_the_way,
        };
        self.give_place(&dir, &name, in_the_way.as_ref())?;
        if upper.nlink > 1 {
            self.linked.insert(upper.inode, change.path.clone());
        }
        Ok(())
    }

    /// Makes a copy of what was set aside, under a name of its own.
    fn make(&mut self, change: &Change, upper: &Status, dir: &OwnedFd) -> Result<(), Left> {
        let temporary = self.temporary.clone();
        let (parent, name) = split(&change.path);
        if let Some(first) = self.linked.get(&upper.inode).filter(|_| upper.nlink > 1) {
            let (first, other) = split(first);
            let from = self.aside.lower_parent(first)?;
            return Ok(linkat(&from, &*other, dir, &*temporary, LinkatFlags::empty())?);
        }
        let private = Mode::from_bits_truncate(0o600);
        match kind(upper) {
            libc::S_IFREG => {
                let from = self.aside.content(&change.path)?;
                let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let to = File::from(openat(dir, &*temporary, flags, private)?);
                return fill(&from, &to, upper).map_err(|errno| {
                    let _ = unlinkat(dir, &*temporary, UnlinkatFlags::NoRemoveDir);
                    Left::Failed(errno)
                });
            }
            libc::S_IFLNK => {
                let above = self.aside.upper_dir(parent)?;
                let target = self.aside.upper.target(at(&above, &name), change.recorded)?;
                symlinkat(OsStr::from_bytes(&target), dir, &*temporary)?;
            }
            kind @ (libc::S_IFIFO | libc::S_IFSOCK) => {
                mknodat(dir, &*temporary, SFlag::from_bits_truncate(kind), private, 0)?;
                let mode = Mode::from_bits_truncate(goal_mode(upper));
                nix::sys::stat::fchmodat(dir, &*temporary, mode, nix::sys::stat::FchmodatFlags::FollowSymlink)?;
            }
            // Only root can make one.
            _ => return Err(Left::Failed(Errno::EPERM)),
        }
        let (access, modified) = times(upper);
        Ok(utimensat(dir, &*temporary, &access, &modified, UtimensatFlags::NoFollowSymlink)?)
    }

    /// Puts what has the temporary name in its place. A directory goes in one step too, with all that is in it.
    fn give_place(&self, dir: &OwnedFd, name: &CStr, in_the_way: Option<&Status>) -> Result<(), Left> {
        let temporary = &*self.temporary;
        let made_directory = statx(dir, temporary).is_ok_and(|made| is_dir(&made));
        match in_the_way {
            None => {
                renameat2(dir, temporary, dir, name, RenameFlags::RENAME_NOREPLACE).map_err(|errno| match errno {
                    Errno::EEXIST => Left::Conflict(RACED),
                    errno => Left::Failed(errno),
                })?
            }
            Some(there) if is_dir(there) || made_directory => {
                renameat2(dir, temporary, dir, name, RenameFlags::RENAME_EXCHANGE)?;
                remove_tree(dir, temporary, &mut |dir, name| unlinkat(dir, name, UnlinkatFlags::NoRemoveDir))?;
            }
            Some(_) => renameat(dir, temporary, dir, name)?,
        }
        // One of two names of a file that has both already stays where it was (rename(2)).
        match unlinkat(dir, temporary, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn remove(&mut self, change: &Change) -> Result<(), Left> {
        let (dir, name) = self.parent(&change.path)?;
        match self.cleared(change, &dir, &name)? {
            None => Ok(()),
            Some(there) => self.remove_checked(&dir, &name, &change.path, &there),
        }
    }

    /// Removes what is as it was when it was hidden, and nothing else.
    fn remove_checked(&self, dir: &OwnedFd, name: &CStr, path: &[u8], there: &Status) -> Result<(), Left> {
        if let Some(why) = self.aside.removal(path, there) {
            return Err(Left::Conflict(why));
        }
        if !is_dir(there) {
            return Ok(unlinkat(dir, name, UnlinkatFlags::NoRemoveDir)?);
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let inner = openat(dir, name, flags, Mode::empty())?;
        for child in names(&inner)? {
            let status = statx(&inner, &child)?;
            self.remove_checked(&inner, &child, &joined(path, child.to_bytes()), &status)?;
        }
        Ok(unlinkat(dir, name, UnlinkatFlags::RemoveDir)?)
    }

    /// Has the disk take all of it, before it is forgotten where it came from.
    fn sync(&mut self) {
        for path in std::mem::take(&mut self.touched) {
            let synced = self.aside.lower_parent(&path).and_then(nix::unistd::fsync);
            if let Err(errno) = synced.or_else(|errno| if errno == Errno::EINVAL { Ok(()) } else { Err(errno) }) {
                self.outcome.applied.retain(|applied| split(applied).0 != path);
                self.outcome.failed.push((path, errno));
            }
        }
    }
}
