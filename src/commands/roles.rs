//! What the program is when it has started itself: told by the first argument, before any of the user's is read.

use std::ffi::OsString;
use std::process::ExitCode;

/// A part that `enter` plays for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {}

/// The role that `args` ask for, if any; `args` begins with the program's name.
pub fn of(_args: &[OsString]) -> Option<Role> {
    None
}

impl Role {
    /// Plays the role to its end.
    pub fn play(self, _args: Vec<OsString>) -> ExitCode {
        match self {}
    }
}
