//! Why a container could not be put on its networks: a failure as it travels from the holder to whoever asked.

use nix::errno::Errno;
use serde::{Deserialize, Serialize};

/// What failed, why, and what the user can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    message: String,
    #[source]
    cause: Option<Box<Error>>,
    hint: Option<String>,
}

impl Error {
    /// What failed, and nothing else that is known of it.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), cause: None, hint: None }
    }

    /// What failed because of something else.
    pub(crate) fn by(message: impl Into<String>, error: &dyn std::error::Error) -> Self {
        Self { message: message.into(), cause: Some(Box::new(Self::of(error))), hint: None }
    }

    /// What the kernel refused.
    pub(crate) fn refused(message: impl Into<String>, errno: Errno) -> Self {
        let cause = Self::new(errno.desc().to_lowercase());
        Self { message: message.into(), cause: Some(Box::new(cause)), hint: None }
    }

    /// Another error, with all that caused it.
    pub(crate) fn of(error: &dyn std::error::Error) -> Self {
        let cause = error.source().map(|source| Box::new(Self::of(source)));
        Self { message: error.to_string(), cause, hint: None }
    }

    /// The same, with what the user can do.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }

    /// What the user can do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        self.hint.clone()
    }

    /// The message and its causes in one line.
    #[must_use]
    pub fn line(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{}: {}", self.message, cause.line()),
            None => self.message.clone(),
        }
    }
}
