//! The words that this process was started with, as others see them in ps(1) and /proc/PID/cmdline.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};

/// Overwrites a word, or the end of one such as `--password=WORD`, with zeros. What was started with it was seen by whoever
/// looked until now; from now on it is not.
///
/// # Errors
/// Where this process may not write to its own memory by /proc/self/mem, as in some sandboxes.
pub fn wipe(word: &str) -> std::io::Result<()> {
    if word.is_empty() {
        return Ok(());
    }
    let mut line = Vec::new();
    File::open("/proc/self/cmdline")?.read_to_end(&mut line)?;
    let Some(start) = start(&std::fs::read_to_string("/proc/self/stat")?) else { return Ok(()) };
    let mut memory = OpenOptions::new().write(true).open("/proc/self/mem")?;
    for at in places(&line, word.as_bytes()) {
        memory.seek(SeekFrom::Start(start + at as u64))?;
        memory.write_all(&vec![0; word.len()])?;
    }
    Ok(())
}

/// Where in memory the words begin: field 48 of proc_pid_stat(5).
fn start(stat: &str) -> Option<u64> {
    // The second field is a name in parentheses, which may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(48 - 3)?.parse().ok()
}

/// Where a word ends one of the words of a line.
fn places(line: &[u8], word: &[u8]) -> Vec<usize> {
    let mut places = Vec::new();
    let mut begin = 0;
    for argument in line.split(|byte| *byte == 0) {
        if argument.ends_with(word) {
            places.push(begin + argument.len() - word.len());
        }
        begin += argument.len() + 1;
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_where_they_end() {
        let line = b"enter\0login\0-pword\0--password=word\0wordy\0word\0";
        assert_eq!(places(line, b"word"), [14, 30, 41]);
        assert_eq!(places(b"", b"word"), []);
        let stat = format!("7 (a) b) S {}", (1..50).map(|n| n.to_string()).collect::<Vec<_>>().join(" "));
        assert_eq!(start(&stat), Some(45));
        assert_eq!(start(""), None);
    }

    #[test]
    fn the_words_of_this_process_are_where_they_are_looked_for() {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let mut memory = File::open("/proc/self/mem").unwrap();
        memory.seek(SeekFrom::Start(start(&stat).unwrap())).unwrap();
        let line = std::fs::read("/proc/self/cmdline").unwrap();
        let mut seen = vec![0; line.len()];
        memory.read_exact(&mut seen).unwrap();
        assert_eq!(seen, line);
    }
}
