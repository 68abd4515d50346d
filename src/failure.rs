//! The one error that a command returns: what failed, why, what to do about it, and the exit code.
//!
//! Modules have error types of their own, with `#[source]` and `hint()`; they become a [`Failure`] at the border of
//! `commands`, by `?`. Nothing is printed here: `ui` prints a failure, once, at the very end.

use std::error::Error;

/// `enter` itself failed (docker's and podman's 125).
pub const ENTER_FAILED: u8 = 125;
/// The command exists but cannot be run (POSIX shells' 126).
pub const CANNOT_RUN: u8 = 126;
/// The command was not found (POSIX shells' 127).
pub const NOT_FOUND: u8 = 127;
/// A docker verb failed on what it was asked for: docker's 1.
pub const VERB_FAILED: u8 = 1;

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub struct Failure {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    hint: Option<String>,
    code: u8,
}

impl Failure {
    /// A failure with exit code 125. `message` names the operation and its subject, lower case, without a full stop.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None, hint: None, code: ENTER_FAILED }
    }

    /// A module's error as it is, with its causes and its hint.
    pub fn from_error(error: impl Error + Send + Sync + 'static, hint: Option<String>) -> Self {
        Self { message: String::new(), source: Some(Box::new(error)), hint, code: ENTER_FAILED }
    }

    /// The same failure with `cause` below it.
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// The same failure with something that the user can do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same failure with another exit code than 125.
    pub fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// What the process ends with.
    pub fn code(&self) -> u8 {
        self.code
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The message, then its causes, outermost first. A cause that only repeats what stands above it is left out, since
    /// some libraries put their source's text into their own.
    pub fn chain(&self) -> Vec<String> {
        let mut chain = Vec::new();
        if !self.message.is_empty() {
            chain.push(self.message.clone());
        }
        let mut next = self.source.as_deref().map(|source| source as &dyn Error);
        while let Some(error) = next {
            let text = error.to_string();
            if !chain.last().is_some_and(|above: &String| above.ends_with(&text)) {
                chain.push(text);
            }
            next = error.source();
        }
        chain
    }
}

/// Makes `?` turn a module's error into a [`Failure`] with its hint.
macro_rules! failure_from {
    ($($error:ty),+ $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                let hint = error.hint();
                Self::from_error(error, hint)
            }
        })+
    };
}

failure_from!(
    cowfs::Error,
    crate::settings::Error,
    crate::template::Error,
    enter::container::Error,
    enter::container::logs::Error,
    enter::image::Error,
    enter::network::Error,
    enter::network::publish::Error,
    enter::registry::Error,
    enter::store::Error,
    enter::volume::Error,
    uidmap::Error,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the door")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn the_chain_is_message_then_causes() {
        let failure = Failure::new("cannot go in")
            .because(Outer(std::io::Error::other("no key")))
            .with_hint("knock")
            .with_code(1);
        assert_eq!(failure.chain(), ["cannot go in", "cannot open the door", "no key"]);
        assert_eq!((failure.hint(), failure.code()), (Some("knock"), 1));
    }

    #[test]
    fn a_cause_that_repeats_its_parent_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read: {0}")]
        struct Repeats(#[source] std::io::Error);
        let failure = Failure::from_error(Repeats(std::io::Error::other("gone")), None);
        assert_eq!(failure.chain(), ["cannot read: gone"]);
    }
}
