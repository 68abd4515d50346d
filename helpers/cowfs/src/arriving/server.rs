//! The side that fetches.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, accept4, bind, socket};

use super::{HERE, LOST, REASON, REQUEST};

/// Content that is here.
#[derive(Debug)]
pub struct Here {
    /// The file that it lies in.
    pub file: Arc<File>,
    /// Where it begins there.
    pub begin: u64,
    /// How much there is: at least a byte, and perhaps less than was asked for.
    pub length: u64,
}

/// Whoever fetches a layer.
pub trait Provider: Sync {
    /// The layer's [identity](super::identity).
    fn identity(&self) -> u64;

    /// Waits for content of the listing.
    ///
    /// # Errors
    ///
    /// Why it does not come, in words for who reads it.
    fn provide(&self, position: u64, length: u64) -> Result<Here, String>;
}

/// Makes a socket at a layer's place. What was there is replaced.
///
/// # Errors
///
/// Those of the system.
pub fn listen(path: &Path) -> io::Result<OwnedFd> {
    let (folder, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let folder = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(folder)?;
    // The path itself may be longer than an address has room for (108 bytes, unix(7)).
    let near = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(&near)?)?;
    nix::sys::socket::listen(&socket, Backlog::MAXCONN)?;
    Ok(socket)
}

/// Waits for somebody to connect.
///
/// # Errors
///
/// Those of the system.
pub fn accept(listener: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(sys::descriptor::adopt(accept4(listener.as_raw_fd(), SockFlag::SOCK_CLOEXEC)?)?)
}

/// Answers one who has connected, until he goes.
pub fn answer(client: &OwnedFd, provider: &dyn Provider) {
    if sys::socket::send(client, &provider.identity().to_le_bytes(), None).is_err() {
        return;
    }
    let mut request = [0; REQUEST];
    while let Ok((REQUEST, _)) = sys::socket::receive(client, &mut request) {
        let (position, length) = request.split_at(8);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        let said = match provider.provide(number(position), number(length)) {
            Ok(Here { file, begin, length }) => {
                sys::socket::send(client, &words([HERE, begin, length]), Some(file.as_raw_fd()))
            }
            Err(reason) => {
                let reason = &reason.as_bytes()[..reason.len().min(REASON)];
                sys::socket::send(client, &[&words([LOST, 0, 0]), reason].concat(), None)
            }
        };
        if said.is_err() {
            return;
        }
    }
}

fn words(words: [u64; 3]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
