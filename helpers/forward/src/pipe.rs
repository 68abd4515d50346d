//! One direction of a connection: from a socket through a pipe to another, by splice(2).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, SpliceFFlags, splice};
use nix::sys::socket::{Shutdown, shutdown};
use nix::unistd::pipe2;
use std::os::fd::AsRawFd;

/// The most that one splice(2) is asked for: more than a pipe takes.
///
/// A pipe stays as large as the kernel makes it. Its 16 places hold up to 32 KiB each of what a socket gives, half a megabyte, and that is
/// still in the processor's cache when it is passed on; one of 256 places was no quicker. All pipes of a user share 64 MiB (pipe(7)), of which
/// clients that never read are not to take more than they must.
const SIZE: usize = 1024 * 1024;

/// The most that is moved at once before others have their turn.
const TURNS: usize = 16;

/// Pipes that are empty, kept for the next who has something to move.
const SPARE: usize = 16;

#[derive(Debug)]
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

/// Empty pipes.
#[derive(Debug, Default)]
pub struct Pool(Vec<Pipe>);

impl Pool {
    fn take(&mut self) -> Result<Pipe, Errno> {
        if let Some(pipe) = self.0.pop() {
            return Ok(pipe);
        }
        let (read, write) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        Ok(Pipe { read, write })
    }

    fn give(&mut self, pipe: Pipe) {
        if self.0.len() < SPARE {
            self.0.push(pipe);
        }
    }
}

/// What is on its way in one direction.
#[derive(Debug, Default)]
pub struct Stream {
    pipe: Option<Pipe>,
    /// How many bytes are in the pipe.
    filled: usize,
    /// The source has ended.
    at_end: bool,
    /// The end has been passed on too.
    pub done: bool,
}

impl Stream {
    /// Moves what can be moved now; true where there was more than others should wait for.
    ///
    /// # Errors
    /// Where one of the sockets is broken.
    pub fn pass_on(&mut self, from: BorrowedFd, to: BorrowedFd, pool: &mut Pool) -> Result<bool, Errno> {
        if self.done {
            return Ok(false);
        }
        let pipe = match self.pipe.take() {
            Some(pipe) => pipe,
            None => pool.take()?,
        };
        let moved = self.move_through(&pipe, from, to);
        // What an idle connection holds is its two sockets. A pipe with something in it that nobody wants is closed.
        if self.filled > 0 && moved.is_ok() {
            self.pipe = Some(pipe);
        } else if self.filled == 0 {
            pool.give(pipe);
        }
        moved
    }

    fn move_through(&mut self, pipe: &Pipe, from: BorrowedFd, to: BorrowedFd) -> Result<bool, Errno> {
        for _ in 0..TURNS {
            let mut moved = false;
            if !self.at_end {
                match by_splice(from, pipe.write.as_fd(), SIZE)? {
                    Some(0) => self.at_end = true,
                    Some(length) => {
                        self.filled += length;
                        moved = true;
                    }
                    None => {}
                }
            }
            if self.filled > 0
                && let Some(length) = by_splice(pipe.read.as_fd(), to, self.filled)?
            {
                self.filled -= length;
                moved = true;
            }
            if self.at_end && self.filled == 0 {
                self.done = true;
                return match shutdown(to.as_raw_fd(), Shutdown::Write) {
                    Ok(()) | Err(Errno::ENOTCONN) => Ok(false),
                    Err(errno) => Err(errno),
                };
            }
            if !moved {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// How many bytes have moved; `None` where none could now.
fn by_splice(from: BorrowedFd, to: BorrowedFd, length: usize) -> Result<Option<usize>, Errno> {
    let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
    loop {
        match splice(from, None, to, None, length, flags) {
            Ok(length) => return Ok(Some(length)),
            Err(Errno::EAGAIN) => return Ok(None),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}
