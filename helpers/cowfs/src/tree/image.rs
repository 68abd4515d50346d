//! An image: its tree, and the tars that hold its files' content.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use sys::cached_read::cached_read;

use super::read::{Data, Inode, Kind, Tree};
use crate::arriving::{ARRIVING, Arriving};
use crate::error::{Error, Result, shown};

/// How many symbolic links one path may lead through: the kernel's limit.
const MAX_LINKS: usize = 40;

/// How far ahead a large file is read.
const READ_AHEAD: u64 = 1 << 20;

/// How much is read behind the end of a file: the next files in the tar are often the next to be read.
const NEIGHBOURS: u64 = 256 << 10;

/// A tree with its layers' tars, opened.
#[derive(Debug)]
pub struct Image {
    tree: Tree,
    layers: Vec<Layer>,
}

/// Where a layer's content is read.
#[derive(Debug)]
enum Layer {
    /// In its tar.
    Tar(File),
    /// Wherever it is by now.
    Arriving(Arriving),
}

impl Image {
    /// Opens the tree file and the layers' tars, bottom first; of those that are on their way, what is at their place
    /// ([`crate::arriving`]).
    ///
    /// # Errors
    ///
    /// [`Error::File`] where one cannot be opened, [`Error::Damaged`] where a tar is missing or is not as
    /// long as it was when it was indexed.
    pub fn open(tree: &Path, tars: &[PathBuf]) -> Result<Image> {
        let resolved = Tree::open(tree)?;
        let lengths: Vec<u64> = resolved.tar_lengths().collect();
        let damaged = |what: &Path, reason| Error::Damaged { what: what.display().to_string(), reason };
        if lengths.len() != tars.len() {
            return Err(damaged(tree, "it is made of another number of layers"));
        }
        let open = |(path, length): (&PathBuf, u64)| {
            let failed = |source| Error::File { action: "open", path: path.clone(), source };
            if length >= ARRIVING {
                return Arriving::open(path, length).map(Layer::Arriving).map_err(failed);
            }
            let tar = File::open(path).map_err(failed)?;
            if tar.metadata().map_err(failed)?.len() != length {
                return Err(damaged(path, "its length has changed"));
            }
            Ok(Layer::Tar(tar))
        };
        let layers = tars.iter().zip(lengths).map(open).collect::<Result<_>>()?;
        Ok(Image { tree: resolved, layers })
    }

    /// Whether some of it may still be on its way.
    pub fn is_arriving(&self) -> bool {
        self.layers.iter().any(|layer| matches!(layer, Layer::Arriving(_)))
    }

    /// Has it told to `listener`, a socket that keeps messages apart, why something cannot be read that has not come: as text.
    ///
    /// # Errors
    ///
    /// Where there are no more descriptors.
    pub fn tell(&self, listener: BorrowedFd<'_>) -> io::Result<()> {
        for layer in &self.layers {
            if let Layer::Arriving(arriving) = layer {
                arriving.tell(listener.try_clone_to_owned()?);
            }
        }
        Ok(())
    }

    /// The tree.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What is at `path`, with all symbolic links followed, none of which leads out of the image. `None`
    /// also for a loop.
    pub fn resolve(&self, path: impl AsRef<[u8]>) -> Option<Inode> {
        let tree = &self.tree;
        let mut at = tree.root()?;
        let mut links = 0;
        let mut todo: Vec<&[u8]> = path.as_ref().split(|&b| b == b'/').rev().collect();
        while let Some(part) = todo.pop() {
            let next = match part {
                b"" | b"." => continue,
                b".." => tree.parent(&at)?,
                name => tree.child(&at, name)?,
            };
            if next.kind != Kind::Symlink {
                at = next;
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return None;
            }
            let target = tree.target(&next)?;
            if target.starts_with(b"/") {
                at = tree.root()?;
            }
            todo.extend(target.split(|&b| b == b'/').rev());
        }
        Some(at)
    }

    /// The content of the regular file at `path`, links followed; `None` where there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Inside`] where it is longer than `max_bytes` or cannot be read.
    pub fn read_file(&self, path: impl AsRef<[u8]>, max_bytes: u64) -> Result<Option<Vec<u8>>> {
        let path = path.as_ref();
        let fail = |reason| Error::Inside { path: shown(path), reason };
        let Some(inode) = self.resolve(path).filter(|inode| inode.kind == Kind::File) else {
            return Ok(None);
        };
        if inode.size > max_bytes {
            return Err(fail(format!("{} bytes, and at most {max_bytes} are accepted", inode.size)));
        }
        let mut content = vec![0; inode.size as usize];
        self.read_at(&inode, 0, &mut content).map_err(|error| fail(format!("cannot be read: {error}")))?;
        Ok(Some(content))
    }

