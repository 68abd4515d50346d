//! Where a frame ends: its blocks say how long they are, so that it is seen without decompressing any (RFC 8878, 3.1.1).

use std::io::{self, BufRead};

use super::room::Room;
use super::{HEADER, SMALL, header, skippable};
use crate::store::look::Look;

/// A piece is to have so many compressed bytes, or to become so many; whole frames are put together for it.
const ENOUGH: (usize, usize) = (256 << 10, 1 << 20);
/// What a piece may have compressed, and may become: what is more is decompressed as it comes.
const MOST: usize = 8 << 20;
/// The largest content of a block.
const BLOCK: u64 = 128 << 10;

/// What was found at the beginning of what is to be read.
pub enum Cut {
    /// Some whole frames, and how much they become at most.
    Frames(Vec<u8>, usize, Room),
    /// None that could be decompressed ahead; and the room for what was looked at.
    Nothing(Room),
}

/// Takes some whole frames from the source, where they are small and there is room.
///
/// # Errors
/// What the source says.
pub fn cut<R: BufRead>(source: &mut Look<R>) -> io::Result<Cut> {
    let mut room = Room::default();
    let (mut end, mut becomes) = (0, 0);
    while end < ENOUGH.0 && becomes < ENOUGH.1 {
        match frame(source, end, becomes, &mut room)? {
            Some(next) => (end, becomes) = next,
            None => break,
        }
    }
    Ok(match end {
        0 => Cut::Nothing(room),
        _ => Cut::Frames(source.cut(end), becomes, room),
    })
}

/// Where the frame ends that begins at `start`, and what all until there becomes; `None` where there is none, where it is damaged or cut off,
/// or too large.
fn frame<R: BufRead>(
    source: &mut Look<R>,
    start: usize,
    before: usize,
    room: &mut Room,
) -> io::Result<Option<(usize, usize)>> {
    let mut fits = |end: usize, becomes: usize| end <= MOST && becomes <= MOST && room.becomes(end + becomes);
    let bytes = &source.look(start + HEADER)?.0[start..];
    if skippable(bytes) {
        let Some(&[a, b, c, d]) = bytes.get(4..8) else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let end = (start + 8).saturating_add(length);
        let is_whole = fits(end, before) && source.look(end)?.0.len() >= end;
        return Ok(is_whole.then_some((end, before)));
    }
    let Some(about) = header(bytes).filter(|about| about.window <= SMALL) else { return Ok(None) };
    let block = about.window.min(BLOCK);
    let said = about.content.map(|content| usize::try_from(content).unwrap_or(usize::MAX));
    if said.is_some_and(|said| said > MOST) {
        return Ok(None);
    }
    let (mut at, mut becomes) = (start + about.length, 0_u64);
    loop {
        let Some(&[a, b, c]) = source.look(at + 3)?.0.get(at..at + 3) else { return Ok(None) };
        let word = u32::from_le_bytes([a, b, c, 0]);
        let size = u64::from(word >> 3);
        // Raw, one byte many times, compressed; the fourth kind is reserved.
        let (length, content) = match word >> 1 & 3 {
            0 => (size, size),
            1 => (1, size),
            2 => (size, block),
            _ => return Ok(None),
        };
        if size > block {
            return Ok(None);
        }
        at += 3 + length as usize;
        becomes += content;
        let most = before + said.unwrap_or(becomes as usize).min(becomes as usize);
        if !fits(at, most) {
            return Ok(None);
        }
        if word & 1 == 1 {
            let end = at + about.checksum;
            return Ok((source.look(end)?.0.len() >= end).then_some((end, most)));
        }
    }
}
