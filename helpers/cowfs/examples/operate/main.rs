//! Carries out a list of operations on the files below the working directory, and prints what came of each: a filesystem that
//! is asked the same questions as another has to give the same answers.
//!
//! ```text
//! operate FILE
//! ```
//!
//! Each line of the file is one operation: its name and its arguments, separated by spaces. [`Machine::perform`] holds them
//! all. What differs between two filesystems that are both right (inode numbers, sizes of directories, the
//! present time) is not printed. Up to [`SLOTS`] files are open at a time, each in a numbered slot.
#![allow(clippy::print_stdout)]

mod tree;

use std::error::Error;
use std::ffi::{CString, OsString};
use std::fs::{self, File, Metadata};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, FallocateFlags, OFlag, RenameFlags, copy_file_range, fallocate, open, renameat2};
use nix::sys::prctl::set_dumpable;
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::{FchmodatFlags, Mode, SFlag, UtimensatFlags, fchmod, fchmodat, futimens, mknod, umask, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{
    AccessFlags, Gid, Pid, Uid, UnlinkatFlags, Whence, access, fchown, fchownat, linkat, lseek, mkdir, setfsgid,
    setfsuid, symlinkat, truncate, unlinkat,
};

/// How many files are open at most.
const SLOTS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let list = std::env::args_os().nth(1).ok_or("a file of operations is wanted")?;
    let mut machine = Machine::default();
    umask(Mode::empty());
    let mut out = std::io::stdout().lock();
    for line in fs::read_to_string(list)?.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let came = match machine.perform(&words) {
            Ok(text) => text,
            Err(Failed::Errno(errno)) => format!("{errno:?}"),
            Err(Failed::Misunderstood) => return Err(format!("no operation: {line}").into()),
        };
        // At once: what has been done before the server is killed is known.
        writeln!(out, "{line} = {came}")?;
        out.flush()?;
    }
    Ok(())
}

/// Why an operation has no result.
enum Failed {
    /// The filesystem has said no.
    Errno(Errno),
    /// The list is wrong.
    Misunderstood,
}

impl From<Errno> for Failed {
    fn from(errno: Errno) -> Failed {
        Failed::Errno(errno)
    }
}

impl From<std::io::Error> for Failed {
    fn from(error: std::io::Error) -> Failed {
        Failed::Errno(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }
}

type Came = Result<String, Failed>;

/// An open file, and the number of its inode when it was opened.
struct Open {
    file: File,
    inode: u64,
}

#[derive(Default)]
struct Machine {
    slots: [Option<Open>; SLOTS],
}

/// A number, of any type.
fn number<T: std::str::FromStr>(word: &str) -> Result<T, Failed> {
    word.parse().map_err(|_| Failed::Misunderstood)
}

fn mode(word: &str) -> Result<u32, Failed> {
    u32::from_str_radix(word, 8).map_err(|_| Failed::Misunderstood)
}

fn time(seconds: &str, nanoseconds: &str) -> Result<TimeSpec, Failed> {
    Ok(TimeSpec::new(number(seconds)?, number(nanoseconds)?))
}

fn name(word: &str) -> Result<CString, Failed> {
    CString::new(word).map_err(|_| Failed::Misunderstood)
}

/// The bytes that a value of this length has.
fn filled(byte: &str, length: &str) -> Result<Vec<u8>, Failed> {
    Ok(vec![byte.as_bytes()[0]; number(length)?])
}

/// `r` and `w`, with `c` create, `x` exclusively, `t` truncate, `a` append, `n` do not follow, `d` a directory, `m` without a
/// name. Never does opening wait for another.
fn flags(word: &str) -> Result<OFlag, Failed> {
    let mut flags = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let access = match (word.contains('r'), word.contains('w')) {
        (true, true) => OFlag::O_RDWR,
        (false, true) => OFlag::O_WRONLY,
        _ => OFlag::O_RDONLY,
    };
    for letter in word.chars() {
        flags |= match letter {
            'r' | 'w' => access,
            'c' => OFlag::O_CREAT,
            'x' => OFlag::O_EXCL,
            't' => OFlag::O_TRUNC,
            'a' => OFlag::O_APPEND,
            'n' => OFlag::O_NOFOLLOW,
            'd' => OFlag::O_DIRECTORY,
            'm' => OFlag::O_TMPFILE,
            _ => return Err(Failed::Misunderstood),
        };
    }
    Ok(flags)
}

impl Machine {
    fn slot(&mut self, word: &str) -> Result<&mut Option<Open>, Failed> {
        self.slots.get_mut(number::<usize>(word)?).ok_or(Failed::Misunderstood)
    }

