//! Why a container could not be made, started or cleared away.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// What went wrong with a container.
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
    /// The monitor did not come to life.
    #[error("cannot start the container's monitor")]
    Monitor(#[source] io::Error),
    /// The monitor or one of its helpers failed, and said why.
    #[error(transparent)]
    Told(#[from] Told),
    /// The monitor ended without a word, as after SIGKILL.
    #[error("the container's monitor was killed, and the container with it")]
    MonitorGone,
    /// Nothing answers to a name or id.
    #[error("no such container: {0}")]
    NoSuchContainer(String),
    /// Several ids begin so.
    #[error("`{prefix}` is the beginning of several containers' ids: {}", ids.join(", "))]
    Ambiguous {
        /// What was typed.
        prefix: String,
        /// Some of them, short.
        ids: Vec<String>,
    },
    /// Names are unique.
    #[error("the name `{name}` is already in use by the container {id}")]
    NameInUse {
        /// The name.
        name: String,
        /// Who has it, short.
        id: String,
    },
    /// A name that could not be told from an id or a path, or printed.
    #[error("`{0}` cannot be a container's name")]
    BadName(String),
    /// It must run for this.
    #[error("container {0} is not running")]
    NotRunning(String),
    /// Another command is at work on it.
    #[error("container {0} is being changed by another command")]
    Busy(String),
    /// Something that a plan needs cannot be had.
    #[error("cannot {doing}: {reason}")]
    Plan {
        /// What was being decided.
        doing: String,
        /// Why it cannot be.
        reason: String,
        /// What the user can do.
        hint: Option<String>,
    },
}

/// A failure as it travels from the monitor to the command line: message, causes, hint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Told {
    /// What failed.
    pub message: String,
    /// Why.
    #[source]
    pub cause: Option<Box<Told>>,
    /// What the user can do.
    pub hint: Option<String>,
}

/// What [`Told::loss`] begins with.
const LOSS: &str = "files of the image that have not come cannot be read";

impl Told {
    /// An error with all its causes.
    pub fn by(error: &dyn std::error::Error, hint: Option<String>) -> Self {
        let cause = error.source().map(|source| Box::new(Self::by(source, None)));
        Self { message: error.to_string(), cause, hint }
    }

    /// The message and its causes in one line.
    pub fn line(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{}: {}", self.message, cause.line()),
            None => self.message.clone(),
        }
    }

    /// A message without cause or hint.
    pub fn plain(message: impl Into<String>) -> Self {
        Self { message: message.into(), cause: None, hint: None }
    }

    /// Files of an image that is not all here cannot be read, for this reason.
    pub fn loss(reason: &str, image: &str) -> Self {
        let hint = Some(format!("fetch the rest: enter pull {image}"));
        Self { message: LOSS.to_owned(), cause: Some(Box::new(Self::plain(reason))), hint }
    }

    /// Whether it is [`Told::loss`].
    pub fn is_loss(&self) -> bool {
        self.message == LOSS
    }

    /// An operation that the kernel refused.
    pub fn refused(message: impl Into<String>, errno: nix::errno::Errno, hint: Option<String>) -> Self {
        let cause = Self { message: errno.desc().to_lowercase(), cause: None, hint: None };
        Self { message: message.into(), cause: Some(Box::new(cause)), hint }
    }
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
                    Some("free some space, for instance with `enter rmi`; nothing was lost".into())
                }
                io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Some(format!(
                    "make {} writable, or set XDG_DATA_HOME to a directory that is",
                    path.parent().unwrap_or(path).display()
                )),
                _ => None,
            },
            Self::Told(told) => told.hint.clone(),
            Self::MonitorGone => Some("what it left is cleared by the next command".into()),
            Self::Plan { hint, .. } => hint.clone(),
            Self::NoSuchContainer(_) => Some("see which there are with `enter ps -a`".into()),
            Self::Ambiguous { .. } => Some("type more of the id".into()),
            Self::NameInUse { name, .. } => {
                Some(format!("remove that one with `enter rm {name}`, rename it, or choose another name"))
            }
            Self::BadName(_) => {
                Some("a name begins with a letter or digit, and goes on with letters, digits, `_`, `.` and `-`".into())
            }
            Self::NotRunning(name) => Some(format!("start it with `enter start {name}`")),
            Self::Busy(_) => Some("try again when that is done".into()),
            Self::Monitor(_) => None,
        }
    }
}
