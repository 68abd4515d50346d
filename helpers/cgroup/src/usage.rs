//! What was used in a control group.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// What its files say; what there is no file for is 0 or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of memory, without what the kernel can give up at once (files that nobody reads).
    pub memory: u64,
    /// Bytes of memory that it may have at most.
    pub memory_limit: Option<u64>,
    /// Time of all processors.
    pub processor: Duration,
    /// Threads, which are what the limit is of.
    pub processes: u64,
    /// Bytes read from block devices.
    pub read: u64,
    /// Bytes written to block devices.
    pub written: u64,
    /// How many processes were killed because memory was out.
    pub killed: u64,
}

impl Usage {
    /// That of the group at `path`; `None` where it is gone.
    pub fn of(path: &Path) -> Option<Self> {
        if !path.join("cgroup.events").exists() {
            return None;
        }
        let text = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
        let number = |file: &str| text(file).trim().parse::<u64>().ok();
        let (read, written) = transferred(&text("io.stat"));
        Some(Self {
            memory: number("memory.current").unwrap_or(0).saturating_sub(field(&text("memory.stat"), "inactive_file")),
            memory_limit: number("memory.max"),
            processor: Duration::from_micros(field(&text("cpu.stat"), "usage_usec")),
            processes: number("pids.current").unwrap_or(0),
            read,
            written,
            killed: field(&text("memory.events"), "oom_kill"),
        })
    }
}

/// The number behind a name in lines of `NAME NUMBER`.
fn field(text: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(found, _)| *found == name).and_then(|(_, number)| number.trim().parse().ok()).unwrap_or(0)
}

/// The bytes of all devices in `io.stat`: lines of `MAJOR:MINOR KEY=NUMBER…`.
fn transferred(text: &str) -> (u64, u64) {
    let sum = |key: &str| {
        let words = text.split_whitespace().filter_map(|word| word.strip_prefix(key));
        words.filter_map(|number| number.parse::<u64>().ok()).fold(0, u64::saturating_add)
    };
    (sum("rbytes="), sum("wbytes="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_is_read_from_the_groups_files() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Usage::of(dir.path()), None);
        for (file, text) in [
            ("cgroup.events", "populated 1\n"),
            ("memory.current", "5000\n"),
            ("memory.max", "max\n"),
            ("memory.stat", "anon 10\ninactive_file 1000\nactive_file 7\n"),
            ("memory.events", "low 0\noom 2\noom_kill 1\n"),
            ("cpu.stat", "usage_usec 1500000\nuser_usec 1\n"),
            ("io.stat", "8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=2 rios=1\n"),
        ] {
            fs::write(dir.path().join(file), text).unwrap();
        }
        let expected = Usage {
            memory: 4000,
            memory_limit: None,
            processor: Duration::from_millis(1500),
            processes: 0,
            read: 11,
            written: 22,
            killed: 1,
        };
        assert_eq!(Usage::of(dir.path()), Some(expected));
    }
}
