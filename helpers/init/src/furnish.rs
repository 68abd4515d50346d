//! Walks the plan's steps: mounts, binds, writes, hides.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::{Gid, Uid, fchownat};
use plan::{Copied, Entry, Filesystem, Plan, Restrictions, Step};
use sys::mount::Attributes;

use crate::failure::{Doing, Result};
use crate::give::Whose;
use crate::place::Places;
use crate::{fill, give, programs, show};

/// The group that terminals belong to, in every distribution.
const TTY: u32 = 5;

/// Takes every step of the plan, in order, below `root`. The host's root is still this process's own.
///
/// `binds`: a detached mount for each bind among the steps, in their order.
pub fn walk(plan: &Plan, root: &OwnedFd, binds: Vec<OwnedFd>) -> Result<()> {
    // The plan says what permissions a file gets; nobody's umask has a say.
    nix::sys::stat::umask(Mode::empty());
    let null = open("/dev/null", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).doing("open", "/dev/null")?;
    let mut walk = Walk { plan, places: Places { root, owner: owner(plan, 0, 0) }, null, binds: binds.into_iter() };
    plan.steps.iter().try_for_each(|step| walk.take(step))
}

/// Writes a file of the container's root anew, which by now is this process's own root.
pub fn rewrite(plan: &Plan, target: &Path, content: &[u8]) -> Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let root = open("/", flags, Mode::empty()).doing("open", "/")?;
    let places = Places { root: &root, owner: owner(plan, 0, 0) };
    let mut file = File::from(places.new_file(target, Mode::from_bits_truncate(0o644))?);
    file.write_all(content).doing("write", target.display())
}

/// A user and group of the container, as the outer user namespace numbers them.
fn owner(plan: &Plan, uid: u32, gid: u32) -> (Uid, Gid) {
    (Uid::from_raw(plan.users.outer_uid(uid)), Gid::from_raw(plan.users.outer_gid(gid)))
}

fn attributes(restrictions: Restrictions) -> Attributes {
    let Restrictions { read_only, no_suid, no_dev, no_exec } = restrictions;
    Attributes { read_only, no_suid, no_dev, no_exec }
}

struct Walk<'a> {
    plan: &'a Plan,
    places: Places<'a>,
    /// The host's `/dev/null`, opened before anything of the image's could stand in its place.
    null: OwnedFd,
    /// What is to be bound next.
    binds: std::vec::IntoIter<OwnedFd>,
}

