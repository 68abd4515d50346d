//! gzip (RFC 1952): one member, whose pieces are compressed each by itself and end on a byte (RFC 1951, 3.2.4).

use std::fs::File;
use std::io::{self, Write};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use super::{PIECE, ordered, read};

/// No name, no time, no system: nothing that would differ from one machine to the next.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The block that ends a stream: the last one, and empty.
const END: [u8; 2] = [3, 0];

/// Writes all of a tar.
pub fn write(tar: &File, level: i32, out: &mut dyn Write) -> io::Result<()> {
    let size = tar.metadata()?.len();
    let level = Compression::new(u32::try_from(level).unwrap_or(6));
    out.write_all(&HEADER)?;
    let mut crc = Crc::new();
    let make = |at: usize| {
        let from = at as u64 * PIECE;
        piece(&read(tar, from, PIECE.min(size - from))?, level)
    };
    ordered::run(usize::try_from(size.div_ceil(PIECE)).map_err(io::Error::other)?, make, |(compressed, own)| {
        crc.combine(&own);
        out.write_all(&compressed)
    })?;
    out.write_all(&END)?;
    out.write_all(&crc.sum().to_le_bytes())?;
    out.write_all(&crc.amount().to_le_bytes())
}

/// Compresses one piece, which can follow any other.
fn piece(bytes: &[u8], level: Compression) -> io::Result<(Vec<u8>, Crc)> {
    let mut crc = Crc::new();
    crc.update(bytes);
    let mut deflate = Compress::new(level, false);
    let mut compressed = Vec::with_capacity(bytes.len() / 2 + 1024);
    loop {
        let consumed = usize::try_from(deflate.total_in()).map_err(io::Error::other)?;
        let status =
            deflate.compress_vec(&bytes[consumed..], &mut compressed, FlushCompress::Sync).map_err(io::Error::other)?;
        let is_all = usize::try_from(deflate.total_in()).map_err(io::Error::other)? == bytes.len();
        // Room that is left says that nothing more waits to be written.
        if is_all && (compressed.len() < compressed.capacity() || status == Status::BufError) {
            return Ok((compressed, crc));
        }
        compressed.reserve(64 << 10);
    }
}
