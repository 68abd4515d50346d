//! The socket in a container's folder: the monitor listens there, every command that wants something of it connects.
//!
//! A socket's address holds 108 bytes (unix(7)), and a folder's path may be longer: both sides go through the folder's descriptor.

use std::fs::{self, Permissions};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, connect, getsockopt, listen, socket,
};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

use super::folder::name;

/// How many may wait to be let in.
const QUEUE: i32 = 128;

/// Listens in a container's folder, in place of whoever did before. The caller holds the container's lock. Does not block.
pub fn open_in(folder: &Path) -> Result<OwnedFd, Errno> {
    let directory = directory(folder)?;
    let path = through(&directory);
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

/// Connects to the monitor of a container; `ECONNREFUSED` and `ENOENT` where there is none.
pub fn knock(folder: &Path) -> Result<OwnedFd, Errno> {
    let directory = directory(folder)?;
    let socket = new(SockFlag::empty())?;
    loop {
        match connect(socket.as_raw_fd(), &UnixAddr::new(&through(&directory))?) {
            Err(Errno::EINTR) => {}
            done => return done.map(|()| socket),
        }
    }
}

/// Lets one in; `None` where nobody waits, or where it is another user.
pub fn let_in(door: &OwnedFd) -> Result<Option<OwnedFd>, Errno> {
    let raw = match accept4(door.as_raw_fd(), SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK) {
        Ok(raw) => raw,
        Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let guest = sys::descriptor::adopt(raw)?;
    let credentials = getsockopt(&guest, PeerCredentials)?;
    Ok(Some(guest).filter(|_| credentials.uid() == geteuid().as_raw()))
}

fn new(flags: SockFlag) -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Unix, SockType::SeqPacket, flags | SockFlag::SOCK_CLOEXEC, None)
}

fn directory(folder: &Path) -> Result<OwnedFd, Errno> {
    open(folder, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

fn through(directory: &impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{}", directory.as_fd().as_raw_fd(), name::SOCKET))
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_a_long_path_has_a_door() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a".repeat(120));
        fs::create_dir(&folder).unwrap();
        assert_eq!(knock(&folder).unwrap_err(), Errno::ENOENT);
        let door = open_in(&folder).unwrap();
        assert!(let_in(&door).unwrap().is_none());
        let guest = knock(&folder).unwrap();
        let host = let_in(&door).unwrap().unwrap();
        sys::socket::send(&guest, b"hello", None).unwrap();
        assert_eq!(sys::socket::receive(&host, &mut [0; 8]).unwrap().0, 5);
        // As after a monitor that was killed: the file is there, and nobody listens.
        drop(door);
        assert_eq!(knock(&folder).unwrap_err(), Errno::ECONNREFUSED);
        open_in(&folder).unwrap();
    }
}
