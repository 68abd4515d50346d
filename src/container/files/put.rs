//! Unpacking: entries of a tar become files below a directory, which they never lead out of.
//!
//! The tar is hostile, and so may be whoever changes the directory meanwhile. Every directory on the way is opened beneath the top, and
//! no link on the way is followed, whoever made it: a link in the place of a directory is an error.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cowfs::layer::{Kind, Limits, Member, Stream, Time};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FchmodatFlags, Mode, UtimensatFlags, fchmod, fstat, futimens, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, linkat, symlinkat, unlinkat};

use super::View;
use super::read::{self, Type};
use crate::container::error::Told;

/// Holes are made where so many bytes are zero.
const HOLE: usize = 4096;

/// Whom unpacked files belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Whoever unpacks them; their set-id bits are dropped, as another's program must not run as him.
    Caller,
    /// Whom the tar names.
    AsTold,
}

/// Where the entries of a tar go.
#[derive(Debug)]
pub struct Place {
    /// The directory that they go below.
    pub top: OwnedFd,
    /// What becomes of their paths.
    pub rename: Rename,
}

/// What becomes of an entry's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rename {
    /// Nothing.
    No,
    /// Its first part is replaced by this.
    First(Vec<u8>),
    /// This stands before it.
    Below(Vec<u8>),
}

/// What unpacking has to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unpacked {
    /// Device files, which are not made.
    pub devices: u64,
}

/// Unpacks a tar. `place` is asked when the first entry is known: whether it is a directory, and whether it stands for the content of
/// one alone.
pub fn unpack(
    view: &View,
    owner: Owner,
    tar: impl Read,
    place: impl FnOnce(bool, bool) -> Result<Place, Told>,
) -> Result<Unpacked, Told> {
    let mut archive = Stream::new(tar, Limits { tar_bytes: u64::MAX, ..Limits::default() });
    let (mut place, mut unpacking) = (Some(place), None);
    while let Some(member) = archive.next_member().map_err(|error| broken(&error))? {
        let parts = clean(&member.path)?;
        if let Some(place) = place.take() {
            let top = place(member.kind == Kind::Directory, parts.is_empty())?;
            unpacking = Some(Unpacking { view, owner, place: top, directories: Vec::new(), done: Unpacked::default() });
        }
        if let Some(unpacking) = &mut unpacking {
            unpacking.entry(&mut archive, &member, parts).map_err(|fault| fault.about(&member.path))?;
        }
    }
    unpacking.map_or(Ok(Unpacked::default()), Unpacking::finish)
}

/// A path's parts. One that leads upwards is refused; a slash at its front says nothing.
fn clean(path: &[u8]) -> Result<Vec<&[u8]>, Told> {
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
    if parts.contains(&&b".."[..]) || path.contains(&0) {
        let shown = String::from_utf8_lossy(path).into_owned();
        return Err(Told {
            message: format!("the archive has an entry that leads out of it: {shown}"),
            cause: None,
            hint: Some("nothing is unpacked from such an archive; see what it holds with `tar t`".into()),
        });
    }
    Ok(parts)
}

fn broken(error: &cowfs::Error) -> Told {
    // The reader quotes what it could not read, which may be anything.
    let reason: String = error.to_string().lines().next().unwrap_or_default().chars().take(100).collect();
    let cause = Some(Box::new(Told { message: reason, cause: None, hint: None }));
    Told { message: "cannot read the archive".into(), cause, hint: None }
}

struct Unpacking<'a> {
    view: &'a View,
    owner: Owner,
    place: Place,
    /// Directories get their permissions and times when all is in them.
    directories: Vec<(Vec<u8>, Looks)>,
    done: Unpacked,
}

