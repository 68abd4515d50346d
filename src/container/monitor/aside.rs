//! The server of a home that a container sees, and whose changes are set aside: a process of its own, outside of the container's user
//! namespace, as [`super::outside`] is for the root.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use cowfs::host::HostDir;
use cowfs::serve::{self, Durability, Lower, Upper};
use cowfs::upper::Ownership;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use plan::{Home, Plan};
use sys::process::Fork;

use crate::container::error::Told;
use crate::container::folder::name;
use crate::container::{home, users};

/// The server, as the monitor knows it.
#[derive(Debug)]
pub struct Aside {
    /// Readable once it has ended.
    pub pidfd: OwnedFd,
    pid: Pid,
}

/// Where its filesystem is mounted.
pub fn place(folder: &Path) -> PathBuf {
    folder.join(name::HOME).join(home::ROOT)
}

impl Aside {
    /// Makes the home's place ready, and starts the server if the plan wants one. Returns it with the socket that takes the FUSE descriptor.
    pub fn start(plan: &Plan) -> Result<Option<(Self, OwnedFd)>, Told> {
        let Some(wanted) = &plan.home else { return Ok(None) };
        home::prepare(plan.container.folder.as_path(), wanted)?;
        let Home::Aside { directory, hidden } = wanted else { return Ok(None) };
        // Whatever the monitor has open is the monitor's alone: above all the lock, which must not outlive it.
        let private = sys::descriptor::all_open().map_err(|error| Told::by(&error, None))?;
        let mut lower = HostDir::open(directory.as_path()).map_err(|error| Told::by(&error, error.hint()))?;
        for path in hidden {
            lower = lower.exclude(path.as_path());
        }
        let refused = |errno| Told::refused("cannot start the server of the home", errno, None);
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
    let refused = |errno| Told::refused("cannot serve the home", errno, None);
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(refused)?;
    nix::sys::prctl::set_name(c"cowfs").map_err(refused)?;
    super::let_go_of_streams().map_err(refused)?;
    nix::unistd::chdir(Path::new("/")).map_err(refused)?;
    let (_, fuse) = sys::socket::receive(socket, &mut [0; 16]).map_err(refused)?;
    // Closed without a descriptor: the container failed before it came so far.
    let Some(fuse) = fuse else { return Ok(()) };
    let folder = plan.container.folder.as_path().join(name::HOME);
    let upper = Upper {
        upper: folder.join(name::UPPER),
        work: folder.join(name::WORK),
        ownership: Ownership::Recorded,
        // They are the user's own documents, also where the rest is thrown away.
        durability: Durability::Durable,
        below: Some(folder.join(home::BELOW)),
        writeback: false,
    };
    let served = serve::serve_writable(fuse, Lower::Host(lower), &upper, users::owners(&plan.users));
    served.map_err(|error| Told::by(&error, error.hint()))
}
