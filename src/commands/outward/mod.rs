//! Outside, for somebody inside: hears one request of a program in a shell or box, and does what it asks for, as far as that is allowed.
//!
//! A process of its own for each, which the monitor starts (`container::monitor::outlet`) in the user's name, with all that `enter` can. Whoever asks
//! is a stranger: what he says is read with limits of size and time, his user id is the kernel's word, and no path that he names is followed
//! here. What the box may is what its record says at this moment.
//!
//! A verb is a line in [`VERBS`] and a file beside this one.

mod host_exec;
mod keep;
mod open;
mod running;
mod status;
mod surroundings;

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use enter::container::record::Record;
use enter::container::{Container, Containers};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use plan::Plan;
use plan::outward::{LIMIT, Nonsense, Reply, Request, line};

use crate::failure::Failure;

/// What can be asked for. One who is not the user himself may ask for what is said to be for all.
const VERBS: &[Verb] = &[
    Verb { name: "", usage: "", about: "where you are, and what is allowed", for_all: true, run: status::tell },
    Verb {
        name: "host-exec",
        usage: "PROGRAM [ARGUMENTS]",
        about: "run a program of this machine, outside",
        for_all: false,
        run: host_exec::run,
    },
    Verb {
        name: "open",
        usage: "ADDRESS|FILE",
        about: "open it outside, as xdg-open does",
        for_all: false,
        run: open::run,
    },
    Verb {
        name: "keep",
        usage: "[BOX]",
        about: "make a box of this shell, which would be thrown away",
        for_all: false,
        run: keep::run,
    },
    Verb { name: "help", usage: "", about: "this list", for_all: true, run: help },
];

/// Something that can be asked for.
struct Verb {
    /// The word after `enter`.
    name: &'static str,
    /// The words after that.
    usage: &'static str,
    /// What it does.
    about: &'static str,
    /// Whether anybody inside may ask for it, such as root.
    for_all: bool,
    /// Does it. What it returns is what the program inside shows and ends with.
    run: fn(Call<'_>) -> Result<Reply, Failure>,
}

/// So long the request may take to come.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process of this machine by which somebody is inside, and his first process there.
pub type Inside = (i32, i32);

/// Who asks, and for what.
pub struct Call<'a> {
    /// What is asked for.
    pub request: Request,
    /// What came with it.
    pub streams: Vec<OwnedFd>,
    /// The container.
    pub container: Container,
    /// Everything of ours that it belongs to.
    pub containers: Containers,
    /// The connection to who asks.
    pub socket: &'a OwnedFd,
    /// Who it is, as this machine counts.
    pub uid: u32,
    /// Which process it is, as this machine counts; 0 where it cannot be told.
    pub pid: i32,
    /// By which processes of this machine somebody is inside, each with his first process there, the latest last.
    pub inside: Vec<Inside>,
}

impl Call<'_> {
    /// The plan that the container runs by.
    pub fn plan(&self) -> Option<Plan> {
        super::containers::plan(&self.container)
    }
}

/// Hears one who asks, to the end.
pub fn play(arguments: &[OsString]) -> ExitCode {
    let Some((socket, folder, inside)) = handed(arguments) else { return ExitCode::FAILURE };
    let reply = answer(&socket, &folder, inside).unwrap_or_else(|failure| refusal(&failure));
    // One who is gone needs no answer.
    let _ = sys::socket::send(&socket, &line(&reply), None);
    ExitCode::SUCCESS
}

/// What the monitor hands over.
fn handed(arguments: &[OsString]) -> Option<(OwnedFd, PathBuf, Vec<Inside>)> {
    let (socket, rest) = arguments.split_first()?;
    let (folder, inside) = rest.split_first()?;
    let socket = sys::descriptor::adopt(socket.to_str()?.parse().ok()?).ok()?;
    sys::descriptor::close_on_exec_from(3).ok()?;
    // The monitor ignores some.
    sys::process::reset_signals().ok()?;
    // Instead of `exe`, which ps(1) would show.
    let _ = nix::sys::prctl::set_name(c"enter-outward");
    let pair = |word: &OsString| {
        let (client, process) = word.to_str()?.split_once(':')?;
        Some((client.parse().ok()?, process.parse().ok()?))
    };
    Some((socket, folder.into(), inside.iter().filter_map(pair).collect()))
}

