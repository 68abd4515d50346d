//! The one pass over a tar.

use std::io::{BufRead, BufReader, Read};

use tar::Header;

use super::file::LayerIndex;
use super::header;
use super::headers::{Extra, Headers, padding};
use super::name::{self, Name};
use super::pax::Pax;
use super::sparse;
use super::{Body, Entry, Limits, Meta, Segment, Time};
use crate::error::{Error, Result, shown};

/// Reads a tar from `tar` and returns its index. `tar` is read to its very end, also behind the end of
/// the archive, so that a reader which hashes or stores what passes has then seen every byte.
///
/// ```
/// let mut builder = tar::Builder::new(Vec::new());
/// let mut header = tar::Header::new_ustar();
/// header.set_size(5);
/// builder.append_data(&mut header, "greeting", &b"hello"[..])?;
/// let tar = builder.into_inner()?;
///
/// let index = cowfs::layer::index_tar(&tar[..], &Default::default()).expect("a sound tar");
/// assert_eq!(index.entries().next().expect("one entry").path, b"greeting");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Read`] if `tar` fails, and what [`Limits`] and the format forbid. The reader is then left
/// somewhere in the middle.
pub fn index_tar<R: Read>(tar: R, limits: &Limits) -> Result<LayerIndex> {
    index_tar_told(tar, limits, &mut |_| ())
}

/// What is known of a tar that is being read.
#[derive(Debug)]
pub enum Seen<'a> {
    /// The content of the next entry begins at this byte of the tar, and lies there in one piece.
    Begin(u64),
    /// An entry has been read, with all its content.
    Entry(&'a Entry<'a>),
}

/// Like [`index_tar`], and tells what it has seen as it goes.
///
/// # Errors
///
/// Like those.
pub fn index_tar_told<R: Read>(tar: R, limits: &Limits, tell: &mut dyn FnMut(Seen<'_>)) -> Result<LayerIndex> {
    let headers = Headers::new(BufReader::with_capacity(128 << 10, tar), limits.clone());
    let mut scan = Scan { headers, limits, index: LayerIndex::within(&limits.room), pieces: 0, tell };
    while scan.entry()? {}
    scan.headers.input.drain()?;
    scan.index.set_tar_bytes(scan.headers.input.offset);
    Ok(scan.index)
}

/// What the room of the limits is for, in messages.
pub(super) const MEMORY: &str = crate::error::MEMORY;

struct Scan<'a, R> {
    headers: Headers<R>,
    limits: &'a Limits,
    index: LayerIndex,
    /// How many pieces of data there are besides the first one of each file.
    pieces: usize,
    tell: &'a mut dyn FnMut(Seen<'_>),
}

