//! What `enter logs` reads: the files of a log in order, from where it was asked, and on for as long as they grow.

use std::collections::VecDeque;
use std::io;

use jiff::Timestamp;

use super::entry::{Entry, Window};
use super::files::{Files, Lines};
use super::{Error, tail};

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query {
    /// The first moment.
    pub since: Option<Timestamp>,
    /// The last moment.
    pub until: Option<Timestamp>,
    /// How many lines at the end; `None` for all.
    pub tail: Option<u64>,
    /// Whether what is still to come is wanted too.
    pub follow: bool,
}

/// A place in a log.
#[derive(Debug)]
pub struct Reader {
    files: Files,
    /// Those that are still to be read, the oldest first. The last of them is the one that grows.
    pending: VecDeque<Lines>,
    window: Window,
    follow: bool,
    past: bool,
}

impl Reader {
    /// Finds the place that is asked for.
    ///
    /// # Errors
    /// What the filesystem says. A log that was not begun yet is empty.
    pub fn open(files: Files, query: &Query) -> Result<Self, Error> {
        let window = Window::new(query.since, query.until);
        let mut opened = files.open()?;
        let failed = |error| Error::file("read", &files.path)(error);
        let (first, offset) = match query.tail {
            Some(count) => tail::beginning(&files, &opened, count, &window).map_err(failed)?,
            None => (0, 0),
        };
        opened.drain(..first);
        for (index, lines) in opened.iter_mut().enumerate() {
            lines.begin(if index == 0 { offset } else { 0 }, query.follow).map_err(failed)?;
        }
        Ok(Self { files, pending: opened.into(), window, follow: query.follow, past: false })
    }

    /// Whether nothing that is asked for can come any more.
    pub fn is_past(&self) -> bool {
        self.past
    }

    /// Gives what there is now to `each`, and says whether there was anything.
    ///
    /// # Errors
    /// What the filesystem says, and what `each` says.
    pub fn drain<E: From<Error>>(&mut self, mut each: impl FnMut(&Entry) -> Result<(), E>) -> Result<bool, E> {
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
            let result = self.pass(&mut lines, &mut any, &mut each);
            if self.pending.is_empty() {
                match if self.follow { self.files.after(&lines)? } else { None } {
                    // What was written between the last look and the rotation is still to be read.
                    Some(next) => {
                        self.pass(&mut lines, &mut any, &mut each)?;
                        self.pending.push_front(next);
                    }
                    None => {
                        self.pending.push_front(lines);
                        return result.map(|()| any);
                    }
                }
            }
            result?;
        }
    }

    /// Gives what a writer that is gone left of a record to `each`.
    ///
    /// # Errors
    /// What `each` says.
    pub fn finish<E>(&mut self, mut each: impl FnMut(&Entry) -> Result<(), E>) -> Result<(), E> {
        let Some(lines) = self.pending.front() else { return Ok(()) };
        match self.files.entry(lines.unfinished()) {
            Some(entry) if !self.window.begins_after(&entry) && !self.window.ends_before(&entry) => each(&entry),
            _ => Ok(()),
        }
    }

    fn pass<E: From<Error>>(
        &mut self,
        lines: &mut Lines,
        any: &mut bool,
        each: &mut impl FnMut(&Entry) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { files, window, past, .. } = self;
        let passed = lines.each(|line| {
            let Some(entry) = files.entry(line) else { return Ok(()) };
            *any = true;
            if window.ends_before(&entry) {
                *past = true;
            } else if !window.begins_after(&entry) {
                return each(&entry).map_err(Stopped::Told);
            }
            Ok(())
        });
        passed.map_err(|stopped| match stopped {
            Stopped::Told(error) => error,
            Stopped::Read(error) => Error::file("read", &self.files.path)(error).into(),
        })
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
