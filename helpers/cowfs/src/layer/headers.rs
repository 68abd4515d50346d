//! The headers of a tar, one entry after the other: what describes the next entry (extended headers, long names) is gathered
//! before it.

use std::io::{self, BufRead};

use tar::Header;

use super::pax::Pax;
use super::{Limits, header};
use crate::error::{Error, Result};

const BLOCK: usize = 512;

/// The tar as a stream that counts.
pub struct Input<R> {
    pub reader: R,
    pub offset: u64,
    pub limit: u64,
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
    pub fn pass(&mut self, bytes: u64) -> Result<u64> {
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

    pub fn skip(&mut self, bytes: u64, inside: impl FnOnce() -> String) -> Result<()> {
        if self.pass(bytes)? == bytes {
            return Ok(());
        }
        Err(self.truncated(&inside()))
    }

    pub fn drain(&mut self) -> Result<()> {
        self.pass(u64::MAX).map(drop)
    }

    pub fn count(&mut self, bytes: u64) -> Result<()> {
        self.offset += bytes;
        if self.offset > self.limit {
            return Err(Error::Limit { path: "the whole".to_owned(), what: super::TAR_BYTES, limit: self.limit });
        }
        Ok(())
    }

    pub fn truncated(&self, inside: &str) -> Error {
        Error::Truncated { offset: self.offset, inside: inside.to_owned() }
    }
}

/// What the headers before an entry say about it.
#[derive(Default)]
pub struct Extra {
    pub long_name: Option<Vec<u8>>,
    pub long_link: Option<Vec<u8>>,
    pub pax: Option<Pax>,
}

impl Extra {
    /// The entry's name, and what its extended header says.
    pub fn name(&mut self, header: &Header) -> (Vec<u8>, Pax) {
        let mut pax = self.pax.take().unwrap_or_default();
        let name = pax.sparse.name.take().or(pax.path.take()).or(self.long_name.take());
        (name.unwrap_or_else(|| header::path(header)), pax)
    }

    fn is_empty(&self) -> bool {
        self.long_name.is_none() && self.long_link.is_none() && self.pax.is_none()
    }
}

/// The headers that come out of a tar.
pub struct Headers<R> {
    pub input: Input<R>,
    pub limits: Limits,
    next: Extra,
}

impl<R: BufRead> Headers<R> {
    pub fn new(reader: R, limits: Limits) -> Self {
        let input = Input { reader, offset: 0, limit: limits.tar_bytes };
        Self { input, limits, next: Extra::default() }
    }

    /// The next entry's header, what was said of it before, and where it begins. The content that follows it is the caller's to read.
    pub fn next(&mut self) -> Result<Option<(Header, Extra, u64)>> {
        loop {
            let offset = self.input.offset;
            let mut block = [0; BLOCK];
            if !self.input.block(&mut block)? || block == [0; BLOCK] {
                return self.end(offset).map(|()| None);
            }
            let header = Header::from_byte_slice(&block);
            if !header::checksum_is_right(header) {
                return Err(Error::NotTar { offset, reason: "wrong header checksum" });
            }
            if !self.describes_the_next(header, offset)? {
                return Ok(Some((header.clone(), std::mem::take(&mut self.next), offset)));
            }
        }
    }

    fn describes_the_next(&mut self, header: &Header, offset: u64) -> Result<bool> {
        match header.as_old().linkflag[0] {
            b'x' | b'X' => {
                let body = self.small_body(header, "an extended header")?;
                if self.next.pax.replace(Pax::parse(&body, &self.limits)?).is_some() {
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
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn end(&mut self, offset: u64) -> Result<()> {
        if !self.next.is_empty() {
            return Err(Error::Truncated { offset, inside: "an entry whose extended header is there".to_owned() });
        }
        // Two zero blocks are the rule; one, or none, is what some writers leave.
        let mut second = [0; BLOCK];
        if self.input.block(&mut second)? && second != [0; BLOCK] {
            return Err(Error::NotTar { offset, reason: "an empty header before others" });
        }
        Ok(())
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
}

/// The bytes that fill up the last block of content.
pub fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
