//! The memory that this process's own program takes.

use std::fs;

use crate::{Errno, Result};

/// Where this process's program lies in its memory, as far as nothing ever changes there.
#[derive(Debug, Default)]
pub struct Code {
    /// Address and length of each part.
    parts: Vec<(usize, usize)>,
}

impl Code {
    /// Finds it, by /proc/self/maps: while there is a /proc that shows this process.
    ///
    /// # Errors
    /// `EIO` where that cannot be read.
    pub fn find() -> Result<Self> {
        let maps = fs::read_to_string("/proc/self/maps").map_err(|_| Errno::EIO)?;
        let mut mappings = maps.lines().filter_map(Mapping::parse).peekable();
        let program = mappings.peek().map(|first| first.file);
        let code = mappings.filter(|mapping| mapping.is_constant && program == Some(mapping.file));
        Ok(Self { parts: code.map(|mapping| (mapping.start, mapping.length)).collect() })
    }

    /// Lets go of every page of it that this process has touched so far (MADV_DONTNEED in madvise(2)).
    ///
    /// They come back from the program's file as they are needed. For a process that has done most of what it will ever do, it is
    /// the difference between all of its program and the little that it goes on with.
    ///
    /// # Errors
    /// Those of madvise(2).
    pub fn forget(&self) -> Result<()> {
        for (start, length) in &self.parts {
            // SAFETY: a private mapping of a file that was never writable holds nothing but what the file holds: its pages
            // are read again, unchanged, at the next access. The range is a whole mapping of this process, and a program's own
            // is never unmapped.
            Errno::result(unsafe { libc::madvise(*start as *mut libc::c_void, *length, libc::MADV_DONTNEED) })?;
        }
        Ok(())
    }
}

/// Lets go of the program's pages at once, where /proc shows this process. See [`Code::forget`].
///
/// # Errors
/// Those of [`Code::find`] and [`Code::forget`].
pub fn forget_code() -> Result<()> {
    Code::find()?.forget()
}

/// A mapping of a file: one line of proc_pid_maps(5).
struct Mapping<'a> {
    start: usize,
    length: usize,
    /// Neither writable now, nor writable before it was protected: the part that the linker relocates is left alone.
    is_constant: bool,
    /// Device and inode number.
    file: (&'a str, &'a str),
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let permissions = words.next()?;
        let (_, device, inode) = (words.next()?, words.next()?, words.next()?);
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        let file = (device, inode);
        (inode != "0").then_some(Self {
            start,
            length: end.checked_sub(start)?,
            is_constant: permissions == "r-xp",
            file,
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_program_goes_on_after_forgetting_its_code() {
        assert!(!super::Code::find().unwrap().parts.is_empty());
        super::forget_code().unwrap();
        assert_eq!("still".len() + "here".len(), 9);
    }
}
