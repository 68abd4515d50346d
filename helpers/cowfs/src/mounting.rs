//! Mounting on behalf of whoever calls a mount helper: by mount(2) where that is allowed, else with fusermount3(1).
//!
//! The former is for root, also of a user namespace. The latter is a program with set-user-ID that mounts for anybody, and hands
//! the descriptor over through a socket.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::unistd::{getegid, geteuid};

use crate::error::{Error, Result};
use crate::options::Flags;

/// The device that FUSE servers speak through.
const DEVICE: &str = "/dev/fuse";

/// The helper's names: of libfuse 3, and of libfuse 2.
const HELPERS: [&str; 2] = ["fusermount3", "fusermount"];

/// The variable that tells the helper which descriptor is its socket.
const SOCKET: &str = "_FUSE_COMMFD";

/// A filesystem that is mounted.
#[derive(Debug)]
pub struct Mounted {
    target: PathBuf,
    helper: Option<&'static str>,
}

/// Mounts at `target`, an absolute path, and returns the descriptor through which the filesystem is to be served.
///
/// # Errors
///
/// [`Error::Fuse`], also where neither way is there; [`Error::Option`] for a label without SELinux.
pub fn mount(target: &Path, flags: &Flags) -> Result<(OwnedFd, Mounted)> {
    if flags.context.is_some() && !Path::new("/sys/fs/selinux/status").exists() {
        return Err(Error::Option { option: "context".to_owned(), reason: "this kernel has no SELinux".to_owned() });
    }
    let (fuse, helper) = match by_kernel(target, flags) {
        Err(Error::Fuse { source, .. }) if is_refusal(&source) => {
            let (fuse, helper) = by_helper(target, flags)?;
            (fuse, Some(helper))
        }
        other => (other?, None),
    };
    let mounted = Mounted { target: target.to_owned(), helper };
    if !flags.propagation.is_empty()
        && let Err(errno) = nix::mount::mount(None::<&str>, target, None::<&str>, flags.propagation, None::<&str>)
    {
        mounted.unmount()?;
        let action =
            format!("change where mounts below {} are seen (private, slave, shared, unbindable)", target.display());
        return Err(Error::Fuse { action, source: errno.into() });
    }
    Ok((fuse, mounted))
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES))
}

fn failed(target: &Path, source: impl Into<io::Error>) -> Error {
    Error::Fuse { action: format!("mount a FUSE filesystem at {}", target.display()), source: source.into() }
}

fn by_kernel(target: &Path, flags: &Flags) -> Result<OwnedFd> {
    let open = File::options().read(true).write(true).open(DEVICE);
    let device = open.map_err(|source| Error::Fuse { action: format!("open {DEVICE}"), source })?;
    let mut options = format!(
        "fd={},rootmode=40000,user_id={},group_id={},allow_other,default_permissions",
        device.as_raw_fd(),
        geteuid(),
        getegid()
    );
    if let Some(label) = &flags.context {
        options += &format!(",context=\"{label}\"");
    }
    let kind = format!("fuse.{}", flags.subtype);
    let done = nix::mount::mount(Some(&*flags.source), target, Some(&*kind), bits(flags), Some(&*options));
    done.map_err(|errno| failed(target, errno))?;
    Ok(device.into())
}

fn bits(flags: &Flags) -> MsFlags {
    let mut bits = MsFlags::empty();
    for (wanted, bit) in [
        (flags.read_only, MsFlags::MS_RDONLY),
        (flags.no_suid, MsFlags::MS_NOSUID),
        (flags.no_dev, MsFlags::MS_NODEV),
        (flags.no_exec, MsFlags::MS_NOEXEC),
        (flags.no_atime, MsFlags::MS_NOATIME),
        (flags.no_diratime, MsFlags::MS_NODIRATIME),
        (flags.sync, MsFlags::MS_SYNCHRONOUS),
        (flags.dirsync, MsFlags::MS_DIRSYNC),
    ] {
        bits.set(bit, wanted);
    }
    bits
}

