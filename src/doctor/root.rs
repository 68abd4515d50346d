//! A container's root in small: a FUSE filesystem served by cowfs, and the two that can keep changes: the kernel's overlay above
//! that, and cowfs itself. A shell needs one of them.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use cowfs::host::HostDir;
use cowfs::owners::Owners;
use cowfs::serve::{self, Access, Durability, Lower};
use cowfs::upper::Ownership;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use sys::mount::Overlay;
use sys::process::{Fork, exit_now, fork};
use uidmap::Maps;

use super::finding::{Finding, chain};
use super::mend;
use super::trial::{Side, Trial, Word};

const FUSE: &str = "FUSE filesystem";
const OVERLAY: &str = "overlay";
const WRITING: &str = "fuse storage driver";

/// Mounts all three in a namespace with `maps`, in the folder `scratch`, and uses them.
pub fn mounts(maps: &Maps, scratch: &Path) -> Vec<Finding> {
    let trial = match Trial::start(CloneFlags::CLONE_NEWNS, maps, |side| attempt(side, scratch)) {
        Ok(trial) => trial,
        Err(error) => return vec![Finding::bad(FUSE, chain(&error), None)],
    };
    let fuse = finding(FUSE, trial.hear(), |errno| match errno {
        Errno::ENODEV => Some("sudo modprobe fuse".into()),
        Errno::EPERM | Errno::EACCES => mend::namespaces(errno),
        _ => None,
    });
    if fuse.state != super::State::Good {
        return vec![fuse];
    }
    let overlay = finding(OVERLAY, trial.hear(), |errno| match errno {
        Errno::ENODEV => Some("sudo modprobe overlay".into()),
        Errno::EPERM => Some("boot Linux 5.11 or newer, which lets users mount overlays".into()),
        Errno::EINVAL | Errno::EOPNOTSUPP | Errno::EIO => {
            Some("set XDG_DATA_HOME to a folder on ext4, xfs or btrfs: this filesystem cannot be the upper side".into())
        }
        _ => None,
    });
    let writing = finding(WRITING, trial.hear(), |_| None);
    let [overlay, writing] = one_of_two(overlay, writing);
    vec![fuse, overlay, writing]
}

/// Where one of the drivers works, the other is missed less.
fn one_of_two(overlay: Finding, writing: Finding) -> [Finding; 2] {
    let less = |finding: Finding, cost: &str| Finding::less(&finding.check, finding.detail + cost, finding.mend);
    match (overlay.state, writing.state) {
        (super::State::Bad, super::State::Good) => {
            [less(overlay, "; containers keep their changes by the fuse driver instead, which is slower"), writing]
        }
        (super::State::Good, super::State::Bad) => {
            [overlay, less(writing, "; without subordinate ids, and for `enter host`, there is no other")]
        }
        _ => [overlay, writing],
    }
}

fn finding(check: &str, heard: Result<Word, super::trial::Error>, mend: impl Fn(Errno) -> Option<String>) -> Finding {
    match heard {
        Ok(Word::Done(detail)) => Finding::good(check, detail),
        Ok(Word::Failed(detail, errno)) => Finding::bad(check, detail, errno.map(Errno::from_raw).and_then(mend)),
        Ok(word) => Finding::bad(check, format!("the process that tried it said {word:?}"), None),
        Err(error) => Finding::bad(check, chain(&error), None),
    }
}

/// In the namespace: one word on FUSE, and if that went well one on each driver.
fn attempt(side: &Side, scratch: &Path) {
    let tell = |done: &str, outcome: Result<(), Failed>| {
        let works = outcome.is_ok();
        side.tell(&match outcome {
            Ok(()) => Word::Done(done.into()),
            Err(Failed(what, errno)) => Word::Failed(format!("cannot {what}: {}", errno.desc()), Some(errno as i32)),
        });
        works
    };
    if tell("mounted and read", fuse(scratch)) {
        tell("mounted over FUSE, written and deleted in", overlay(scratch));
        tell("mounted, written and deleted in", writing(scratch));
    }
    // The other side ends us, and all that is mounted here.
    let _ = side.hear();
}

/// What could not be done, and why.
struct Failed(String, Errno);

trait Doing<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, Failed>;
}

impl<T> Doing<T> for Result<T, Errno> {
    fn doing(self, what: impl Into<String>) -> Result<T, Failed> {
        self.map_err(|errno| Failed(what.into(), errno))
    }
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, what: impl Into<String>) -> Result<T, Failed> {
        let errno = |error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        self.map_err(|error| Failed(what.into(), errno(error)))
    }
}

