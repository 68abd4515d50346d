//! `enter`: a shell in a container image within a blink, without a daemon and without root.
//!
//! `commands` is the way in. `tests/imports.rs` holds which module may know which.

// Modules land before those that call them; this line goes with the last of them.
#![allow(dead_code)]

mod cli;
mod commands;
mod completion;
mod failure;
mod manual;
mod nearest;
mod security;
mod settings;
mod template;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main(std::env::args_os().collect())
}
