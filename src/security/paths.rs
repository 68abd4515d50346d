//! Files of /proc and /sys that a container does not see, or cannot write.
//!
//! They tell about the host, or act on it, without asking for a capability that a container lacks.

/// Hidden: a directory under an empty read-only one, a file under the host's /dev/null, held open before the pivot.
/// What does not exist is left alone.
pub const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];

/// Read-only. What does not exist is left alone.
pub const READ_ONLY: &[&str] =
    &["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

#[cfg(test)]
mod tests {
    use super::{MASKED, READ_ONLY};

    #[test]
    fn the_paths_are_absolute_sorted_and_named_once() {
        for table in [MASKED, READ_ONLY] {
            assert!(table.is_sorted_by(|a, b| a < b));
            assert!(table.iter().all(|path| path.starts_with("/proc/") || path.starts_with("/sys/")));
        }
        assert!(MASKED.iter().all(|path| !READ_ONLY.contains(path)));
    }
}