    /// Fills `buffer` from `offset` of a file's content on; returns how many bytes there were.
    ///
    /// # Errors
    ///
    /// Those of pread(2); `InvalidData` where the tree is damaged.
    pub fn read_at(&self, file: &Inode, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_with(file, offset, buffer, |layer, buffer, at| match layer {
            Layer::Tar(tar) => tar.read_exact_at(buffer, at),
            Layer::Arriving(arriving) => arriving.read(buffer, at),
        })
    }

    /// Like [`Image::read_at`], but only from memory: `WouldBlock` where a disk is needed for some of it, or
    /// might be.
    pub fn read_cached(&self, file: &Inode, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_with(file, offset, buffer, |layer, buffer, at| match layer {
            Layer::Tar(tar) => cached(tar, buffer, at),
            Layer::Arriving(arriving) => arriving.read_cached(buffer, at),
        })
    }

    /// Has the disk read what will be wanted after `size` bytes from `offset` on, if they are read in order.
    /// `waits` says that those bytes themselves are being waited for.
    ///
    /// The kernel reads ahead by itself, but for an ordinary user's FUSE mount 128 KiB at most, and it does not
    /// know that the next file lies next in the tar.
    pub fn read_ahead(&self, file: &Inode, offset: u64, size: u64, waits: bool) {
        let (Data::Whole(at), Some(Layer::Tar(tar))) = (file.data(), self.layers.get(file.layer())) else { return };
        let next = offset.saturating_add(size);
        let enters_next = offset / READ_AHEAD != next / READ_AHEAD && next < file.size;
        if !waits && !enters_next {
            return;
        }
        let left = file.size.saturating_sub(next);
        let length = left.min(2 * READ_AHEAD) + if left < READ_AHEAD { NEIGHBOURS } else { 0 };
        let from = i64::try_from(at.saturating_add(next));
        if let (Ok(from), Ok(length)) = (from, i64::try_from(length)) {
            // Advice: where it is not taken, reading is slower and still right.
            let _ = posix_fadvise(tar, from, length, PosixFadviseAdvice::POSIX_FADV_WILLNEED);
        }
    }

    fn read_with(
        &self,
        file: &Inode,
        offset: u64,
        buffer: &mut [u8],
        read: impl Fn(&Layer, &mut [u8], u64) -> io::Result<()>,
    ) -> io::Result<usize> {
        let left = file.size.saturating_sub(offset);
        let len = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let buffer = &mut buffer[..len];
        if buffer.is_empty() {
            return Ok(0);
        }
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        let layer = self.layers.get(file.layer()).ok_or_else(damaged)?;
        match file.data() {
            Data::Whole(at) => read(layer, buffer, at.checked_add(offset).ok_or_else(damaged)?)?,
            Data::Sparse { first, count } => {
                let end = offset + buffer.len() as u64;
                let mut done = offset;
                for number in self.segments_from(first, count, offset) {
                    let piece = self.tree.segment(number).ok_or_else(damaged)?;
                    if piece.start >= end {
                        break;
                    }
                    let from = piece.start.max(done);
                    let to = piece.start.saturating_add(piece.len).min(end);
                    if to <= from {
                        continue;
                    }
                    buffer[(done - offset) as usize..(from - offset) as usize].fill(0);
                    let at = piece.tar.checked_add(from - piece.start).ok_or_else(damaged)?;
                    read(layer, &mut buffer[(from - offset) as usize..(to - offset) as usize], at)?;
                    done = to;
                }
                buffer[(done - offset) as usize..].fill(0);
            }
        }
        Ok(len)
    }

    /// The pieces of a sparse file, from the first that ends after `offset` on.
    pub fn segments_from(&self, first: u32, count: u32, offset: u64) -> std::ops::Range<u32> {
        let end = first.saturating_add(count);
        let (mut low, mut high) = (first, end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.tree.segment(middle) {
                Some(piece) if piece.start.saturating_add(piece.len) <= offset => low = middle + 1,
                _ => high = middle,
            }
        }
        low..end
    }
}

/// Fills `buffer` from memory alone; `WouldBlock` where a disk is needed, or might be.
pub(crate) fn cached(tar: &File, buffer: &mut [u8], at: u64) -> io::Result<()> {
    match cached_read(tar, buffer, at) {
        Ok(length) if length == buffer.len() => Ok(()),
        Ok(_) | Err(sys::Errno::EAGAIN | sys::Errno::EOPNOTSUPP) => Err(io::ErrorKind::WouldBlock.into()),
        Err(errno) => Err(errno.into()),
    }
}
