//! `enter`: a shell in a container image within a blink, without a daemon and without root.
//!
//! This file only chooses the way in: a role that the program plays for itself (the monitor of a container), or the
//! command line of a user. Everything else is in the modules; `tests/imports.rs` holds which of them may know which.

// Modules land before those that call them; this line goes with the last of them.
#![allow(dead_code)]

mod cli;
mod commands;
mod failure;
mod nearest;
mod settings;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    match commands::roles::of(&args) {
        Some(role) => role.play(args),
        None => commands::main(args),
    }
}
