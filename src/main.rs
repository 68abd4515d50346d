//! `enter`: a shell in a container image within a blink, without a daemon and without root.
//!
//! `commands` is the way in. `tests/imports.rs` holds which module may know which.

mod cli;
mod commands;
mod completion;
mod failure;
mod manual;
mod nearest;
mod project;
mod settings;
mod template;
mod ui;

use std::process::ExitCode;

fn main() -> ExitCode {
    commands::main(std::env::args_os().collect())
}
