//! What can go wrong here, in words that name the operation and its subject.

use std::io;
use std::path::PathBuf;

/// The result of an operation of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes that should be a tar are none.
    #[error("not a tar archive: {reason} at byte {offset}")]
    NotTar {
        /// Where the header that makes no sense begins.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The tar ends in the middle of something.
    #[error("truncated tar archive: it ends at byte {offset}, inside {inside}")]
    Truncated {
        /// How many bytes there were.
        offset: u64,
        /// What was being read.
        inside: String,
    },
    /// An entry of the tar contradicts itself or the format.
    #[error("tar entry `{path}`: {reason}")]
    Entry {
        /// The entry's name, escaped.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Something is larger than we accept.
    #[error("tar entry `{path}`: {what} exceeds the limit of {limit}")]
    Limit {
        /// The entry's name, escaped.
        path: String,
        /// What is too large, with its unit.
        what: &'static str,
        /// The most that is accepted.
        limit: u64,
    },
    /// The layers cannot be laid over each other.
    #[error("cannot merge layer {layer}: `{path}`: {reason}")]
    Merge {
        /// The layer, counted from 1 at the bottom.
        layer: usize,
        /// The entry's name, escaped.
        path: String,
        /// What stands in the way.
        reason: String,
    },
    /// The bytes are not an index or a tree that this version wrote.
    #[error("{what} is damaged: {reason}")]
    Damaged {
        /// `layer index` or `tree`, with its path where one is known.
        what: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The bytes are of a format that this version does not read.
    #[error("{what} has format version {found}, and this program reads version {known}")]
    Version {
        /// `layer index` or `tree`.
        what: &'static str,
        /// The version found.
        found: u32,
        /// The version that this program writes and reads.
        known: u32,
    },
    /// A file could not be opened or read.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was tried: `open`, `read`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The source of a tar failed.
    #[error("cannot read the tar archive")]
    Read(#[source] io::Error),
    /// FUSE is not to be had.
    #[error("cannot {action}")]
    Fuse {
        /// What was tried.
        action: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A mount option does not exist.
    #[error("there is no mount option `{option}`")]
    UnknownOption {
        /// Its name, escaped.
        option: String,
    },
    /// A mount option cannot be followed.
    #[error("mount option `{option}`: {reason}")]
    Option {
        /// The option, with its value, escaped.
        option: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A path inside the image is not what was asked for.
    #[error("`{path}` in the image: {reason}")]
    Inside {
        /// The path, escaped.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What is too large where an image has more files than there is memory for.
pub(crate) const MEMORY: &str = "bytes of memory for the list of files";

impl Error {
    /// Whether there is more in a layer or an image than its list of files may take of the memory.
    pub fn is_too_many_files(&self) -> bool {
        matches!(self, Error::Limit { what, .. } if *what == MEMORY)
    }

    /// Whether a layer is longer than it may be.
    pub fn is_too_long(&self) -> bool {
        matches!(self, Error::Limit { what, .. } if *what == crate::layer::TAR_BYTES)
    }

    /// What the user can do about it, if anything.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Damaged { .. } | Error::Version { .. } => Some("remove the image and pull it again".to_owned()),
            Error::Fuse { action, source } => fuse_hint(action.starts_with("open"), source),
            Error::UnknownOption { .. } => {
                let names: Vec<&str> = crate::options::names().collect();
                Some(format!("there are {}", names.join(", ")))
            }
            Error::Truncated { .. } => Some("pull the image again; if that does not help, tell who made it".to_owned()),
            Error::NotTar { .. } | Error::Entry { .. } | Error::Limit { .. } | Error::Merge { .. } => {
                Some("the layer is damaged, or of a kind that is not accepted: tell who made the image".to_owned())
            }
            _ => None,
        }
    }

    /// The same error about an entry, with the entry's name.
    pub(crate) fn about(self, name: &[u8]) -> Self {
        match self {
            Error::Entry { path, reason } => {
                let part = if path.is_empty() || path == shown(name) { String::new() } else { format!("{path}: ") };
                Error::Entry { path: shown(name), reason: part + &reason }
            }
            Error::Limit { what, limit, .. } => Error::Limit { path: shown(name), what, limit },
            other => other,
        }
    }

    /// The same damage, with the file that it was found in.
    pub(crate) fn in_file(self, path: &std::path::Path) -> Self {
        match self {
            Error::Damaged { what, reason } => Error::Damaged { what: format!("{what} {}", path.display()), reason },
            other => other,
        }
    }
}

fn fuse_hint(opening: bool, error: &io::Error) -> Option<String> {
    let hint = match (opening, error.raw_os_error()?) {
        (true, libc::ENOENT | libc::ENODEV | libc::ENXIO) => "load the kernel's FUSE module: sudo modprobe fuse",
        (true, libc::EACCES | libc::EPERM) => {
            "let users open the device: sudo chmod 0666 /dev/fuse; to keep it so, put \
             KERNEL==\"fuse\", MODE=\"0666\" into /etc/udev/rules.d/99-fuse.rules"
        }
        (false, libc::ENODEV) => "load the kernel's FUSE module: sudo modprobe fuse",
        (false, libc::EPERM | libc::EACCES) => {
            "something forbids mounting in a user namespace: a container around this one, AppArmor \
             (sysctl kernel.apparmor_restrict_unprivileged_userns), SELinux or a seccomp filter"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// The system's error number; what has none is a failure of the device.
pub(crate) fn errno(error: &io::Error) -> nix::errno::Errno {
    error.raw_os_error().map_or(nix::errno::Errno::EIO, nix::errno::Errno::from_raw)
}

/// A name from a hostile source, fit for a message: escaped, and not endless.
pub(crate) fn shown(path: &[u8]) -> String {
    const LONGEST: usize = 120;
    let text = String::from_utf8_lossy(path);
    let mut out: String = text.escape_debug().take(LONGEST).collect();
    if out.chars().count() == LONGEST {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_machine_lacks_is_named() {
        let hint = |action: &str, errno| {
            let source = io::Error::from_raw_os_error(errno);
            Error::Fuse { action: action.to_owned(), source }.hint().unwrap_or_default()
        };
        assert!(hint("open /dev/fuse", libc::ENOENT).contains("sudo modprobe fuse"));
        assert!(hint("open /dev/fuse", libc::EACCES).contains("sudo chmod 0666 /dev/fuse"));
        assert!(hint("mount a FUSE filesystem at /x", libc::EPERM).contains("user namespace"));
        assert_eq!(hint("mount a FUSE filesystem at /x", libc::ENOMEM), "");
    }

    #[test]
    fn names_in_messages_are_escaped_and_short() {
        assert_eq!(shown(b"a\x1b[31m\n"), "a\\u{1b}[31m\\n");
        assert!(shown(&[b'x'; 5000]).chars().count() < 130);
    }
}
