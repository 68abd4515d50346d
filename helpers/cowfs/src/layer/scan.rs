//! The one pass over a tar.

use std::io::{self, BufRead, BufReader, Read};

use tar::Header;

use super::file::LayerIndex;
use super::header;
use super::name::{self, Name};
use super::pax::Pax;
use super::sparse;
use super::{Body, Entry, Limits, Meta, Segment, Time};
use crate::error::{Error, Result, shown};

const BLOCK: usize = 512;

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
    let input = Input { reader: BufReader::with_capacity(128 << 10, tar), offset: 0, limit: limits.tar_bytes };
    let mut scan = Scan { input, limits, index: LayerIndex::default(), next: Extra::default() };
    while scan.entry()? {}
    scan.input.drain()?;
    scan.index.set_tar_bytes(scan.input.offset);
    Ok(scan.index)
}

/// The tar as a stream that counts.
pub struct Input<R> {
    reader: R,
    offset: u64,
    limit: u64,
}

impl<R: BufRead> Input<R> {
    /// Fills `block`, or says in the middle of what the tar ends.
    pub fn exact(&mut self, block: &mut [u8], inside: &str) -> Result<()> {
        if self.fill(block)? == block.len() {
            return Ok(());
        }
        Err(self.truncated(inside))
    }

    /// Reads a block; `false` where the tar ends before it.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool> {
        match self.fill(block)? {
            0 => Ok(false),
            BLOCK => Ok(true),
            _ => Err(self.truncated("a header")),
        }
    }

    fn fill(&mut self, block: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < block.len() {
            match self.reader.read(&mut block[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Read(error)),
            }
        }
        self.count(filled as u64)?;
        Ok(filled)
    }

    /// Passes over `bytes`; returns how many there were.
    fn pass(&mut self, bytes: u64) -> Result<u64> {
        let mut left = bytes;
        while left > 0 {
            let there = match self.reader.fill_buf() {
                Ok(buffer) => buffer.len(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Read(error)),
            };
            if there == 0 {
                break;
            }
            let taken = left.min(there as u64);
            self.reader.consume(taken as usize);
            left -= taken;
            self.count(taken)?;
        }
        Ok(bytes - left)
    }

    fn skip(&mut self, bytes: u64, inside: impl FnOnce() -> String) -> Result<()> {
        if self.pass(bytes)? == bytes {
            return Ok(());
        }
        Err(self.truncated(&inside()))
    }

    fn drain(&mut self) -> Result<()> {
        self.pass(u64::MAX).map(drop)
    }

    fn count(&mut self, bytes: u64) -> Result<()> {
        self.offset += bytes;
        if self.offset > self.limit {
            return Err(Error::Limit { path: "the whole".to_owned(), what: "bytes in a tar", limit: self.limit });
        }
        Ok(())
    }

    fn truncated(&self, inside: &str) -> Error {
        Error::Truncated { offset: self.offset, inside: inside.to_owned() }
    }
}

/// What the headers before an entry say about it.
#[derive(Default)]
struct Extra {
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    pax: Option<Pax>,
}

impl Extra {
    fn is_empty(&self) -> bool {
        self.long_name.is_none() && self.long_link.is_none() && self.pax.is_none()
    }
}

struct Scan<'a, R> {
    input: Input<R>,
    limits: &'a Limits,
    index: LayerIndex,
    next: Extra,
}

