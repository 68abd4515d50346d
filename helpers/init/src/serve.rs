//! The life of init: reaping, carrying orders out, and ending with the payload or with the monitor.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use plan::report::{Event, Order, PAYLOAD};
use plan::{Plan, Processes};
use sys::process::{Audience, Ended, send_signal};
use sys::program::Code;

use crate::added::{self, Added};
use crate::failure::{Doing, Result};
use crate::first::First;
use crate::monitor::Monitor;
use crate::{furnish, idle};

/// Serves until the payload has ended, which is then told to the monitor, or until the monitor is gone.
pub fn until_the_end(plan: &Plan, monitor: &Monitor, first: First, code: &Code) -> Result<()> {
    let mut children = SigSet::empty();
    children.add(Signal::SIGCHLD);
    children.thread_block().doing("block", "SIGCHLD")?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let deaths = SignalFd::with_flags(&children, flags).doing("watch", "children")?;
    // What has been done is not done again; a failure costs memory, and nothing else.
    let _ = code.forget();
    let mut life =
        Life { plan, monitor, first, starting: Vec::new(), running: Vec::new(), ending: false, outlasts: false };
    loop {
        life.settle();
        // Before anything is waited for, as a child may have died before anyone watched.
        while let Some(end) = life.reap()? {
            if life.outlasts {
                monitor.tell_of(PAYLOAD, end, None);
                continue;
            }
            life.end_descendants();
            monitor.tell_of(PAYLOAD, end, None);
            return Ok(());
        }
        life.end_when_alone();
        let mut sources =
            vec![PollFd::new(deaths.as_fd(), PollFlags::POLLIN), PollFd::new(monitor.as_fd(), PollFlags::POLLIN)];
        sources.extend(life.starting.iter().map(|(_, added)| PollFd::new(added.socket.as_fd(), PollFlags::POLLIN)));
        match poll(&mut sources, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno).doing("wait for", "events"),
        }
        let spoken = sources[1].any().unwrap_or(false);
        while matches!(deaths.read_signal(), Ok(Some(_))) {}
        if spoken && !life.obey() {
            life.end_descendants();
            return Ok(());
        }
    }
}

/// A process that was added.
struct Running {
    id: u32,
    pid: Pid,
    has_terminal: bool,
}

struct Life<'a> {
    plan: &'a Plan,
    monitor: &'a Monitor,
    first: First,
    /// Added processes that are no commands yet, by their id.
    starting: Vec<(u32, Added)>,
    /// Added processes that are, by their id.
    running: Vec<Running>,
    /// The payload, which is idle, is to end as soon as it is alone.
    ending: bool,
    /// The container goes on without the payload.
    outlasts: bool,
}

