//! Reading, writing and syncing what files hold.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fuser::INodeNo;
use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, fallocate, openat};
use nix::sys::stat::Mode;
use sys::statx::statx;

use super::nodes::{Id, Nodes};
use super::place::Place;
use super::raise::Content;
use super::{Durability, Union};
use crate::error::errno;
use crate::serve::change::Extent;
use crate::serve::file;
use crate::serve::view::{Answer, Reading, View};

/// Writes up to this size are done at once; larger ones by a thread that nobody else waits for.
const QUICK: usize = 128 << 10;

impl<L: View> Union<L> {
    /// Where an inode's content is: in a file of the upper side, or, with nothing, in the lower side as this inode.
    pub(super) fn source(&self, nodes: &mut Nodes, id: Id) -> Answer<Result<Arc<File>, INodeNo>> {
        match nodes.get(id) {
            Some(node) if node.is_upper() => {
                if node.kind != libc::S_IFREG || node.stands_for_another {
                    return Err(Errno::EINVAL);
                }
                match node.lower {
                    Some(lower) => Ok(Err(INodeNo(lower))),
                    None => self.file_in(nodes, id).map(Ok),
                }
            }
            _ => Ok(Err(INodeNo(id))),
        }
    }

    pub(super) fn read_file(&self, file: &File, wanted: Reading, wait: bool, buffer: &mut Vec<u8>) -> Answer<()> {
        let Reading { offset, size, .. } = wanted;
        buffer.resize(size, 0);
        if !wait {
            let length = file::read_cached(file, offset, buffer)?;
            // Less than was asked for may be the end of the file, as mostly it is, or of what is in memory.
            if length < size && offset + (length as u64) < statx(file, c"")?.size {
                return Err(Errno::EAGAIN);
            }
            buffer.truncate(length);
            return Ok(());
        }
        let filled = file::read(file, offset, buffer)?;
        buffer.truncate(filled);
        Ok(())
    }

    /// Writes, and returns how much of it. Less is an error to come, such as a full disk, which the next write meets.
    pub(super) fn write(&self, id: Id, offset: u64, data: &[u8], drops_set_id: bool, wait: bool) -> Answer<usize> {
        let file = {
            let mut nodes = self.nodes();
            let must_rise = self.must_rise(&nodes, id, Content::ALL);
            if !wait && data.len() > QUICK {
                return Err(Errno::EAGAIN);
            }
            if must_rise {
                drop(nodes);
                self.raise(id, Content::ALL, wait)?;
                nodes = self.nodes();
            }
            self.drop_capabilities(&mut nodes, id)?;
            self.source(&mut nodes, id)?.map_err(|_| Errno::EIO)?
        };
        let mut written = match write_at(&file, data, offset) {
            // What was just removed takes its space until the kernel forgets it, which it says soon, and to another thread.
            Err(Errno::ENOSPC | Errno::EDQUOT) if !wait => return Err(Errno::EAGAIN),
            Err(Errno::ENOSPC | Errno::EDQUOT) => write_soon(&file, data, offset)?,
            written => written?,
        };
        // Where the kernel has collected what it writes, it takes a part for the whole, and nobody hears of the rest.
        while self.writeback && written < data.len() {
            if !wait {
                return Err(Errno::EAGAIN);
            }
            match write_soon(&file, &data[written..], offset + written as u64)? {
                0 => return Err(Errno::ENOSPC),
                more => written += more,
            }
        }
        if drops_set_id {
            self.drop_set_id(id)?;
        }
        Ok(written)
    }

    pub(super) fn allocate(&self, extent: Extent, mode: i32) -> Answer<()> {
        let id = extent.inode.0;
        self.raise(id, Content::ALL, true)?;
        let file = self.source(&mut self.nodes(), id)?.map_err(|_| Errno::EIO)?;
        let mode = FallocateFlags::from_bits(mode).ok_or(Errno::EOPNOTSUPP)?;
        let signed = |number| i64::try_from(number).map_err(|_| Errno::EFBIG);
        fallocate(&*file, mode, signed(extent.offset)?, signed(extent.length)?)?;
        self.drop_set_id(id)
    }

