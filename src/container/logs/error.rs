//! Why a log cannot be configured, written or read.

use std::io;
use std::path::PathBuf;

/// What went wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option that cannot be had, or a value that is none for it.
    #[error("invalid value `{value}` for `--log-opt`: {reason}")]
    Option {
        /// As it was typed.
        value: String,
        /// What is wrong with it.
        reason: String,
        /// What the user can do.
        hint: Option<String>,
    },
    /// A file operation.
    #[error("cannot {doing} the log {}", path.display())]
    File {
        /// The operation.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// There is no journal to log to.
    #[error("cannot log to systemd's journal at {}", path.display())]
    NoJournal {
        /// Where it would listen.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The journal cannot be read.
    #[error("cannot read systemd's journal by journalctl: {0}")]
    Journal(String),
    /// The driver is `none`.
    #[error("configured logging driver does not support reading")]
    Unreadable,
}

impl Error {
    /// A file operation that failed.
    pub(in crate::container) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Option { hint, .. } => {
                hint.clone().or_else(|| Some("for instance: --log-opt max-size=10m --log-opt max-file=3".into()))
            }
            Self::NoJournal { .. } => Some("use `--log-driver k8s-file` where systemd-journald does not run".into()),
            Self::Unreadable => Some(
                "the container was made with `--log-driver none`, which keeps nothing; see it live with `enter attach`"
                    .into(),
            ),
            Self::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => Some("free some space".into()),
            Self::File { .. } | Self::Journal(_) => None,
        }
    }
}
