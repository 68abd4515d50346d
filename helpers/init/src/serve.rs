//! The life of PID 1: reaping, passing signals on, and ending with the payload or with the monitor.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use plan::report::{Event, Order};

use crate::failure::{Doing, Result};
use crate::monitor::Monitor;

/// Serves until the payload has ended, which is then told to the monitor, or until the monitor is gone.
pub fn until_the_end(monitor: &Monitor, payload: Pid) -> Result<()> {
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    children.thread_block().doing("block", "SIGCHLD")?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let deaths = SignalFd::with_flags(&children, flags).doing("watch", "children")?;
    // What has been done is not done again; a failure costs memory, and nothing else.
    let _ = sys::program::forget_code();
    loop {
        // First, as a child may have died before anyone watched.
        if let Some(end) = reap(payload)? {
            monitor.tell_of_payload(end);
            return Ok(());
        }
        let mut sources =
            [PollFd::new(deaths.as_fd(), PollFlags::POLLIN), PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
        match poll(&mut sources, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).doing("wait for", "events"),
        }
        let spoken = sources[1].any().unwrap_or(false);
        while matches!(deaths.read_signal(), Ok(Some(_))) {}
        if spoken && !obey(monitor, payload) {
            return Ok(());
        }
    }
}

/// Reaps everything that has ended; how the payload ended, if it did.
fn reap(payload: Pid) -> Result<Option<Event>> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == payload => return Ok(Some(Event::Exited(code))),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == payload => {
                return Ok(Some(Event::Killed(signal as i32)));
            }
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(None),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).doing("wait for", "children"),
        }
    }
}

/// Carries one order out; false once there is nobody left to give any.
fn obey(monitor: &Monitor, payload: Pid) -> bool {
    match monitor.order() {
        Ok(Some(Order::Signal { number, group, .. })) => {
            if let Ok(signal) = Signal::try_from(number) {
                // A payload that has just ended is no error: its end is the next thing to be seen.
                let _ = if group { killpg(payload, signal) } else { kill(payload, signal) };
            }
            true
        }
        Ok(Some(_)) => true,
        Err(Errno::EBADMSG | Errno::EMSGSIZE) => true,
        Ok(None) | Err(_) => false,
    }
}