/// Options for the helper, which itself takes set-id bits and devices away from what users mount.
fn words(flags: &Flags) -> String {
    let escaped = |text: &str| text.replace('\\', r"\\").replace(',', r"\,");
    let mut words = vec![format!("fsname={}", escaped(&flags.source)), format!("subtype={}", escaped(&flags.subtype))];
    for (wanted, word) in [
        (!flags.unchecked, "default_permissions"),
        (flags.allow_other, "allow_other"),
        (flags.read_only, "ro"),
        (flags.no_exec, "noexec"),
        (flags.no_atime, "noatime"),
        (flags.sync, "sync"),
        (flags.dirsync, "dirsync"),
    ] {
        words.extend(wanted.then(|| word.to_owned()));
    }
    words.join(",")
}

fn by_helper(target: &Path, flags: &Flags) -> Result<(OwnedFd, &'static str)> {
    let (here, there) = sys::socket::pair().map_err(|errno| failed(target, errno))?;
    sys::descriptor::keep_on_exec(there.as_fd()).map_err(|errno| failed(target, errno))?;
    let (helper, output) = run_helper(|command| {
        command.env(SOCKET, there.as_raw_fd().to_string()).arg("-o").arg(words(flags)).arg("--").arg(target);
    })
    .map_err(|error| failed(target, error))?;
    drop(there);
    if !output.status.success() {
        return Err(failed(target, complaint(helper, &output)));
    }
    match sys::socket::receive(&here, &mut [0; 16]).map_err(|errno| failed(target, errno))? {
        (_, Some(fuse)) => Ok((fuse, helper)),
        (_, None) => Err(failed(target, io::Error::other(format!("{helper} gave no descriptor")))),
    }
}

/// Runs the first helper that is there.
fn run_helper(arguments: impl Fn(&mut Command)) -> io::Result<(&'static str, Output)> {
    for helper in HELPERS {
        let mut command = Command::new(helper);
        arguments(&mut command);
        match command.stdin(Stdio::null()).output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            output => return output.map(|output| (helper, output)),
        }
    }
    Err(io::Error::other("mount(2) is for root alone, and fusermount3 is not installed"))
}

fn complaint(helper: &str, output: &Output) -> io::Error {
    let text = String::from_utf8_lossy(&output.stderr);
    let text = text.trim().strip_prefix(helper).unwrap_or(text.trim()).trim_start_matches(": ").to_owned();
    io::Error::other(format!("{helper}: {text}"))
}

impl Mounted {
    /// Takes the filesystem out of the tree. Whatever is open in it stays, and is served, until it is closed.
    ///
    /// # Errors
    ///
    /// [`Error::Fuse`].
    pub fn unmount(&self) -> Result<()> {
        unmount_by(self.helper.is_some(), &self.target, true)
    }
}

/// Takes a filesystem of the caller's out of the tree, whoever serves it, or nobody. What is in use stays, unless `detach` says that it goes
/// once it is no longer.
///
/// # Errors
///
/// [`Error::Fuse`].
pub fn unmount(target: &Path, detach: bool) -> Result<()> {
    match unmount_by(false, target, detach) {
        Err(Error::Fuse { source, .. }) if is_refusal(&source) => unmount_by(true, target, detach),
        other => other,
    }
}

fn unmount_by(helper: bool, target: &Path, detach: bool) -> Result<()> {
    let failed = |source| Error::Fuse { action: format!("unmount {}", target.display()), source };
    if !helper {
        let flags = if detach { MntFlags::MNT_DETACH } else { MntFlags::empty() };
        return umount2(target, flags).map_err(|errno: Errno| failed(errno.into()));
    }
    let (helper, output) = run_helper(|command| {
        command.arg("-u").args(detach.then_some("-z")).arg("--").arg(target);
    })
    .map_err(failed)?;
    if output.status.success() { Ok(()) } else { Err(failed(complaint(helper, &output))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helper_is_told_all_that_it_does_not_do_anyway() {
        let flags = Flags { read_only: true, source: "a,b".to_owned(), ..Flags::default() };
        assert_eq!(words(&flags), r"fsname=a\,b,subtype=cowfs,default_permissions,ro,noatime");
        assert_eq!(bits(&flags), MsFlags::MS_RDONLY | MsFlags::MS_NODEV | MsFlags::MS_NOATIME);
    }
}
