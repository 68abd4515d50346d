//! Mount options, as mount helpers take them behind `-o`: those of fuse-overlayfs, and of FUSE filesystems at large.
//!
//! Text in, meaning out. What cannot be done is refused, and what is so anyway may be said.

mod words;

use std::path::PathBuf;
use std::time::Duration;

use nix::mount::MsFlags;

use crate::error::{Error, Result, shown};
use crate::owners::{Extent, Owners};
use words::{One, directories, path, split, wrong};

/// The options and what they do, for manuals.
pub const KNOWN: &[(&str, &str)] = &[
    (
        "lowerdir=DIR[:DIR]...",
        "The directories to merge, the topmost first. `\\:`, `\\,` and `\\\\` stand for these characters.",
    ),
    ("upperdir=DIR", "The directory that takes all changes. Without it nothing can be changed."),
    ("workdir=DIR", "An empty directory on the same filesystem as `upperdir`, and needed with it."),
    (
        "uidmapping=UID:SHOWN:COUNT[:...]",
        "COUNT users from UID on, as the directories have them, are shown as those from SHOWN on.",
    ),
    ("gidmapping=GID:SHOWN:COUNT[:...]", "The same of groups."),
    ("squash_to_root", "Everything belongs to 0:0."),
    ("squash_to_uid=UID", "Everything belongs to this user; stronger than `squash_to_root`."),
    ("squash_to_gid=GID", "The same of the group."),
    (
        "xattr_permissions=1|2",
        "Owners, permissions and devices are kept in the attribute `user.cowfs.stat` of the upper directory's files, which all belong to whoever mounts.",
    ),
    ("static_nlink", "Directories have a link count of 1."),
    ("volatile", "Nothing is ever synced, whoever asks for it: what a crash of the machine leaves is of no use."),
    ("fsync=0|1", "With 0, the same; 1 is the default."),
    ("writeback[=0|1]", "Small writes are collected by the kernel before they arrive. The default is 0."),
    (
        "metacopy=on|off",
        "Whether a change of attributes alone copies no content: with `xattr_permissions` it copies none, without it does.",
    ),
    ("redirect_dir=off", "A lower directory that is renamed is copied, with all that is in it. It is always so."),
    ("noacl", "No POSIX access control lists."),
    ("noxattrs=0|1", "With 1, no extended attributes; 0 is the default."),
    (
        "timeout=SECONDS",
        "How long the kernel may keep names and attributes. The default is for ever, as only the mount itself may change them.",
    ),
    ("threaded=1, fast_ino=0|1, lazytime", "As it is anyway."),
    (
        "ro, rw, suid, nosuid, dev, nodev, exec, noexec, atime, noatime, diratime, nodiratime, relatime, norelatime, sync, async, dirsync",
        "As in mount(8). The default is rw,suid,nodev,exec,noatime.",
    ),
    (
        "private, rprivate, slave, rslave, shared, rshared, unbindable, runbindable",
        "Where else what is mounted below it is seen, as in mount(8). The default is as above the mountpoint.",
    ),
    ("default_permissions", "The kernel checks permissions. It always does."),
    ("allow_other", "Other users may look at it, too: always so where the mount needs no help of fusermount3(1)."),
    ("context=LABEL", "The SELinux label of all files. Refused where the kernel has no SELinux."),
    (
        "fsname=NAME, subtype=NAME",
        "The source, and the type behind `fuse.`, that mount(8) tells. The default is cowfs.",
    ),
    ("debug", "The same as the flag -d."),
];

/// The names of all options.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    let each = KNOWN.iter().flat_map(|(names, _)| names.split(", "));
    each.map(|name| name.split(['=', '[']).next().unwrap_or(name))
}

/// What the options say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// The lower directories, the topmost first.
    pub lower: Vec<PathBuf>,
    /// The upper directory and the work directory.
    pub upper: Option<(PathBuf, PathBuf)>,
    /// How users are shown; none: as they are.
    pub uids: Vec<Extent>,
    /// How groups are shown; none: as they are.
    pub gids: Vec<Extent>,
    /// The one user to whom all belongs.
    pub squash_uid: Option<u32>,
    /// The one group to which all belongs.
    pub squash_gid: Option<u32>,
    /// Owners are recorded, and not the files' own.
    pub recorded: bool,
    /// Directories have a link count of 1.
    pub static_nlink: bool,
    /// Nothing is ever synced.
    pub volatile: bool,
    /// The kernel collects small writes.
    pub writeback: bool,
    /// No access control lists.
    pub no_acls: bool,
    /// No extended attributes.
    pub no_xattrs: bool,
    /// How long the kernel may keep what it was told, if not for ever.
    pub lifetime: Option<Duration>,
    /// How it is mounted.
    pub mount: Flags,
    /// Requests are shown.
    pub debug: bool,
}

