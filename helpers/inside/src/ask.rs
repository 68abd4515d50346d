//! Asks, and shows the answer.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use nix::errno::Errno;
use plan::outward::{FOLDER, LIMIT, Reply, Request, SOCKET, VERSION, line};

use crate::show::{self, FAILED};

/// What is asked, as far as it is the same for all.
pub fn request(verb: &OsStr, arguments: Vec<OsString>) -> Request {
    Request {
        version: VERSION,
        // No verb has anything else in it.
        verb: verb.to_string_lossy().into_owned(),
        arguments: arguments.into_iter().map(Into::into).collect(),
        directory: usual(std::env::current_dir().unwrap_or_default()).into(),
        ..Request::default()
    }
}

/// A path of the home by the name that the home has outside, too: an image may have a link on the way to it.
pub fn usual(path: PathBuf) -> PathBuf {
    let Some(home) = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute()) else { return path };
    match home.canonicalize().ok().as_deref().and_then(|real| path.strip_prefix(real).ok()) {
        Some(below) if below.as_os_str().is_empty() => home,
        Some(below) => home.join(below),
        None => path,
    }
}

/// Connects to the one outside.
pub fn connect() -> Result<OwnedFd, ExitCode> {
    let name = Path::new(SOCKET).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    sys::door::knock(Path::new(FOLDER), name).map_err(|errno| {
        let reasons = ["cannot reach the `enter` outside".into(), errno.desc().to_lowercase()];
        let hint = match errno {
            Errno::ENOENT => "this is no shell or box of enter's, or it was made without its socket",
            _ => "leave all shells of this box, and enter it again",
        };
        show::failure(&reasons, Some(hint), FAILED)
    })
}

/// Sends a line; one that is too long is told from an end.
pub fn say(socket: &OwnedFd, line: &[u8], descriptors: &[std::os::fd::BorrowedFd<'_>]) -> Result<(), ExitCode> {
    let sent =
        if line.len() > LIMIT { Err(Errno::EMSGSIZE) } else { sys::socket::send_with(socket, line, descriptors) };
    sent.map_err(|errno| {
        let hint = (errno == Errno::EMSGSIZE).then_some("the arguments are too long altogether: 192 KiB is the limit");
        let reasons = ["cannot ask the `enter` outside".into(), errno.desc().to_lowercase()];
        show::failure(&reasons, hint, FAILED)
    })
}

/// Hears one answer; `None` where the other side has closed without one.
pub fn hear(socket: &OwnedFd) -> Option<Reply> {
    let mut buffer = vec![0; LIMIT];
    let (length, _) = sys::socket::receive(socket, &mut buffer).ok()?;
    Reply::parse(&buffer[..length]).ok()
}

/// Asks for something that has one answer.
pub fn ask(verb: &OsStr, arguments: Vec<OsString>) -> ExitCode {
    let socket = match connect() {
        Ok(socket) => socket,
        Err(code) => return code,
    };
    if let Err(code) = say(&socket, &line(&request(verb, arguments)), &[]) {
        return code;
    }
    loop {
        match hear(&socket) {
            Some(Reply::Done(text)) => {
                show::data(&text);
                return ExitCode::SUCCESS;
            }
            Some(reply) => match end(&reply) {
                Some(code) => return code,
                None => continue,
            },
            None => return gone(),
        }
    }
}

/// What an answer ends with.
pub fn end(reply: &Reply) -> Option<ExitCode> {
    match reply {
        Reply::Refused { reasons, hint, code } => Some(show::failure(reasons, hint.as_deref(), *code)),
        reply => reply.code().map(ExitCode::from),
    }
}

/// Nobody answers any more.
pub fn gone() -> ExitCode {
    let hint = "the box may be about to end, or too many ask at once; try again";
    show::failure(&["the `enter` outside ended without an answer".into()], Some(hint), FAILED)
}