impl Walk<'_> {
    fn take(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Mount { target, filesystem, restrictions, optional } => {
                match self.mount(target.as_path(), filesystem, attributes(*restrictions)) {
                    Err(_) if *optional => Ok(()),
                    done => done,
                }
            }
            Step::Bind { target, recursive, restrictions, .. } => {
                self.bind(target.as_path(), *recursive, attributes(*restrictions))
            }
            Step::Offer { target, recursive, restrictions, .. } => {
                self.offer(target.as_path(), *recursive, attributes(*restrictions))
            }
            Step::Fill { volume, data, from, copy, owner: (uid, gid), owned, given } => {
                let new = fill::New {
                    volume: volume.as_path(),
                    data: data.as_path(),
                    from: copy.then(|| from.as_path()),
                    owner: owner(self.plan, *uid, *gid),
                    owned: owned.then_some((*uid, *gid)),
                    given: given.then(|| self.whose(*uid, *gid)),
                    remembers: self.plan.users.inner.kind == uidmap::Kind::Single,
                };
                fill::fill(self.places.root, &new)
            }
            Step::Give { source, owner: (uid, gid) } => give::give(source.as_path(), &self.whose(*uid, *gid)),
            Step::Show { source, subpath, target, restrictions } => {
                let (target, attributes) = (target.as_path(), attributes(*restrictions));
                show::show(&self.places, (source, subpath.as_path()), target, attributes)
            }
            Step::View { source, subpath, number, target, restrictions } => {
                let (target, attributes) = (target.as_path(), attributes(*restrictions));
                show::view(&self.places, (source, subpath.as_path()), *number, target, attributes)
            }
            Step::Private { target, unbindable } => {
                let Some(found) = self.places.find(target.as_path())? else { return Ok(()) };
                let done = match unbindable {
                    true => sys::mount::make_unbindable(found.as_fd(), true),
                    false => sys::mount::make_private(found.as_fd(), true),
                };
                done.doing("keep later mounts from", target.as_path().display())
            }
            Step::Link { target, points_to } => self.places.link(target.as_path(), points_to.as_path()),
            Step::Write { target, content, mode } => self.write(target.as_path(), content.as_bytes(), *mode),
            Step::Cover { target, make, .. } if !make && self.places.find(target.as_path())?.is_none() => Ok(()),
            Step::Cover { target, content, mode, number, .. } => {
                let file = show::Covering { content: content.as_bytes(), mode: *mode, number: *number };
                show::cover(&self.places, &file, target.as_path())
            }
            Step::Directory { target, mode, owner: (uid, gid) } => {
                let mode = Mode::from_bits_truncate(*mode);
                self.places.directory(target.as_path(), mode, owner(self.plan, *uid, *gid)).map(drop)
            }
            Step::Programs { target, names, group } => {
                let (uid, gid) = owner(self.plan, 0, *group);
                programs::show(&self.places, target.as_path(), names, (uid, gid))
            }
            Step::Mask { target } => self.mask(target.as_path()),
            Step::ReadOnly { target } => self.read_only(target.as_path()),
        }
    }

    /// Somebody of the container, to whom a file of the host is given.
    fn whose(&self, uid: u32, gid: u32) -> Whose {
        match self.plan.users.inner.kind {
            uidmap::Kind::Single => Whose::Remembered(uid, gid),
            uidmap::Kind::Ranges => {
                let (uid, gid) = owner(self.plan, uid, gid);
                Whose::Real(uid, gid)
            }
        }
    }

    fn mount(&self, target: &Path, filesystem: &Filesystem, attributes: Attributes) -> Result<()> {
        let mut options: Vec<(&CStr, Option<String>)> = Vec::new();
        let kind = match filesystem {
            Filesystem::Proc => c"proc",
            Filesystem::Sysfs => c"sysfs",
            Filesystem::Cgroup2 => c"cgroup2",
            Filesystem::Mqueue => c"mqueue",
            Filesystem::Devpts => self.terminals(&mut options, None, None, None, None),
            Filesystem::Terminals { uid, gid, mode, most } => self.terminals(&mut options, *uid, *gid, *mode, *most),
            Filesystem::Tmpfs { mode, size, inodes, owner: (uid, gid), .. } => {
                let (uid, gid) = owner(self.plan, *uid, *gid);
                options.push((c"mode", Some(format!("{mode:o}"))));
                options.push((c"uid", Some(uid.to_string())));
                options.push((c"gid", Some(gid.to_string())));
                options.extend(size.map(|size| (c"size", Some(size.to_string()))));
                options.extend(inodes.map(|inodes| (c"nr_inodes", Some(inodes.to_string()))));
                c"tmpfs"
            }
        };
        let doing = format!("mount {} at", kind.to_string_lossy());
        // Numbers and words of ours: none has a zero byte in it.
        let texts: Vec<(&CStr, Option<CString>)> = options
            .into_iter()
            .map(|(key, value)| (key, value.map(|value| CString::new(value).unwrap_or_default())))
            .collect();
        let options: Vec<(&CStr, Option<&CStr>)> = texts.iter().map(|(key, value)| (*key, value.as_deref())).collect();
        let copies = matches!(filesystem, Filesystem::Tmpfs { copy: Copied::Files | Copied::All, .. });
        // What is to be copied into it is so before it can only be read.
        let first = if copies { Attributes { read_only: false, ..attributes } } else { attributes };
        let mount = sys::mount::new_filesystem(kind, &options, first).doing(&doing, target.display())?;
        if matches!(filesystem, Filesystem::Devpts | Filesystem::Terminals { .. } | Filesystem::Mqueue) {
            // These take no owner as an option, and would show their top as the user's.
            let (uid, gid) = self.places.owner;
            let given = fchownat(&mount, c"", Some(uid), Some(gid), AtFlags::AT_EMPTY_PATH);
            given.doing("give away", target.display())?;
        }
        let place = self.places.own_directory(target)?;
        if let Filesystem::Tmpfs { copy: copy @ (Copied::Files | Copied::All), .. } = filesystem {
            let remembers = self.plan.users.inner.kind == uidmap::Kind::Single;
            let copied = fill::copy(&place, &mount, *copy == Copied::All, remembers);
            copied.doing("take the image's files over into the memory at", target.display())?;
            if attributes.read_only {
                let sealed = sys::mount::set_attributes(mount.as_fd(), attributes, false);
                sealed.doing("restrict what is mounted at", target.display())?;
            }
        }
        sys::mount::attach(mount.as_fd(), place.as_fd()).doing(&doing, target.display())
    }

    /// The options of pseudo-terminals.
    fn terminals(
        &self,
        options: &mut Vec<(&CStr, Option<String>)>,
        uid: Option<u32>,
        gid: Option<u32>,
        mode: Option<u32>,
        most: Option<u32>,
    ) -> &'static CStr {
        options.push((c"ptmxmode", Some("0666".into())));
        options.push((c"mode", Some(format!("{:04o}", mode.unwrap_or(0o620)))));
        options.extend(uid.map(|uid| (c"uid", Some(self.plan.users.outer_uid(uid).to_string()))));
        options.push((c"gid", Some(self.plan.users.outer_gid(gid.unwrap_or(TTY)).to_string())));
        options.extend(most.map(|most| (c"max", Some(most.to_string()))));
        options.push((c"newinstance", None));
        c"devpts"
    }

    /// The mount was made by the filesystem server, before it mounted anything of its own that would now be part of it.
    fn bind(&mut self, target: &Path, recursive: bool, attributes: Attributes) -> Result<()> {
        let mount = self.binds.next().ok_or(Errno::EBADF).doing("bind at", target.display())?;
        let status = fstat(&mount).doing("examine what is to be bound at", target.display())?;
        let kind = if status.st_mode & libc::S_IFMT == libc::S_IFDIR { Entry::Directory } else { Entry::File };
        let place = self.places.mount_point(target, kind)?;
        if attributes != Attributes::default() {
            let done = sys::mount::set_attributes(mount.as_fd(), attributes, recursive);
            done.doing("restrict what is bound at", target.display())?;
        }
        sys::mount::attach(mount.as_fd(), place.as_fd()).doing("bind at", target.display())
    }

    /// The same for what is not needed: `/dev/null` is handed over in the place of what is gone. What a root has in its place is left alone.
    fn offer(&mut self, target: &Path, recursive: bool, attributes: Attributes) -> Result<()> {
        let next = self.binds.as_slice().first().map(fstat).and_then(std::result::Result::ok);
        let gone = fstat(&self.null).doing("examine", "/dev/null")?;
        let is_gone = next.is_none_or(|next| (next.st_dev, next.st_ino) == (gone.st_dev, gone.st_ino));
        if is_gone {
            drop(self.binds.next());
            return Ok(());
        }
        let _ = self.bind(target, recursive, attributes);
        Ok(())
    }

    /// Mounts what is at `origin` onto `place`, which may be the same.
    fn cover(&self, origin: &OwnedFd, place: &OwnedFd, attributes: Attributes) -> std::result::Result<(), Errno> {
        let mount = sys::mount::clone_tree(origin.as_fd(), true)?;
        sys::mount::set_attributes(mount.as_fd(), attributes, true)?;
        sys::mount::attach(mount.as_fd(), place.as_fd())
    }

    fn write(&self, target: &Path, content: &[u8], mode: u32) -> Result<()> {
        let mode = Mode::from_bits_truncate(mode);
        let mut file = File::from(self.places.new_file(target, mode)?);
        file.write_all(content).doing("write", target.display())?;
        fchmod(&file, mode).doing("set the permissions of", target.display())
    }

    fn mask(&self, target: &Path) -> Result<()> {
        let Some(found) = self.places.find(target)? else { return Ok(()) };
        let status = fstat(&found).doing("examine", target.display())?;
        if status.st_mode & libc::S_IFMT != libc::S_IFDIR {
            let sealed = Attributes { read_only: true, no_suid: true, no_exec: true, no_dev: false };
            return self.cover(&self.null, &found, sealed).doing("mask", target.display());
        }
        let sealed = Attributes { read_only: true, no_suid: true, no_dev: true, no_exec: true };
        let empty = sys::mount::new_filesystem(c"tmpfs", &[(c"mode", Some(c"0555")), (c"size", Some(c"4k"))], sealed);
        let empty = empty.doing("mask", target.display())?;
        sys::mount::attach(empty.as_fd(), found.as_fd()).doing("mask", target.display())
    }

    fn read_only(&self, target: &Path) -> Result<()> {
        let Some(found) = self.places.find(target)? else { return Ok(()) };
        let attributes = Attributes { read_only: true, ..Attributes::default() };
        self.cover(&found, &found, attributes).doing("forbid writing to", target.display())
    }
}
