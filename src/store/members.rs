//! gzip of several members (RFC 1952, 2.2), several of them decompressed at once: eStargz has one for each file, bgzip one for each 64 KiB.
//!
//! Nothing says where a member begins but its first bytes, which may stand anywhere by chance. So the stream is cut where a member seems to
//! begin, and a cut counts only after what lies in front of it has turned out to end there. What cannot be cut (the one large member of
//! most layers, or a bomb) is decompressed by one thread as it comes. Called by the thread that decompresses a layer.

use std::collections::VecDeque;
use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use flate2::bufread::{GzDecoder, MultiGzDecoder};

use super::look::Look;
use super::workers::{self, Workers};

/// A piece has at least so many compressed bytes, and at most.
const PIECE: std::ops::Range<usize> = 64 << 10..256 << 10;
/// What it may become: more is decompressed as it comes.
const MOST: u64 = 1 << 20;
/// What a member's header has at least.
const HEADER: usize = 10;

/// The content of a gzip.
pub struct Members<R: BufRead> {
    way: Way<R>,
    /// Pieces that are being decompressed, in their order.
    pieces: VecDeque<Piece>,
    workers: Option<Gunzip>,
    threads: usize,
    /// Decompressed, and how much of it has been read.
    ready: (Vec<u8>, usize),
    /// So many bytes more are not to be cut: that was tried.
    whole: usize,
}

enum Way<R: BufRead> {
    /// Between two members.
    Between(Look<R>),
    /// In a member that is decompressed as it comes; how far the source was at its beginning.
    Inside(Box<GzDecoder<Look<R>>>, u64),
    /// After an error.
    Broken,
}

/// Threads that make of some members what they become; `None` of what is not what it seemed.
type Gunzip = Workers<Arc<Vec<u8>>, Option<Vec<u8>>>;

struct Piece {
    bytes: Arc<Vec<u8>>,
    becomes: Receiver<Option<Vec<u8>>>,
}

impl<R: BufRead> Members<R> {
    /// Reads from `reader`, which is at the beginning of a member.
    pub fn new(reader: R) -> Self {
        Self::with(reader, workers::threads())
    }

    fn with(reader: R, threads: usize) -> Self {
        let way = Way::Between(Look::new(reader));
        Self { way, pieces: VecDeque::new(), workers: None, threads, ready: (Vec::new(), 0), whole: 0 }
    }

    /// Goes on by a step; `false` at the end.
    fn go_on(&mut self) -> io::Result<bool> {
        let Way::Between(mut source) = std::mem::replace(&mut self.way, Way::Broken) else {
            return Err(io::Error::other("it was broken before"));
        };
        while self.threads > 1 && self.whole == 0 && self.pieces.len() < self.threads {
            match cut(&mut source)? {
                Ok(piece) => self.begin(piece)?,
                Err(looked) => {
                    self.whole = looked;
                    break;
                }
            }
        }
        if let Some(Piece { bytes, becomes }) = self.pieces.pop_front() {
            match becomes.recv().ok().flatten() {
                Some(content) => self.ready = (content, 0),
                None => {
                    // Neither it nor what was cut after it is what it seemed.
                    let all = [&bytes].into_iter().chain(self.pieces.iter().map(|piece| &piece.bytes));
                    source.put_back(&all.flat_map(|bytes| bytes.iter().copied()).collect::<Vec<_>>());
                    self.whole = bytes.len();
                    self.pieces.clear();
                }
            }
        } else if source.look(1)?.0.is_empty() {
            self.way = Way::Between(source);
            return Ok(false);
        } else {
            let begin = source.taken();
            self.way = Way::Inside(Box::new(GzDecoder::new(source)), begin);
            return Ok(true);
        }
        self.way = Way::Between(source);
        Ok(true)
    }

    fn begin(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        let workers = match &self.workers {
            Some(workers) => workers,
            None => {
                self.workers.insert(Workers::start(self.threads, "gunzip", || |bytes: Arc<Vec<u8>>| whole(&bytes))?)
            }
        };
        let bytes = Arc::new(bytes);
        // Where nobody takes it, nobody answers, and it is decompressed as it comes.
        let becomes = workers.give(Arc::clone(&bytes));
        self.pieces.push_back(Piece { bytes, becomes });
        Ok(())
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            let (content, at) = &mut self.ready;
            let got = (&content[*at..]).read(into)?;
            *at += got;
            if got > 0 || into.is_empty() {
                return Ok(got);
            }
            if let Way::Inside(member, begin) = &mut self.way {
                let got = member.read(into)?;
                if got > 0 {
                    return Ok(got);
                }
                let begin = *begin;
                let Way::Inside(member, _) = std::mem::replace(&mut self.way, Way::Broken) else { continue };
                let source = member.into_inner();
                let length = usize::try_from(source.taken() - begin).unwrap_or(usize::MAX);
                self.whole = self.whole.saturating_sub(length);
                self.way = Way::Between(source);
            }
            if !self.go_on()? {
                return Ok(0);
            }
        }
    }
}

