//! zstd:chunked, as containers/storage defines it: each file is a frame of its own, or several; behind them, in frames that every
//! zstd skips, the table of contents, what of the tar is not in files (`tar-split`), and where both of them are.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::json;

use super::scan::Entry;
use super::{frame, ordered, read};
use crate::image::Digest;

/// The longest part of a file that is one frame: what a reader fetches at least for a byte of it.
const CHUNK: u64 = 512 << 10;
/// About how many bytes are one job.
const JOB: u64 = 2 << 20;
/// How long one piece of the tar besides its files may be in `tar-split`.
const SEGMENT: u64 = 1 << 20;
/// What begins a frame that is skipped.
const SKIPPED: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
/// What ends the last one.
const MAGIC: &[u8; 8] = b"GNUlInUx";

const CHECKSUM: &str = "io.github.containers.zstd-chunked.manifest-checksum";
const POSITION: &str = "io.github.containers.zstd-chunked.manifest-position";
const TARSPLIT: &str = "io.github.containers.zstd-chunked.tarsplit-position";

/// A stretch of the tar that is one frame.
struct Piece {
    at: u64,
    size: u64,
    /// The entry whose data it is.
    of: Option<usize>,
}

/// What a piece became.
struct Made {
    frame: Vec<u8>,
    digest: Digest,
    crc: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    name: &'a str,
    #[serde(rename = "linkName", skip_serializing_if = "str::is_empty")]
    link: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    mode: u64,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    uid: u64,
    #[serde(skip_serializing_if = "is_zero")]
    gid: u64,
    #[serde(rename = "modtime", skip_serializing_if = "Option::is_none")]
    modified: Option<&'a str>,
    #[serde(rename = "accesstime", skip_serializing_if = "Option::is_none")]
    accessed: Option<&'a str>,
    #[serde(rename = "changetime", skip_serializing_if = "Option::is_none")]
    changed: Option<&'a str>,
    #[serde(rename = "devMajor", skip_serializing_if = "is_zero")]
    major: u64,
    #[serde(rename = "devMinor", skip_serializing_if = "is_zero")]
    minor: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    xattrs: Option<&'a BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    digest: String,
    #[serde(skip_serializing_if = "is_zero")]
    offset: u64,
    #[serde(rename = "endOffset", skip_serializing_if = "is_zero")]
    end: u64,
    #[serde(rename = "chunkSize", skip_serializing_if = "is_zero")]
    chunk_size: u64,
    #[serde(rename = "chunkOffset", skip_serializing_if = "is_zero")]
    chunk_offset: u64,
    #[serde(rename = "chunkDigest", skip_serializing_if = "String::is_empty")]
    chunk_digest: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A frame of a file's data, as the table tells it.
struct Chunk {
    offset: u64,
    end: u64,
    at: u64,
    size: u64,
    digest: Digest,
}

/// Writes all of a tar whose entries are given; returns the annotations of its descriptor.
pub fn write(tar: &File, entries: &[Entry], level: i32, out: &mut dyn Write) -> io::Result<BTreeMap<String, String>> {
    let total = tar.metadata()?.len();
    let pieces = cut(entries, total)?;
    let jobs = group(&pieces);
    let mut chunks: Vec<Vec<Chunk>> = entries.iter().map(|_| Vec::new()).collect();
    let mut sums: Vec<Option<(Digest, u64)>> = entries.iter().map(|_| None).collect();
    let mut written = 0;
    let make = |job: usize| {
        let (first, last) = jobs[job];
        pieces[first..last].iter().map(|piece| make(tar, entries, piece, level)).collect::<io::Result<Vec<_>>>()
    };
    let mut at = 0;
    ordered::run(jobs.len(), make, |made| {
        for (made, whole) in made {
            out.write_all(&made.frame)?;
            let (piece, begin) = (&pieces[at], written);
            written += made.frame.len() as u64;
            at += 1;
            if let Some(of) = piece.of {
                let chunk = Chunk {
                    offset: begin,
                    end: written,
                    at: piece.at - entries[of].at,
                    size: piece.size,
                    digest: made.digest,
                };
                chunks[of].push(chunk);
                if whole.is_some() {
                    sums[of] = whole;
                } else if entries[of].size <= CHUNK {
                    sums[of] = chunks[of].last().map(|chunk| (chunk.digest.clone(), made.crc));
                }
            }
        }
        Ok(())
    })?;
    let split = frame(&tar_split(tar, entries, &sums, total)?, level)?;
    let split_length = split_length(&split)?;
    let table = table(entries, &chunks, &sums, &Digest::of(&split))?;
    let compressed = frame(&table, level)?;

    let table_at = written + 8;
    let split_at = table_at + compressed.len() as u64 + 8;
    skipped(out, &compressed)?;
    skipped(out, &split)?;
    let mut footer = Vec::new();
    for number in [table_at, compressed.len() as u64, table.len() as u64, 1, split_at, split.len() as u64, split_length]
    {
        footer.extend_from_slice(&number.to_le_bytes());
    }
    footer.extend_from_slice(MAGIC);
    skipped(out, &footer)?;
    Ok(BTreeMap::from([
        (CHECKSUM.to_owned(), Digest::of(&compressed).to_string()),
        (POSITION.to_owned(), format!("{table_at}:{}:{}:1", compressed.len(), table.len())),
        (TARSPLIT.to_owned(), format!("{split_at}:{}:{split_length}", split.len())),
    ]))
}

fn split_length(split: &[u8]) -> io::Result<u64> {
    let length = zstd::zstd_safe::get_frame_content_size(split).ok().flatten();
    length.ok_or_else(|| io::Error::other("a frame that does not say its size"))
}

/// Cuts the tar into frames: what is between files, and files.
fn cut(entries: &[Entry], total: u64) -> io::Result<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for (of, entry) in entries.iter().enumerate().filter(|(_, entry)| entry.size > 0) {
        let end = entry.at.checked_add(entry.size).filter(|end| entry.at >= at && *end <= total);
        let end = end.ok_or_else(|| io::Error::other("entries that overlap"))?;
        raw(&mut pieces, at, entry.at);
        let mut from = entry.at;
        while from < end {
            let size = CHUNK.min(end - from);
            pieces.push(Piece { at: from, size, of: Some(of) });
            from += size;
        }
        at = end;
    }
    raw(&mut pieces, at, total);
    Ok(pieces)
}