/// What the kernel is told of a mount, whatever is mounted.
#[derive(Clone, Debug, PartialEq)]
pub struct Flags {
    /// Nothing can be changed.
    pub read_only: bool,
    /// Set-id bits do not count.
    pub no_suid: bool,
    /// Devices cannot be opened.
    pub no_dev: bool,
    /// Nothing can be executed.
    pub no_exec: bool,
    /// Reading leaves no trace.
    pub no_atime: bool,
    /// Listing leaves no trace.
    pub no_diratime: bool,
    /// Everything is written at once.
    pub sync: bool,
    /// So are directories.
    pub dirsync: bool,
    /// Whether mounts below it are seen elsewhere (mount_namespaces(7)); empty: as above its mountpoint.
    pub propagation: MsFlags,
    /// Users but the one who mounts may look at it.
    pub allow_other: bool,
    /// Whoever may look at it may read all of it, whatever modes and owners say.
    pub unchecked: bool,
    /// Its SELinux label.
    pub context: Option<String>,
    /// Its source.
    pub source: String,
    /// Its type, behind `fuse.`.
    pub subtype: String,
}

impl Default for Flags {
    fn default() -> Self {
        Flags {
            read_only: false,
            no_suid: false,
            no_dev: true,
            no_exec: false,
            no_atime: true,
            no_diratime: false,
            sync: false,
            dirsync: false,
            propagation: MsFlags::empty(),
            allow_other: false,
            unchecked: false,
            context: None,
            source: "cowfs".to_owned(),
            subtype: "cowfs".to_owned(),
        }
    }
}

impl Options {
    /// Reads what stands behind one or several `-o`.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] for what is unknown, malformed, or not to be had together.
    pub fn parse(texts: &[Vec<u8>]) -> Result<Options> {
        let mut options = Options::default();
        let (mut upper, mut work) = (None, None);
        let mut metacopy = None;
        for option in texts.iter().flat_map(|text| split(text, b',')).filter(|option| !option.is_empty()) {
            let at = option.iter().position(|&b| b == b'=');
            let (name, value) = at.map_or((&option[..], None), |at| (&option[..at], Some(&option[at + 1..])));
            let option = One { name, value };
            match (name, value) {
                (b"lowerdir", Some(value)) => {
                    let wrong = || option.wrong("a directory between colons is missing; there are none for data alone");
                    options.lower = directories(value).ok_or_else(wrong)?;
                }
                (b"upperdir", Some(value)) => upper = Some(path(value)),
                (b"workdir", Some(value)) => work = Some(path(value)),
                (b"metacopy", Some(value)) => metacopy = Some(option.choice(value, &[b"off", b"on"])? == 1),
                _ if options.says(&option)? || options.mount.says(&option)? => {}
                _ if names().any(|known| known.as_bytes() == name) => {
                    return Err(option.wrong(if value.is_some() { "it takes no value" } else { "it needs a value" }));
                }
                _ => return Err(Error::UnknownOption { option: shown(name) }),
            }
        }
        let whole = |name: &'static str, reason: &str| Err(wrong(name.to_owned(), reason));
        if options.lower.is_empty() {
            return whole("lowerdir", "it is missing");
        }
        options.upper = match (upper, work) {
            (Some(upper), Some(work)) => Some((upper, work)),
            (None, None) => None,
            (Some(_), None) => return whole("workdir", "upperdir needs it"),
            (None, Some(_)) => return whole("upperdir", "workdir is of no use without it"),
        };
        options.mount.read_only |= options.upper.is_none();
        if metacopy.is_some_and(|metacopy| metacopy != options.recorded) {
            return whole("metacopy", "it is on with xattr_permissions, and off without");
        }
        Ok(options)
    }

    /// What the directories' owners are shown as.
    pub fn owners(&self) -> Owners {
        Owners::of(&self.uids, self.squash_uid, &self.gids, self.squash_gid)
    }

