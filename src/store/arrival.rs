//! One layer on its way: what can be read of it before it is all here, and from where.
//!
//! Content has three sources. The layer comes from front to back, as any other; what of it lies in the unfinished tar can be read there. What
//! is wanted sooner is fetched by itself, by its range of the blob, into a sparse file. Whichever it is, a piece is handed out only after
//! it has been checked against its digest in the table of contents; a piece without a digest waits until the whole layer has been
//! checked. And the table itself is checked against the tar: if they disagree, nothing is handed out any more, and the layer is not used.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use cowfs::arriving::{Here, Moved, Provider};
use cowfs::layer::{Body, Seen};

use super::decode::Decoder;
use super::layer::TAR;
use super::toc::{Agreement, Toc};
use super::watch::Watch;
use super::{Error, Pending};
use crate::image::{Algorithm, Descriptor, Hasher};

/// Small files that lie next to a wanted one are fetched with it, up to so many compressed bytes: they are often wanted next, and a
/// request costs more than they do. Where that has come true, up to twice as many the next time.
const TOGETHER: Range<u64> = 256 << 10..4 << 20;
/// So many places are known where somebody may go on.
const READERS: usize = 8;

/// What is told of a layer that is not to be used.
const LIE: &str = "the layer is not what its table of contents says";

/// Whoever can fetch parts of blobs.
pub trait Ranges: Sync {
    /// The bytes of a range. May wait and try again as long as it sees fit.
    ///
    /// # Errors
    /// Where they do not come.
    fn range<'s>(&'s self, blob: &Descriptor, range: Range<u64>) -> io::Result<Box<dyn Read + 's>>;
}

/// A layer on its way.
pub struct Arrival<'r> {
    blob: Descriptor,
    toc: Toc,
    ranges: &'r dyn Ranges,
    /// What was fetched by itself, at its place in the listing.
    ahead: Arc<File>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    chunks: Vec<Standing>,
    agreement: Agreement,
    tar: Option<Arc<File>>,
    written: u64,
    /// Where the content of the entry begins in the tar that is being read.
    begun: Option<u64>,
    /// So many bytes of the blob have come from front to back.
    front: u64,
    /// Whether more are coming.
    running: bool,
    /// Nothing fetched by itself counts any more: it is being compared.
    closing: bool,
    end: Option<End>,
    /// Where in the blob the last ended that were fetched by themselves, and how much may be fetched with what lies there.
    ends: VecDeque<(u64, u64)>,
    /// Why the last that was wanted could not be had.
    trouble: String,
}

/// What is known of a piece of content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Unknown,
    /// Somebody is fetching it by itself.
    Fetching,
    /// It was fetched by itself, and is what the table says.
    Ahead,
    /// It lies in the tar, and is what the table says.
    Checked,
    /// It could not be had by itself: it comes with the whole.
    Behind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The layer is here.
    Whole,
    /// It is not to be used.
    Lost,
}

/// What is to be done about a piece that is wanted.
enum Step {
    Give(Here),
    Refuse,
    /// Check the piece where it lies in the tar, at this position; whether its place is certain.
    Check(Arc<File>, u64, bool),
    /// Fetch these pieces.
    Fetch(Range<usize>),
}