    /// Copies between files as the host's filesystem does it best, sharing blocks where it can. Returns how much.
    pub(super) fn copy_range(&self, from: Extent, to: INodeNo, offset: u64) -> Answer<u32> {
        self.raise(to.0, Content::ALL, true)?;
        let (source, target) = {
            let mut nodes = self.nodes();
            self.drop_capabilities(&mut nodes, to.0)?;
            let source = self.source(&mut nodes, from.inode.0)?;
            (source, self.source(&mut nodes, to.0)?.map_err(|_| Errno::EIO)?)
        };
        // The answer has 32 bits, and whole pages are best shared.
        let length = from.length.min(1 << 30);
        if let Ok(source) = source {
            let length = usize::try_from(length).unwrap_or(1 << 30);
            let copied = sys::copy_range::copy_range(&*source, from.offset, &*target, offset, length)?;
            self.drop_set_id(to.0)?;
            return u32::try_from(copied).map_err(|_| Errno::EIO);
        }
        // The kernel copies by reading and writing where it is told that this cannot be done.
        Err(Errno::EOPNOTSUPP)
    }

    pub(super) fn sync(&self, id: Id, data_only: bool) -> Answer<()> {
        if self.durability == Durability::Volatile {
            return Ok(());
        }
        let file = {
            let mut nodes = self.nodes();
            match nodes.upper(id) {
                Some(node) if node.kind == libc::S_IFREG && !node.stands_for_another => self.file_in(&mut nodes, id)?,
                Some(_) | None => return Ok(()),
            }
        };
        let synced = if data_only { file.sync_data() } else { file.sync_all() };
        synced.map_err(|error| errno(&error))
    }

    pub(super) fn sync_directory(&self, id: Id) -> Answer<()> {
        if self.durability == Durability::Volatile {
            return Ok(());
        }
        let place = {
            let nodes = self.nodes();
            if nodes.upper(id).is_none() {
                return Ok(());
            }
            self.place_of(&nodes, id)?
        };
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        nix::unistd::fsync(openat(place.dir(), place.path(), flags, Mode::empty())?)
    }
}

/// Opens a regular file of the upper side, for writing too if it may be.
pub fn open(place: &Place) -> Answer<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let open = |how| openat(place.dir(), place.path(), how | flags, Mode::empty());
    let opened = match open(OFlag::O_RDWR) {
        Err(Errno::EACCES | Errno::EPERM | Errno::EROFS | Errno::ETXTBSY) => open(OFlag::O_RDONLY),
        opened => opened,
    };
    Ok(opened?.into())
}

/// Writes to a disk that is full, in case it is not for long.
fn write_soon(file: &File, data: &[u8], offset: u64) -> Answer<usize> {
    /// How long is waited, and how often.
    const PATIENCE: (Duration, u32) = (Duration::from_millis(5), 4);
    for _ in 0..PATIENCE.1 {
        thread::sleep(PATIENCE.0);
        match write_at(file, data, offset) {
            Err(Errno::ENOSPC | Errno::EDQUOT) => {}
            written => return written,
        }
    }
    write_at(file, data, offset)
}

/// Writes at an offset, as much as can be. An error only where nothing could.
pub fn write_at(file: &File, data: &[u8], offset: u64) -> Answer<usize> {
    let mut written = 0;
    while written < data.len() {
        match file.write_at(&data[written..], offset + written as u64) {
            Ok(0) => break,
            Ok(more) => written += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) if written > 0 => break,
            Err(error) => return Err(errno(&error)),
        }
    }
    Ok(written)
}

/// Writes all of a piece.
pub(super) fn write_all(file: &File, at: u64, piece: &[u8]) -> Answer<()> {
    if write_at(file, piece, at)? < piece.len() { Err(Errno::ENOSPC) } else { Ok(()) }
}

/// Lets a file whose content ends at `end` end with a hole, if it is to be longer.
pub(super) fn lengthen(file: &File, end: u64, length: u64) -> Answer<()> {
    if end < length { nix::unistd::ftruncate(file, length.cast_signed()) } else { Ok(()) }
}