impl Life<'_> {
    /// Sees which of the added processes have become their commands.
    fn settle(&mut self) {
        let starting = std::mem::take(&mut self.starting);
        for (id, added) in starting {
            match added.settled() {
                None => self.starting.push((id, added)),
                Some(Ok(())) => {
                    self.monitor.tell_of(id, Event::Started, Some(&added.pidfd));
                    self.running.push(Running { id, pid: added.pid, has_terminal: added.has_terminal });
                }
                // Its process is reaped as any other that nobody asks for.
                Some(Err(failure)) => self.monitor.tell_of(id, Event::Failed(failure.into()), None),
            }
        }
    }

    /// Reaps everything that has ended; how the payload ended, if it did.
    fn reap(&mut self) -> Result<Option<Event>> {
        loop {
            let Some((pid, ended)) = sys::process::reap().doing("wait for", "children")? else { return Ok(None) };
            let event = match ended {
                Ended::Exited(code) => Event::Exited(code),
                Ended::Killed(signal) => Event::Killed(signal),
            };
            if pid == self.first.pid {
                return Ok(Some(event));
            }
            // One that ends at once may be reaped before it was seen to have started.
            if self.starting.iter().any(|(_, added)| added.pid == pid) {
                self.settle();
            }
            if let Some(at) = self.running.iter().position(|running| running.pid == pid) {
                let Running { id, .. } = self.running.swap_remove(at);
                self.monitor.tell_of(id, event, None);
            }
        }
    }

    /// Carries one order out; false once there is nobody left to give any.
    fn obey(&mut self) -> bool {
        match self.monitor.order() {
            Ok(Some((order, descriptors))) => {
                self.carry_out(order, descriptors);
                true
            }
            Err(Errno::EBADMSG | Errno::EMSGSIZE | Errno::EAGAIN) => true,
            Ok(None) | Err(_) => false,
        }
    }

    fn carry_out(&mut self, order: Order, descriptors: Vec<OwnedFd>) {
        match order {
            // The first process of a box has asked for no signal, and so hears none; this one would end it.
            Order::Signal { id: PAYLOAD, number, .. } if self.plan.process.idle && number == idle::END as i32 => {}
            Order::Signal { id, number, group } => {
                if let Some(pid) = self.process(id) {
                    let audience = if group { Audience::Group(pid) } else { Audience::Process(pid) };
                    // One that has just ended is no error: its end is the next thing to be seen.
                    let _ = send_signal(audience, number);
                }
            }
            Order::Execute { id } => match added::start(self.plan, &self.first, self.monitor, id, descriptors) {
                Ok(added) => self.starting.push((id, added)),
                Err(failure) => self.monitor.tell_of(id, Event::Failed(failure.into()), None),
            },
            // It was waited for before there was a payload.
            Order::Connected => {}
            // The container may have something else there by now, which is its own business.
            Order::Write { target, content } => drop(furnish::rewrite(self.plan, target.as_path(), content.as_bytes())),
            Order::End => {
                self.ending = true;
                // Shells at a terminal do not heed SIGTERM, and others may have something to do for it alone.
                for running in self.running.iter().filter(|running| running.has_terminal) {
                    let _ = send_signal(Audience::Group(running.pid), Signal::SIGHUP as i32);
                }
                [Signal::SIGTERM, Signal::SIGCONT].into_iter().for_each(|signal| self.signal_all(signal));
            }
            Order::Outlast => self.outlasts = true,
            Order::Pause => self.signal_all(Signal::SIGSTOP),
            Order::Resume => self.signal_all(Signal::SIGCONT),
        }
    }

    fn process(&self, id: u32) -> Option<Pid> {
        if id == PAYLOAD {
            return Some(self.first.pid);
        }
        self.running.iter().find(|running| running.id == id).map(|running| running.pid)
    }

    /// Whether all processes that init can see are the container's.
    fn has_own_processes(&self) -> bool {
        matches!(self.plan.namespaces.processes, Processes::Init | Processes::Payload)
    }

    fn signal_all(&self, signal: Signal) {
        if self.has_own_processes() {
            let _ = send_signal(Audience::Everybody, signal as i32);
        }
    }

    /// Ends the idle payload once nothing else is left that it is there for. What is orphaned comes to init.
    fn end_when_alone(&mut self) {
        if self.ending && self.starting.is_empty() && children() == [self.first.pid] {
            self.ending = false;
            let _ = send_signal(Audience::Process(self.first.pid), idle::END as i32);
        }
    }

    /// Ends what the payload has left. Where init is process 1 the kernel does it; elsewhere everything that is orphaned comes to init.
    fn end_descendants(&self) {
        if self.has_own_processes() {
            return;
        }
        loop {
            for child in children() {
                let _ = send_signal(Audience::Process(child), Signal::SIGKILL as i32);
            }
            if waitpid(None, None).is_err_and(|errno| errno != Errno::EINTR) {
                return;
            }
        }
    }
}

/// This process's children (proc_pid_task(5)); none where they cannot be known.
fn children() -> Vec<Pid> {
    let own = nix::unistd::getpid();
    let text = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok().map(Pid::from_raw)).collect()
}