impl<R: BufRead> Scan<'_, R> {
    /// Reads one entry; `false` at the end of the archive.
    fn entry(&mut self) -> Result<bool> {
        let Some((header, extra, offset)) = self.headers.next()? else { return Ok(false) };
        self.file(&header, extra, offset)?;
        Ok(true)
    }

    /// Reads an entry proper: its header has been read, its content follows.
    fn file(&mut self, header: &Header, mut extra: Extra, offset: u64) -> Result<()> {
        let (raw, mut pax) = extra.name(header);
        self.body(header, &mut pax, &raw, extra.long_link, offset).map_err(|error| error.about(&raw))
    }

    fn body(
        &mut self,
        header: &Header,
        pax: &mut Pax,
        raw: &[u8],
        long_link: Option<Vec<u8>>,
        offset: u64,
    ) -> Result<()> {
        let limits = self.limits;
        let name = name::classify(raw, limits)?;
        let meta = meta(header, pax)?;
        let size = size(header, pax)?;
        let target = || pax.linkpath.clone().or(long_link).unwrap_or_else(|| header::link(header));
        let kind = match header.as_old().linkflag[0] {
            // Before 1988 a directory was a file whose name ends in a slash.
            0 if raw.ends_with(b"/") => b'5',
            0 | b'7' => b'0',
            // GNU's incremental dumps list a directory's names in its content.
            b'D' => {
                self.content(size, raw)?;
                b'5'
            }
            kind => kind,
        };
        let link;
        let body = match kind {
            b'0' | b'S' => self.regular(header, pax, size, raw)?,
            b'1' => {
                link = name::clean(&target(), limits)?;
                Body::HardLink(&link)
            }
            b'2' => {
                link = target();
                check_symlink(&link, limits)?;
                Body::Symlink(&link)
            }
            b'3' | b'4' => {
                let (major, minor) = header::device(header).ok_or_else(|| entry("its device number is impossible"))?;
                if kind == b'3' { Body::CharDevice(major, minor) } else { Body::BlockDevice(major, minor) }
            }
            b'5' => Body::Directory,
            b'6' => Body::Fifo,
            other => {
                return Err(entry(&format!("its type `{}` is unknown", other.escape_ascii())));
            }
        };
        let (path, body) = match name {
            Name::Plain(path) => (path, body),
            Name::Whiteout(path) => (path, Body::Whiteout),
            Name::Opaque(path) => (path, Body::Opaque),
            Name::Ignored => return Ok(()),
        };
        if path.is_empty() && !matches!(body, Body::Directory | Body::Opaque) {
            return Err(entry("the root can only be a directory"));
        }
        self.keep(path, body, meta, pax, offset)
    }

    fn keep(&mut self, path: Vec<u8>, body: Body<'_>, meta: Meta, pax: &Pax, offset: u64) -> Result<()> {
        let limit = |what, limit: usize| Error::Limit { path: shown(&path), what, limit: limit as u64 };
        if self.index.len() >= self.limits.entries {
            return Err(limit("entries in a layer", self.limits.entries));
        }
        self.pieces += if let Body::File { segments, .. } = &body { segments.len().saturating_sub(1) } else { 0 };
        if self.pieces > self.limits.segments {
            return Err(limit("pieces of sparse files", self.limits.segments));
        }
        let xattrs = pax.xattrs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let entry = Entry { path: &path, body, meta, xattrs };
        self.index.push(&entry).map_err(|_| Error::NotTar { offset, reason: "more than 4 GiB of names" })?;
        if !self.index.fits() {
            return Err(Error::Limit { path: shown(&path), what: MEMORY, limit: self.limits.room.limit() });
        }
        (self.tell)(Seen::Entry(&entry));
        Ok(())
    }

    /// A regular file: passes over its content and says where it lies.
    fn regular(&mut self, header: &Header, pax: &Pax, mut data: u64, raw: &[u8]) -> Result<Body<'static>> {
        let limits = self.limits;
        let map = if header.as_old().linkflag[0] == b'S' {
            Some(sparse::map_from_header(header, &mut self.headers.input, limits)?)
        } else {
            match pax.sparse.map()? {
                Some((size, _)) if pax.sparse.map_in_data() => {
                    let (map, used) = sparse::map_from_data(&mut self.headers.input, data, limits)?;
                    data -= used;
                    Some((size, map))
                }
                other => other,
            }
        };
        let at = self.headers.input.offset;
        let (size, segments) = match map {
            Some((size, map)) => (size, sparse::place(size, &map, at, data)?),
            None if data == 0 => (0, Vec::new()),
            None => {
                (self.tell)(Seen::Begin(at));
                (data, vec![Segment { start: 0, len: data, tar: at }])
            }
        };
        if size > limits.file_bytes {
            return Err(Error::Limit { path: shown(raw), what: "bytes in a file", limit: limits.file_bytes });
        }
        self.content(data, raw)?;
        Ok(Body::File { size, segments })
    }

    /// Passes over content and its padding.
    fn content(&mut self, size: u64, raw: &[u8]) -> Result<()> {
        let inside = || format!("the content of `{}`", shown(raw));
        self.headers.input.skip(size, inside)?;
        // Some writers leave out the padding of the last file; without trailer nothing is lost by it.
        self.headers.input.pass(padding(size)).map(drop)
    }
}

pub(super) fn entry(reason: &str) -> Error {
    Error::Entry { path: String::new(), reason: reason.to_owned() }
}

pub(super) fn check_symlink(target: &[u8], limits: &Limits) -> Result<()> {
    if target.is_empty() {
        return Err(entry("a symbolic link without a target"));
    }
    if target.contains(&0) {
        return Err(entry("its target contains a NUL byte"));
    }
    if target.len() > limits.path_bytes {
        return Err(Error::Limit {
            path: String::new(),
            what: "bytes in a link target",
            limit: limits.path_bytes as u64,
        });
    }
    Ok(())
}

fn meta(header: &Header, pax: &Pax) -> Result<Meta> {
    let old = header.as_old();
    let field = |from_pax: Option<u64>, field: &[u8], what: &str| {
        let number = from_pax.or_else(|| header::unsigned(field));
        // The highest number means "no such user" to the kernel.
        number
            .and_then(|n| u32::try_from(n).ok())
            .filter(|&n| n != u32::MAX)
            .ok_or_else(|| entry(&format!("its {what} is malformed or out of range")))
    };
    let secs = || header::signed(&old.mtime).ok_or_else(|| entry("its time is malformed"));
    Ok(Meta {
        // Some writers keep the file type in the mode's upper bits.
        mode: field(None, &old.mode, "mode")? & 0o7777,
        uid: field(pax.uid, &old.uid, "owner")?,
        gid: field(pax.gid, &old.gid, "group")?,
        mtime: match pax.mtime {
            Some(time) => time,
            None => Time { secs: secs()?, nanos: 0 },
        },
    })
}

/// The length of the content in the tar. Where header and extended header both can say it, they must say
/// the same: two readers that disagree about it see two different archives.
pub fn size(header: &Header, pax: &Pax) -> Result<u64> {
    const LARGEST_OCTAL: u64 = 0o777_7777_7777;
    let old = header::unsigned(&header.as_old().size).ok_or_else(|| entry("its size is malformed"))?;
    match pax.size {
        Some(size) if size <= LARGEST_OCTAL && size != old => {
            Err(entry(&format!("its two sizes disagree: {old} and {size}")))
        }
        Some(size) => Ok(size),
        None => Ok(old),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    /// One record of an extended header.
    pub fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let mut length = body + 1;
        while length.to_string().len() + body != length {
            length = length.to_string().len() + body;
        }
        let mut record = format!("{length} {key}=").into_bytes();
        record.extend_from_slice(value);
        record.push(b'\n');
        assert_eq!(record.len(), length);
        record
    }
}
