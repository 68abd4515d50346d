//! Sparse files, in the four ways that GNU tar has written them (its manual, "Storing Sparse Files"):
//! the old header type `S`, and pax formats 0.0, 0.1 and 1.0.

use std::io::BufRead;

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::header;
use super::headers::Input;
use super::pax::digits;
use super::{Limits, Segment};
use crate::error::{Error, Result};

/// The `GNU.sparse.*` records of an extended header.
#[derive(Debug, Default)]
pub struct Pax {
    major: Option<u64>,
    minor: Option<u64>,
    pub name: Option<Vec<u8>>,
    real_size: Option<u64>,
    /// Offsets and lengths in turn (0.0 and 0.1).
    map: Vec<u64>,
    has_map: bool,
}

/// A file's pieces, before they are placed in the tar: (offset in the file, length).
pub type Map = Vec<(u64, u64)>;

impl Pax {
    /// Takes one record; `key` is without the prefix.
    pub fn take(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Result<()> {
        let number = || digits(value).ok_or_else(|| bad("a number is malformed"));
        match key {
            b"major" => self.major = Some(number()?),
            b"minor" => self.minor = Some(number()?),
            b"name" => self.name = Some(value.to_vec()),
            b"size" | b"realsize" => self.real_size = Some(number()?),
            b"numblocks" => self.has_map = true,
            b"offset" | b"numbytes" => {
                // 0.0: the two keys in turn, each pair one piece.
                if (key == b"offset") != self.map.len().is_multiple_of(2) {
                    return Err(bad("offsets and lengths do not alternate"));
                }
                self.has_map = true;
                self.map.push(number()?);
            }
            b"map" => {
                self.has_map = true;
                self.map.clear();
                for part in value.split(|&b| b == b',').filter(|_| !value.is_empty()) {
                    self.map.push(digits(part).ok_or_else(|| bad("a number is malformed"))?);
                }
            }
            _ => {}
        }
        if self.map.len() / 2 > limits.segments {
            return Err(too_many(limits));
        }
        Ok(())
    }

    /// Whether the file's own data begins with its map (format 1.0).
    pub fn map_in_data(&self) -> bool {
        self.major == Some(1)
    }

    /// The real size and the map, where the header holds it; `None` for a file that is not sparse.
    pub fn map(&self) -> Result<Option<(u64, Map)>> {
        match (self.major, self.minor) {
            (None | Some(0), _) | (Some(1), Some(0)) => {}
            _ => return Err(bad("this version of the format is unknown")),
        }
        if !self.has_map && !self.map_in_data() {
            return Ok(None);
        }
        let size = self.real_size.ok_or_else(|| bad("the real size is missing"))?;
        if !self.map.len().is_multiple_of(2) {
            return Err(bad("the map is cut off"));
        }
        let pairs = self.map.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        Ok(Some((size, pairs)))
    }
}

/// Reads the map at the head of the data (1.0): decimal numbers, each on a line, padded with NULs to
/// whole blocks. Returns it with the number of bytes it took.
pub fn map_from_data<R: BufRead>(input: &mut Input<R>, data: u64, limits: &Limits) -> Result<(Map, u64)> {
    let mut lines = Lines { input, left: data, block: [0; 512], at: 512, used: 0 };
    let count = lines.number()?;
    if count > limits.segments as u64 {
        return Err(too_many(limits));
    }
    let mut map = Map::new();
    for _ in 0..count {
        map.push((lines.number()?, lines.number()?));
    }
    Ok((map, lines.used))
}

struct Lines<'a, R> {
    input: &'a mut Input<R>,
    left: u64,
    block: [u8; 512],
    at: usize,
    used: u64,
}

impl<R: BufRead> Lines<'_, R> {
    fn number(&mut self) -> Result<u64> {
        let mut text = Vec::new();
        loop {
            if self.at == self.block.len() {
                if self.left < 512 {
                    return Err(bad("the map is cut off"));
                }
                self.input.exact(&mut self.block, "a sparse file's map")?;
                self.left -= 512;
                self.used += 512;
                self.at = 0;
            }
            let byte = self.block[self.at];
            self.at += 1;
            if byte == b'\n' {
                return digits(&text).ok_or_else(|| bad("a number is malformed"));
            }
            if text.len() >= 20 {
                return Err(bad("a number is malformed"));
            }
            text.push(byte);
        }
    }
}

/// Reads the map of an old GNU header and of the blocks that continue it.
pub fn map_from_header<R: BufRead>(header: &Header, input: &mut Input<R>, limits: &Limits) -> Result<(u64, Map)> {
    let gnu = header.as_gnu().ok_or_else(|| bad("it is not in a GNU header"))?;
    let size = header::unsigned(&gnu.realsize).ok_or_else(|| bad("the real size is malformed"))?;
    let mut map = Map::new();
    take_slots(&gnu.sparse, &mut map)?;
    let mut more = gnu.isextended[0] == 1;
    while more {
        let mut next = GnuExtSparseHeader::new();
        input.exact(next.as_mut_bytes(), "a sparse file's map")?;
        take_slots(&next.sparse, &mut map)?;
        if map.len() > limits.segments {
            return Err(too_many(limits));
        }
        more = next.isextended[0] == 1;
    }
    Ok((size, map))
}

fn take_slots(slots: &[GnuSparseHeader], map: &mut Map) -> Result<()> {
    for slot in slots {
        // The first unused slot ends the list.
        if slot.offset[0] == 0 && slot.numbytes[0] == 0 {
            break;
        }
        let pair = header::unsigned(&slot.offset).zip(header::unsigned(&slot.numbytes));
        map.push(pair.ok_or_else(|| bad("a number is malformed"))?);
    }
    Ok(())
}

/// Places a file's pieces in the tar, where they lie one after the other from `tar` on, and checks that
/// they are in order, inside the file, and exactly as long as the data.
pub fn place(size: u64, map: &Map, tar: u64, data: u64) -> Result<Vec<Segment>> {
    let mut segments: Vec<Segment> = Vec::with_capacity(map.len());
    let (mut end, mut used) = (0u64, 0u64);
    for &(start, len) in map {
        if start < end {
            return Err(bad("pieces overlap or are out of order"));
        }
        end = start.checked_add(len).filter(|&end| end <= size).ok_or_else(|| bad("a piece ends after the file"))?;
        if len == 0 {
            continue;
        }
        let at = tar + used;
        used = used
            .checked_add(len)
            .filter(|&used| used <= data)
            .ok_or_else(|| bad("its pieces are longer than its data"))?;
        match segments.last_mut() {
            Some(last) if last.start + last.len == start => last.len += len,
            _ => segments.push(Segment { start, len, tar: at }),
        }
    }
    if used != data {
        return Err(bad("its pieces are shorter than its data"));
    }
    Ok(segments)
}

fn bad(reason: &str) -> Error {
    Error::Entry { path: "sparse file".to_owned(), reason: reason.to_owned() }
}

fn too_many(limits: &Limits) -> Error {
    Error::Limit { path: "sparse file".to_owned(), what: "pieces of sparse files", limit: limits.segments as u64 }
}
