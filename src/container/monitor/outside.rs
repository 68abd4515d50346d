//! The server of a host directory: a process of its own, outside of the container's user namespace.
//!
//! Inside, the kernel shows every owner who is not mapped there as the same nobody. Outside, the owners can be told apart, and
//! the user may read exactly what he may read anyway. The FUSE descriptor, which can only be opened inside, is sent to it.

use std::os::fd::OwnedFd;
use std::path::Path;

use cowfs::host::HostDir;
use cowfs::serve::Lower;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use plan::Plan;
use sys::process::Fork;

use crate::container::error::Told;
use crate::container::served;

/// The server, as the monitor knows it.
#[derive(Debug)]
pub struct Outside {
    /// Readable once it has ended.
    pub pidfd: OwnedFd,
    pid: Pid,
}

impl Outside {
    /// Starts the server if the plan's lower side is a directory of the host. Returns it with the socket that takes the
    /// descriptor.
    pub fn start(plan: &Plan) -> Result<Option<(Self, OwnedFd)>, Told> {
        let plan::Lower::Host { directory, hidden } = &plan.root.lower else { return Ok(None) };
        // Whatever the monitor has open is the monitor's alone: above all the lock, which must not outlive it.
        let private = sys::descriptor::all_open().map_err(|error| Told::by(&error, None))?;
        let mut lower = HostDir::open(directory.as_path()).map_err(|error| Told::by(&error, error.hint()))?;
        for path in hidden {
            lower = lower.exclude(path.as_path());
        }
        let refused = |errno| Told::refused("cannot start the server of this machine's files", errno, None);
        let (ours, theirs) = sys::socket::pair().map_err(refused)?;
        match sys::process::fork().map_err(refused)? {
            Fork::Parent(pid) => {
                let pidfd = sys::process::pidfd_open(pid).map_err(refused)?;
                Ok(Some((Self { pidfd, pid }, ours)))
            }
            Fork::Child => {
                for descriptor in private {
                    let _ = nix::unistd::close(descriptor);
                }
                drop(ours);
                sys::process::exit_now(i32::from(serve(plan, lower, &theirs).is_err()))
            }
        }
    }

    /// Ends it, if the end of its filesystem has not done so already.
    pub fn finish(self) {
        let _ = sys::process::pidfd_send_signal(std::os::fd::AsFd::as_fd(&self.pidfd), Signal::SIGKILL);
        while let Err(Errno::EINTR) = waitpid(self.pid, None) {}
    }
}

fn serve(plan: &Plan, lower: HostDir, socket: &OwnedFd) -> Result<(), Told> {
    let refused = |errno| Told::refused("cannot serve this machine's files", errno, None);
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(refused)?;
    nix::sys::prctl::set_name(c"cowfs").map_err(refused)?;
    super::let_go_of_streams().map_err(refused)?;
    nix::unistd::chdir(Path::new("/")).map_err(refused)?;
    let (_, fuse) = sys::socket::receive(socket, &mut [0; 16]).map_err(refused)?;
    // Closed without a descriptor: the container failed before it came so far.
    let Some(fuse) = fuse else { return Ok(()) };
    let folder = plan.container.folder.as_path();
    let served = served::serve(fuse, Lower::Host(lower), folder, &plan.root.writable, &plan.users);
    served.map_err(|error| Told::by(&error, error.hint()))
}
