//! Which driver keeps a container's changes, where the user leaves that open: the kernel's overlayfs where it works, else cowfs.
//!
//! Whether it works is a matter of the kernel and of the filesystem that the store is on. It is tried once after each boot, in a user
//! namespace with one id and a folder of the store, and the answer is kept in the store's file `overlay`: one line, by which it is known
//! again, and `works` or `refused`. A trial that cannot be made decides nothing.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::CloneFlags;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getegid, geteuid};
use std::os::fd::AsFd;
use sys::mount::Overlay;
use sys::process::Fork;
use uidmap::{Kind, Maps};

use super::folder::private_directory;
use super::record::Storage;

/// The file with the answer.
const ANSWER: &str = "overlay";
/// What the name of a folder begins with in which it is tried.
const TRIAL: &str = "trial.";
/// What the process ends with that could not even try.
const UNKNOWN: i32 = 255;

/// The driver that is the faster one for a container of an image. `state`: everything of the user's; `maps`: the outer user namespace of
/// the container. The caller has a single thread.
pub fn fastest(state: &Path, maps: &Maps) -> Storage {
    // One id is not enough for the kernel to keep owners.
    if maps.kind == Kind::Single || overlay(state) == Some(false) { Storage::Fuse } else { Storage::Overlay }
}

/// Whether the kernel's overlayfs can keep changes in the store; `None` where that cannot be found out.
pub fn overlay(state: &Path) -> Option<bool> {
    private_directory(state).ok()?;
    let key = key(state)?;
    let file = state.join(ANSWER);
    let kept = fs::read_to_string(&file).ok();
    if let Some(answer) = kept.as_deref().and_then(|line| line.trim_end().strip_prefix(&*key)) {
        return Some(answer == "works");
    }
    let works = attempt(state)?;
    let temporary = state.join(format!("{ANSWER}.{}.tmp", std::process::id()));
    let line = format!("{key}{}\n", if works { "works" } else { "refused" });
    // Where it cannot be kept it is tried again the next time.
    if fs::write(&temporary, line).and_then(|()| fs::rename(&temporary, &file)).is_err() {
        let _ = fs::remove_file(temporary);
    }
    Some(works)
}

/// What the answer holds for: this kernel, since this boot, on this filesystem.
fn key(state: &Path) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(format!("{} {} ", boot.trim(), fs::metadata(state).ok()?.dev()))
}

/// Tries it; `None` where it is not the overlay that is refused.
fn attempt(state: &Path) -> Option<bool> {
    clear(state);
    let folder = state.join(format!("{TRIAL}{}", std::process::id()));
    let furnished = furnish(&folder);
    let ended = furnished.ok().and_then(|()| in_namespace(&folder).ok());
    remove(&folder);
    match ended? {
        0 => Some(true),
        UNKNOWN => None,
        errno => match Errno::from_raw(errno) {
            Errno::ENOSPC | Errno::EDQUOT | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE => None,
            // Above a filesystem without attributes, what needs one is EIO.
            _ => Some(false),
        },
    }
}

fn furnish(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(folder)?;
    for name in ["lower", "upper", "work", "root", "lower/changed", "lower/replaced", "lower/replaced/gone"] {
        fs::create_dir(folder.join(name))?;
    }
    fs::write(folder.join("lower/deleted"), "deleted")?;
    fs::write(folder.join("lower/changed/file"), "before")
}

/// Runs the trial in a child; returns what that ended with.
fn in_namespace(folder: &Path) -> Result<i32, Errno> {
    let maps = Maps::single(geteuid().as_raw(), getegid().as_raw(), 0, 0).map_err(|_| Errno::EINVAL)?;
    match sys::process::fork()? {
        Fork::Child => {
            let entered = nix::sched::unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).is_ok()
                && uidmap::write(Pid::this(), &maps).is_ok()
                && open("/", OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
                    .is_ok_and(|root| sys::mount::make_slave(root.as_fd(), true).is_ok());
            let code = if entered { write(folder).err().map_or(0, |errno| errno as i32) } else { UNKNOWN };
            sys::process::exit_now(code);
        }
        Fork::Parent(child) => match waitpid(child, None)? {
            WaitStatus::Exited(_, code) => Ok(code),
            _ => Ok(UNKNOWN),
        },
    }
}

/// In the namespaces: mounts an overlay, and does in it what needs whiteouts, copies and attributes.
fn write(folder: &Path) -> Result<(), Errno> {
    let errno = |error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    nix::unistd::chdir(folder)?;
    let folders = Overlay { lower: c"lower", upper: c"upper", work: c"work", volatile: false };
    let overlay = sys::mount::new_overlay(folders)?;
    let target = open("root", OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    sys::mount::attach(overlay.as_fd(), target.as_fd())?;
    fs::remove_file("root/deleted").map_err(errno)?;
    fs::write("root/changed/file", "after").map_err(errno)?;
    fs::remove_dir_all("root/replaced").and_then(|()| fs::create_dir("root/replaced")).map_err(errno)?;
    let kept = fs::read("root/changed/file").map_err(errno)? == b"after"
        && !Path::new("root/deleted").exists()
        && fs::read_dir("root/replaced").map_err(errno)?.next().is_none();
    if kept { Ok(()) } else { Err(Errno::EOPNOTSUPP) }
}

/// Removes what trials left whose process was killed.
fn clear(state: &Path) {
    for entry in fs::read_dir(state).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(TRIAL)?.parse::<u32>().ok());
        if maker.is_some_and(|maker| !Path::new(&format!("/proc/{maker}")).exists()) {
            remove(&entry.path());
        }
    }
}

fn remove(folder: &Path) {
    // overlayfs makes a folder in its work folder that nobody may look into.
    let _ = fs::set_permissions(folder.join("work/work"), fs::Permissions::from_mode(0o700));
    let _ = fs::remove_dir_all(folder);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> tempfile::TempDir {
        tempfile::tempdir_in("/var/tmp").unwrap()
    }

    #[test]
    fn an_answer_of_this_boot_is_believed_and_no_other() {
        let state = state();
        let key = key(state.path()).unwrap();
        for (answer, works) in [("works", true), ("refused", false)] {
            fs::write(state.path().join(ANSWER), format!("{key}{answer}\n")).unwrap();
            assert_eq!(overlay(state.path()), Some(works));
        }
        let ranges = Maps { kind: Kind::Ranges, ..Maps::single(0, 0, 0, 0).unwrap() };
        assert_eq!(fastest(state.path(), &ranges), Storage::Fuse);
        fs::write(state.path().join(ANSWER), format!("{key}works\n")).unwrap();
        assert_eq!(fastest(state.path(), &ranges), Storage::Overlay);
        assert_eq!(fastest(state.path(), &Maps::single(0, 0, 0, 0).unwrap()), Storage::Fuse);
    }

    #[test]
    fn what_a_killed_trial_left_is_cleared() {
        let state = state();
        let left = state.path().join(format!("{TRIAL}{}", u32::MAX));
        furnish(&left).unwrap();
        let own = state.path().join(format!("{TRIAL}{}", std::process::id()));
        fs::create_dir(&own).unwrap();
        clear(state.path());
        assert!(!left.exists() && own.exists());
    }
}
