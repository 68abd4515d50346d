//! zstd (RFC 8878), with an eye on the memory that each frame wants.
//!
//! A frame says how far back it may refer: up to 128 MiB is accepted, which is what the zstd tool itself takes unasked. Several layers are taken in at
//! once, and their windows must not add up: of frames with a large one, one at a time is decompressed, and the others wait.
//!
//! Small frames, of which pzstd, zstd:chunked and this program's own layers have many, are decompressed several at once, within what room there is
//! for that. The one large frame of most layers is decompressed by one thread as it comes.

mod cut;
mod room;

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::mpsc::Receiver;

use zstd::bulk::Decompressor;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::look::Look;
use super::workers::{self, Workers};
use cut::{Cut, cut};
use room::{Room, Turn};

/// The largest window that is accepted, as a power of two.
const WINDOW: u32 = 27;
/// What any number of frames may have at once: the most that RFC 8878 (3.1.1.1.2) recommends compressors to ask for.
const SMALL: u64 = 8 << 20;
/// A frame's header is at most this long, its magic number included.
const HEADER: usize = 18;
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The content of a file of zstd frames.
pub struct Frames<R> {
    source: Look<R>,
    /// The frame that is decompressed as it comes.
    frame: Option<Frame>,
    /// Kept for the next frame.
    spare: Option<Decoder<'static>>,
    /// Those that are decompressed ahead, in their order.
    pieces: VecDeque<Piece>,
    /// Decompressed, and how much of it has been read.
    ready: Option<(Vec<u8>, usize, Room)>,
    /// For what was looked at in vain.
    held: Option<Room>,
    /// Whether the next frame is to be decompressed as it comes.
    alone: bool,
    workers: Option<Workers<Work, io::Result<Vec<u8>>>>,
    threads: usize,
}

struct Frame {
    decoder: Decoder<'static>,
    large: Option<Turn>,
}

struct Piece {
    becomes: Receiver<io::Result<Vec<u8>>>,
    room: Room,
}

/// Whole frames, and what they become at most.
type Work = (Vec<u8>, usize);

/// Whether `start` begins a frame, or one that is to be skipped, which some compressors begin with.
pub fn begins(start: &[u8]) -> bool {
    start.starts_with(&MAGIC) || skippable(start)
}

