//! The lines of files that are rotated, in order, and on for as long as they grow.

use std::collections::VecDeque;
use std::io;

use super::Error;
use super::files::{Files, Lines};

/// A place in a row of files.
#[derive(Debug)]
pub struct Following {
    files: Files,
    /// Those that are still to be read, the oldest first. The last of them is the one that grows.
    pending: VecDeque<Lines>,
    follow: bool,
    skipped: bool,
}

impl Following {
    /// Begins at the byte `offset` of the first of `opened`. Without `follow`, it ends where they end now.
    pub fn new(files: Files, mut opened: Vec<Lines>, offset: u64, follow: bool) -> Result<Self, Error> {
        for (index, lines) in opened.iter_mut().enumerate() {
            let begun = lines.begin(if index == 0 { offset } else { 0 }, follow);
            begun.map_err(Error::file("read", &files.path))?;
        }
        Ok(Self { files, pending: opened.into(), follow, skipped: false })
    }

    /// Gives each line that is there now to `each`, and says whether there was any.
    pub fn drain<E: From<Error>>(&mut self, mut each: impl FnMut(&Files, &[u8]) -> Result<(), E>) -> Result<bool, E> {
        let mut any = false;
        loop {
            let Some(mut lines) = self.pending.pop_front() else {
                // Nothing was written yet.
                let opened = if self.follow { self.files.open()? } else { Vec::new() };
                if opened.is_empty() {
                    return Ok(any);
                }
                self.pending.extend(opened);
                continue;
            };
            any |= self.pass(&mut lines, &mut each)?;
            if !self.pending.is_empty() {
                continue;
            }
            let next = if self.follow { self.files.after(&lines)? } else { None };
            let Some((next, skipped)) = next else {
                self.pending.push_front(lines);
                return Ok(any);
            };
            self.skipped |= skipped;
            // What was written between the last look and the rotation is still to be read.
            any |= self.pass(&mut lines, &mut each)?;
            self.pending.push_front(next);
        }
    }

    /// Whether files went unread since this was asked last, because the writer was so much quicker.
    pub fn has_skipped(&mut self) -> bool {
        std::mem::take(&mut self.skipped)
    }

    /// What a writer that is gone left after its last newline.
    pub fn unfinished(&self) -> &[u8] {
        self.pending.front().map_or(&[], Lines::unfinished)
    }

    /// The files that are followed.
    pub fn files(&self) -> &Files {
        &self.files
    }

    fn pass<E: From<Error>>(
        &self,
        lines: &mut Lines,
        each: &mut impl FnMut(&Files, &[u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut any = false;
        let passed = lines.each(|line| {
            any = true;
            each(&self.files, line).map_err(Stopped::Told)
        });
        match passed {
            Ok(()) => Ok(any),
            Err(Stopped::Told(error)) => Err(error),
            Err(Stopped::Read(error)) => Err(Error::file("read", &self.files.path)(error).into()),
        }
    }
}

/// Why a pass over lines stopped.
enum Stopped<E> {
    Read(io::Error),
    Told(E),
}

impl<E> From<io::Error> for Stopped<E> {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}
