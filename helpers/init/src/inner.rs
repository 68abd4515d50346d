//! The inner user namespace, made early, where the container's network namespace is to belong to it.
//!
//! The kernel asks for capabilities in the user namespace that a network namespace was made in: CAP_NET_RAW of the payload is of use only
//! where that is its own. Init, and whoever else is root of the outer one, has every power over both.

use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use plan::Plan;
use sys::namespace::Clone;

use crate::failure::{Doing, Failure, Result};

/// Makes both namespaces, maps the one and enters the other. `None` where the plan wants no such thing.
pub fn make(plan: &Plan) -> Result<Option<OwnedFd>> {
    if !plan.users.owns_network {
        return Ok(None);
    }
    let (ours, theirs) = sys::socket::pair().doing("make", "a socket")?;
    let kinds = CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET;
    match sys::namespace::clone(kinds).doing("make", "the container's network namespace")? {
        Clone::Child => {
            drop(ours);
            // As the /proc that is in sight counts, which is another namespace's.
            if let Ok(number) = nix::fcntl::readlink("/proc/self") {
                let _ = sys::socket::send(&theirs, std::os::unix::ffi::OsStrExt::as_bytes(number.as_os_str()), None);
                let _ = sys::socket::receive(&theirs, &mut [0; 4]);
            }
            sys::process::exit_now(0)
        }
        Clone::Parent { child, .. } => {
            drop(theirs);
            let made = enter(plan, &ours);
            drop(ours);
            while let Err(Errno::EINTR) = waitpid(child, None) {}
            made.map(Some)
        }
    }
}

fn enter(plan: &Plan, child: &OwnedFd) -> Result<OwnedFd> {
    let mut buffer = [0; 16];
    let (length, _) =
        sys::socket::receive(child, &mut buffer).doing("wait for", "the container's network namespace")?;
    let number = std::str::from_utf8(&buffer[..length]).ok().and_then(|text| text.parse().ok());
    let number: i32 = number.ok_or(Errno::ESRCH).doing("find in /proc", "the container's network namespace")?;
    uidmap::write_as_owner(Pid::from_raw(number), &plan.users.inner)
        .map_err(|error| Failure::setup("map the container's users:", &error.to_string(), Errno::EPERM))?;
    let namespace = |kind: &str| {
        let path = format!("/proc/{number}/ns/{kind}");
        open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).doing("open", path)
    };
    let (users, network) = (namespace("user")?, namespace("net")?);
    nix::sched::setns(&network, CloneFlags::CLONE_NEWNET).doing("enter", "the container's network namespace")?;
    Ok(users)
}