enum Fault {
    Kernel(Errno),
    Io(io::Error),
    Other(&'static str),
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        Self::Kernel(errno)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Fault {
    fn about(self, path: &[u8]) -> Told {
        let message = format!("cannot make {}", String::from_utf8_lossy(path));
        let cause = |message: &str| Some(Box::new(Told { message: message.into(), cause: None, hint: None }));
        match self {
            Self::Kernel(Errno::ELOOP) => {
                Told { message, cause: cause("a symbolic link is in the place of a directory"), hint: None }
            }
            Self::Kernel(errno) => Told::refused(message, errno, None),
            Self::Io(error) => Told { message, cause: Some(Box::new(Told::by(&error, None))), hint: None },
            Self::Other(reason) => Told { message, cause: cause(reason), hint: None },
        }
    }
}

/// Owner, permissions, times and attributes.
struct Looks {
    mode: u32,
    owner: Option<(Uid, Gid)>,
    mtime: TimeSpec,
    xattrs: Vec<(CString, Vec<u8>)>,
}

impl Unpacking<'_> {
    fn entry<R: Read>(&mut self, archive: &mut Stream<R>, member: &Member, parts: Vec<&[u8]>) -> Result<(), Fault> {
        let parts = self.rename(parts);
        // The top itself, which is there already and stays as it is.
        let Some((name, parents)) = parts.split_last() else { return Ok(()) };
        let looks = self.looks(member)?;
        let parent = self.directory(parents)?;
        let name = Path::new(OsStr::from_bytes(name));
        match member.kind {
            Kind::Directory => {
                self.make_directory(&parent, name)?;
                self.directories.push((parts.join(&b'/'), looks));
                return Ok(());
            }
            Kind::Device => {
                self.done.devices += 1;
                return Ok(());
            }
            Kind::Other => return Ok(()),
            Kind::File => return self.file(&parent, name, archive, member, &looks),
            Kind::HardLink | Kind::Symlink | Kind::Fifo => {}
        }
        self.vacate(&parent, name)?;
        if member.kind == Kind::HardLink {
            return self.hard_link(&parent, name, &member.link);
        }
        if member.kind == Kind::Symlink {
            symlinkat(OsStr::from_bytes(&member.link), &parent, name)?;
        } else {
            nix::unistd::mkfifoat(&parent, name, Mode::from_bits_truncate(0o600))?;
        }
        if let Some(owner) = looks.owner {
            let c_name = CString::new(name.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
            self.view.give(&parent, &c_name, owner)?;
        }
        if member.kind == Kind::Fifo {
            // It has just been made by us; whoever puts a link there meanwhile gets that link's target nothing but this.
            nix::sys::stat::fchmodat(
                &parent,
                name,
                Mode::from_bits_truncate(looks.mode),
                FchmodatFlags::NoFollowSymlink,
            )
            .or_else(|errno| if errno == Errno::EOPNOTSUPP { Ok(()) } else { Err(errno) })?;
        }
        utimensat(&parent, name, &TimeSpec::UTIME_OMIT, &looks.mtime, UtimensatFlags::NoFollowSymlink)?;
        Ok(())
    }

    fn rename<'p>(&'p self, mut parts: Vec<&'p [u8]>) -> Vec<&'p [u8]> {
        match (&self.place.rename, parts.first_mut()) {
            (Rename::First(name), Some(first)) => *first = name,
            (Rename::Below(name), _) => parts.insert(0, name),
            _ => {}
        }
        parts
    }

    /// The directory that an entry is in, made where it is missing.
    fn directory(&self, parts: &[&[u8]]) -> Result<OwnedFd, Fault> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let path = parts.join(&b'/');
        let whole = if path.is_empty() { Path::new(".") } else { Path::new(OsStr::from_bytes(&path)) };
        match sys::path::open_beneath(&self.place.top, whole, flags, Mode::empty()) {
            Err(Errno::ENOENT) => {}
            found => return Ok(found?),
        }
        let mut at = openat(&self.place.top, ".", flags, Mode::empty())?;
        for part in parts {
            let name = Path::new(OsStr::from_bytes(part));
            match mkdirat(&at, name, Mode::from_bits_truncate(0o755)) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            at = openat(&at, name, flags, Mode::empty())?;
        }
        Ok(at)
    }

    fn make_directory(&self, parent: &OwnedFd, name: &Path) -> Result<(), Fault> {
        match mkdirat(parent, name, Mode::from_bits_truncate(0o700)) {
            Err(Errno::EEXIST) => {
                let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
                let found = openat(parent, name, flags, Mode::empty())?;
                match Type::of(fstat(&found)?.st_mode) {
                    Type::Directory => Ok(()),
                    _ => Err(Fault::Other("what is there is no directory")),
                }
            }
            made => Ok(made?),
        }
    }

    /// Takes away what has the name, unless it is a directory.
    fn vacate(&self, parent: &OwnedFd, name: &Path) -> Result<(), Fault> {
        match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(Errno::EISDIR) => Err(Fault::Other("a directory is there")),
            Err(errno) => Err(errno.into()),
        }
    }