fn answer(socket: &OwnedFd, folder: &Path, inside: Vec<Inside>) -> Result<Reply, Failure> {
    let (request, streams) = hear(socket)?;
    let peer = getsockopt(socket, PeerCredentials).map_err(|errno| cannot("tell who asks").because(errno))?;
    let verb = VERBS.iter().find(|verb| verb.name == request.verb).ok_or_else(|| unknown(&request.verb))?;
    if !verb.for_all && peer.uid() != nix::unistd::getuid().as_raw() {
        return Err(Failure::new(format!(
            "`enter {}` is for the user of this machine whose container this is",
            verb.name
        ))
        .with_hint("ask for it as yourself, and not as root or another user of the container"));
    }
    let (container, containers) = find(folder)?;
    (verb.run)(Call { request, streams, container, containers, socket, uid: peer.uid(), pid: peer.pid(), inside })
}

/// Waits for the request.
fn hear(socket: &OwnedFd) -> Result<(Request, Vec<OwnedFd>), Failure> {
    let nothing = || cannot("understand what is asked for").because("nothing came in time");
    let patience = PollTimeout::try_from(PATIENCE.as_millis()).unwrap_or(PollTimeout::MAX);
    let mut source = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
    if poll(&mut source, patience).map_err(|_| nothing())? == 0 {
        return Err(nothing());
    }
    let mut buffer = vec![0; LIMIT];
    let (length, streams) = sys::socket::receive_with(socket, &mut buffer)
        .map_err(|errno| cannot("understand what is asked for").because(errno))?;
    let request = Request::parse(&buffer[..length]).map_err(|nonsense| {
        let failure = cannot("understand what is asked for").because(nonsense);
        match nonsense {
            Nonsense::Version(_) => failure.with_hint("leave all shells of this box, and enter it again"),
            Nonsense::Form => failure,
        }
    })?;
    if streams.len() != request.descriptors() {
        return Err(cannot("understand what is asked for").because("it comes with other streams than it says"));
    }
    Ok((request, streams))
}

fn cannot(what: &str) -> Failure {
    Failure::new(format!("cannot {what}"))
}

fn unknown(verb: &str) -> Failure {
    let verb: String = verb.chars().take(40).collect();
    Failure::new(format!("there is no `enter {verb}` inside"))
        .with_hint("`enter help` lists what there is; everything else is typed outside")
}

/// The container, as it is now.
fn find(folder: &Path) -> Result<(Container, Containers), Failure> {
    let gone = || Failure::new("this container is none any more");
    let record = Record::read(folder)?.ok_or_else(gone)?;
    let root = folder.parent().and_then(Path::parent).ok_or_else(gone)?;
    let containers = Containers::below(root);
    Ok((containers.find(&record.id)?, containers))
}

/// A failure, for who asked.
pub fn refusal(failure: &Failure) -> Reply {
    Reply::Refused { reasons: failure.chain(), hint: failure.hint().map(ToOwned::to_owned), code: failure.code() }
}

fn help(_: Call<'_>) -> Result<Reply, Failure> {
    use std::fmt::Write;
    let mut text = String::from("inside a shell or box of enter's:\n\n");
    for verb in VERBS {
        let words = [verb.name, verb.usage].join(" ");
        let _ = writeln!(text, "  enter {:<32} {}", words.trim_end(), verb.about);
    }
    Ok(Reply::Done(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_monitor_hands_over_is_read() {
        let handed = |words: &[&str]| handed(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert!(handed(&["1", "/folder"]).is_none() && handed(&[]).is_none() && handed(&["x", "/folder"]).is_none());
    }

    #[test]
    fn each_verb_is_there_once_and_is_one_word() {
        for (at, verb) in VERBS.iter().enumerate() {
            assert!(VERBS[..at].iter().all(|other| other.name != verb.name), "{}", verb.name);
            assert!(verb.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        }
    }
}
