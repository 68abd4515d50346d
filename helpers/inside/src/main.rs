//! The `enter` that is typed inside a container: it asks the one outside over a socket, and shows what that one says.
//!
//! It decides nothing: what may be done is decided outside. It is static and small, and shown read-only as `/run/enter/enter`; the user's own
//! `enter` is never seen inside. See `plan::outward` for what is said.
//!
//! Beside that it has two servers of its own, which `enter ssh-proxy` runs in a box: files for sftp, and connections to the box's ports.

mod ask;
mod connect;
mod sftp;
mod show;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let _name = arguments.next();
    let verb = arguments.next().unwrap_or_default();
    // What `enter ssh-proxy` runs here itself.
    match verb.to_str() {
        Some("__sftp") => return served(sftp::serve(std::io::stdin().lock(), std::io::stdout().lock())),
        Some("__connect") => {
            let words: Vec<String> = arguments.map(|word| word.to_string_lossy().into_owned()).collect();
            return connect::connect(&words);
        }
        _ => {}
    }
    ask::ask(&verb, arguments.collect())
}

fn served(done: std::io::Result<()>) -> ExitCode {
    // A client that has gone is the usual end.
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
