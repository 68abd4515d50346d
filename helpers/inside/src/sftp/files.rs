//! What is done for each request.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes, Metadata, OpenOptions, Permissions, ReadDir};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, PermissionsExt as _, chown, fchown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::statvfs::{FsFlags, Statvfs, fstatvfs, statvfs};
use nix::sys::time::TimeSpec;

use super::list;
use super::wire::{Attributes, Malformed, Reader, Writer};

/// What of OpenSSH's additions there is, with their versions.
pub const EXTENSIONS: &[(&str, &str)] = &[
    ("posix-rename@openssh.com", "1"),
    ("statvfs@openssh.com", "2"),
    ("fstatvfs@openssh.com", "2"),
    ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("lsetstat@openssh.com", "1"),
    ("limits@openssh.com", "1"),
    ("expand-path@openssh.com", "1"),
];

const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED_REPLY: u8 = 201;

/// The most of a file in one answer, and in one request.
const PIECE: u32 = 255 * 1024;

/// So many names in one answer, and so many files open at once.
const AT_ONCE: usize = 100;
const MOST: usize = 1000;

/// A request that is not granted: the protocol's code, and words for whoever reads them.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    pub code: u32,
    pub why: String,
}

impl Refused {
    fn new(code: u32, why: &str) -> Self {
        Self { code, why: why.to_owned() }
    }

    fn end() -> Self {
        Self::new(1, "end of file")
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        let code = match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => 2,
            io::ErrorKind::PermissionDenied => 3,
            io::ErrorKind::Unsupported => 8,
            _ => 4,
        };
        // "No such file or directory (os error 2)": the number means something here alone.
        let why = error.to_string();
        Self { code, why: why.split(" (os error").next().unwrap_or(&why).to_owned() }
    }
}

impl From<nix::errno::Errno> for Refused {
    fn from(errno: nix::errno::Errno) -> Self {
        io::Error::from(errno).into()
    }
}

impl From<Malformed> for Refused {
    fn from(_: Malformed) -> Self {
        Self::new(5, "the request is cut off")
    }
}

type Answer = Result<Writer, Refused>;

#[derive(Debug)]
enum Open {
    File(File),
    Folder(PathBuf, ReadDir),
}

/// What is open.
#[derive(Debug, Default)]
pub struct Files {
    open: BTreeMap<u32, Open>,
    next: u32,
}

impl Files {
    /// Does what a request of this kind asks for; the answer is without its number.
    pub fn request(&mut self, kind: u8, mut reader: Reader<'_>) -> Answer {
        let reader = &mut reader;
        match kind {
            3 => self.open_file(reader),
            4 => {
                let id = handle(reader)?;
                self.open.remove(&id).map_or_else(|| Err(Refused::new(4, "nothing is open by this handle")), |_| done())
            }
            5 => self.read(reader),
            6 => {
                let (file, offset) = (self.file(reader)?, reader.large()?);
                file.write_all_at(reader.bytes()?, offset)?;
                done()
            }
            7 => attributes(&fs::symlink_metadata(reader.path()?)?),
            8 => attributes(&self.file(reader)?.metadata()?),
            9 => {
                let path = reader.path()?;
                set(&path, reader.attributes()?, true)
            }
            10 => {
                let file = self.file(reader)?;
                set_open(file, reader.attributes()?)
            }
            11 => {
                let path = reader.path()?;
                let folder = fs::read_dir(&path)?;
                self.keep(Open::Folder(path, folder))
            }
            12 => self.list(reader),
            13 => fs::remove_file(reader.path()?).map_err(Refused::from).and_then(|()| done()),
            14 => make_folder(&reader.path()?, reader.attributes()?),
            15 => fs::remove_dir(reader.path()?).map_err(Refused::from).and_then(|()| done()),
            16 => name(whole(&reader.path()?)?.as_os_str()),
            17 => attributes(&fs::metadata(reader.path()?)?),
            18 => rename(&reader.path()?, &reader.path()?),
            19 => name(fs::read_link(reader.path()?)?.as_os_str()),
            // In OpenSSH's order, which all go by: the link's content first.
            20 => symlink(reader.path()?, reader.path()?).map_err(Refused::from).and_then(|()| done()),
            200 => self.extended(reader),
            _ => Err(Refused::new(8, "there is no such request")),
        }
    }