fn raw(pieces: &mut Vec<Piece>, mut at: u64, end: u64) {
    while at < end {
        let size = JOB.min(end - at);
        pieces.push(Piece { at, size, of: None });
        at += size;
    }
}

/// Which pieces are one job: first and behind the last.
fn group(pieces: &[Piece]) -> Vec<(usize, usize)> {
    let mut jobs = Vec::new();
    let (mut first, mut size) = (0, 0);
    for (at, piece) in pieces.iter().enumerate() {
        size += piece.size;
        if size >= JOB {
            jobs.push((first, at + 1));
            (first, size) = (at + 1, 0);
        }
    }
    if first < pieces.len() {
        jobs.push((first, pieces.len()));
    }
    jobs
}

/// Compresses a piece. With the last one of a file that is several comes what all of that file hashes to.
fn make(tar: &File, entries: &[Entry], piece: &Piece, level: i32) -> io::Result<(Made, Option<(Digest, u64)>)> {
    let bytes = read(tar, piece.at, piece.size)?;
    let frame = frame(&bytes, level)?;
    let Some(of) = piece.of else { return Ok((Made { frame, digest: Digest::of(b""), crc: 0 }, None)) };
    let entry = &entries[of];
    let mut whole = None;
    if entry.size > CHUNK && piece.at + piece.size == entry.at + entry.size {
        let mut hasher = crate::image::Hasher::new(crate::image::Algorithm::Sha256);
        let (mut crc, mut at) = (Crc::new(), entry.at);
        while at < entry.at + entry.size {
            let bytes = read(tar, at, CHUNK.min(entry.at + entry.size - at))?;
            hasher.update(&bytes);
            crc.update(&bytes);
            at += bytes.len() as u64;
        }
        whole = Some((hasher.finish(), crc.0));
    }
    let mut crc = Crc::new();
    if entry.size <= CHUNK {
        crc.update(&bytes);
    }
    Ok((Made { frame, digest: Digest::of(&bytes), crc: crc.0 }, whole))
}

