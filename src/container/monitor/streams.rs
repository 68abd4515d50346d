//! The payload's standard streams: made before it starts, and the monitor's ends of them.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;
use plan::{Process, Stream};

/// What the payload gets as its standard streams, before its terminal takes the place of some.
#[derive(Debug)]
pub struct Given {
    /// By number; `None`: what this process has under that number.
    pub streams: [Option<OwnedFd>; 3],
}

/// The monitor's ends of the streams that it passes on.
#[derive(Debug, Default)]
pub struct Kept {
    /// To write what the client types.
    pub input: Option<OwnedFd>,
    /// To read what the payload writes to standard output.
    pub output: Option<OwnedFd>,
    /// To read what it writes to standard error.
    pub error: Option<OwnedFd>,
}

/// Makes a pipe for each stream that is to be passed on.
pub fn make(process: &Process) -> Result<(Given, Kept), Errno> {
    let mut given = [None, None, None];
    let mut kept = Kept::default();
    for (number, stream) in process.streams.iter().enumerate() {
        if *stream != Stream::Relay {
            continue;
        }
        let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
        let (theirs, ours) = if number == 0 { (read, write) } else { (write, read) };
        fcntl(&ours, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        given[number] = Some(theirs);
        match number {
            0 => kept.input = Some(ours),
            1 => kept.output = Some(ours),
            _ => kept.error = Some(ours),
        }
    }
    Ok((Given { streams: given }, kept))
}