    fn extended(&mut self, reader: &mut Reader<'_>) -> Answer {
        match reader.bytes()? {
            b"posix-rename@openssh.com" => fs::rename(reader.path()?, reader.path()?)?,
            b"hardlink@openssh.com" => fs::hard_link(reader.path()?, reader.path()?)?,
            b"fsync@openssh.com" => self.file(reader)?.sync_all()?,
            b"statvfs@openssh.com" => return Ok(room(&statvfs(&reader.path()?)?)),
            b"fstatvfs@openssh.com" => return Ok(room(&fstatvfs(self.file(reader)?)?)),
            b"lsetstat@openssh.com" => {
                let path = reader.path()?;
                return set(&path, reader.attributes()?, false);
            }
            b"limits@openssh.com" => {
                let limits = [u64::from(super::LIMIT), u64::from(PIECE), u64::from(PIECE), MOST as u64];
                return Ok(limits.into_iter().fold(Writer::default().byte(EXTENDED_REPLY), Writer::large));
            }
            b"expand-path@openssh.com" => return name(whole(&expanded(reader.path()?))?.as_os_str()),
            _ => return Err(Refused::new(8, "there is no such extension")),
        }
        done()
    }

    fn keep(&mut self, open: Open) -> Answer {
        if self.open.len() >= MOST {
            return Err(Refused::new(4, "too many files are open"));
        }
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.open.insert(id, open);
        Ok(Writer::default().byte(HANDLE).string(id.to_be_bytes()))
    }

    fn file(&self, reader: &mut Reader<'_>) -> Result<&File, Refused> {
        match self.open.get(&handle(reader)?) {
            Some(Open::File(file)) => Ok(file),
            _ => Err(Refused::new(4, "no file is open by this handle")),
        }
    }

    fn open_file(&mut self, reader: &mut Reader<'_>) -> Answer {
        let (path, flags, attributes) = (reader.path()?, reader.number()?, reader.attributes()?);
        let has = |bit: u32| flags & bit != 0;
        let mut options = OpenOptions::new();
        options.read(has(1)).write(has(2)).append(has(4)).mode(attributes.mode.unwrap_or(0o666) & 0o7777);
        // Without leave to write, there is nothing to make or to empty.
        let writes = has(2) || has(4);
        options
            .create(writes && has(8))
            .truncate(has(2) && !has(4) && has(0x10))
            .create_new(writes && has(8) && has(0x20));
        // A pipe without a reader is not waited for.
        let file = options.custom_flags(nix::libc::O_NOCTTY | nix::libc::O_NONBLOCK).open(path)?;
        self.keep(Open::File(file))
    }

    fn read(&self, reader: &mut Reader<'_>) -> Answer {
        let (file, offset, length) = (self.file(reader)?, reader.large()?, reader.number()?.min(PIECE));
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
        let read = file.read_at(&mut bytes, offset)?;
        if read == 0 && length > 0 {
            return Err(Refused::end());
        }
        Ok(Writer::default().byte(DATA).string(&bytes[..read]))
    }

    fn list(&mut self, reader: &mut Reader<'_>) -> Answer {
        let Some(Open::Folder(path, folder)) = self.open.get_mut(&handle(reader)?) else {
            return Err(Refused::new(4, "no folder is open by this handle"));
        };
        let mut names = Vec::new();
        for entry in folder.by_ref().take(AT_ONCE) {
            let entry = entry?.file_name();
            // What has gone in the meantime is not listed.
            if let Ok(data) = fs::symlink_metadata(path.join(&entry)) {
                names.push((entry, data));
            }
        }
        if names.is_empty() {
            return Err(Refused::end());
        }
        let answer = Writer::default().byte(NAME).number(u32::try_from(names.len()).unwrap_or(0));
        Ok(names.iter().fold(answer, |answer, (name, data)| {
            answer.string(name.as_bytes()).string(list::line(name, data)).attributes(data)
        }))
    }
}