/// Takes as much from the source as seems to be some members. `Ok(Err(looked))` where they do not end soon, or where there is nothing: in
/// so many bytes there is nothing to be cut, and they are not to be looked at again.
fn cut<R: BufRead>(source: &mut Look<R>) -> io::Result<Result<Vec<u8>, usize>> {
    let mut looked = PIECE.start;
    loop {
        let (bytes, ended) = source.look((looked + HEADER).next_multiple_of(PIECE.start))?;
        let from = bytes.get(looked..).unwrap_or_default();
        let end = match from.windows(HEADER).position(begins) {
            Some(at) => looked + at,
            None if ended => bytes.len(),
            None if bytes.len() >= PIECE.end => return Ok(Err(bytes.len() - HEADER)),
            None => {
                looked = bytes.len() - HEADER + 1;
                continue;
            }
        };
        return Ok(if end == 0 { Err(0) } else { Ok(source.cut(end)) });
    }
}

/// Whether it looks as a member's header does: the flags that there are, a compression level and a system that there is.
fn begins(header: &[u8]) -> bool {
    matches!(header, [0x1f, 0x8b, 8, 0..=0x1f, _, _, _, _, 0 | 2 | 4, 0..=13 | 255, ..])
}

/// What members become that make these bytes exactly; `None` where they do not, and where it is too much.
fn whole(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    MultiGzDecoder::new(bytes).take(MOST + 1).read_to_end(&mut content).ok()?;
    (content.len() as u64 <= MOST).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;
    use std::io::Write;

    fn member(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::new(level));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn noise(seed: usize, length: usize) -> Vec<u8> {
        let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        (0..length).map(next).collect()
    }

    fn read(bytes: &[u8], threads: usize) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        Members::with(io::BufReader::with_capacity(10_000, bytes), threads).read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn members_of_all_sizes_follow_each_other() {
        // Small ones, one that cannot be cut, one that becomes more than a piece may, and one that has in it what looks like another.
        let looks = [noise(1, 100_000), member(b"inner", 6), noise(2, 100_000)].concat();
        let parts: Vec<Vec<u8>> = (0..300)
            .map(|at| match at {
                100 => noise(at, 900_000),
                150 => vec![0; 30 << 20],
                200 => looks.clone(),
                _ => noise(at, at * 37),
            })
            .collect();
        let stream: Vec<u8> = parts.iter().flat_map(|part| member(part, u32::from(part.len() > 1 << 20))).collect();
        let content = parts.concat();
        // Members that do not look as one: nobody sets this level.
        let unknown: Vec<u8> = (0..20_000).flat_map(|at| (at as u32).to_le_bytes()).collect();
        let strange = unknown.chunks(4).flat_map(|part| {
            let mut strange = member(part, 0);
            strange[8] = 7;
            strange
        });
        let stream: Vec<u8> = strange.chain(stream).collect();
        let content = [unknown, content].concat();
        for threads in [1, 2, 4] {
            assert!(read(&stream, threads).unwrap() == content, "{threads}");
        }
        for cut in [1, 9, 100, 100_000, stream.len() / 2] {
            assert!(read(&stream[..stream.len() - cut], 3).is_err(), "{cut}");
        }
        let mut wrong = stream.clone();
        let middle = wrong.len() / 3;
        wrong[middle] ^= 1;
        assert!(read(&wrong, 3).is_err());
        assert!(read(&[&stream[..], b"something else"].concat(), 3).is_err());
    }

    #[test]
    fn what_is_in_the_one_large_member_of_a_layer_comes_as_ever() {
        let content = noise(7, 3 << 20);
        assert!(read(&member(&content, 0), 4).unwrap() == content);
        assert!(read(&member(&content, 6), 4).unwrap() == content);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn several_threads_read_what_one_reads(
            sizes in proptest::collection::vec(0_usize..90_000, 1..20), broken in proptest::option::of(any::<prop::sample::Index>())
        ) {
            let mut stream: Vec<u8> = sizes.iter().flat_map(|&size| member(&noise(size, size), 0)).collect();
            if let Some(at) = broken {
                let at = at.index(stream.len());
                stream[at] ^= 0x10;
            }
            match (read(&stream, 4), read(&stream, 1)) {
                (Ok(four), Ok(one)) => prop_assert!(four == one),
                (four, one) => prop_assert_eq!(four.is_err(), one.is_err()),
            }
        }
    }
}