    /// The file in a slot; `EBADF` where there is none.
    fn file(&self, word: &str) -> Result<&File, Failed> {
        let slot = self.slots.get(number::<usize>(word)?).ok_or(Failed::Misunderstood)?;
        slot.as_ref().map(|open| &open.file).ok_or(Failed::Errno(Errno::EBADF))
    }

    fn perform(&mut self, words: &[&str]) -> Came {
        match words {
            ["open", slot, path, how, bits] => {
                let opened = open(*path, flags(how)?, Mode::from_bits_truncate(mode(bits)?));
                let slot = self.slot(slot)?;
                *slot = None;
                let file = File::from(opened?);
                let inode = file.metadata()?.ino();
                *slot = Some(Open { file, inode });
                done()
            }
            ["close", slot] => {
                *self.slot(slot)? = None;
                done()
            }
            ["read" | "write" | "mapwrite" | "mapread" | "seek" | "copy" | "list", ..] => self.content(words),
            ["ftruncate" | "fallocate" | "fsync" | "fstat" | "fchmod" | "fchown" | "futimens" | "linkfd", ..] => {
                self.by_descriptor(words)
            }
            ["as", id] => switch(number(id)?),
            ["kill", microseconds] => kill_server(number(microseconds)?),
            _ => by_path(words).or_else(|failed| match failed {
                Failed::Misunderstood => by_two_paths(words),
                errno @ Failed::Errno(_) => Err(errno),
            }),
        }
    }

    fn content(&self, words: &[&str]) -> Came {
        match words {
            ["read", slot, offset, length] => {
                let mut buffer = vec![0; number(length)?];
                let n = self.file(slot)?.read_at(&mut buffer, number(offset)?)?;
                Ok(tree::summary(&buffer[..n]))
            }
            ["write", slot, offset, length, byte] => {
                let n = self.file(slot)?.write_at(&filled(byte, length)?, number(offset)?)?;
                Ok(n.to_string())
            }
            ["mapwrite", slot, offset, length, byte] => {
                let file = self.file(slot)?;
                // Whether a mapping takes set-id bits from a file is nobody's promise.
                if file.metadata()?.mode() & 0o6000 != 0 {
                    return Err(Errno::EPERM.into());
                }
                sys::mmap::write_shared(file, number(offset)?, &filled(byte, length)?)?;
                done()
            }
            ["mapread", slot] => Ok(tree::summary(&sys::mmap::Mapping::of(self.file(slot)?)?)),
            ["seek", slot, offset, what] => seek(self.file(slot)?, number(offset)?, what),
            ["copy", from, at, to, there, length] => {
                let (mut at, mut there) = (number(at)?, number(there)?);
                let n = copy_file_range(
                    self.file(from)?,
                    Some(&mut at),
                    self.file(to)?,
                    Some(&mut there),
                    number(length)?,
                )?;
                Ok(n.to_string())
            }
            ["list", slot] => {
                let mut dir = nix::dir::Dir::from_fd(self.file(slot)?.try_clone()?.into())?;
                let entries = dir.iter().map(|entry| {
                    let entry = entry?;
                    Ok(format!("{}:{:?}", entry.file_name().to_bytes().escape_ascii(), entry.file_type()))
                });
                let mut entries = entries.collect::<Result<Vec<_>, Errno>>()?;
                entries.sort();
                Ok(entries.join(" "))
            }
            _ => Err(Failed::Misunderstood),
        }
    }

