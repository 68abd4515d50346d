//! From a blob's bytes to its table of contents: the footer and the last member of an eStargz, the frame of a zstd:chunked.

use std::io::Read;

use cowfs::layer::{Kind, Limits, Stream};
use flate2::read::GzDecoder;

use super::super::decode::Decoder;
use super::{MAX_TABLE, Toc, Unfit};
use crate::image::Digest;

/// So much of a blob's end is fetched to begin with: a footer, and most tables.
pub const TAIL: u64 = 512 << 10;

/// The footer of an eStargz: an empty gzip member, whose extra field says where the table begins (docs/estargz.md, "Footer").
const FOOTER: usize = 51;
const FOOTER_HEAD: &[u8] = &[0x1f, 0x8b, 8, 4];
/// In the header's extra field: its length, the subfield's name and length.
const EXTRA: &[u8] = &[26, 0, b'S', b'G', 22, 0];
const EXTRA_AT: usize = 10;
const STARGZ: &[u8] = b"STARGZ";

/// The name of the table in the tar that the last member holds.
const NAME: &[u8] = b"stargz.index.json";

/// Where the table begins, by the last bytes of an eStargz blob.
fn footer(tail: &[u8]) -> Option<u64> {
    let footer = tail.get(tail.len().checked_sub(FOOTER)?..)?;
    let rest = footer.strip_prefix(FOOTER_HEAD)?.get(EXTRA_AT - FOOTER_HEAD.len()..)?.strip_prefix(EXTRA)?;
    let (offset, rest) = rest.split_at_checked(16)?;
    rest.strip_prefix(STARGZ)?;
    let offset = std::str::from_utf8(offset).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u64::from_str_radix(offset, 16).ok()
}

/// See [`Toc::from_tail`].
pub fn from_tail(tail: &[u8], size: u64, digest: &Digest, limits: &Limits) -> Result<Result<Toc, u64>, Unfit> {
    let begins = size.saturating_sub(tail.len() as u64);
    let offset = footer(tail).ok_or(Unfit::Wrong("the layer does not end as an eStargz does"))?;
    if offset >= size.saturating_sub(FOOTER as u64) {
        return Err(Unfit::Wrong("it lies behind the end of the layer"));
    }
    if size - offset > MAX_TABLE {
        return Err(Unfit::Long);
    }
    if offset < begins {
        return Ok(Err(offset));
    }
    let compressed = usize::try_from(offset - begins).ok().and_then(|at| tail.get(at..)).unwrap_or_default();
    let json = member(compressed, limits)?;
    check(&json, digest)?;
    Toc::parse(&json, digest, offset, limits).map(Ok)
}

/// The JSON in the tar that a gzip member holds.
fn member(compressed: &[u8], limits: &Limits) -> Result<Vec<u8>, Unfit> {
    // Header and padding on top of the table itself.
    let mut tar = Stream::new(GzDecoder::new(compressed).take(MAX_TABLE + (64 << 10)), limits.clone());
    let first = tar.next_member()?.filter(|first| first.path == NAME && first.kind == Kind::File);
    let size = first.ok_or(Unfit::Wrong("the last part of the layer is no table"))?.size;
    if size > MAX_TABLE {
        return Err(Unfit::Long);
    }
    let mut json = Vec::new();
    tar.take(size).read_to_end(&mut json).map_err(Unfit::Decompress)?;
    Ok(json)
}

/// See [`Toc::from_chunked`].
pub fn from_chunked(frame: &[u8], offset: u64, digest: &Digest, limits: &Limits) -> Result<Toc, Unfit> {
    // Here the digest is that of the compressed bytes.
    check(frame, digest)?;
    let mut json = Vec::new();
    let read = Decoder::new(frame).and_then(|decoder| decoder.take(MAX_TABLE + 1).read_to_end(&mut json));
    read.map_err(Unfit::Decompress)?;
    if json.len() as u64 > MAX_TABLE {
        return Err(Unfit::Long);
    }
    Toc::parse(&json, digest, offset, limits)
}

fn check(bytes: &[u8], expected: &Digest) -> Result<(), Unfit> {
    if expected.matches(bytes) {
        return Ok(());
    }
    Err(Unfit::Digest { expected: expected.clone(), found: Digest::of(bytes) })
}
