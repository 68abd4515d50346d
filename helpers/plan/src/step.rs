//! The steps that init takes to furnish the root. Every target is resolved inside the root, by descriptor.

use serde::{Deserialize, Serialize};

use crate::{Content, Text};

/// One thing that init does to the new root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Step {
    /// Mounts a new filesystem.
    Mount {
        /// Where; made if it is missing.
        target: Text,
        /// What.
        filesystem: Filesystem,
        /// With what restrictions.
        #[serde(default)]
        restrictions: Restrictions,
        /// Goes on without it where the kernel refuses.
        #[serde(default)]
        optional: bool,
    },
    /// Makes a file or directory of the host appear in the root.
    Bind {
        /// Its path on the host.
        source: Text,
        /// Where; made if it is missing, as a file or a directory like the source.
        target: Text,
        /// With all mounts below it.
        recursive: bool,
        /// With what restrictions; they hold for the mounts below as well.
        #[serde(default)]
        restrictions: Restrictions,
    },
    /// Makes a file or directory of the host appear in the root, as [`Step::Bind`] does, if it is still there and can be shown: all goes on
    /// without it.
    Offer {
        /// Its path on the host.
        source: Text,
        /// Where; made if it is missing, as a file or a directory like the source.
        target: Text,
        /// With all mounts below it.
        recursive: bool,
        /// With what restrictions; they hold for the mounts below as well.
        #[serde(default)]
        restrictions: Restrictions,
    },
    /// Takes what the root has in a directory over into a new and empty volume: all files, and the looks of the directory itself. A
    /// volume that has something in it stays as it is.
    Fill {
        /// The volume's folder, which says whether it is new.
        volume: Text,
        /// Where its files are.
        data: Text,
        /// The directory of the root.
        from: Text,
        /// Whether files are taken over.
        copy: bool,
        /// Whose it is where the root has no such directory, in the container's ids: user and group.
        owner: (u32, u32),
        /// Whether it is that owner's whatever is there.
        #[serde(default)]
        owned: bool,
        /// Whether all that is taken over is that owner's, too.
        #[serde(default)]
        given: bool,
    },
    /// Gives a directory or file of the host to somebody of the container, with everything in it.
    Give {
        /// Its path on the host.
        source: Text,
        /// Who is to own it, in the container's ids: user and group.
        owner: (u32, u32),
    },
    /// Makes the files of a volume, or of an image that is mounted in the container's folder, appear in the root. What is mounted on those
    /// does not come along.
    Show {
        /// Whose files.
        source: Shown,
        /// What of it: a path below its top; empty for all.
        subpath: Text,
        /// Where; made if it is missing, as a file or a directory like the source.
        target: Text,
        /// With what restrictions.
        #[serde(default)]
        restrictions: Restrictions,
    },
    /// Makes a directory of the host, or of an image, appear in the root; what is written there goes elsewhere, and is thrown away.
    View {
        /// Whose files.
        source: Shown,
        /// What of it: a path below its top; empty for all.
        subpath: Text,
        /// Names its folder among those of all views.
        number: u32,
        /// Where; made if it is missing.
        target: Text,
        /// With what restrictions.
        #[serde(default)]
        restrictions: Restrictions,
    },
    /// Keeps what is mounted on the host later from showing in what was bound at a place, and below.
    Private {
        /// Where.
        target: Text,
        /// Whether it is kept from being mounted once more elsewhere, too.
        #[serde(default)]
        unbindable: bool,
    },
    /// Makes a symbolic link, in place of whatever file is there.
    Link {
        /// The link's own path.
        target: Text,
        /// What it says.
        points_to: Text,
    },
    /// Writes a file that belongs to the container's root, in place of whatever file or link is there.
    Write {
        /// The file's path.
        target: Text,
        /// All that it holds.
        content: Content,
        /// Its permission bits.
        mode: u32,
    },
    /// Shows a file of the container's own in a place where what is mounted has one, or can have an empty one; what is mounted there is not
    /// written to otherwise.
    Cover {
        /// The file's path.
        target: Text,
        /// All that it holds at first.
        content: Content,
        /// Its permission bits.
        mode: u32,
        /// Names it among those of the container.
        number: u32,
        /// Whether an empty one is made to mount it on.
        make: bool,
    },
    /// Shows a directory in memory, which cannot be written to, with init's own program under some names. Whoever may run it may take on
    /// any user and group of the container.
    Programs {
        /// The directory's path.
        target: Text,
        /// The names.
        names: Vec<Text>,
        /// Who may run it, beside root: a group, in the container's ids.
        group: u32,
    },
    /// Makes a directory, with those above it, where there is none.
    Directory {
        /// The directory's path.
        target: Text,
        /// Its permission bits.
        mode: u32,
        /// Who owns it, in the container's ids: user and group.
        owner: (u32, u32),
    },
    /// Hides what is there: a file behind `/dev/null`, a directory behind an empty one. Nothing there: nothing to hide.
    Mask {
        /// The file or directory.
        target: Text,
    },
    /// Forbids writing to what is there and to all below it. Nothing there: nothing to forbid.
    ReadOnly {
        /// The file or directory.
        target: Text,
    },
}

/// Whose files are shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Shown {
    /// Those of a directory of the host, by its path.
    Directory(Text),
    /// Those of an image of the plan, by its number among them.
    Image(u32),
}

/// A filesystem to be mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Filesystem {
    /// The processes of the container.
    Proc,
    /// Devices and drivers, as far as the network namespace shows them.
    Sysfs,
    /// The control groups, from the container's own on.
    Cgroup2,
    /// POSIX message queues.
    Mqueue,
    /// Pseudo-terminals of the container's own, belonging to group 5 (`tty`).
    Devpts,
    /// Files in memory, belonging to the container's root.
    Tmpfs {
        /// Permission bits of its root.
        mode: u32,
        /// At most so many bytes; half of the memory where not given.
        size: Option<u64>,
        /// At most so many files.
        #[serde(default)]
        inodes: Option<u64>,
        /// Whose its root is, in the container's ids: user and group.
        #[serde(default)]
        owner: (u32, u32),
        /// Whether what is in the place is taken over.
        #[serde(default)]
        copy: Copied,
    },
    /// Pseudo-terminals that were asked for otherwise than they are in every container.
    Terminals {
        /// Whose they are, in the container's ids; whoever makes one where not given.
        uid: Option<u32>,
        /// Which group's; 5 (`tty`) where not given.
        gid: Option<u32>,
        /// The permission bits of each; 0620 where not given.
        mode: Option<u32>,
        /// At most so many.
        most: Option<u32>,
    },
}

/// What a filesystem in memory takes over of what it hides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Copied {
    /// Nothing: it begins empty.
    #[default]
    Nothing,
    /// All that is in it.
    Files,
    /// That, and the directory's own owner and permissions.
    All,
}

impl Filesystem {
    /// Empty files in memory of the container's root.
    #[must_use]
    pub const fn memory(mode: u32, size: Option<u64>) -> Self {
        Self::Tmpfs { mode, size, inodes: None, owner: (0, 0), copy: Copied::Nothing }
    }
}

/// What is not to be done through a mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(clippy::struct_excessive_bools, reason = "the kernel's four independent mount flags")]
pub struct Restrictions {
    /// Writing.
    pub read_only: bool,
    /// Set-user-ID and file capabilities taking effect.
    pub no_suid: bool,
    /// Opening devices.
    pub no_dev: bool,
    /// Running programs.
    pub no_exec: bool,
}

/// A file's or directory's kind, for what is made to mount on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}
