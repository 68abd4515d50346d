//! `sudo`, `sudoedit` and `su`, as which this program lies in shells and boxes: whoever may run it becomes whom he asks to be, without a
//! password, as it is his own container.
//!
//! It has the two capabilities that it takes as attributes of its file, or is taken for root's where users are only pretended; nothing in
//! the image is marked in any way. What it knows of users is in the root's own files. The real programs' words and exit codes, as far as
//! scripts see them; a real sudo, where the image has one, is left alone.

mod accounts;
mod run;
mod su;
mod words;

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use run::Refusal;

/// What `--version` says, as scripts look for the number.
const VERSION: &str = concat!("enter ", env!("CARGO_PKG_VERSION"));

/// Does what was asked for, if this program was called by one of these names; then it does not return, but for an answer or a failure.
pub fn called() -> Option<ExitCode> {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let name = Path::new(&name).file_name().and_then(OsStr::to_str)?.to_owned();
    let arguments: Vec<OsString> = arguments.collect();
    let done = match name.as_str() {
        "sudo" => words::read(arguments).and_then(sudo),
        "sudoedit" => words::read([OsString::from("-e")].into_iter().chain(arguments).collect()).and_then(sudo),
        "su" => su::read(arguments).and_then(|asked| su::run(&asked)),
        _ => return None,
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refusal { code, message }) => {
            let mut line = name.trim_start_matches('-').as_bytes().to_vec();
            line.extend_from_slice(b": ");
            line.extend_from_slice(message.as_bytes());
            line.push(b'\n');
            let _ = std::io::stderr().write_all(&line);
            ExitCode::from(code)
        }
    })
}

/// Prints an answer.
fn answer(text: &str) -> Result<(), Refusal> {
    std::io::stdout().write_all(text.as_bytes()).map_err(|error| Refusal::new(format!("cannot write: {error}")))
}

fn sudo(asked: words::Asked) -> Result<(), Refusal> {
    match &asked.what {
        words::What::Version => answer(&format!("Sudo version 1.9 ({VERSION})\n")),
        words::What::Help => answer(words::HELP),
        // There is no password, and so none to be remembered or forgotten.
        words::What::Nothing => Ok(()),
        words::What::List => {
            let host = nix::unistd::gethostname().unwrap_or_default();
            let name = accounts::Accounts::read().of(nix::unistd::getuid().as_raw()).name;
            answer(&format!(
                "User {name} may run the following commands on {}:\n    (ALL : ALL) NOPASSWD: ALL\n",
                host.to_string_lossy()
            ))
        }
        words::What::Run | words::What::Login | words::What::Shell | words::What::Edit => run::sudo(asked),
    }
}

/// A word for a shell, as the real sudo writes it: before whatever is no letter, digit, underscore, dash or dollar is a backslash.
fn quoted(word: &OsStr) -> Vec<u8> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-$".contains(byte);
    word.as_bytes().iter().flat_map(|byte| if plain(byte) { vec![*byte] } else { vec![b'\\', *byte] }).collect()
}
