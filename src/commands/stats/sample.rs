//! What a container uses at one moment, from the host's /proc.

use std::fs;
use std::time::Instant;

use cgroup::Usage;
use enter::container::Container;
use enter::container::record::NetworkMode;

use super::Machine;
use crate::commands::processes::Processes;

/// One look at a container. Counters count from its start.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// When it was taken.
    pub at: Instant,
    /// Clock ticks that its processes have had.
    pub ticks: u64,
    /// Bytes of memory; pages that several processes share are divided among them.
    pub memory: u64,
    /// The most memory that it may have.
    pub limit: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// Bytes received and sent.
    pub network: (u64, u64),
    /// Bytes read from and written to disks.
    pub disk: (u64, u64),
}

impl Sample {
    /// Of what does not run.
    pub fn nothing() -> Self {
        Self { at: Instant::now(), ticks: 0, memory: 0, limit: None, threads: 0, network: (0, 0), disk: (0, 0) }
    }

    /// Of a running container.
    pub fn take(container: &Container, processes: &Processes, machine: &Machine) -> Self {
        let mut sample = Self::nothing();
        if !container.is_alive() || container.state.init == 0 {
            return sample;
        }
        let group = Some(&container.state.cgroup).filter(|path| !path.as_os_str().is_empty());
        let used = group.and_then(|path| Usage::of(path));
        if let Some(used) = &used {
            (sample.memory, sample.limit, sample.threads) = (used.memory, used.memory_limit, used.processes);
            sample.disk = (used.read, used.written);
            let ticks = used.processor.as_micros() * u128::from(machine.ticks_a_second) / 1_000_000;
            sample.ticks = u64::try_from(ticks).unwrap_or(u64::MAX);
        }
        for process in processes.below(container.state.init).into_iter().filter(|_| used.is_none()) {
            let file = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", process.pid)).unwrap_or_default();
            sample.ticks += process.ticks;
            sample.threads += process.threads;
            sample.memory += proportional(&file("smaps_rollup")).unwrap_or(process.pages * machine.page);
            let io = file("io");
            sample.disk.0 += value(&io, "read_bytes: ").unwrap_or_default();
            sample.disk.1 += value(&io, "write_bytes: ").unwrap_or_default();
        }
        // What the whole machine sends and receives is not the container's; docker shows nothing then either.
        if container.record.spec.network != NetworkMode::Host {
            let devices = fs::read_to_string(format!("/proc/{}/net/dev", container.state.init));
            sample.network = traffic(&devices.unwrap_or_default());
        }
        sample
    }
}

/// The proportional set size of /proc/PID/smaps_rollup, in bytes.
fn proportional(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.trim().parse().ok()
}

/// Bytes received and sent by all interfaces of /proc/PID/net/dev but the loopback.
fn traffic(text: &str) -> (u64, u64) {
    let mut sum = (0, 0);
    for line in text.lines() {
        let Some((name, counters)) = line.split_once(':') else { continue };
        if name.trim() == "lo" {
            continue;
        }
        let counters: Vec<u64> = counters.split_whitespace().map_while(|word| word.parse().ok()).collect();
        sum.0 += counters.first().unwrap_or(&0);
        sum.1 += counters.get(8).unwrap_or(&0);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_files_are_understood() {
        let devices = "Inter-|   Receive  |  Transmit\n face |bytes packets\n    lo:  99 1 0 0 0 0 0 0  99 1 0 0 0 0 0 0\n  \
                       eth0: 1050 9 0 0 0 0 0 0  210 5 0 0 0 0 0 0\n";
        assert_eq!(traffic(devices), (1050, 210));
        assert_eq!(
            proportional("00400000-7ffe [rollup]\nRss:  900 kB\nPss:    12 kB\nPss_Dirty: 3 kB\n"),
            Some(12 * 1024)
        );
        assert_eq!(proportional(""), None);
        assert_eq!(value("rchar: 1\nread_bytes: 4096\n", "read_bytes: "), Some(4096));
    }
}
