//! The processes of containers, as the host's /proc shows them.

use std::collections::HashMap;
use std::fs;

/// What /proc/PID/stat says of a process (proc_pid_stat(5)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number on the host.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Clock ticks that it and the children that it has waited for have had.
    pub ticks: u64,
    /// How many threads it has.
    pub threads: u64,
    /// Resident pages.
    pub pages: u64,
}

impl Process {
    /// Reads a line of /proc/PID/stat. The name between parentheses may hold anything.
    fn parse(text: &str) -> Option<Self> {
        let (pid, _) = text.split_once(" (")?;
        let (_, rest) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        // `rest` begins with the third field of the manual page.
        let number = |field: usize| fields.get(field - 3)?.parse::<i64>().ok();
        let count = |field: usize| number(field).and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
        Some(Self {
            pid: pid.parse().ok()?,
            parent: i32::try_from(number(4)?).ok()?,
            ticks: (14..=17).map(count).sum(),
            threads: count(20),
            pages: count(24),
        })
    }
}

/// All processes of the machine that this user may see, at one moment.
#[derive(Debug)]
pub struct Processes {
    all: HashMap<i32, Process>,
    children: HashMap<i32, Vec<i32>>,
}

impl Processes {
    /// Looks now. What ends meanwhile is left out.
    pub fn look() -> Self {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter(|entry| entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit));
        let lines = pids.filter_map(|entry| fs::read(entry.path().join("stat")).ok());
        Self::of(lines.filter_map(|line| Process::parse(&String::from_utf8_lossy(&line))))
    }

    fn of(processes: impl Iterator<Item = Process>) -> Self {
        let mut all = HashMap::new();
        let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
        for process in processes {
            children.entry(process.parent).or_default().push(process.pid);
            all.insert(process.pid, process);
        }
        Self { all, children }
    }

    /// Everything that stems from the container's init, without init itself. A container's orphans become init's.
    pub fn below(&self, init: i32) -> Vec<Process> {
        let (mut waiting, mut found): (_, Vec<Process>) = (vec![init], Vec::new());
        // Numbers are used again: without this a process that took its ancestor's could make a circle.
        let mut seen = std::collections::HashSet::from([init]);
        while let Some(parent) = waiting.pop() {
            for child in self.children.get(&parent).into_iter().flatten().filter(|child| **child > 0) {
                if seen.insert(*child) {
                    found.extend(self.all.get(child));
                    waiting.push(*child);
                }
            }
        }
        found.sort_by_key(|process| process.pid);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_may_stand_in_parentheses() {
        let line = "12 (a) b (c) S 7 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 99 1000 42 0";
        assert_eq!(Process::parse(line), Some(Process { pid: 12, parent: 7, ticks: 26, threads: 3, pages: 42 }));
        for line in ["", "12", "12 (a", "12 (a) S", "x (a) S 1"] {
            assert_eq!(Process::parse(line), None, "{line}");
        }
    }

    #[test]
    fn all_that_stems_from_init_is_the_containers() {
        let process = |pid, parent| Process { pid, parent, ticks: 0, threads: 1, pages: 0 };
        let all = [process(1, 0), process(5, 1), process(6, 5), process(7, 6), process(8, 1), process(5, 7)];
        let pids: Vec<i32> = Processes::of(all.into_iter()).below(5).iter().map(|process| process.pid).collect();
        assert_eq!(pids, [6, 7]);
    }

    #[test]
    fn this_process_is_below_its_parent() {
        let (own, parent) = (std::process::id(), std::os::unix::process::parent_id());
        let below = Processes::look().below(i32::try_from(parent).unwrap());
        assert!(below.iter().any(|process| process.pid.cast_unsigned() == own));
    }
}