impl<'r> Arrival<'r> {
    /// A layer of which nothing is here but its table. `pending` gives room for what is fetched ahead.
    ///
    /// # Errors
    /// What the file system says.
    pub fn new(pending: &Pending<'_>, blob: Descriptor, toc: Toc, ranges: &'r dyn Ranges) -> Result<Self, Error> {
        let content = toc.chunks.last().map_or(0, |chunk| chunk.listed + chunk.len);
        let ahead = Arc::new(pending.scratch(content)?);
        let state = State { chunks: vec![Standing::Unknown; toc.chunks.len()], ..State::default() };
        Ok(Self { blob, toc, ranges, ahead, state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Its compressed form.
    pub fn blob(&self) -> &Descriptor {
        &self.blob
    }

    /// The index that its table of contents makes.
    pub fn index(&self) -> &cowfs::layer::LayerIndex {
        &self.toc.index
    }

    /// So much of the blob has come from front to back, and more is coming.
    pub fn has_come(&self, bytes: u64) {
        let mut state = self.state();
        (state.front, state.running) = (bytes, true);
    }

    /// No more is coming from front to back for now, and why. Whoever waits for it looks for another way.
    pub fn has_stopped(&self, reason: String) {
        let mut state = self.state();
        (state.running, state.trouble) = (false, reason);
        self.changed.notify_all();
    }

    /// It is not to be used.
    pub fn lose(&self) {
        self.state().end.get_or_insert(End::Lost);
        self.changed.notify_all();
    }

    fn trouble(&self) -> String {
        let state = self.state();
        match state.trouble.as_str() {
            "" if state.end == Some(End::Lost) => LIE.to_owned(),
            "" => "it does not come".to_owned(),
            known => known.to_owned(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be done next about the piece `number`, of which `position` is wanted.
    fn step(&self, number: usize, position: u64, length: u64) -> Step {
        let chunk = &self.toc.chunks[number];
        let most = (chunk.listed + chunk.len - position).min(length);
        let ahead = || Here { file: Arc::clone(&self.ahead), begin: position, length: most };
        let mut state = self.state();
        loop {
            match state.end {
                Some(End::Lost) => return Step::Refuse,
                Some(End::Whole) => {
                    let place = state.agreement.place(position).zip(state.tar.clone());
                    return Step::Give(place.map_or_else(ahead, |((begin, follow), file)| Here {
                        file,
                        begin,
                        length: most.min(follow),
                    }));
                }
                None => {}
            }
            let here = self.in_tar(&state, number);
            match (state.chunks[number], here) {
                (Standing::Ahead, _) => return Step::Give(ahead()),
                (Standing::Checked, Some((file, begin, _))) => {
                    return Step::Give(Here { file, begin: begin + (position - chunk.listed), length: most });
                }
                (Standing::Fetching, _) => {}
                (_, Some((file, begin, certain))) if chunk.digest.is_some() => {
                    return Step::Check(file, begin, certain);
                }
                _ if state.closing || chunk.digest.is_none() => {
                    // Only the whole layer can tell.
                    if !state.running && !state.closing {
                        return Step::Refuse;
                    }
                }
                _ if chunk.zeros => {
                    state.chunks[number] = Standing::Ahead;
                    continue;
                }
                (Standing::Behind, _) => {
                    if !state.running {
                        // Whoever asks next tries again.
                        state.chunks[number] = Standing::Unknown;
                        return Step::Refuse;
                    }
                }
                // What has come already is on its way through the decompressor.
                _ if state.running && state.front >= chunk.end => {}
                _ => {
                    let range = number..self.together(&mut state, number);
                    state.chunks[range.clone()].fill(Standing::Fetching);
                    return Step::Fetch(range);
                }
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Where a piece lies in the tar, and whether that is certain: of the entry that is just being read only its number is known.
    fn in_tar(&self, state: &State, number: usize) -> Option<(Arc<File>, u64, bool)> {
        let chunk = &self.toc.chunks[number];
        let tar = Arc::clone(state.tar.as_ref()?);
        if let Some((begin, follow)) = state.agreement.place(chunk.listed) {
            return (follow >= chunk.len).then_some((tar, begin, true));
        }
        let begun = state.begun?;
        let entry = self.toc.index.get(state.agreement.next())?;
        let Body::File { segments, .. } = entry.body else { return None };
        let segment = segments.first()?;
        let inside = chunk.listed.checked_sub(segment.tar).filter(|inside| *inside < segment.len)?;
        let begin = begun + inside;
        (begin + chunk.len <= state.written).then_some((tar, begin, false))
    }

    /// Where the pieces end that are fetched together with one.
    fn together(&self, state: &mut State, number: usize) -> usize {
        let chunks = &self.toc.chunks;
        let first = &chunks[number];
        // Who goes on where others have been fetched ahead is going through them all. Between two pieces there are headers.
        let goes_on = |(end, _): &(u64, u64)| (*end..end.saturating_add(TOGETHER.start)).contains(&first.blob);
        let known = state.ends.iter().position(goes_on).and_then(|at| state.ends.remove(at));
        let most = known.map_or(TOGETHER.start, |(_, most)| (most * 2).min(TOGETHER.end));
        let fits = |at: &usize| {
            let chunk = &chunks[*at];
            let behind = chunk.blob >= chunks[at - 1].blob && chunk.end <= first.blob.saturating_add(most);
            behind && !chunk.zeros && chunk.digest.is_some() && state.chunks[*at] == Standing::Unknown
        };
        let end = (number + 1..chunks.len()).take_while(fits).last().unwrap_or(number) + 1;
        state.ends.truncate(READERS - 1);
        state.ends.push_front((chunks[end - 1].end, most));
        end
    }

    /// Fetches pieces by themselves into the file for that.
    fn fetch(&self, range: Range<usize>) {
        let fetched = self.try_fetch(range.clone());
        let mut state = self.state();
        for (at, number) in range.enumerate() {
            let good = at < fetched && !state.closing && state.end.is_none();
            state.chunks[number] = match (good, at) {
                (true, _) => Standing::Ahead,
                (false, 0) => Standing::Behind,
                (false, _) => Standing::Unknown,
            };
        }
        self.changed.notify_all();
    }

    /// How many of the pieces could be had.
    fn try_fetch(&self, range: Range<usize>) -> usize {
        let chunks = &self.toc.chunks[range];
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { return 0 };
        let mut source = match self.ranges.range(&self.blob, first.blob..last.end) {
            Ok(source) => source,
            Err(error) => {
                self.state().trouble = error.to_string();
                return 0;
            }
        };
        if let [only] = chunks {
            return usize::from(self.unpack(only, &mut source).is_ok_and(|good| good));
        }
        let mut compressed = Vec::new();
        if source.read_to_end(&mut compressed).is_err() {
            return 0;
        }
        let slice = |chunk: &super::toc::Chunk| {
            let at = |position: u64| usize::try_from(position - first.blob).unwrap_or(usize::MAX);
            compressed.get(at(chunk.blob)..at(chunk.end).min(compressed.len())).unwrap_or_default()
        };
        chunks.iter().take_while(|chunk| self.unpack(chunk, &mut slice(chunk)).is_ok_and(|good| good)).count()
    }

    /// Decompresses a piece into its place; whether it is what the table says.
    fn unpack(&self, chunk: &super::toc::Chunk, source: &mut dyn Read) -> io::Result<bool> {
        let mut decoder = Decoder::new(BufReader::with_capacity(64 << 10, source))?;
        io::copy(&mut decoder.by_ref().take(chunk.inner), &mut io::sink())?;
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut buffer = vec![0; 64 << 10];
        let mut done = 0;
        while done < chunk.len {
            let most = usize::try_from(chunk.len - done).map_or(buffer.len(), |left| left.min(buffer.len()));
            let got = decoder.read(&mut buffer[..most])?;
            if got == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            hasher.update(&buffer[..got]);
            self.ahead.write_all_at(&buffer[..got], chunk.listed + done)?;
            done += got as u64;
        }
        Ok(chunk.digest == super::toc::bytes(&hasher.finish()))
    }

    /// Compares a piece in the tar with the table.
    fn check(&self, number: usize, tar: &File, begin: u64, certain: bool) {
        let chunk = &self.toc.chunks[number];
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut buffer = vec![0; 64 << 10];
        let mut done = 0;
        let mut read = true;
        while read && done < chunk.len {
            let most = usize::try_from(chunk.len - done).map_or(buffer.len(), |left| left.min(buffer.len()));
            read = tar.read_exact_at(&mut buffer[..most], begin + done).is_ok();
            hasher.update(&buffer[..most]);
            done += most as u64;
        }
        let good = read && chunk.digest == super::toc::bytes(&hasher.finish());
        let mut state = self.state();
        // A tar that was begun anew meanwhile is another one.
        if !state.tar.as_ref().is_some_and(|now| std::ptr::eq(&raw const **now, tar)) || state.end.is_some() {
            return;
        }
        match (good, certain) {
            (true, _) => state.chunks[number] = Standing::Checked,
            (false, true) => state.end = Some(End::Lost),
            // It was looked for in the wrong place; soon the right one is known.
            (false, false) => state.begun = None,
        }
        self.changed.notify_all();
    }

    /// Compares what was fetched by itself with the tar.
    fn compare(&self, moved: &Moved, tar: &File) -> io::Result<bool> {
        let handed_out: Vec<usize> = {
            let mut state = self.state();
            state.closing = true;
            (0..state.chunks.len()).filter(|number| state.chunks[*number] == Standing::Ahead).collect()
        };
        let (mut one, mut other) = (vec![0; 64 << 10], vec![0; 64 << 10]);
        for chunk in handed_out.into_iter().map(|number| &self.toc.chunks[number]) {
            let mut done = 0;
            while done < chunk.len {
                let most = usize::try_from(chunk.len - done).map_or(one.len(), |left| left.min(one.len()));
                self.ahead.read_exact_at(&mut one[..most], chunk.listed + done)?;
                moved.read(&mut other[..most], chunk.listed + done, |into, from| tar.read_exact_at(into, from))?;
                if one[..most] != other[..most] {
                    return Ok(false);
                }
                done += most as u64;
            }
        }
        Ok(true)
    }
}

impl Watch for Arrival<'_> {
    fn begins(&self, tar: File) {
        let mut state = self.state();
        for standing in state.chunks.iter_mut().filter(|standing| **standing == Standing::Checked) {
            *standing = Standing::Unknown;
        }
        (state.tar, state.written, state.begun) = (Some(Arc::new(tar)), 0, None);
        state.agreement = Agreement::default();
    }

    fn written(&self, bytes: u64) {
        self.state().written = bytes;
        self.changed.notify_all();
    }

    fn seen(&self, seen: Seen<'_>) {
        let mut state = self.state();
        match seen {
            Seen::Begin(at) => state.begun = Some(at),
            Seen::Entry(entry) => {
                state.begun = None;
                if state.agreement.take(&self.toc.index, entry).is_err() {
                    state.end = Some(End::Lost);
                }
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    fn keeps(&self) -> &'static [&'static str] {
        &[TAR]
    }

    fn complete(&self, blob: &Descriptor) -> Result<Option<Moved>, Error> {
        let differs = |what: String| {
            self.lose();
            Error::Contents { layer: blob.digest.clone(), what }
        };
        let (tar, moved) = {
            let state = self.state();
            (state.tar.clone(), state.agreement.finish(&self.toc.index))
        };
        let moved = moved.map_err(differs)?;
        let Some(tar) = tar.filter(|_| self.state().end.is_none()) else {
            return Err(differs("what one of them has".into()));
        };
        match self.compare(&moved, &tar) {
            Ok(true) => {}
            Ok(false) => return Err(differs("a file's content".into())),
            Err(source) => return Err(Error::Io { action: "read", path: TAR.into(), source }),
        }
        self.state().end = Some(End::Whole);
        self.changed.notify_all();
        Ok(Some(moved))
    }
}

impl Provider for Arrival<'_> {
    fn identity(&self) -> u64 {
        self.toc.identity
    }

    fn provide(&self, position: u64, length: u64) -> Result<Here, String> {
        let number = self.toc.chunk_at(position).ok_or_else(|| LIE.to_owned())?;
        loop {
            match self.step(number, position, length) {
                Step::Give(here) => return Ok(here),
                Step::Refuse => return Err(self.trouble()),
                Step::Check(tar, begin, certain) => self.check(number, &tar, begin, certain),
                Step::Fetch(range) => self.fetch(range),
            }
        }
    }
}
