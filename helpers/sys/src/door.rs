//! A socket by a name in a folder, at which processes of one user meet: whole messages, as in [`crate::socket`].
//!
//! A socket's address holds 108 bytes (unix(7)), and a folder's path may be longer: both sides go through the folder's descriptor.

use std::fs::{self, Permissions};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, open};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, connect, getsockopt, listen, socket,
};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

use crate::{Errno, Result};

/// How many may wait to be let in.
pub const QUEUE: i32 = 128;

/// Listens under `name` in a folder, in place of whoever did before: the caller sees to it that nobody does. Does not block.
pub fn open_in(folder: &Path, name: &str) -> Result<OwnedFd> {
    let directory = directory(folder)?;
    let path = through(&directory, name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(errno(&error)),
        _ => {}
    }
    let door = new(SockFlag::SOCK_NONBLOCK)?;
    bind(door.as_raw_fd(), &UnixAddr::new(&path)?)?;
    // Nobody else can enter the folder either.
    fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(|error| errno(&error))?;
    listen(&door, Backlog::new(QUEUE)?)?;
    Ok(door)
}

/// Connects to who listens under `name` in a folder; `ECONNREFUSED` and `ENOENT` where there is nobody.
pub fn knock(folder: &Path, name: &str) -> Result<OwnedFd> {
    let directory = directory(folder)?;
    let socket = new(SockFlag::empty())?;
    loop {
        match connect(socket.as_raw_fd(), &UnixAddr::new(&through(&directory, name))?) {
            Err(Errno::EINTR) => {}
            done => return done.map(|()| socket),
        }
    }
}

/// Lets one in; `None` where nobody waits, or where it is another user. Does not block, and neither does the socket.
pub fn let_in(door: &OwnedFd) -> Result<Option<OwnedFd>> {
    let Some(guest) = let_in_anybody(door)? else { return Ok(None) };
    let credentials = getsockopt(&guest, PeerCredentials)?;
    Ok(Some(guest).filter(|_| credentials.uid() == geteuid().as_raw()))
}

/// Lets one in, whoever it is; `None` where nobody waits. Does not block, and neither does the socket.
pub fn let_in_anybody(door: &OwnedFd) -> Result<Option<OwnedFd>> {
    let raw = match accept4(door.as_raw_fd(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK) {
        Ok(raw) => raw,
        Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    crate::descriptor::adopt(raw).map(Some)
}

fn new(flags: SockFlag) -> Result<OwnedFd> {
    socket(AddressFamily::Unix, SockType::SeqPacket, flags | SockFlag::SOCK_CLOEXEC, None)
}

fn directory(folder: &Path) -> Result<OwnedFd> {
    open(folder, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

fn through(directory: &impl AsFd, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", directory.as_fd().as_raw_fd()))
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_a_long_path_has_a_door() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a".repeat(120));
        fs::create_dir(&folder).unwrap();
        assert_eq!(knock(&folder, "socket").unwrap_err(), Errno::ENOENT);
        let door = open_in(&folder, "socket").unwrap();
        assert!(let_in(&door).unwrap().is_none());
        let guest = knock(&folder, "socket").unwrap();
        let host = let_in(&door).unwrap().unwrap();
        crate::socket::send(&guest, b"hello", None).unwrap();
        assert_eq!(crate::socket::receive(&host, &mut [0; 8]).unwrap().0, 5);
        // As after a process that was killed: the file is there, and nobody listens.
        drop(door);
        assert_eq!(knock(&folder, "socket").unwrap_err(), Errno::ECONNREFUSED);
        open_in(&folder, "socket").unwrap();
    }
}
