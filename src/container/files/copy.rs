//! Docker's rules of what is copied and where it goes, the same for a container and for this machine.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, fstat};

use super::View;
use super::put::{self, Owner, Place, Rename, Unpacked};
use super::read::{self, Type};
use super::tree::Packing;
use crate::container::error::Told;
use crate::store::Decoder;

/// Through how many links a destination may lead.
const MAX_LINKS: usize = 40;

/// What is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// As it was typed; one that ends in `/.` means what is in a directory.
    pub path: PathBuf,
    /// Whether a link is followed.
    pub follow: bool,
    /// Whom it belongs to from then on.
    pub whose: Whose,
}

/// Whom what is copied belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// To root of the container, or on this machine to the caller.
    Root,
    /// To whom it belonged.
    Same,
}

/// Where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Into {
    /// A file or directory by docker's rules.
    Path(PathBuf, Whose),
    /// An archive is unpacked in this directory, which must be there.
    Directory(PathBuf),
}

/// Writes a tar of what is to be copied.
pub fn pack(view: &View, from: &Copied, out: File) -> Result<(), Told> {
    let (file, name) = source(view, from)?;
    let owner = if from.whose == Whose::Root { Some((0, 0)) } else { None };
    let mut packing = Packing::new(view, out, owner);
    packing.add(&file, &name)?;
    packing.finish()
}

/// What is to be copied, and what it is called in the tar: `.` for what is in a directory.
fn source(view: &View, from: &Copied) -> Result<(OwnedFd, Vec<u8>), Told> {
    let refused = |errno| Told::refused(format!("cannot copy {}", from.path.display()), errno, None);
    let path = from.path.as_os_str().as_bytes();
    let last = path.rsplit(|byte| *byte == b'/').find(|part| !part.is_empty());
    let directory = |name: &[u8]| {
        let file = view.find(&from.path).map_err(refused)?;
        match Type::of(fstat(&file).map_err(refused)?.st_mode) {
            Type::Directory => Ok((file, name.to_vec())),
            _ => Err(refused(Errno::ENOTDIR)),
        }
    };
    match last {
        None | Some(b"." | b"..") => directory(b"."),
        Some(name) if path.ends_with(b"/") => directory(name),
        Some(name) if from.follow => Ok((view.find(&from.path).map_err(refused)?, name.to_vec())),
        Some(name) => {
            let parent = view.find(parent(&from.path)).map_err(refused)?;
            let file =
                sys::path::open_beneath(&parent, Path::new(OsStr::from_bytes(name)), OFlag::O_PATH, Mode::empty());
            Ok((file.map_err(refused)?, name.to_vec()))
        }
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Unpacks a tar where it is to go.
pub fn unpack(view: &View, tar: impl Read, into: &Into) -> Result<Unpacked, Told> {
    match into {
        Into::Directory(path) => {
            let refused = |errno| Told::refused(format!("cannot unpack in {}", path.display()), errno, None);
            let top = view.find(path).map_err(refused)?;
            if Type::of(fstat(&top).map_err(refused)?.st_mode) != Type::Directory {
                return Err(refused(Errno::ENOTDIR));
            }
            let input = io::BufReader::with_capacity(128 << 10, tar);
            let decoded = Decoder::new(input).map_err(|error| super::layer::failed(&error))?;
            put::unpack(view, Owner::AsTold, decoded, |_, _| Ok(Place { top, rename: Rename::No }))
        }
        Into::Path(path, whose) => {
            let destination = Destination::find(view, path)?;
            // What comes to a container says already whom it belongs to; on this machine only those who ask for it get another's.
            let owner = if *whose == Whose::Root && view.is_host() { Owner::Caller } else { Owner::AsTold };
            put::unpack(view, owner, tar, |is_directory, contents| destination.place(path, is_directory, contents))
        }
    }
}

/// A path that something is copied to.
struct Destination {
    /// The directory itself where it is one, else the one that it is in.
    directory: OwnedFd,
    /// Its name in that.
    name: Vec<u8>,
    kind: There,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum There {
    Directory,
    File,
    Nothing,
}

impl Destination {
    /// What is there. A link at the end is followed, to where nothing is as well.
    fn find(view: &View, path: &Path) -> Result<Self, Told> {
        let refused = |errno| Told::refused(format!("cannot copy to {}", path.display()), errno, None);
        let mut at = path.to_owned();
        for _ in 0..MAX_LINKS {
            match view.find(&at) {
                Ok(file) if Type::of(fstat(&file).map_err(refused)?.st_mode) == Type::Directory => {
                    return Ok(Self { directory: file, name: Vec::new(), kind: There::Directory });
                }
                // A slash at the end of a file's name; that it is none is told when it is known what is copied.
                Ok(_) | Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(errno) => return Err(refused(errno)),
            }
            let name = at.file_name().ok_or_else(|| refused(Errno::ENOENT))?.as_bytes().to_vec();
            let directory = view.find(parent(&at)).map_err(|errno| match errno {
                Errno::ENOENT => Told {
                    message: format!("cannot copy to {}", path.display()),
                    cause: Some(Box::new(Told::refused(
                        format!("the directory {} is not there", parent(&at).display()),
                        errno,
                        None,
                    ))),
                    hint: Some("make it first".into()),
                },
                errno => refused(errno),
            })?;
            let last = Path::new(OsStr::from_bytes(&name));
            match sys::path::open_beneath(&directory, last, OFlag::O_PATH, Mode::empty()) {
                Err(Errno::ENOENT) => return Ok(Self { directory, name, kind: There::Nothing }),
                Err(errno) => return Err(refused(errno)),
                Ok(file) if Type::of(fstat(&file).map_err(refused)?.st_mode) == Type::Symlink => {
                    let target = read::target(&file).map_err(refused)?;
                    at = parent(&at).join(OsStr::from_bytes(&target));
                }
                Ok(_) => return Ok(Self { directory, name, kind: There::File }),
            }
        }
        Err(refused(Errno::ELOOP))
    }

    /// Where the entries go, when it is known what they are.
    fn place(self, path: &Path, is_directory: bool, contents: bool) -> Result<Place, Told> {
        let wrong = |reason: &str| {
            let cause = Some(Box::new(Told { message: reason.into(), cause: None, hint: None }));
            Err(Told { message: format!("cannot copy to {}", path.display()), cause, hint: None })
        };
        let slash = path.as_os_str().as_bytes().ends_with(b"/");
        match self.kind {
            There::Directory => return Ok(Place { top: self.directory, rename: Rename::No }),
            There::File if is_directory => return wrong("a directory cannot take the place of a file"),
            There::File if slash => return wrong("it is no directory"),
            There::Nothing if slash && !is_directory => return wrong("there is no such directory"),
            _ => {}
        }
        let rename = if contents { Rename::Below(self.name) } else { Rename::First(self.name) };
        Ok(Place { top: self.directory, rename })
    }
}