/// The table of contents.
fn table(
    entries: &[Entry],
    chunks: &[Vec<Chunk>],
    sums: &[Option<(Digest, u64)>],
    split: &Digest,
) -> io::Result<Vec<u8>> {
    let mut rows = Vec::new();
    for ((entry, chunks), sum) in entries.iter().zip(chunks).zip(sums) {
        let several = chunks.len() > 1;
        let first = chunks.first();
        rows.push(Row {
            kind: entry.kind,
            name: &entry.name,
            link: &entry.link,
            mode: entry.mode.into(),
            size: entry.size,
            uid: entry.uid,
            gid: entry.gid,
            modified: entry.modified.as_deref(),
            accessed: entry.accessed.as_deref(),
            changed: entry.changed.as_deref(),
            major: entry.major.into(),
            minor: entry.minor.into(),
            xattrs: Some(&entry.xattrs).filter(|xattrs| !xattrs.is_empty()),
            digest: sum.as_ref().map_or(String::new(), |(digest, _)| digest.to_string()),
            offset: first.map_or(0, |chunk| chunk.offset),
            end: chunks.last().map_or(0, |chunk| chunk.end),
            chunk_size: first.filter(|_| several).map_or(0, |chunk| chunk.size),
            chunk_offset: 0,
            chunk_digest: first.filter(|_| several).map_or(String::new(), |chunk| chunk.digest.to_string()),
        });
        rows.extend(chunks.iter().skip(1).map(|chunk| Row {
            kind: "chunk",
            name: &entry.name,
            link: "",
            mode: 0,
            size: 0,
            uid: 0,
            gid: 0,
            modified: None,
            accessed: None,
            changed: None,
            major: 0,
            minor: 0,
            xattrs: None,
            digest: String::new(),
            offset: chunk.offset,
            end: 0,
            chunk_size: chunk.size,
            chunk_offset: chunk.at,
            chunk_digest: chunk.digest.to_string(),
        }));
    }
    #[derive(Serialize)]
    struct Table<'a> {
        version: u32,
        entries: Vec<Row<'a>>,
        #[serde(rename = "tarSplitDigest")]
        split: String,
    }
    serde_json::to_vec(&Table { version: 1, entries: rows, split: split.to_string() }).map_err(io::Error::other)
}

/// What a tar is made of, file by file and byte by byte between them, as `tar-split` writes it: a line of JSON for each.
fn tar_split(tar: &File, entries: &[Entry], sums: &[Option<(Digest, u64)>], total: u64) -> io::Result<Vec<u8>> {
    let mut lines = Vec::new();
    let mut position = 0_u64;
    let mut line = |value: serde_json::Value, lines: &mut Vec<u8>| -> io::Result<()> {
        let mut value = value;
        value["position"] = json!(position);
        position += 1;
        serde_json::to_writer(&mut *lines, &value).map_err(io::Error::other)?;
        lines.push(b'\n');
        Ok(())
    };
    let mut at = 0;
    for (entry, sum) in entries.iter().zip(sums) {
        while at < entry.at {
            let bytes = read(tar, at, SEGMENT.min(entry.at - at))?;
            at += bytes.len() as u64;
            line(json!({"type": 2, "payload": STANDARD.encode(&bytes)}), &mut lines)?;
        }
        let crc = sum.as_ref().filter(|_| entry.size > 0).map(|(_, crc)| STANDARD.encode(crc.to_be_bytes()));
        let mut file = json!({"type": 1, "name": entry.name});
        if entry.size > 0 {
            file["size"] = json!(entry.size);
        }
        file["payload"] = json!(crc);
        line(file, &mut lines)?;
        at += entry.size;
    }
    while at < total {
        let bytes = read(tar, at, SEGMENT.min(total - at))?;
        at += bytes.len() as u64;
        line(json!({"type": 2, "payload": STANDARD.encode(&bytes)}), &mut lines)?;
    }
    Ok(lines)
}

fn skipped(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(|_| io::Error::other("a table of contents of more than 4 GiB"))?;
    out.write_all(&SKIPPED)?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(bytes)
}

/// CRC-64 of ISO 3309, as Go has it.
struct Crc(u64);

const CRC_TABLE: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ 0xd800_0000_0000_0000 } else { value >> 1 };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

impl Crc {
    fn new() -> Self {
        Self(0)
    }

    fn update(&mut self, bytes: &[u8]) {
        let mut crc = !self.0;
        for byte in bytes {
            crc = CRC_TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)] ^ (crc >> 8);
        }
        self.0 = !crc;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        let mut crc = Crc::new();
        crc.update(b"1234");
        crc.update(b"56789");
        assert_eq!(crc.0, 0xb909_56c7_75a4_1001);
    }
}
