//! The `enter` that is typed inside a container: it asks the one outside over a socket, and shows what that one says.
//!
//! It decides nothing: what may be done is decided outside. It is static and small, and shown read-only as `/run/enter/enter`; the user's own
//! `enter` is never seen inside. See `plan::outward` for what is said.
//!
//! Beside that it has two servers of its own, which `enter ssh-proxy` runs in a box: files for sftp, and connections to the box's ports.

mod ask;
mod connect;
mod exec;
mod open;
mod sftp;
mod show;
mod streams;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use plan::outward::{CLIENT, NAMES};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let name = Path::new(&name).file_name().unwrap_or_default().to_owned();
    let mut arguments: Vec<OsString> = arguments.collect();
    if name != CLIENT && !NAMES.iter().any(|known| name == *known) {
        // A link to it by any other name is the program of that name outside: `ln -s /run/enter/enter ~/bin/podman`.
        arguments.insert(0, name);
        return exec::exec(arguments);
    }
    if name != CLIENT {
        return open::open(&name, arguments);
    }
    if arguments.is_empty() {
        return ask::ask(OsStr::new(""), arguments);
    }
    let verb = arguments.remove(0);
    // What `enter ssh-proxy` runs here itself.
    match verb.to_str() {
        Some("__sftp") => return served(sftp::serve(std::io::stdin().lock(), std::io::stdout().lock())),
        Some("__connect") => {
            let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            return connect::connect(&words);
        }
        _ => {}
    }
    match verb.to_str() {
        Some(exec::VERB) => exec::exec(arguments),
        Some("open") => open::open(OsStr::new("enter open"), arguments),
        _ => ask::ask(&verb, arguments),
    }
}

fn served(done: std::io::Result<()>) -> ExitCode {
    // A client that has gone is the usual end.
    if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
