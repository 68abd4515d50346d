//! zstd (RFC 8878), one frame after the other, with an eye on the memory that each wants.
//!
//! A frame says how far back it may refer: up to 128 MiB is accepted, which is what the zstd tool itself takes unasked. Several layers are taken in at
//! once, and their windows must not add up: of frames with a large one, one at a time is decompressed, and the others wait.

use std::io::{self, BufRead, Read};
use std::sync::{Condvar, Mutex, PoisonError};

use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

/// The largest window that is accepted, as a power of two.
const WINDOW: u32 = 27;
/// What any number of frames may have at once: the most that RFC 8878 (3.1.1.1.2) recommends compressors to ask for.
const SMALL: u64 = 8 << 20;
/// A frame's header is at most this long, its magic number included.
const HEADER: usize = 18;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The content of a file of zstd frames.
pub struct Frames<R> {
    reader: R,
    /// Bytes that were looked at before the frame began, and are still to be decompressed.
    head: Vec<u8>,
    frame: Option<Frame>,
    /// Kept for the next frame.
    spare: Option<Decoder<'static>>,
}

struct Frame {
    decoder: Decoder<'static>,
    large: Option<Turn>,
}

/// Whether `start` begins a frame, or one that is to be skipped, which some compressors begin with.
pub fn begins(start: &[u8]) -> bool {
    start.starts_with(&MAGIC) || skippable(start)
}

fn skippable(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

impl<R: BufRead> Frames<R> {
    /// Reads from `reader`, which is at the beginning of a frame.
    pub fn new(reader: R) -> Self {
        Self { reader, head: Vec::new(), frame: None, spare: None }
    }

    /// Begins the next frame; `false` where there is none.
    fn begin(&mut self) -> io::Result<bool> {
        loop {
            let missing = HEADER - self.head.len();
            self.reader.by_ref().take(missing as u64).read_to_end(&mut self.head)?;
            if self.head.is_empty() {
                return Ok(false);
            }
            if !skippable(&self.head) {
                break;
            }
            let Some(&[a, b, c, d]) = self.head.get(4..8) else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            let length = u64::from(u32::from_le_bytes([a, b, c, d]));
            let here = usize::try_from(length).unwrap_or(usize::MAX).min(self.head.len() - 8);
            self.head.drain(..8 + here);
            let rest = length - here as u64;
            if io::copy(&mut self.reader.by_ref().take(rest), &mut io::sink())? != rest {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let window = window(&self.head).ok_or_else(|| wrong("a frame's header is damaged"))?;
        if window > 1 << WINDOW {
            return Err(wrong("it wants a window of more than 128 MiB"));
        }
        let large = (window > SMALL).then(Turn::wait);
        let decoder = match self.spare.take() {
            Some(mut spare) => {
                spare.reinit()?;
                spare
            }
            None => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(WINDOW))?;
                decoder
            }
        };
        self.frame = Some(Frame { decoder, large });
        Ok(true)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            if self.frame.is_none() && !self.begin()? {
                return Ok(0);
            }
            let Some(frame) = &mut self.frame else { continue };
            let from_head = !self.head.is_empty();
            let input = if from_head { &self.head[..] } else { self.reader.fill_buf()? };
            let (there, mut input) = (input.len(), InBuffer::around(input));
            let mut output = OutBuffer::around(into);
            let left = frame.decoder.run(&mut input, &mut output)?;
            let (used, got) = (input.pos(), output.pos());
            if from_head {
                self.head.drain(..used);
            } else {
                self.reader.consume(used);
            }
            if left == 0 {
                // A large window's memory goes with its decoder.
                self.spare = self.frame.take().filter(|frame| frame.large.is_none()).map(|frame| frame.decoder);
            }
            if got > 0 {
                return Ok(got);
            }
            if there == 0 && left > 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn wrong(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// The window that a frame's header asks for, in bytes (RFC 8878, 3.1.1.1); `None` where it is cut off or no header.
fn window(header: &[u8]) -> Option<u64> {
    let rest = header.strip_prefix(&MAGIC)?;
    let (&descriptor, rest) = rest.split_first()?;
    let is_single = descriptor & 0x20 != 0;
    if !is_single {
        let byte = *rest.first()?;
        let base = 1_u64 << (10 + u32::from(byte >> 3));
        return Some(base + base / 8 * u64::from(byte & 7));
    }
    // All of it is its window: how long it is stands behind the number of its dictionary.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let length = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let bytes = rest.get(dictionary..)?.get(..length)?;
    let size = bytes.iter().rev().fold(0_u64, |size, &byte| size << 8 | u64::from(byte));
    Some(if length == 2 { size + 256 } else { size })
}

/// The right to have a large window.
struct Turn;

static TAKEN: Mutex<bool> = Mutex::new(false);
static FREE: Condvar = Condvar::new();

impl Turn {
    fn wait() -> Self {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        while *taken {
            taken = FREE.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        *taken = true;
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) = false;
        FREE.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn compress(bytes: &[u8], log: Option<u32>, pledged: bool) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        if let Some(log) = log {
            encoder.window_log(log).unwrap();
        }
        if pledged {
            encoder.set_pledged_src_size(Some(bytes.len() as u64)).unwrap();
        }
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8], at_once: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        let mut frames = Frames::new(io::BufReader::with_capacity(at_once, bytes));
        let mut buffer = vec![0; at_once];
        loop {
            match frames.read(&mut buffer)? {
                0 => return Ok(all),
                got => all.extend_from_slice(&buffer[..got]),
            }
        }
    }

    #[test]
    fn windows_are_read_out_of_headers() {
        for log in [10, 17, 23, 27] {
            assert_eq!(window(&compress(&[1; 100], Some(log), false)), Some(1 << log));
        }
        for size in [0, 200, 300, 70_000] {
            assert_eq!(window(&compress(&vec![1; size], None, true)), Some(size as u64));
        }
        assert_eq!(window(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0xff]), Some((1 << 41) + 7 * (1 << 38)));
        assert_eq!(window(b"(\xb5/\xfd"), None);
    }

    #[test]
    fn frames_of_all_sizes_follow_each_other() {
        let parts = [
            compress(b"one ", None, true),
            compress(&[7; 100_000], Some(25), false),
            compress(b"", None, false),
            compress(b"end", Some(24), false),
        ];
        let skipped = [&[0x5f, 0x2a, 0x4d, 0x18, 40, 0, 0, 0][..], &[1; 40]].concat();
        let bytes = [&skipped[..], &parts[0], &skipped, &parts[1], &parts[2], &parts[3], &skipped].concat();
        let whole = [&b"one "[..], &[7; 100_000], b"end"].concat();
        for at_once in [1, 7, 1000, 1 << 20] {
            assert!(read(&bytes, at_once).unwrap() == whole, "{at_once}");
        }
        for cut in [1, 10, bytes.len() - 1, bytes.len() - 45, bytes.len() - 50] {
            assert!(read(&bytes[..cut], 100).is_err(), "{cut}");
        }
    }

    #[test]
    fn large_windows_wait_for_each_other() {
        let frame = compress(&[1; 1000], Some(26), false);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| assert_eq!(read(&frame.repeat(5), 50).unwrap(), [1; 5000]));
            }
        });
        assert!(!*TAKEN.lock().unwrap());
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), start in 0_usize..3) {
            let start: &[u8] = [&MAGIC[..], &[0x50, 0x2a, 0x4d, 0x18], b""][start];
            let _ = read(&[start, &bytes].concat(), 64);
        }
    }
}
