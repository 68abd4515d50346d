//! Where the last lines of a log begin, found from its end: ten lines of thirty megabytes are two reads.

use std::io;
use std::os::unix::fs::FileExt as _;

use super::entry::Window;
use super::files::{Files, Lines};

/// How much is read at once.
const BLOCK: u64 = 64 << 10;

/// Finds the beginning of the last `count` lines that are not later than `window`: the index in `opened`, and the byte.
///
/// A line is its pieces; one whose end is missing counts too.
pub fn beginning(files: &Files, opened: &[Lines], count: u64, window: &Window) -> io::Result<(usize, u64)> {
    let Some(newest) = opened.len().checked_sub(1) else { return Ok((0, 0)) };
    let mut begin = (newest, opened[newest].length()?);
    if count == 0 {
        return Ok(begin);
    }
    let mut found = 0;
    for (index, lines) in opened.iter().enumerate().rev() {
        let done = backwards(lines, |offset, line| {
            let Some(entry) = files.entry(line).filter(|entry| !window.ends_before(entry)) else { return false };
            if entry.whole || found == 0 {
                if found == count {
                    return true;
                }
                found += 1;
            }
            begin = (index, offset);
            false
        })?;
        if done {
            break;
        }
    }
    Ok(begin)
}

/// Gives each line and its place to `each`, the last first, until that says that it is enough.
fn backwards(lines: &Lines, mut each: impl FnMut(u64, &[u8]) -> bool) -> io::Result<bool> {
    let mut start = lines.length()?;
    // From `start` on, up to the beginning of what was given away.
    let mut held: Vec<u8> = Vec::new();
    while start > 0 {
        let length = start.min(BLOCK);
        start -= length;
        let mut block = vec![0; usize::try_from(length).unwrap_or_default()];
        lines.file.read_exact_at(&mut block, start)?;
        block.append(&mut held);
        // The line that begins in an earlier block ends with the first newline here.
        let first = if start == 0 { 0 } else { memchr::memchr(b'\n', &block).map_or(block.len(), |at| at + 1) };
        let mut end = block.len();
        while end > first {
            let newline = usize::from(block[end - 1] == b'\n');
            let line_start = memchr::memrchr(b'\n', &block[first..end - newline]).map_or(first, |at| first + at + 1);
            if each(start + line_start as u64, &block[line_start..end - newline]) {
                return Ok(true);
            }
            end = line_start;
        }
        block.truncate(first);
        held = block;
    }
    Ok(false)
}
