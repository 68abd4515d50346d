//! A tar as it comes: one entry after the other, its content read in between. For who puts its files somewhere at once.
//!
//! It reads the format as the scan does, with which an image's layers are indexed: an archive is the same to both.

use std::io::{self, BufRead, BufReader, Read};

use super::headers::{Headers, padding};
use super::pax::Pax;
use super::{Limits, Segment, Time, header, scan, sparse};
use crate::error::{Error, Result};

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// Another name of the file that [`Member::link`] names.
    HardLink,
    /// A symbolic link that says [`Member::link`].
    Symlink,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A character or block device.
    Device,
    /// Something else, which this format has and a filesystem has not.
    Other,
}

/// An entry, whose content follows.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its path as the tar says it: neither cleaned nor checked.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// The target of a link, as the tar says it.
    pub link: Vec<u8>,
    /// Permission bits.
    pub mode: u32,
    /// Its owner.
    pub uid: u64,
    /// Its group.
    pub gid: u64,
    /// When it was changed.
    pub mtime: Time,
    /// The size of a file, with its holes.
    pub size: u64,
    /// Where it has content (offset, length), in order; the content follows without the holes.
    pub pieces: Vec<(u64, u64)>,
    /// Extended attributes that may be shown: capabilities and the user's own.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A tar that is read from front to back. Reading from it gives the present entry's content.
pub struct Stream<R> {
    headers: Headers<BufReader<R>>,
    /// Content of the present entry that was not read, and what fills up its last block.
    left: u64,
    padding: u64,
}

impl<R: Read> Stream<R> {
    /// The tar that comes out of `tar`.
    pub fn new(tar: R, limits: Limits) -> Self {
        Self { headers: Headers::new(BufReader::with_capacity(128 << 10, tar), limits), left: 0, padding: 0 }
    }

    /// The next entry; what was not read of the one before is passed over.
    ///
    /// # Errors
    /// [`Error::Read`] if the reader fails, and what the format and the limits forbid.
    pub fn next_member(&mut self) -> Result<Option<Member>> {
        let (left, padded) = (std::mem::take(&mut self.left), std::mem::take(&mut self.padding));
        self.headers.input.skip(left, || "the content of an entry".to_owned())?;
        self.headers.input.pass(padded)?;
        let Some((header, mut extra, _)) = self.headers.next()? else {
            // Whoever writes it is not to be stopped before its end.
            self.headers.input.drain()?;
            return Ok(None);
        };
        let (path, mut pax) = extra.name(&header);
        let member = self.member(&header, &mut pax, &path).map_err(|error| error.about(&path))?;
        let link = pax.linkpath.or(extra.long_link).unwrap_or_else(|| header::link(&header));
        Ok(Some(Member { path, link, xattrs: pax.xattrs, ..member }))
    }

    /// How many bytes of the tar have been read: behind [`Stream::next_member`], where the entry's content begins.
    pub fn position(&self) -> u64 {
        self.headers.input.offset
    }

    fn member(&mut self, header: &tar::Header, pax: &mut Pax, path: &[u8]) -> Result<Member> {
        let input = &mut self.headers.input;
        let flag = header.as_old().linkflag[0];
        // What is no file has no content, whatever its size says.
        let mut data = if matches!(flag, b'1'..=b'6') { 0 } else { scan::size(header, pax)? };
        self.padding = padding(data);
        let mut map = None;
        if flag == b'S' {
            map = Some(sparse::map_from_header(header, input, &self.headers.limits)?);
        } else if let Some((size, pieces)) = pax.sparse.map()? {
            map = Some((size, pieces));
            if pax.sparse.map_in_data() {
                let (pieces, used) = sparse::map_from_data(input, data, &self.headers.limits)?;
                data -= used;
                map = Some((size, pieces));
            }
        }
        self.left = data;
        let (size, pieces) = match map {
            Some((size, map)) => (size, sparse::place(size, &map, 0, data)?),
            None if data == 0 => (0, Vec::new()),
            None => (data, vec![Segment { start: 0, len: data, tar: 0 }]),
        };
        let kind = match flag {
            // Before 1988 a directory was a file whose name ends in a slash.
            0 if path.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' | b'4' => Kind::Device,
            b'5' | b'D' => Kind::Directory,
            b'6' => Kind::Fifo,
            _ => Kind::Other,
        };
        let old = header.as_old();
        let malformed = |what| Error::Entry { path: String::new(), reason: format!("its {what} is malformed") };
        let number = |said: Option<u64>, field: &[u8], what| {
            said.or_else(|| header::unsigned(field)).ok_or_else(|| malformed(what))
        };
        let mtime = match pax.mtime {
            Some(time) => time,
            None => Time { secs: header::signed(&old.mtime).ok_or_else(|| malformed("time"))?, nanos: 0 },
        };
        Ok(Member {
            path: Vec::new(),
            kind,
            link: Vec::new(),
            mode: u32::try_from(number(None, &old.mode, "mode")? & 0o7777).unwrap_or_default(),
            uid: number(pax.uid, &old.uid, "owner")?,
            gid: number(pax.gid, &old.gid, "group")?,
            mtime,
            size,
            pieces: pieces.into_iter().map(|piece| (piece.start, piece.len)).collect(),
            xattrs: Vec::new(),
        })
    }
}

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        let input = &mut self.headers.input;
        let there = input.reader.fill_buf()?;
        let got = there.len().min(wanted);
        buffer[..got].copy_from_slice(&there[..got]);
        input.reader.consume(got);
        input.count(got as u64).map_err(io::Error::other)?;
        self.left -= got as u64;
        Ok(got)
    }
}

impl<R> std::fmt::Debug for Stream<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("left", &self.left).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::tests::pax_record;
    use super::*;

    fn tar_of(kind: tar::EntryType, extended: &[u8], name: &str, content: &[u8]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::XHeader);
        header.set_size(extended.len() as u64);
        builder.append_data(&mut header, "PaxHeaders/x", extended).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        builder.append_data(&mut header, name, content).unwrap();
        builder.into_inner().unwrap()
    }

    #[test]
    fn an_attribute_with_a_newline_says_nothing_about_the_entry() {
        let smuggled = b"a\n22 path=etc/shadow\n";
        let tar = tar_of(tar::EntryType::Regular, &pax_record("SCHILY.xattr.user.x", smuggled), "plain", b"hello");
        let mut stream = Stream::new(&tar[..], Limits::default());
        let member = stream.next_member().unwrap().unwrap();
        assert_eq!((member.path.as_slice(), member.kind, member.size), (&b"plain"[..], Kind::File, 5));
        assert_eq!(&tar[stream.position() as usize..][..5], b"hello");
        assert_eq!(member.xattrs, [(b"user.x".to_vec(), smuggled.to_vec())]);
        let mut content = String::new();
        stream.read_to_string(&mut content).unwrap();
        assert_eq!(content, "hello");
        assert!(stream.next_member().unwrap().is_none());
    }

    #[test]
    fn content_that_is_not_read_is_passed_over() {
        let mut tar = tar_of(tar::EntryType::Regular, b"", "one", &[b'x'; 700]);
        tar.truncate(tar.len() - 1024);
        tar.extend(tar_of(tar::EntryType::Regular, &pax_record("path", "a\nb".as_bytes()), "two", b""));
        let mut stream = Stream::new(&tar[..], Limits::default());
        assert_eq!(stream.next_member().unwrap().unwrap().path, b"one");
        assert_eq!(stream.next_member().unwrap().unwrap().path, b"a\nb");
    }
}