fn skippable(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

impl<R: BufRead> Frames<R> {
    /// Reads from `reader`, which is at the beginning of a frame, with this thread alone.
    pub fn new(reader: R) -> Self {
        Self::with(reader, 1)
    }

    /// The same for much, which several threads may be busy with.
    pub fn of_much(reader: R) -> Self {
        Self::with(reader, workers::threads())
    }

    fn with(reader: R, threads: usize) -> Self {
        Self {
            source: Look::new(reader),
            frame: None,
            spare: None,
            pieces: VecDeque::new(),
            ready: None,
            held: None,
            alone: false,
            workers: None,
            threads,
        }
    }

    /// Goes on to the next frame; `false` where there is none.
    fn go_on(&mut self) -> io::Result<bool> {
        while self.threads > 1 && !self.alone && self.pieces.len() < self.threads {
            self.held = None;
            match cut(&mut self.source)? {
                Cut::Frames(bytes, becomes, room) => {
                    let workers = match &self.workers {
                        Some(workers) => workers,
                        None => self.workers.insert(Workers::start(self.threads, "unzstd", worker)?),
                    };
                    self.pieces.push_back(Piece { becomes: workers.give((bytes, becomes)), room });
                }
                Cut::Nothing(room) => (self.alone, self.held) = (true, Some(room)),
            }
        }
        let Some(piece) = self.pieces.pop_front() else {
            self.alone = false;
            return self.begin();
        };
        let content = piece.becomes.recv().map_err(io::Error::other)??;
        self.ready = Some((content, 0, piece.room));
        Ok(true)
    }

    /// Begins a frame that is decompressed as it comes; `false` where there is none.
    fn begin(&mut self) -> io::Result<bool> {
        let window = loop {
            let (head, _) = self.source.look(HEADER)?;
            if head.is_empty() {
                return Ok(false);
            }
            if !skippable(head) {
                break header(head).ok_or_else(|| wrong("a frame's header is damaged"))?.window;
            }
            let Some(&[a, b, c, d]) = head.get(4..8) else { return Err(io::ErrorKind::UnexpectedEof.into()) };
            let length = 8 + u64::from(u32::from_le_bytes([a, b, c, d]));
            if io::copy(&mut self.source.by_ref().take(length), &mut io::sink())? != length {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        };
        if window > 1 << WINDOW {
            return Err(wrong("it wants a window of more than 128 MiB"));
        }
        let large = (window > SMALL).then(|| {
            self.held = None;
            Turn::wait()
        });
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

    /// Decompresses some of the frame that is decompressed as it comes.
    fn step(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(frame) = &mut self.frame else { return Ok(0) };
        let input = self.source.fill_buf()?;
        let (there, mut input) = (input.len(), InBuffer::around(input));
        let mut output = OutBuffer::around(into);
        let left = frame.decoder.run(&mut input, &mut output)?;
        let (used, got) = (input.pos(), output.pos());
        self.source.consume(used);
        if self.source.is_bare() {
            self.held = None;
        }
        if left == 0 {
            // A large window's memory goes with its decoder.
            self.spare = self.frame.take().filter(|frame| frame.large.is_none()).map(|frame| frame.decoder);
        }
        if got == 0 && there == 0 && left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(got)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        loop {
            let got = match &mut self.ready {
                Some((content, at, _)) => {
                    let got = (&content[*at..]).read(into)?;
                    *at += got;
                    got
                }
                None => self.step(into)?,
            };
            if got > 0 {
                return Ok(got);
            }
            self.ready = None;
            if self.frame.is_none() && !self.go_on()? {
                return Ok(0);
            }
        }
    }
}

/// What decompresses pieces.
fn worker() -> impl FnMut(Work) -> io::Result<Vec<u8>> + Send + 'static {
    let mut decompressor = Decompressor::new();
    move |(bytes, becomes)| {
        let decompressor = decompressor.as_mut().map_err(|error| io::Error::new(error.kind(), error.to_string()))?;
        let mut content = Vec::with_capacity(becomes);
        decompressor.decompress_to_buffer(&bytes, &mut content)?;
        Ok(content)
    }
}

fn wrong(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// What a frame's header says (RFC 8878, 3.1.1.1).
struct About {
    /// How long it is, its magic number included, in bytes.
    length: usize,
    /// How far back the frame may refer, in bytes.
    window: u64,
    /// What the frame becomes, in bytes, where it is said.
    content: Option<u64>,
    /// How long the checksum at the frame's end is, in bytes.
    checksum: usize,
}

/// Reads a frame's header; `None` where it is cut off or none.
fn header(bytes: &[u8]) -> Option<About> {
    let (&descriptor, mut rest) = bytes.strip_prefix(&MAGIC)?.split_first()?;
    let is_single = descriptor & 0x20 != 0;
    let mut window = None;
    if !is_single {
        let (&byte, behind) = rest.split_first()?;
        let base = 1_u64 << (10 + u32::from(byte >> 3));
        window = Some(base + base / 8 * u64::from(byte & 7));
        rest = behind;
    }
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let length = [usize::from(is_single), 2, 4, 8][usize::from(descriptor >> 6)];
    let said = rest.get(dictionary..)?.get(..length)?;
    let size = said.iter().rev().fold(0_u64, |size, &byte| size << 8 | u64::from(byte));
    let content = (length > 0).then_some(if length == 2 { size + 256 } else { size });
    Some(About {
        length: MAGIC.len() + 1 + usize::from(!is_single) + dictionary + length,
        // Without a window, all of it is its window.
        window: window.or(content)?,
        content,
        checksum: if descriptor & 4 == 0 { 0 } else { 4 },
    })
}

#[cfg(test)]
mod tests;