    fn by_descriptor(&self, words: &[&str]) -> Came {
        match words {
            ["ftruncate", slot, length] => {
                let file = self.file(slot)?;
                let length = other_length(&file.metadata()?, length)?;
                file.set_len(length)?;
            }
            ["fallocate", slot, how, offset, length] => {
                let how = match *how {
                    "extend" => FallocateFlags::empty(),
                    "keep" => FallocateFlags::FALLOC_FL_KEEP_SIZE,
                    "punch" => FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE,
                    "zero" => FallocateFlags::FALLOC_FL_ZERO_RANGE,
                    _ => return Err(Failed::Misunderstood),
                };
                fallocate(self.file(slot)?, how, number(offset)?, number(length)?)?;
            }
            ["fsync", slot] => self.file(slot)?.sync_all()?,
            ["fstat", slot] => {
                let status = self.file(slot)?.metadata()?;
                let same = self.slots.iter().flatten().any(|open| open.inode == status.ino());
                return Ok(tree::status(&status) + if same { "" } else { " renumbered" });
            }
            ["fchmod", slot, bits] => fchmod(self.file(slot)?, Mode::from_bits_truncate(mode(bits)?))?,
            ["fchown", slot, uid, gid] => fchown(self.file(slot)?, owner(uid)?, group(gid)?)?,
            ["futimens", slot, seconds, nanoseconds] => {
                let time = time(seconds, nanoseconds)?;
                futimens(self.file(slot)?, &time, &time)?;
            }
            ["linkfd", slot, path] => linkat(self.file(slot)?, "", AT_FDCWD, *path, AtFlags::AT_EMPTY_PATH)?,
            _ => return Err(Failed::Misunderstood),
        }
        done()
    }
}

/// Whether SEEK_DATA and SEEK_HOLE are right: between two places of data there are only zeroes, and a hole is one. Where exactly holes
/// are is for the filesystem to say, and for its moment.
fn seek(file: &File, offset: u64, what: &str) -> Came {
    let status = file.metadata()?;
    if !status.is_file() {
        return Err(Errno::EISDIR.into());
    }
    let size = usize::try_from(status.size()).map_err(|_| Errno::EFBIG)?;
    let start = usize::try_from(offset).map_err(|_| Errno::EFBIG)?;
    let mut content = vec![0; size];
    let read = file.read_exact_at(&mut content, 0);
    let is_zero = |from: usize, to: usize| read.is_err() || content[from..to].iter().all(|&b| b == 0);
    let at = offset.cast_signed();
    let right = match what {
        "data" => match lseek(file, at, Whence::SeekData) {
            Ok(data) => start <= data as usize && (data as usize) < size && is_zero(start, data as usize),
            Err(Errno::ENXIO) => start >= size || is_zero(start, size),
            Err(errno) => return Err(errno.into()),
        },
        "hole" => match lseek(file, at, Whence::SeekHole) {
            Ok(hole) if hole as usize == size => start < size,
            Ok(hole) => start <= hole as usize && (hole as usize) < size && is_zero(hole as usize, hole as usize + 1),
            Err(Errno::ENXIO) => start >= size,
            Err(errno) => return Err(errno.into()),
        },
        _ => return Err(Failed::Misunderstood),
    };
    Ok(if right { "right" } else { "wrong" }.to_owned())
}

fn done() -> Came {
    Ok("done".to_owned())
}

/// 4294967295 leaves it as it is.
fn owner(word: &str) -> Result<Option<Uid>, Failed> {
    Ok(Some(Uid::from_raw(number(word)?)))
}

fn group(word: &str) -> Result<Option<Gid>, Failed> {
    Ok(Some(Gid::from_raw(number(word)?)))
}

/// Becomes another user towards the filesystem, or root with all rights again.
fn switch(id: u32) -> Came {
    setfsgid(Gid::from_raw(id));
    setfsuid(Uid::from_raw(id));
    // Or /proc/self, which attributes are reached through, would belong to nobody from now on.
    set_dumpable(true)?;
    done()
}

/// Kills the process that the environment calls the server, in so many microseconds.
fn kill_server(microseconds: u64) -> Came {
    let server = std::env::var("SERVER").map_err(|_| Failed::Misunderstood)?;
    let server = Pid::from_raw(number(&server)?);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_micros(microseconds));
        kill(server, Signal::SIGKILL)
    });
    done()
}

