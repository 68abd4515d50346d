//! What failed on the way to the payload: the operation, its subject and the kernel's reason.

use std::fmt::Display;
use std::io;

use nix::errno::Errno;
use plan::report::{self, Stage};

/// As many bytes of a subject are told.
const LONGEST_SUBJECT: usize = report::LIMIT / 8;

pub type Result<T> = std::result::Result<T, Failure>;

/// A failed operation.
#[derive(Debug)]
pub struct Failure {
    pub stage: Stage,
    pub doing: String,
    pub subject: String,
    pub errno: Errno,
}

impl Failure {
    /// One that is not the command's fault.
    pub fn setup(doing: &str, subject: &str, errno: Errno) -> Self {
        Self { stage: Stage::Setup, doing: doing.to_owned(), subject: subject.to_owned(), errno }
    }
}

impl From<Failure> for report::Failure {
    fn from(failure: Failure) -> Self {
        let Failure { stage, doing, mut subject, errno } = failure;
        // The whole is to fit into a message, also where every character of it is to be written as `\u001b`.
        if let Some(at) = (LONGEST_SUBJECT..subject.len()).find(|at| subject.is_char_boundary(*at)) {
            subject.truncate(at);
            subject.push('…');
        }
        Self { stage, doing, subject, errno: errno as i32 }
    }
}

/// Says what was being done when a call failed.
pub trait Doing<T> {
    /// Wraps the error with the operation and its subject.
    fn doing(self, doing: &str, subject: impl Display) -> Result<T>;
}

impl<T> Doing<T> for std::result::Result<T, Errno> {
    fn doing(self, doing: &str, subject: impl Display) -> Result<T> {
        self.map_err(|errno| Failure::setup(doing, &subject.to_string(), errno))
    }
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &str, subject: impl Display) -> Result<T> {
        self.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))).doing(doing, subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_about_a_long_name_fits_into_a_message() {
        for name in ["x".repeat(130_000), "\u{1b}".repeat(130_000), "ö".repeat(70_000)] {
            let failure = report::Failure::from(Failure::setup("run", &name, Errno::ENAMETOOLONG));
            let report = report::Report::Process { id: 1, event: report::Event::Failed(failure) };
            assert!(serde_json::to_vec(&report).unwrap().len() < report::LIMIT);
        }
    }
}
