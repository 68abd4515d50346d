//! The memory that this process's own program takes.

use std::fs;

use crate::{Errno, Result};

/// Lets go of every page of the program's code and constants that this process has touched so far (MADV_DONTNEED in madvise(2)).
///
/// They come back from the program's file as they are needed. For a process that has done most of what it will ever do, it is
/// the difference between all of its program and the little that it goes on with.
///
/// # Errors
/// `EIO` where /proc/self/maps cannot be read; those of madvise(2).
pub fn forget_code() -> Result<()> {
    let maps = fs::read_to_string("/proc/self/maps").map_err(|_| Errno::EIO)?;
    let program = maps.lines().filter_map(Mapping::parse).next().map(|first| first.file);
    for mapping in maps.lines().filter_map(Mapping::parse) {
        if mapping.is_constant && program == Some(mapping.file) {
            let start = mapping.start as *mut libc::c_void;
            // SAFETY: a private mapping of a file that was never writable holds nothing but what the file holds: its pages
            // are read again, unchanged, at the next access. The range is a whole mapping of this process.
            Errno::result(unsafe { libc::madvise(start, mapping.length, libc::MADV_DONTNEED) })?;
        }
    }
    Ok(())
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
        super::forget_code().unwrap();
        assert_eq!("still".len() + "here".len(), 9);
    }
}