/// The length that a file is to have, if it has another. (Whether the time changes otherwise, a kernel that collects writes decides by
/// itself, and not as ext4 does.)
fn other_length(status: &Metadata, length: &str) -> Result<u64, Failed> {
    let length = number(length)?;
    if status.is_file() && status.len() == length { Err(Errno::EALREADY.into()) } else { Ok(length) }
}

fn by_path(words: &[&str]) -> Came {
    let bits = |word: &str| Ok::<_, Failed>(Mode::from_bits_truncate(mode(word)?));
    match words {
        ["truncate", path, length] => {
            let length = other_length(&fs::metadata(path)?, length)?;
            truncate(*path, length.cast_signed())?;
        }
        ["mkdir", path, mode] => mkdir(*path, bits(mode)?)?,
        ["rmdir", path] => unlinkat(AT_FDCWD, *path, UnlinkatFlags::RemoveDir)?,
        ["unlink", path] => unlinkat(AT_FDCWD, *path, UnlinkatFlags::NoRemoveDir)?,
        ["mkfifo", path, mode] => mknod(*path, SFlag::S_IFIFO, bits(mode)?, 0)?,
        ["mksocket", path, mode] => mknod(*path, SFlag::S_IFSOCK, bits(mode)?, 0)?,
        ["chmod", path, mode] => fchmodat(AT_FDCWD, *path, bits(mode)?, FchmodatFlags::FollowSymlink)?,
        ["chown", path, uid, gid] => {
            fchownat(AT_FDCWD, *path, owner(uid)?, group(gid)?, AtFlags::AT_SYMLINK_NOFOLLOW)?;
        }
        ["utimens", path, seconds, nanoseconds] => {
            let time = time(seconds, nanoseconds)?;
            utimensat(AT_FDCWD, *path, &time, &time, UtimensatFlags::NoFollowSymlink)?;
            let status = fs::symlink_metadata(path)?;
            return Ok(format!("{}.{:09}", status.atime(), status.atime_nsec()));
        }
        ["stat", path] => return Ok(tree::status(&fs::symlink_metadata(path)?)),
        ["access", path, how] => access(*path, AccessFlags::from_bits_truncate(number(how)?))?,
        ["readlink", path] => {
            let target: OsString = fs::read_link(path)?.into();
            return Ok(target.into_vec().escape_ascii().to_string());
        }
        ["setxattr", path, attribute, length, byte] => {
            sys::xattr::set_itself(Path::new(path), &name(attribute)?, &filled(byte, length)?)?;
        }
        ["removexattr", path, attribute] => sys::xattr::remove_itself(Path::new(path), &name(attribute)?)?,
        ["getxattr", path, attribute] => {
            return Ok(tree::summary(&sys::xattr::get(Path::new(path), &name(attribute)?)?));
        }
        ["listxattr", path] => return Ok(tree::attributes(Path::new(path))?.join(" ")),
        ["tree"] => return Ok(tree::dump(Path::new("."))?),
        _ => return Err(Failed::Misunderstood),
    }
    done()
}

fn by_two_paths(words: &[&str]) -> Came {
    match words {
        ["rename", from, to, how] => {
            let how = match *how {
                "replace" => RenameFlags::empty(),
                "noreplace" => RenameFlags::RENAME_NOREPLACE,
                "exchange" => RenameFlags::RENAME_EXCHANGE,
                _ => return Err(Failed::Misunderstood),
            };
            renameat2(AT_FDCWD, *from, AT_FDCWD, *to, how)?;
        }
        ["link", from, to] => linkat(AT_FDCWD, *from, AT_FDCWD, *to, AtFlags::empty())?,
        ["symlink", target, path] => symlinkat(*target, AT_FDCWD.as_fd(), *path)?,
        _ => return Err(Failed::Misunderstood),
    }
    done()
}