fn handle(reader: &mut Reader<'_>) -> Result<u32, Refused> {
    reader.bytes()?.try_into().map(u32::from_be_bytes).map_err(|_| Refused::new(4, "that is no handle"))
}

fn done() -> Answer {
    // STATUS, without its number: all is well.
    Ok(Writer::default().byte(super::STATUS).number(0).string("").string(""))
}

fn attributes(data: &Metadata) -> Answer {
    Ok(Writer::default().byte(ATTRS).attributes(data))
}

fn name(name: &OsStr) -> Answer {
    let name = name.as_bytes();
    Ok(Writer::default().byte(NAME).number(1).string(name).string(name).no_attributes())
}

/// The whole path of what may be only about to be made.
fn whole(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(error) };
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            Ok(fs::canonicalize(parent)?.join(name))
        }
        found => found,
    }
}

/// `~` and `~/…`, as a shell reads them.
fn expanded(path: PathBuf) -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_else(|| OsString::from("/")));
    match path.strip_prefix("~") {
        Ok(rest) if rest.as_os_str().is_empty() => home(),
        Ok(rest) => home().join(rest),
        Err(_) => path,
    }
}

fn make_folder(path: &Path, attributes: Attributes) -> Answer {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(attributes.mode.unwrap_or(0o777) & 0o7777).create(path)?;
    done()
}

/// As version 3 has it: nothing is replaced.
fn rename(from: &Path, to: &Path) -> Answer {
    if fs::symlink_metadata(to).is_ok() {
        return Err(Refused::new(4, "there is something of that name already"));
    }
    fs::rename(from, to)?;
    done()
}

fn since_1970(seconds: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into())
}

/// `follow`: of what a link leads to.
fn set(path: &Path, attributes: Attributes, follow: bool) -> Answer {
    if let Some(size) = attributes.size {
        OpenOptions::new().write(true).open(path)?.set_len(size)?;
    }
    if let Some((user, group)) = attributes.owner {
        if follow { chown(path, Some(user), Some(group)) } else { lchown(path, Some(user), Some(group)) }?;
    }
    // A link has no mode of its own.
    if let Some(mode) = attributes.mode.filter(|_| follow || !path.is_symlink()) {
        fs::set_permissions(path, Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some((read, written)) = attributes.times {
        let flag = if follow { UtimensatFlags::FollowSymlink } else { UtimensatFlags::NoFollowSymlink };
        let time = |seconds: u32| TimeSpec::new(seconds.into(), 0);
        utimensat(nix::fcntl::AT_FDCWD, path, &time(read), &time(written), flag)?;
    }
    done()
}

fn set_open(file: &File, attributes: Attributes) -> Answer {
    if let Some(size) = attributes.size {
        file.set_len(size)?;
    }
    if let Some((user, group)) = attributes.owner {
        fchown(file, Some(user), Some(group))?;
    }
    if let Some(mode) = attributes.mode {
        file.set_permissions(Permissions::from_mode(mode & 0o7777))?;
    }
    if let Some((read, written)) = attributes.times {
        file.set_times(FileTimes::new().set_accessed(since_1970(read)).set_modified(since_1970(written)))?;
    }
    done()
}

/// What df shows.
fn room(of: &Statvfs) -> Writer {
    let flags = of.flags();
    let flag = |set: FsFlags, bit: u64| if flags.contains(set) { bit } else { 0 };
    [
        of.block_size(),
        of.fragment_size(),
        of.blocks(),
        of.blocks_free(),
        of.blocks_available(),
        of.files(),
        of.files_free(),
        of.files_available(),
        of.filesystem_id(),
        flag(FsFlags::ST_RDONLY, 1) | flag(FsFlags::ST_NOSUID, 2),
        of.name_max(),
    ]
    .into_iter()
    .fold(Writer::default().byte(EXTENDED_REPLY), Writer::large)
}
