//! The processes that stand below one, from /proc (proc_pid_stat(5)).

use std::collections::BTreeMap;

use nix::unistd::Pid;

/// A process, and what the kernel calls it.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: Pid,
    pub name: String,
}

/// Every descendant of `ancestor`, zombies too, the elder first.
pub fn descendants(ancestor: i32) -> Vec<Process> {
    let mut children: BTreeMap<i32, Vec<(i32, String)>> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").expect("there is /proc").filter_map(|entry| entry.ok()) {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        // It may have ended since the folder was read.
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((name, parent)) = parse(&stat) else { continue };
        children.entry(parent).or_default().push((pid, name));
    }
    let mut found = Vec::new();
    let mut pending = vec![ancestor];
    while let Some(parent) = pending.pop() {
        for (pid, name) in children.remove(&parent).unwrap_or_default() {
            pending.push(pid);
            found.push(Process { pid: Pid::from_raw(pid), name });
        }
    }
    found.sort_by_key(|process| process.pid);
    found
}

/// Whose child a process is; None where it is gone, or has ended and waits to be taken.
pub fn parent(pid: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (start, rest) = stat.rsplit_once(") ")?;
    let is_zombie = rest.starts_with('Z') || start.is_empty();
    parse(&stat).filter(|_| !is_zombie).map(|(_, parent)| Pid::from_raw(parent))
}

/// Name and parent of `PID (NAME) STATE PARENT …`; the name may have blanks and brackets of its own.
fn parse(stat: &str) -> Option<(String, i32)> {
    let (start, rest) = stat.rsplit_once(") ")?;
    let name = start.split_once(" (")?.1.to_owned();
    Some((name, rest.split(' ').nth(1)?.parse().ok()?))
}

#[test]
fn a_name_with_brackets_is_read() {
    assert_eq!(parse("12 (a) b (c)) S 7 1 1"), Some(("a) b (c)".into(), 7)));
}