impl<R: BufRead> Scan<'_, R> {
    /// Reads one header and what belongs to it; `false` at the end of the archive.
    fn entry(&mut self) -> Result<bool> {
        let offset = self.input.offset;
        let mut block = [0; BLOCK];
        if !self.input.block(&mut block)? || block == [0; BLOCK] {
            return self.end(offset);
        }
        let header = Header::from_byte_slice(&block);
        if !header::checksum_is_right(header) {
            return Err(Error::NotTar { offset, reason: "wrong header checksum" });
        }
        match header.as_old().linkflag[0] {
            b'x' | b'X' => {
                let body = self.small_body(header, "an extended header")?;
                if self.next.pax.replace(Pax::parse(&body, self.limits)?).is_some() {
                    return Err(Error::NotTar { offset, reason: "two extended headers for one entry" });
                }
            }
            // Container tools leave global headers unapplied (Go's archive/tar), so a tree that is to be
            // the same as theirs must do so too. git writes one with nothing but a comment.
            b'g' => drop(self.small_body(header, "a global header")?),
            b'L' => {
                let body = self.small_body(header, "a long name")?;
                self.next.long_name = Some(header::until_nul(&body).to_vec());
            }
            b'K' => {
                let body = self.small_body(header, "a long link")?;
                self.next.long_link = Some(header::until_nul(&body).to_vec());
            }
            b'V' => drop(self.small_body(header, "a volume label")?),
            _ => {
                let extra = std::mem::take(&mut self.next);
                self.file(header, extra, offset)?;
            }
        }
        Ok(true)
    }

    fn end(&mut self, offset: u64) -> Result<bool> {
        if !self.next.is_empty() {
            return Err(Error::Truncated { offset, inside: "an entry whose extended header is there".to_owned() });
        }
        // Two zero blocks are the rule; one, or none, is what some writers leave.
        let mut second = [0; BLOCK];
        if self.input.block(&mut second)? && second != [0; BLOCK] {
            return Err(Error::NotTar { offset, reason: "an empty header before others" });
        }
        Ok(false)
    }

    /// The content of a header that describes the next one.
    fn small_body(&mut self, header: &Header, what: &'static str) -> Result<Vec<u8>> {
        let offset = self.input.offset - BLOCK as u64;
        let size =
            header::unsigned(&header.as_old().size).ok_or(Error::NotTar { offset, reason: "a malformed size" })?;
        if size > self.limits.header_bytes {
            return Err(Error::Limit {
                path: what.to_owned(),
                what: "bytes in an extended header",
                limit: self.limits.header_bytes,
            });
        }
        let mut body = vec![0; size as usize];
        self.input.exact(&mut body, what)?;
        self.input.skip(padding(size), || what.to_owned())?;
        Ok(body)
    }

    /// Reads an entry proper: its header has been read, its content follows.
    fn file(&mut self, header: &Header, mut extra: Extra, offset: u64) -> Result<()> {
        let mut pax = extra.pax.take().unwrap_or_default();
        let raw =
            pax.sparse.name.take().or(pax.path.take()).or(extra.long_name).unwrap_or_else(|| header::path(header));
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
        let pieces = if let Body::File { segments, .. } = &body { segments.len() } else { 0 };
        if self.index.segment_count() + pieces > self.limits.segments {
            return Err(limit("pieces of sparse files", self.limits.segments));
        }
        let xattrs = pax.xattrs.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let entry = Entry { path: &path, body, meta, xattrs };
        self.index.push(&entry).map_err(|_| Error::NotTar { offset, reason: "more than 4 GiB of names" })
    }

    /// A regular file: passes over its content and says where it lies.
    fn regular(&mut self, header: &Header, pax: &Pax, mut data: u64, raw: &[u8]) -> Result<Body<'static>> {
        let limits = self.limits;
        let map = if header.as_old().linkflag[0] == b'S' {
            Some(sparse::map_from_header(header, &mut self.input, limits)?)
        } else {
            match pax.sparse.map()? {
                Some((size, _)) if pax.sparse.map_in_data() => {
                    let (map, used) = sparse::map_from_data(&mut self.input, data, limits)?;
                    data -= used;
                    Some((size, map))
                }
                other => other,
            }
        };
        let at = self.input.offset;
        let (size, segments) = match map {
            Some((size, map)) => (size, sparse::place(size, &map, at, data)?),
            None if data == 0 => (0, Vec::new()),
            None => (data, vec![Segment { start: 0, len: data, tar: at }]),
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
        self.input.skip(size, inside)?;
        // Some writers leave out the padding of the last file; without trailer nothing is lost by it.
        self.input.pass(padding(size)).map(drop)
    }
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn entry(reason: &str) -> Error {
    Error::Entry { path: String::new(), reason: reason.to_owned() }
}

fn check_symlink(target: &[u8], limits: &Limits) -> Result<()> {
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
fn size(header: &Header, pax: &Pax) -> Result<u64> {
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
