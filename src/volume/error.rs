//! Why a volume could not be made, found or removed.

use std::io;
use std::path::PathBuf;

/// What went wrong with a volume.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation on the host.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// The operation.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Nothing has this name.
    #[error("no such volume: {0}")]
    NoSuchVolume(String),
    /// Several names begin so.
    #[error("`{prefix}` is the beginning of several volumes' names: {}", names.join(", "))]
    Ambiguous {
        /// What was typed.
        prefix: String,
        /// Some of them.
        names: Vec<String>,
    },
    /// Names are unique.
    #[error("there is a volume {0} already")]
    Exists(String),
    /// What cannot be a folder's name.
    #[error("`{0}` cannot be a volume's name")]
    BadName(String),
    /// A container mounts it.
    #[error("volume {name} is used by {}", containers.join(", "))]
    InUse {
        /// The volume.
        name: String,
        /// The containers, by their names.
        containers: Vec<String>,
    },
    /// An option of `volume create` that cannot be had.
    #[error("cannot make a volume with the option {option}: {reason}")]
    Option {
        /// As it was typed.
        option: String,
        /// Why not.
        reason: String,
        /// What to do instead.
        hint: String,
    },
}

impl Error {
    /// A file operation that failed.
    pub fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::File { path, source, .. } => match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Some("free some space, for instance with `enter volume prune` or `enter rmi`".into())
                }
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Some(format!(
                    "make {} writable, or set XDG_DATA_HOME to a directory that is",
                    path.parent().unwrap_or(path).display()
                )),
                _ => None,
            },
            Self::NoSuchVolume(_) => Some("see which there are with `enter volume ls`".into()),
            Self::Ambiguous { .. } => Some("type more of the name".into()),
            Self::Exists(name) => {
                Some(format!("use it as it is, with --ignore, or remove it first: enter volume rm {name}"))
            }
            Self::BadName(_) => Some(
                "a name begins with a letter or digit, and goes on with letters, digits, `_`, `.` and `-`; a folder here is ./NAME"
                    .into(),
            ),
            Self::InUse { containers, name } => Some(format!(
                "remove what uses it first, with `enter rm {}`, or both with `enter volume rm --force {name}`",
                containers.join(" ")
            )),
            Self::Option { hint, .. } => Some(hint.clone()),
        }
    }
}
