//! What the kernel and the system's configuration give: user namespaces, ids, devices, system call filters.

use std::fs::OpenOptions;
use std::io;

use nix::errno::Errno;
use nix::libc as c;
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::unistd::{User as Account, getgid, getuid};
use uidmap::{Kind, Maps, SubIds, User};

use super::finding::{Finding, chain};
use super::mend;
use super::trial::{Error, Side, Trial, Word};
use crate::security::{capabilities::Capabilities, seccomp};

const NAMESPACES: &str = "user namespaces";
const IDS: &str = "subordinate ids";
const FUSE: &str = "FUSE device";
const FILTER: &str = "system call filter";

/// Makes a user namespace with one id and one with the subordinate ids. Gives the maps that work, the better of the two.
pub fn namespaces() -> (Vec<Finding>, Option<Maps>) {
    let (uid, gid) = (getuid().as_raw(), getgid().as_raw());
    let single = match Maps::single(uid, gid, 0, 0) {
        Ok(maps) => maps,
        Err(error) => return (vec![Finding::bad(NAMESPACES, chain(&error), None)], None),
    };
    if let Err(error) = try_maps(&single) {
        let errno = match &error {
            Error::Unshare(errno) | Error::Start(errno) => *errno,
            Error::Map(uidmap::Error::Write { source, .. }) => {
                source.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
            }
            _ => Errno::EPERM,
        };
        return (vec![Finding::bad(NAMESPACES, chain(&error), mend::namespaces(errno))], None);
    }
    let made = Finding::good(NAMESPACES, "made one that may mount");
    match ranges(uid, gid) {
        Ok(maps) => {
            let count = maps.uids.len();
            let good = Finding::good(IDS, format!("{count} user ids and {} group ids mapped", maps.gids.len()));
            (vec![made, good], Some(maps))
        }
        Err(finding) => (vec![made, finding], Some(single)),
    }
}

/// The namespace must be good for something: AppArmor on Ubuntu lets it be made and then denies every capability in it.
fn try_maps(maps: &Maps) -> Result<(), Error> {
    let trial = Trial::start(CloneFlags::CLONE_NEWNS, maps, |side: &Side| {
        let root = nix::fcntl::open("/", nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC, Mode::empty());
        let mounted = root.and_then(|root| sys::mount::make_slave(std::os::fd::AsFd::as_fd(&root), true));
        side.tell(&match mounted {
            Ok(()) => Word::Done(String::new()),
            Err(errno) => Word::Failed("mount in a user namespace".into(), Some(errno as i32)),
        });
    })?;
    match trial.hear()? {
        Word::Failed(_, errno) => Err(Error::Unshare(Errno::from_raw(errno.unwrap_or(0)))),
        _ => Ok(()),
    }
}

/// The maps with all subordinate ids, if they can be had.
fn ranges(uid: u32, gid: u32) -> Result<Maps, Finding> {
    const COST: &str = "; with one id only, the other users in a container are pretended";
    let name = Account::from_uid(getuid()).ok().flatten().map_or_else(|| uid.to_string(), |account| account.name);
    let less = |error: &uidmap::Error| Finding::less(IDS, chain(error) + COST, error.hint());
    let subids = SubIds::of(&User { name: name.clone(), uid }).map_err(|error| less(&error))?;
    if subids.is_empty() {
        let detail = format!("{name} has none in /etc/subuid and /etc/subgid{COST}");
        return Err(Finding::less(IDS, detail, Some(uidmap::add_subids_command(&name))));
    }
    let maps = Maps::outer(uid, gid, &subids).map_err(|error| less(&error.into()))?;
    debug_assert_eq!(maps.kind, Kind::Ranges);
    match Trial::start(CloneFlags::empty(), &maps, |side| side.tell(&Word::Done(String::new()))) {
        Ok(_) => Ok(maps),
        Err(Error::Map(error)) => Err(less(&error)),
        Err(error) => Err(Finding::less(IDS, chain(&error) + COST, None)),
    }
}

/// Opens `/dev/fuse`.
pub fn fuse_device() -> Finding {
    match open_device("/dev/fuse") {
        Ok(()) => Finding::good(FUSE, "/dev/fuse opened"),
        Err(errno) => {
            let detail = format!("cannot open /dev/fuse: {}", errno.desc());
            Finding::bad(FUSE, detail, Some(mend::device("/dev/fuse", "fuse", errno)))
        }
    }
}

/// Opens a device for reading and writing.
pub fn open_device(path: &str) -> Result<(), Errno> {
    let opened: io::Result<_> = OpenOptions::new().read(true).write(true).open(path);
    match opened {
        Ok(_) => Ok(()),
        Err(error) => Err(error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)),
    }
}

/// Makes system calls under the filter of a container.
pub fn filter() -> Finding {
    let filter = seccomp::filter(Capabilities::ORDINARY, seccomp::Raw::Echo);
    let allowed = sys::seccomp::try_out(&filter, c::SYS_getpid, [0; 6]);
    let refused = sys::seccomp::try_out(&filter, c::SYS_mount, [0; 6]);
    match (allowed, refused) {
        (Ok(sys::seccomp::Answer::Returned(_)), Ok(sys::seccomp::Answer::Failed(Errno::EPERM))) => {
            Finding::good(FILTER, "installed, lets through and refuses")
        }
        (Err(errno), _) | (_, Err(errno)) => {
            let mend = matches!(errno, Errno::EINVAL | Errno::ENOSYS)
                .then(|| "boot a kernel with CONFIG_SECCOMP_FILTER=y".to_owned());
            Finding::bad(FILTER, format!("cannot install a system call filter: {}", errno.desc()), mend)
        }
        (allowed, refused) => {
            Finding::bad(FILTER, format!("it does not filter: {allowed:?} for getpid, {refused:?} for mount"), None)
        }
    }
}
