//! What `enter logs` reads: the files of a log in order, from where it was asked, and on for as long as they grow.

use jiff::Timestamp;

use super::entry::{Entry, Window};
use super::files::Files;
use super::following::Following;
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
    following: Following,
    window: Window,
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
        let (first, offset) = match query.tail {
            Some(count) => {
                tail::beginning(&files, &opened, count, &window).map_err(Error::file("read", &files.path))?
            }
            None => (0, 0),
        };
        opened.drain(..first);
        Ok(Self { following: Following::new(files, opened, offset, query.follow)?, window, past: false })
    }

    /// Whether nothing that is asked for can come any more.
    pub fn is_past(&self) -> bool {
        self.past
    }

    /// Whether lines were lost since this was asked last: the container wrote so much that they were thrown away before they were read.
    pub fn has_skipped(&mut self) -> bool {
        self.following.has_skipped()
    }

    /// Gives what there is now to `each`, and says whether there was anything.
    ///
    /// # Errors
    /// What the filesystem says, and what `each` says.
    pub fn drain<E: From<Error>>(&mut self, mut each: impl FnMut(&Entry) -> Result<(), E>) -> Result<bool, E> {
        let Self { following, window, past } = self;
        following.drain(|files, line| match files.entry(line) {
            Some(entry) if window.ends_before(&entry) => {
                *past = true;
                Ok(())
            }
            Some(entry) if !window.begins_after(&entry) => each(&entry),
            _ => Ok(()),
        })
    }

    /// Gives what a writer that is gone left of a record to `each`.
    ///
    /// # Errors
    /// What `each` says.
    pub fn finish<E>(&mut self, mut each: impl FnMut(&Entry) -> Result<(), E>) -> Result<(), E> {
        match self.following.files().entry(self.following.unfinished()) {
            Some(entry) if !self.window.begins_after(&entry) && !self.window.ends_before(&entry) => each(&entry),
            _ => Ok(()),
        }
    }
}
