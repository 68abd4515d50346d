//! The side that wants to read.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::{ANSWER, HERE, LOST, Moved, REASON, moved_beside};
use crate::bytes::u64_at;
use crate::tree::cached;

/// What is told where the process that fetched is gone.
const NOBODY: &str = "nobody fetches the rest of the image any more";

/// A layer that is on its way, or has come since its tree was made.
#[derive(Debug)]
pub struct Arriving {
    path: PathBuf,
    identity: u64,
    /// Connections that nobody asks by just now: each answers one request at a time.
    pub(super) idle: Mutex<Vec<OwnedFd>>,
    /// The tar, as soon as it is known to be here.
    whole: OnceLock<(File, Moved)>,
    /// Where it is told what cannot be read.
    listener: OnceLock<OwnedFd>,
    /// What has been told last.
    told: Mutex<String>,
}

/// What is at a layer's place.
enum Found {
    Socket(OwnedFd),
    Whole(File, Moved),
}

/// What was said to somebody who asked.
enum Answer {
    /// Where it begins, how much there is, in which file.
    Here(u64, usize, File),
    /// Why it does not come.
    Lost(String),
    /// Nothing: nobody is there any more.
    Gone,
}

impl Arriving {
    /// Looks at what is at `path`, the layer's place.
    ///
    /// # Errors
    ///
    /// `ConnectionRefused` where nobody fetches it any more, `InvalidData` where it is another layer.
    pub fn open(path: &Path, identity: u64) -> io::Result<Self> {
        let new = Arriving {
            path: path.to_owned(),
            identity,
            idle: Mutex::default(),
            whole: OnceLock::new(),
            listener: OnceLock::new(),
            told: Mutex::default(),
        };
        match new.find()? {
            Found::Socket(socket) => new.idle().push(socket),
            Found::Whole(tar, moved) => drop(new.whole.set((tar, moved))),
        }
        Ok(new)
    }

    /// Has the reason told to `listener`, a socket that keeps messages apart, when something cannot be read: each once, as text.
    pub fn tell(&self, listener: OwnedFd) {
        let _ = self.listener.set(listener);
    }

    /// Fills `buffer` from `position` of the listing on, and waits for what is not here yet.
    ///
    /// # Errors
    ///
    /// `EIO` for what will not come.
    pub fn read(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buffer.len() {
            if let Some((tar, moved)) = self.whole.get() {
                let rest = &mut buffer[done..];
                return moved.read(rest, position + done as u64, |into, from| tar.read_exact_at(into, from));
            }
            done += self.ask(&mut buffer[done..], position + done as u64)?;
        }
        Ok(())
    }

    /// Like [`Arriving::read`], but only from memory: `WouldBlock` where it may have to be waited for.
    pub fn read_cached(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let Some((tar, moved)) = self.whole.get() else { return Err(io::ErrorKind::WouldBlock.into()) };
        moved.read(buffer, position, |into, from| cached(tar, into, from))
    }

    /// Asks for a piece, and reads what of it is here; how much that was. 0: who was asked is gone, and the layer has come.
    fn ask(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        let idle = self.idle().pop();
        let fresh = idle.is_none();
        let found = idle.map_or_else(|| self.find().map_err(|_| self.lost(NOBODY)), |socket| Ok(Found::Socket(socket)));
        let socket = match found? {
            Found::Socket(socket) => socket,
            Found::Whole(tar, moved) => {
                let _ = self.whole.set((tar, moved));
                return Ok(0);
            }
        };
        match exchange(&socket, position, buffer.len())? {
            Answer::Here(begin, length, file) => {
                file.read_exact_at(&mut buffer[..length], begin)?;
                self.idle().push(socket);
                Ok(length)
            }
            Answer::Lost(reason) => {
                // It is kept: as long as somebody reads of it, it is tried again to fetch the layer.
                self.idle().push(socket);
                Err(self.lost(&reason))
            }
            Answer::Gone => {
                // Others of the same age are as dead. One that was just made does not die for its age, but the layer may have come meanwhile.
                self.idle().clear();
                match fresh.then(|| self.find()) {
                    None => Ok(0),
                    Some(Ok(Found::Whole(tar, moved))) => {
                        let _ = self.whole.set((tar, moved));
                        Ok(0)
                    }
                    Some(_) => Err(self.lost(NOBODY)),
                }
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<OwnedFd>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To who reads a file that was there a moment ago, a layer that is lost is a disk that fails.
    fn lost(&self, reason: &str) -> io::Error {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told != reason
            && let Some(listener) = self.listener.get()
        {
            reason.clone_into(&mut told);
            // Who does not listen any more needs not be told.
            let _ = sys::socket::send(listener, reason.as_bytes(), None);
        }
        Errno::EIO.into()
    }

    fn find(&self) -> io::Result<Found> {
        let invalid = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
        // It may come in this very moment: then it is no socket any more that is reached for.
        if fs::metadata(&self.path)?.file_type().is_socket()
            && let Ok(socket) = reach(&self.path)
        {
            let mut greeting = [0; 8];
            let length = sys::socket::receive(&socket, &mut greeting)?.0;
            if length == greeting.len() && u64::from_le_bytes(greeting) != self.identity {
                return Err(invalid("another layer is fetched there"));
            }
            // Without a greeting it has just come, or is lost.
            if length == greeting.len() {
                return Ok(Found::Socket(socket));
            }
        }
        let tar = File::open(&self.path).map_err(|_| io::Error::from(io::ErrorKind::ConnectionRefused))?;
        let moved = Moved::parse(&fs::read(moved_beside(&self.path))?).map_err(io::Error::other)?;
        if moved.identity() != self.identity {
            return Err(invalid("it was listed otherwise"));
        }
        Ok(Found::Whole(tar, moved))
    }
}

/// Connects to a socket whose path may be longer than an address has room for (108 bytes, unix(7)).
fn reach(path: &Path) -> io::Result<OwnedFd> {
    let (folder, name) = (path.parent().unwrap_or(path), path.file_name().unwrap_or_default());
    let folder = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(folder)?;
    let near = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
    let socket = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None)?;
    connect(socket.as_raw_fd(), &UnixAddr::new(&near)?)?;
    Ok(socket)
}

/// One question and its answer.
fn exchange(socket: &OwnedFd, position: u64, length: usize) -> io::Result<Answer> {
    let request = [position.to_le_bytes(), (length as u64).to_le_bytes()].concat();
    // Who is gone does not hear it, and what comes of it says so.
    let _ = sys::socket::send(socket, &request, None);
    let mut answer = [0; ANSWER + REASON];
    let (received, file) = sys::socket::receive(socket, &mut answer).unwrap_or_default();
    let number = |at| u64_at(&answer, at).unwrap_or_default();
    match (received, file) {
        (ANSWER, Some(file)) if number(0) == HERE => {
            let here = usize::try_from(number(16)).map_or(length, |here| here.min(length));
            if here == 0 {
                return Err(Errno::EIO.into());
            }
            Ok(Answer::Here(number(8), here, file.into()))
        }
        (ANSWER.., _) if number(0) == LOST => {
            Ok(Answer::Lost(String::from_utf8_lossy(&answer[ANSWER..received]).into_owned()))
        }
        _ => Ok(Answer::Gone),
    }
}