    /// Takes an option of this filesystem's own; `false` for another.
    fn says(&mut self, option: &One<'_>) -> Result<bool> {
        let switch = |value| option.choice(value, &[b"0", b"1"]).map(|choice| choice == 1);
        match (option.name, option.value) {
            (b"uidmapping", Some(value)) => self.uids = option.extents(value)?,
            (b"gidmapping", Some(value)) => self.gids = option.extents(value)?,
            (b"squash_to_root", None) => {
                self.squash_uid.get_or_insert(0);
                self.squash_gid.get_or_insert(0);
            }
            (b"squash_to_uid", Some(value)) => self.squash_uid = Some(option.id(value)?),
            (b"squash_to_gid", Some(value)) => self.squash_gid = Some(option.id(value)?),
            (b"xattr_permissions", Some(value)) => {
                self.recorded = option.choice(value, &[b"0", b"1", b"2"])? > 0;
            }
            (b"static_nlink", None) => self.static_nlink = true,
            (b"volatile", None) => self.volatile = true,
            (b"fsync", Some(value)) => self.volatile |= !switch(value)?,
            (b"writeback", None) => self.writeback = true,
            (b"writeback", Some(value)) => self.writeback = switch(value)?,
            (b"redirect_dir", Some(value)) => drop(option.choice(value, &[b"off", b"nofollow"])?),
            (b"noacl", None) => self.no_acls = true,
            (b"noxattrs", Some(value)) => self.no_xattrs = switch(value)?,
            (b"timeout", Some(value)) => self.lifetime = Some(option.seconds(value)?),
            (b"threaded", Some(value)) => drop(option.choice(value, &[b"1"])?),
            (b"fast_ino", Some(value)) => drop(switch(value)?),
            (b"debug", None) => self.debug = true,
            (b"plugins", _) => return Err(option.wrong("there are no plugins")),
            (b"max_threads" | b"max_idle_threads" | b"clone_fd", _) => {
                return Err(option.wrong("threads are started as requests wait for a disk, at most 16"));
            }
            (b"auto_unmount", _) => return Err(option.wrong("it is unmounted by SIGTERM, and by SIGINT")),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl Flags {
    /// Takes an option that any mount may have; `false` for another.
    fn says(&mut self, option: &One<'_>) -> Result<bool> {
        let text = |value: &[u8]| match String::from_utf8(value.to_vec()) {
            Ok(text) if !text.is_empty() && !text.contains('\0') => Ok(text),
            _ => Err(option.wrong("it needs a name")),
        };
        let recursive = |name: &[u8], kind| if name.starts_with(b"r") { kind | MsFlags::MS_REC } else { kind };
        match (option.name, option.value) {
            (name @ (b"private" | b"rprivate"), None) => self.propagation = recursive(name, MsFlags::MS_PRIVATE),
            (name @ (b"slave" | b"rslave"), None) => self.propagation = recursive(name, MsFlags::MS_SLAVE),
            (name @ (b"shared" | b"rshared"), None) => self.propagation = recursive(name, MsFlags::MS_SHARED),
            (name @ (b"unbindable" | b"runbindable"), None) => {
                self.propagation = recursive(name, MsFlags::MS_UNBINDABLE);
            }
            (b"ro", None) => self.read_only = true,
            (b"rw", None) => self.read_only = false,
            (b"suid", None) => self.no_suid = false,
            (b"nosuid", None) => self.no_suid = true,
            (b"dev", None) => self.no_dev = false,
            (b"nodev", None) => self.no_dev = true,
            (b"exec", None) => self.no_exec = false,
            (b"noexec", None) => self.no_exec = true,
            (b"atime" | b"relatime" | b"norelatime", None) => self.no_atime = false,
            (b"noatime", None) => self.no_atime = true,
            (b"diratime", None) => self.no_diratime = false,
            (b"nodiratime", None) => self.no_diratime = true,
            (b"sync", None) => self.sync = true,
            (b"async", None) => self.sync = false,
            (b"dirsync", None) => self.dirsync = true,
            (b"allow_other", None) => self.allow_other = true,
            (b"allow_root", _) => return Err(option.wrong("it is allow_other, or nobody else")),
            (b"context", Some(value)) => self.context = Some(text(value)?),
            (b"fsname", Some(value)) => self.source = text(value)?,
            (b"subtype", Some(value)) => self.subtype = text(value)?,
            (b"default_permissions" | b"lazytime" | b"defaults", None) => {}
            _ => return Ok(false),
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
