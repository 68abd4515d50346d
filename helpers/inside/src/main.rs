//! The `enter` that is typed inside a container: it asks the one outside over a socket, and shows what that one says.
//!
//! It decides nothing: what may be done is decided outside. It is static and small, and shown read-only as `/run/enter/enter`; the user's own
//! `enter` is never seen inside. See `plan::outward` for what is said.

mod ask;
mod show;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let _name = arguments.next();
    let verb = arguments.next().unwrap_or_default();
    ask::ask(&verb, arguments.collect())
}
