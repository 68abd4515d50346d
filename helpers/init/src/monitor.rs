//! The socket to the monitor.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use plan::report::{Event, LIMIT, Order, Report};

use crate::failure::{Doing, Result};

/// The monitor, as init knows it.
#[derive(Debug)]
pub struct Monitor {
    socket: OwnedFd,
}

impl Monitor {
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Tells the monitor something. A monitor that is gone cannot be told; its end is noticed in [`Self::order`].
    pub fn tell(&self, report: &Report) {
        let _ = self.send(report, None);
    }

    /// Tells what happened to a process that init starts; with `descriptor`, where something comes along.
    pub fn tell_of(&self, id: u32, event: Event, descriptor: Option<&OwnedFd>) {
        let _ = self.send(&Report::Process { id, event }, descriptor);
    }

    /// Gives the monitor a terminal's master side.
    pub fn hand_over(&self, id: u32, master: &OwnedFd) -> Result<()> {
        let report = Report::Process { id, event: Event::Terminal };
        self.send(&report, Some(master)).doing("hand over", "the terminal")
    }

    /// Hands over where a process's system calls arrive that somebody has to answer.
    pub fn find_answers(&self, report: Report, listener: &OwnedFd) -> Result<()> {
        self.send(&report, Some(listener)).doing("have answered", "system calls")
    }

    fn send(&self, report: &Report, descriptor: Option<&OwnedFd>) -> std::result::Result<(), Errno> {
        let message = serde_json::to_vec(report).map_err(|_| Errno::EINVAL)?;
        sys::socket::send(&self.socket, &message, descriptor.map(AsRawFd::as_raw_fd))
    }

    /// The next order, and what came with it; `None` once the monitor is gone. An order that makes no sense is `EBADMSG`.
    pub fn order(&self) -> std::result::Result<Option<(Order, Vec<OwnedFd>)>, Errno> {
        let mut buffer = [0; LIMIT];
        let (length, descriptors) = sys::socket::receive_with(&self.socket, &mut buffer)?;
        if length == 0 {
            return Ok(None);
        }
        let order = serde_json::from_slice(&buffer[..length]).map_err(|_| Errno::EBADMSG)?;
        Ok(Some((order, descriptors)))
    }

    /// Waits until the monitor says that the network is there. Nothing else is asked for before the payload runs.
    pub fn until_connected(&self) -> Result<()> {
        loop {
            match self.order() {
                Ok(Some((Order::Connected, _))) => return Ok(()),
                Ok(Some(_)) | Err(Errno::EBADMSG | Errno::EMSGSIZE | Errno::EINTR) => {}
                Ok(None) => return Err(Errno::ECONNRESET).doing("wait for", "the network"),
                Err(errno) => return Err(errno).doing("wait for", "the network"),
            }
        }
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