    fn file<R: Read>(
        &self,
        parent: &OwnedFd,
        name: &Path,
        archive: &mut Stream<R>,
        member: &Member,
        looks: &Looks,
    ) -> Result<(), Fault> {
        let flags = OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fresh = flags | OFlag::O_CREAT | OFlag::O_EXCL;
        let file = match self.vacate(parent, name) {
            // A file that is mounted on, such as /etc/hosts, can only be written.
            Err(Fault::Kernel(Errno::EBUSY)) => openat(parent, name, flags | OFlag::O_TRUNC, Mode::empty())?,
            Err(fault) => return Err(fault),
            Ok(()) => openat(parent, name, fresh, Mode::from_bits_truncate(0o600))?,
        };
        let file = copy(archive, File::from(file), member)?;
        self.set(&file, looks)
    }

    fn hard_link(&self, parent: &OwnedFd, name: &Path, target: &[u8]) -> Result<(), Fault> {
        let parts = clean(target).map_err(|_| Fault::Other("it is a link to a file outside"))?;
        let parts = self.rename(parts);
        let Some((file, parents)) = parts.split_last() else { return Err(Fault::Other("it is a link to nothing")) };
        let directory = self.directory(parents)?;
        Ok(linkat(&directory, Path::new(OsStr::from_bytes(file)), parent, name, AtFlags::empty())?)
    }

    /// What the headers say of an entry.
    fn looks(&self, member: &Member) -> Result<Looks, Fault> {
        let mut mode = member.mode;
        let owner = match self.owner {
            Owner::Caller => {
                mode &= 0o1777;
                None
            }
            Owner::AsTold => {
                let id =
                    |id: u64| u32::try_from(id).map_err(|_| Fault::Other("its owner is no number that there can be"));
                self.view
                    .owner_to_set(id(member.uid)?, id(member.gid)?)
                    .ok_or(Fault::Other("its owner is not mapped in the container"))?
            }
        };
        let xattrs = member.xattrs.iter().filter(|(name, _)| read::is_kept(name)).filter_map(|(name, value)| {
            let value = self.view.attribute_to_set(name, value);
            CString::new(name.as_slice()).ok().map(|name| (name, value))
        });
        let Time { secs, nanos } = member.mtime;
        Ok(Looks { mode, owner, mtime: TimeSpec::new(secs, nanos.into()), xattrs: xattrs.collect() })
    }

    /// Owner first: a change of it takes set-id bits and capabilities away.
    fn set(&self, file: &impl AsFd, looks: &Looks) -> Result<(), Fault> {
        if let Some(owner) = looks.owner {
            self.view.give(file, c"", owner)?;
        }
        fchmod(file, Mode::from_bits_truncate(looks.mode))?;
        for (name, value) in &looks.xattrs {
            match sys::xattr::set_of(file, name, value) {
                // The filesystem has none, or the user may not set them.
                Ok(()) | Err(Errno::EOPNOTSUPP | Errno::EPERM) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(futimens(file, &TimeSpec::UTIME_OMIT, &looks.mtime)?)
    }

    fn finish(self) -> Result<Unpacked, Told> {
        for (path, looks) in self.directories.iter().rev() {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let open =
                sys::path::open_beneath(&self.place.top, Path::new(OsStr::from_bytes(path)), flags, Mode::empty());
            match open {
                // Somebody else has removed it meanwhile.
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
                Ok(directory) => self.set(&directory, looks).map_err(|fault| fault.about(path))?,
                Err(errno) => return Err(Fault::from(errno).about(path)),
            }
        }
        Ok(self.done)
    }
}

/// Copies a file's content, leaves its holes out, and makes more of zeroes.
fn copy(from: &mut impl Read, mut file: File, member: &Member) -> Result<File, Fault> {
    let mut buffer = vec![0; 64 << 10];
    for &(start, length) in &member.pieces {
        file.seek(SeekFrom::Start(start))?;
        let mut left = length;
        while left > 0 {
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let mut filled = 0;
            while filled < wanted {
                match from.read(&mut buffer[filled..wanted]) {
                    Ok(0) => return Err(Fault::Other("the archive ends within it")),
                    Ok(got) => filled += got,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error.into()),
                }
            }
            for block in buffer[..filled].chunks(HOLE) {
                if block.len() == HOLE && block.iter().all(|byte| *byte == 0) {
                    file.seek(SeekFrom::Current(HOLE as i64))?;
                } else {
                    file.write_all(block)?;
                }
            }
            left -= filled as u64;
        }
    }
    file.set_len(member.size)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
