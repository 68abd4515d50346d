//! Who answers the system calls of a container that has one user id only: a process of its own, outside of the container.
//!
//! It is in the outer user namespace, so that it may look into the container's processes, and in no other namespace of the container's, so that
//! nobody in there can signal or trace it. Of the powers that it has there it keeps those of the container's root over files, and what it
//! takes to look into processes. When it ends, those calls fail (ENOSYS), and the container goes on without.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use plan::{Plan, Shown, Step};
use sys::capability::{self, Set};
use sys::process::Fork;

use crate::container::error::Told;
use crate::container::users;
use crate::security::capabilities::{Capabilities, Capability};

/// What the container's root may do to files, and the one who answers for it too.
const FILES: Capabilities = Capabilities::of(&[
    Capability::CHOWN,
    Capability::DAC_OVERRIDE,
    Capability::DAC_READ_SEARCH,
    Capability::FOWNER,
    Capability::FSETID,
]);

/// To read a process's memory and root, to take on its root, and to give it a number of ours.
const PROCESSES: Capabilities =
    Capabilities::of(&[Capability::SYS_PTRACE, Capability::SYS_CHROOT, Capability::SYS_NICE]);

/// The process, as the monitor knows it.
#[derive(Debug)]
pub struct Pretender {
    pid: Pid,
    pidfd: OwnedFd,
    socket: OwnedFd,
}

impl Pretender {
    /// Starts it, if the plan wants anything to be pretended.
    pub fn start(plan: &Plan, users: &OwnedFd) -> Result<Option<Self>, Told> {
        if plan.process.pretend.is_none() {
            return Ok(None);
        }
        let refused = |errno| Told::refused("cannot start what answers system calls", errno, None);
        // Whatever the monitor has open is the monitor's alone: above all the lock, which must not outlive it.
        let private = sys::descriptor::all_open().map_err(|error| Told::by(&error, None))?;
        let (ours, theirs) = sys::socket::pair().map_err(refused)?;
        match sys::process::fork().map_err(refused)? {
            Fork::Parent(pid) => {
                let pidfd = sys::process::pidfd_open(pid).map_err(refused)?;
                Ok(Some(Self { pid, pidfd, socket: ours }))
            }
            Fork::Child => {
                drop(ours);
                for descriptor in private.into_iter().filter(|descriptor| *descriptor != users.as_raw_fd()) {
                    let _ = nix::unistd::close(descriptor);
                }
                sys::process::exit_now(i32::from(serve(plan, users, theirs).is_err()))
            }
        }
    }

    /// Has the calls answered that arrive at `listener`. Where there is nobody left to answer, they fail.
    pub fn answer(&self, start: &pretend::Start, listener: &OwnedFd) {
        let _ = sys::socket::send(&self.socket, &start.encode(), Some(listener.as_raw_fd()));
    }

    /// Readable once there is something to be told, or it has ended.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What is to be told to whoever is with the container; `None` once it has ended.
    pub fn hear(&self) -> Option<Told> {
        let mut buffer = [0; pretend::LONGEST_NAME];
        let (length @ 1.., _) = sys::socket::receive(&self.socket, &mut buffer).ok()? else { return None };
        let name = String::from_utf8_lossy(&buffer[..length]);
        let lacking = users::lacking_ids();
        Some(Told {
            message: format!("there is one user here: {name} is only pretended, and may do what you may"),
            hint: lacking.as_ref().and_then(|told| told.hint.clone()),
            cause: lacking.map(Box::new),
        })
    }

    /// What is to be told where it has ended before the container.
    pub fn has_ended() -> Told {
        Told {
            message: "what answers for pretended users was killed, and most programs in the container will fail".into(),
            cause: None,
            hint: Some("end the container, and start it again".into()),
        }
    }
}

/// It ends with the container that it is for, also with one that never came to be.
impl Drop for Pretender {
    fn drop(&mut self) {
        let _ = sys::process::pidfd_send_signal(self.pidfd.as_fd(), Signal::SIGKILL);
        while let Err(Errno::EINTR) = waitpid(self.pid, None) {}
    }
}

fn serve(plan: &Plan, users: &OwnedFd, socket: OwnedFd) -> Result<(), Errno> {
    users::enter(users)?;
    // After the change of ids, by which the kernel forgets it.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    nix::sys::prctl::set_name(c"enter-pretend")?;
    super::let_go_of_streams()?;
    nix::unistd::chdir("/")?;
    let process = &plan.process;
    let files = if process.uid == 0 { process.capabilities & FILES.bits() } else { 0 };
    capability::set_permitted(Set(files | PROCESSES.bits()))?;
    let setting = pretend::Setting {
        uid: plan.users.inner.uids.extents().first().map_or(0, |extent| extent.inside),
        gid: plan.users.inner.gids.extents().first().map_or(0, |extent| extent.inside),
        capabilities: process.capabilities,
        no_new_privileges: process.no_new_privileges,
        roots_programs: roots_programs(plan),
    };
    pretend::serve(socket, setting, mounted(plan))
}

/// The directories whose programs run as root.
fn roots_programs(plan: &Plan) -> Vec<PathBuf> {
    let place = |step: &Step| match step {
        Step::Programs { target, .. } => Some(target.clone().into()),
        _ => None,
    };
    plan.steps.iter().filter_map(place).collect()
}

/// What is mounted in the container, and whether it is a volume, whose files keep their owners.
fn mounted(plan: &Plan) -> Vec<pretend::Mounted> {
    let place = |step: &Step| match step {
        Step::Show { target, source: Shown::Directory(_), .. } => Some((target.clone().into(), true)),
        Step::Bind { target, .. }
        | Step::Offer { target, .. }
        | Step::Mount { target, .. }
        | Step::View { target, .. }
        | Step::Cover { target, .. }
        | Step::Programs { target, .. }
        | Step::Show { target, .. } => Some((target.clone().into(), false)),
        _ => None,
    };
    plan.steps.iter().filter_map(place).collect()
}