fn fuse(scratch: &Path) -> Result<(), Failed> {
    let host = open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).doing("open /")?;
    sys::mount::make_slave(host.as_fd(), true).doing("cut mounts off from the host's")?;
    let source = scratch.join(SOURCE);
    for name in [SOURCE, "lower", "upper", "work", "root", "written", "written.upper", "written.work"] {
        fs::create_dir(scratch.join(name)).doing(format!("make {}", scratch.join(name).display()))?;
    }
    for name in ["kept", "deleted"] {
        fs::write(source.join(name), name).doing(format!("write {}", source.join(name).display()))?;
    }
    fs::create_dir_all(source.join("replaced/gone")).doing(format!("make {}", source.join("replaced").display()))?;
    served(scratch, "lower", Access::ReadOnly, serve::serve)?;
    let kept = fs::read(scratch.join("lower/kept")).doing("read through the FUSE filesystem")?;
    if kept == b"kept" { Ok(()) } else { Err(Failed("read the same through the FUSE filesystem".into(), Errno::EIO)) }
}

/// What is served.
const SOURCE: &str = "source";

/// Mounts a FUSE filesystem, and has a child serve it.
fn served(
    scratch: &Path,
    place: &str,
    access: Access,
    serve: impl FnOnce(OwnedFd, Lower, Owners) -> cowfs::Result<()>,
) -> Result<(), Failed> {
    let of_cowfs = |error: cowfs::Error| {
        let errno = std::error::Error::source(&error)
            .and_then(|cause| cause.downcast_ref::<io::Error>())
            .and_then(io::Error::raw_os_error);
        Failed(error.to_string().trim_start_matches("cannot ").to_owned(), errno.map_or(Errno::EIO, Errno::from_raw))
    };
    let device = serve::mount(&scratch.join(place), access).map_err(of_cowfs)?;
    let lower = Lower::Host(HostDir::open(&scratch.join(SOURCE)).map_err(of_cowfs)?);
    if fork().doing("fork")? == Fork::Child {
        let _ = set_pdeathsig(Signal::SIGKILL);
        exit_now(i32::from(serve(device, lower, Owners::squash(0, 0)).is_err()));
    }
    Ok(())
}

fn overlay(scratch: &Path) -> Result<(), Failed> {
    nix::unistd::chdir(scratch).doing("enter the store")?;
    let folders = Overlay { lower: c"lower", upper: c"upper", work: c"work", volatile: false };
    let overlay = sys::mount::new_overlay(folders).doing("mount an overlay")?;
    let target = open("root", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).doing("open it")?;
    sys::mount::attach(overlay.as_fd(), target.as_fd()).doing("attach an overlay")?;
    change(&scratch.join("root"), &scratch.join("lower"), "overlay")
}

fn writing(scratch: &Path) -> Result<(), Failed> {
    let upper = serve::Upper {
        upper: scratch.join("written.upper"),
        work: scratch.join("written.work"),
        ownership: Ownership::Recorded,
        durability: Durability::Volatile,
        below: None,
        writeback: false,
    };
    served(scratch, "written", Access::ReadWrite, |device, lower, owners| {
        serve::serve_writable(device, lower, &upper, owners)
    })?;
    change(&scratch.join("written"), &scratch.join("lower"), "FUSE filesystem")
}

/// Changes a file, deletes one, makes a directory anew, and sees that nothing has changed below.
fn change(root: &Path, lower: &Path, what: &str) -> Result<(), Failed> {
    let written = fs::write(root.join("kept"), "changed").and_then(|()| fs::read(root.join("kept")));
    if written.doing(format!("change a file in the {what}"))? != b"changed" {
        return Err(Failed(format!("read what was written in the {what}"), Errno::EIO));
    }
    fs::remove_file(root.join("deleted")).doing(format!("delete a file in the {what}"))?;
    let replaced = root.join("replaced");
    let made = fs::remove_dir_all(&replaced).and_then(|()| fs::create_dir(&replaced));
    made.doing(format!("replace a directory in the {what}"))?;
    let below = fs::read(lower.join("kept")).doing(format!("read below the {what}"))?;
    if below != b"kept" || fs::exists(root.join("deleted")).doing(format!("look into the {what}"))? {
        return Err(Failed(format!("keep changes in the upper side of the {what}"), Errno::EIO));
    }
    Ok(())
}
