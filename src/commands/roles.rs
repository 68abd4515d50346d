//! What the program is asked by its own parts, not by a user: told by the first argument, before clap reads any.

use std::ffi::OsString;
use std::process::ExitCode;

use enter::container::monitor;
use enter::network::holder;

use super::{ahead, back, completion, manual, outward};
use crate::failure::Failure;
use crate::ui::Ui;

/// A part that `enter` plays for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `enter __complete SHELL …`: called by the scripts in `completions/`.
    Complete,
    /// `enter __monitor …`: the process beside each container.
    Monitor,
    /// `enter __network …`: the process that holds the user's own networks.
    Network,
    /// `enter __relay …`: the process that plugs a container into one of them which was started without.
    Relay,
    /// `enter __outward …`: the process that hears somebody in a container who asks for something outside.
    Outward,
    /// `enter __fill DIR`: the process that fetches an image while containers run from it.
    Fill,
    /// `enter __clear`: the process that removes what is kept of throwaway shells no longer.
    Clear,
    /// `enter __manual DIR`: called by those who build the program.
    Manual,
}

/// The role that `args` ask for, if any; `args` begins with the program's name.
pub fn of(args: &[OsString]) -> Option<Role> {
    match args.get(1)?.to_str()? {
        "__complete" => Some(Role::Complete),
        back::ROLE => Some(Role::Clear),
        ahead::ROLE => Some(Role::Fill),
        "__manual" => Some(Role::Manual),
        monitor::ROLE => Some(Role::Monitor),
        monitor::OUTWARD_ROLE => Some(Role::Outward),
        holder::ROLE => Some(Role::Network),
        holder::RELAY => Some(Role::Relay),
        _ => None,
    }
}

impl Role {
    /// Plays the role to its end; `arguments` are those after the role's name.
    pub fn play(self, ui: &Ui, arguments: &[OsString]) -> Result<ExitCode, Failure> {
        match self {
            Self::Complete => completion::answer(ui, arguments),
            Self::Clear => back::play(),
            Self::Fill => ahead::play(ui, arguments),
            Self::Manual => manual::write(arguments),
            Self::Monitor => Ok(monitor::main(arguments)),
            Self::Outward => Ok(outward::play(arguments)),
            Self::Network => Ok(holder::main(arguments)),
            Self::Relay => Ok(holder::relay(arguments)),
        }
    }
}
