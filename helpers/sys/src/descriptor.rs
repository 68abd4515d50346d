//! File descriptors: which of them survive an exec, and programs that live in memory alone.

use std::ffi::CStr;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::fcntl::{FcntlArg, FdFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::{Errno, Result};

/// Marks every descriptor from `first` up close-on-exec (close_range(2), Linux 5.11).
pub fn close_on_exec_from(first: RawFd) -> Result<()> {
    let first = libc::c_uint::try_from(first).map_err(|_| Errno::EBADF)?;
    // SAFETY: close_range with CLOSE_RANGE_CLOEXEC only sets a flag on descriptors; no memory is involved.
    let status = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(status).map(drop)
}

/// Closes every descriptor from `first` up (close_range(2), Linux 5.9): for a process that goes on without any of what it had open.
/// Whoever owns one of them must never use or drop it.
pub fn close_from(first: RawFd) -> Result<()> {
    let first = libc::c_uint::try_from(first).map_err(|_| Errno::EBADF)?;
    // SAFETY: close_range closes descriptors; no memory is involved, and by this function's contract no owner of one goes on.
    let status = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, 0) };
    Errno::result(status).map(drop)
}

/// Lets a descriptor survive the next exec.
pub fn keep_on_exec(fd: BorrowedFd) -> Result<()> {
    fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty())).map(drop)
}

/// The numbers of all descriptors that are open, but for the standard ones (proc_pid_fd(5)).
pub fn all_open() -> io::Result<Vec<RawFd>> {
    let entries = std::fs::read_dir("/proc/self/fd")?;
    let numbers: Vec<RawFd> = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    // Without that of the listing itself, which is closed by now.
    Ok(numbers.into_iter().filter(|number| *number > libc::STDERR_FILENO && borrow(*number).is_ok()).collect())
}

/// Takes over a descriptor that this process was handed by number at its start.
///
/// Fails with `EBADF` where the number is not open, or is one of the three standard ones.
/// The caller must be the only one to take that number: a process does this once, at its start.
pub fn adopt(number: RawFd) -> Result<OwnedFd> {
    if number <= libc::STDERR_FILENO {
        return Err(Errno::EBADF);
    }
    // SAFETY: F_GETFD reads a flag of the descriptor table, whatever the number.
    Errno::result(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // SAFETY: the descriptor is open (checked above) and, by this function's contract, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Borrows a descriptor by number, such as 0, 1 or 2, after checking that it is open.
pub fn borrow(number: RawFd) -> Result<BorrowedFd<'static>> {
    // SAFETY: F_GETFD reads a flag of the descriptor table, whatever the number.
    Errno::result(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // SAFETY: open, as just seen; callers use this for descriptors that stay open for the process's life.
    Ok(unsafe { BorrowedFd::borrow_raw(number) })
}

/// Makes `target` (a number, such as 0, 1 or 2) another name of `source`, without close-on-exec.
pub fn replace(source: BorrowedFd, target: RawFd) -> Result<()> {
    if source.as_raw_fd() == target {
        return keep_on_exec(source);
    }
    // SAFETY: dup2 involves no memory; replacing a standard descriptor is what the caller asks for.
    Errno::result(unsafe { libc::dup2(source.as_raw_fd(), target) }).map(drop)
}

/// Puts `bytes` into a file that exists in memory alone and can never be changed again: a program to be
/// run by execveat(2) (memfd_create(2), F_ADD_SEALS in fcntl(2)). Close-on-exec.
pub fn sealed(name: &CStr, bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = memfd_create(name, MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    let mut file = std::fs::File::from(fd);
    file.write_all(bytes)?;
    let seals = SealFlag::F_SEAL_SEAL | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_WRITE;
    fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(file.into())
}

/// How many bytes wait in a pipe to be read, asked at either of its ends (FIONREAD in pipe(7)).
pub fn waiting(pipe: BorrowedFd) -> Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: the kernel writes one int.
    Errno::result(unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_sealed_file_cannot_be_written() {
        let fd = sealed(c"test", b"content").unwrap();
        assert_eq!(nix::unistd::write(&fd, b"x"), Err(Errno::EPERM));
    }

    #[test]
    fn adopting_a_closed_or_standard_descriptor_is_refused() {
        assert_eq!(adopt(1).unwrap_err(), Errno::EBADF);
        assert_eq!(adopt(987_654).unwrap_err(), Errno::EBADF);
    }

    #[test]
    fn what_is_open_is_listed_without_the_listing() {
        // Other tests open and close files at the same time.
        let fd = sealed(c"test", b"").unwrap();
        assert!(all_open().unwrap().contains(&fd.as_raw_fd()));
        assert!(!all_open().unwrap().contains(&1));
    }

    #[test]
    fn keep_on_exec_clears_the_flag() {
        let fd = sealed(c"test", b"").unwrap();
        keep_on_exec(fd.as_fd()).unwrap();
        assert_eq!(fcntl(&fd, FcntlArg::F_GETFD).unwrap(), 0);
    }
}
