//! Bytes as they come from a pipe, cut into lines and pieces of lines.

use super::LONGEST;

/// What came of one stream since its last newline.
#[derive(Debug, Default)]
pub struct Splitter {
    /// At most [`LONGEST`] bytes.
    pending: Vec<u8>,
}

impl Splitter {
    /// Calls `emit` for each line of `bytes`, without its newline and with `true`, and with `false` for each piece of a line that
    /// is longer than [`LONGEST`]. What follows the last newline waits for more.
    pub fn take(&mut self, bytes: &[u8], emit: &mut (impl FnMut(&[u8], bool) + ?Sized)) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[start..end];
            start = end + 1;
            if self.pending.is_empty() && line.len() <= LONGEST {
                emit(line, true);
            } else {
                self.gather(line, emit);
                emit(&self.pending, true);
                self.pending.clear();
            }
        }
        self.gather(&bytes[start..], emit);
    }

    /// Calls `emit` for what had no newline: nothing more will come.
    pub fn finish(&mut self, emit: &mut (impl FnMut(&[u8], bool) + ?Sized)) {
        if !self.pending.is_empty() {
            emit(&self.pending, false);
            self.pending.clear();
        }
    }

    fn gather(&mut self, mut text: &[u8], emit: &mut (impl FnMut(&[u8], bool) + ?Sized)) {
        while self.pending.len() + text.len() > LONGEST {
            let (now, later) = text.split_at(LONGEST - self.pending.len());
            self.pending.extend_from_slice(now);
            text = later;
            let piece = LONGEST - begun(&self.pending);
            emit(&self.pending[..piece], false);
            self.pending.drain(..piece);
        }
        self.pending.extend_from_slice(text);
    }
}

/// How many bytes at the end of `bytes` are the beginning of a character of UTF-8 whose rest is missing. A piece that ended
/// within a character would be no text for the forms that can hold nothing else.
fn begun(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let length = match bytes[bytes.len() - back] {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if length > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(reads: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let (mut splitter, mut records) = (Splitter::default(), Vec::new());
        let mut emit = |text: &[u8], whole| records.push((text.to_owned(), whole));
        for read in reads {
            splitter.take(read, &mut emit);
        }
        splitter.finish(&mut emit);
        records
    }

    #[test]
    fn lines_are_whole_however_they_come() {
        let whole = |text: &[u8]| (text.to_owned(), true);
        assert_eq!(split(&[b"a\nb", b"c\n", b"\n"]), [whole(b"a"), whole(b"bc"), whole(b"")]);
        assert_eq!(split(&[b"a\nb"]), [whole(b"a"), (b"b".to_vec(), false)]);
    }

    #[test]
    fn a_line_of_the_longest_length_is_one_record() {
        let line = [vec![b'x'; LONGEST], b"\n".to_vec()].concat();
        assert_eq!(split(&[&line]), [(vec![b'x'; LONGEST], true)]);
        let halves = line.split_at(5);
        assert_eq!(split(&[halves.0, halves.1]), [(vec![b'x'; LONGEST], true)]);
    }

    #[test]
    fn no_piece_ends_within_a_character() {
        let line = ["x".repeat(LONGEST - 1), "ä€😀".repeat(3000), "\n".into()].concat();
        for (text, _) in split(&[line.as_bytes()]) {
            assert!(std::str::from_utf8(&text).is_ok());
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_too_long(
            parts in prop::collection::vec((any::<u8>(), 0..40_000usize, any::<bool>()), 0..8),
            cut in 1..50_000usize,
        ) {
            let text: Vec<u8> = (parts.iter())
                .flat_map(|(byte, count, newline)| {
                    std::iter::repeat_n(*byte, *count).chain(newline.then_some(b'\n'))
                })
                .collect();
            let reads: Vec<&[u8]> = text.chunks(cut).collect();
            let mut joined = Vec::new();
            for (piece, whole) in split(&reads) {
                prop_assert!(piece.len() <= LONGEST);
                joined.extend(piece);
                joined.extend(whole.then_some(b'\n'));
            }
            prop_assert!(joined == text);
        }
    }
}
