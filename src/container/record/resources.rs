//! What a container may use of the machine, in docker's numbers; and what they come to in a control group.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use nix::sys::stat::{major, minor};
use plan::{DeviceLimit, Limits, Most};
use serde::{Deserialize, Serialize};

/// docker's period of processor time, in microseconds.
const PERIOD: u64 = 100_000;

/// A processor, in docker's `NanoCpus`.
const PROCESSOR: u64 = 1_000_000_000;

/// Limits in docker's numbers. `None` or empty: there is none, or it stays as it was; 0, and -1 where docker has it: it is taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// Bytes of memory and swap together; -1 for any.
    pub memory_swap: Option<i64>,
    /// Bytes of memory that are left to it while the machine has too little.
    pub memory_reservation: Option<u64>,
    /// Billionths of a processor.
    pub nano_cpus: Option<u64>,
    /// Beside others' 1024.
    pub cpu_shares: Option<u64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    /// Microseconds of each period; -1 for any.
    pub cpu_quota: Option<i64>,
    /// Which processors, as `0-2,5`.
    pub cpuset_cpus: String,
    /// Which nodes of memory.
    pub cpuset_mems: String,
    /// Processes and threads; -1 for any.
    pub pids_limit: Option<i64>,
    /// 10 to 1000, beside others' 100.
    pub blkio_weight: Option<u64>,
    /// Of single block devices.
    pub devices: Vec<DeviceRate>,
    /// A slice of systemd's user manager.
    pub cgroup_parent: String,
}

/// A limit of one block device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRate {
    /// Of what.
    pub kind: Rate,
    /// The device's file.
    pub path: PathBuf,
    /// A weight, or a number a second.
    pub most: u64,
}

/// What is limited of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rate {
    /// `--blkio-weight-device`.
    Weight,
    /// `--device-read-bps`.
    ReadBytes,
    /// `--device-write-bps`.
    WrittenBytes,
    /// `--device-read-iops`.
    Reads,
    /// `--device-write-iops`.
    Writes,
}

impl Resources {
    /// Whether nothing was ever said of it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes over what `later` says; what that takes back is gone. Of two ways to say the same the later one is left.
    pub fn change(&mut self, later: &Self) {
        fn number<T: Copy + Default + PartialEq>(this: &mut Option<T>, later: Option<T>) {
            if let Some(later) = later {
                *this = (later != T::default()).then_some(later);
            }
        }
        if later.nano_cpus.is_some() {
            (self.cpu_period, self.cpu_quota) = (None, None);
        } else if later.cpu_period.or(later.cpu_quota.map(i64::unsigned_abs)).is_some() {
            self.nano_cpus = None;
        }
        number(&mut self.memory, later.memory);
        number(&mut self.memory_swap, later.memory_swap);
        number(&mut self.memory_reservation, later.memory_reservation);
        number(&mut self.nano_cpus, later.nano_cpus);
        number(&mut self.cpu_shares, later.cpu_shares);
        number(&mut self.cpu_period, later.cpu_period);
        number(&mut self.cpu_quota, later.cpu_quota.map(|quota| quota.max(0)));
        number(&mut self.pids_limit, later.pids_limit.map(|limit| limit.max(0)));
        number(&mut self.blkio_weight, later.blkio_weight);
        if self.memory.is_none() {
            self.memory_swap = None;
        }
        for (this, later) in [
            (&mut self.cpuset_cpus, &later.cpuset_cpus),
            (&mut self.cpuset_mems, &later.cpuset_mems),
            (&mut self.cgroup_parent, &later.cgroup_parent),
        ] {
            if !later.is_empty() {
                this.clone_from(later);
            }
        }
        for rate in &later.devices {
            self.devices.retain(|before| (before.kind, &before.path) != (rate.kind, &rate.path));
            self.devices.push(rate.clone());
        }
    }

    /// Whether the numbers fit together.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn check(&self) -> Result<(), String> {
        // docker's own bound: with less nothing starts.
        const LEAST: u64 = 6 << 20;
        let memory = self.memory.filter(|memory| *memory > 0);
        if memory.is_some_and(|memory| memory < LEAST) {
            return Err("--memory is less than 6m, with which nothing starts".into());
        }
        if let Some(swap) = self.memory_swap.filter(|swap| *swap > 0) {
            let Some(memory) = memory else {
                return Err("--memory-swap is the sum of memory and swap: it needs --memory".into());
            };
            if swap.unsigned_abs() < memory {
                return Err("--memory-swap is the sum of memory and swap, and less than --memory".into());
            }
        }
        if let (Some(memory), Some(reserved)) = (memory, self.memory_reservation)
            && reserved > memory
        {
            return Err("--memory-reservation is more than --memory".into());
        }
        let quota = self.cpu_quota.is_some_and(|quota| quota > 0) || self.cpu_period.is_some_and(|period| period > 0);
        if self.nano_cpus.is_some_and(|cpus| cpus > 0) && quota {
            return Err("--cpus stands for --cpu-quota and --cpu-period: give one of the two".into());
        }
        Ok(())
    }

    /// What they come to. Swap is as much again as memory where nothing is said of it, as docker has it.
    ///
    /// # Errors
    /// For a device that is none: its path, and why.
    pub fn limits(&self) -> Result<Limits, (PathBuf, String)> {
        let most = |number: u64| if number == 0 { Most::Any } else { Most::Of(number) };
        let swap = match (self.memory, self.memory_swap) {
            (_, Some(-1)) | (Some(0), _) => Some(Most::Any),
            (Some(memory), None | Some(0)) => Some(Most::Of(memory)),
            (Some(memory), Some(sum)) => Some(Most::Of(sum.unsigned_abs().saturating_sub(memory))),
            (None, _) => None,
        };
        let period = self.cpu_period.filter(|period| *period > 0).unwrap_or(PERIOD);
        let cpu = match (self.nano_cpus, self.cpu_quota, self.cpu_period) {
            (Some(0), ..) => Some((Most::Any, period)),
            (Some(cpus), ..) => Some((Most::Of((cpus * (PERIOD / 1000) / (PROCESSOR / 1000)).max(1000)), PERIOD)),
            (None, Some(quota), _) => Some((most(quota.max(0).unsigned_abs()), period)),
            (None, None, Some(_)) => Some((Most::Any, period)),
            (None, None, None) => None,
        };
        let mut limits = Limits {
            memory: self.memory.map(most),
            swap,
            memory_low: self.memory_reservation,
            cpu,
            cpu_weight: self.cpu_shares.map(weight_of_shares),
            cpus: self.cpuset_cpus.clone(),
            memory_nodes: self.cpuset_mems.clone(),
            processes: self.pids_limit.map(|limit| most(limit.max(0).unsigned_abs())),
            io_weight: self.blkio_weight.map(weight_of_blocks),
            devices: Vec::new(),
        };
        for rate in &self.devices {
            let device = rate.limit()?;
            match limits.devices.iter_mut().find(|known| known.number == device.number) {
                Some(known) => {
                    let DeviceLimit { weight, read_bytes, written_bytes, reads, writes, .. } = device;
                    known.weight = weight.or(known.weight);
                    known.read_bytes = read_bytes.or(known.read_bytes);
                    known.written_bytes = written_bytes.or(known.written_bytes);
                    known.reads = reads.or(known.reads);
                    known.writes = writes.or(known.writes);
                }
                None => limits.devices.push(device),
            }
        }
        Ok(limits)
    }
}

impl DeviceRate {
    fn limit(&self) -> Result<DeviceLimit, (PathBuf, String)> {
        let refused = |why: String| (self.path.clone(), why);
        let status = self.path.metadata().map_err(|error| refused(error.to_string()))?;
        if !status.file_type().is_block_device() {
            return Err(refused("it is no block device".into()));
        }
        let number = (major(status.rdev()), minor(status.rdev()));
        let mut limit = DeviceLimit { number, ..DeviceLimit::default() };
        let most = Some(self.most);
        match self.kind {
            Rate::Weight => limit.weight = most.map(weight_of_blocks),
            Rate::ReadBytes => limit.read_bytes = most,
            Rate::WrittenBytes => limit.written_bytes = most,
            Rate::Reads => limit.reads = most,
            Rate::Writes => limit.writes = most,
        }
        Ok(limit)
    }
}

/// `cpu.weight` for docker's shares, of which there are 2 to 262,144: as runc and crun have always translated them.
fn weight_of_shares(shares: u64) -> u64 {
    match shares {
        0 => 100,
        shares => 1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142,
    }
}

/// `io.weight` for docker's weight of 10 to 1000.
fn weight_of_blocks(weight: u64) -> u64 {
    match weight {
        0 => 100,
        weight => 1 + (weight.clamp(10, 1000) - 10) * 9999 / 990,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_numbers_are_the_kernels() {
        let limits = |resources: Resources| resources.limits().unwrap();
        let memory = |memory, memory_swap| {
            let limits = limits(Resources { memory, memory_swap, ..Resources::default() });
            (limits.memory, limits.swap)
        };
        assert_eq!(memory(Some(100), None), (Some(Most::Of(100)), Some(Most::Of(100))));
        assert_eq!(memory(Some(100), Some(130)), (Some(Most::Of(100)), Some(Most::Of(30))));
        assert_eq!(memory(Some(100), Some(-1)), (Some(Most::Of(100)), Some(Most::Any)));
        assert_eq!(memory(Some(0), None), (Some(Most::Any), Some(Most::Any)));
        assert_eq!(memory(None, None), (None, None));
        let cpu = |nano_cpus, cpu_quota, cpu_period| {
            limits(Resources { nano_cpus, cpu_quota, cpu_period, ..Resources::default() }).cpu
        };
        assert_eq!(cpu(Some(1_500_000_000), None, None), Some((Most::Of(150_000), 100_000)));
        assert_eq!(cpu(None, Some(20_000), Some(50_000)), Some((Most::Of(20_000), 50_000)));
        assert_eq!(cpu(None, Some(-1), None), Some((Most::Any, 100_000)));
        assert_eq!((weight_of_shares(2), weight_of_shares(1024), weight_of_shares(262_144)), (1, 39, 10_000));
        assert_eq!((weight_of_blocks(10), weight_of_blocks(1000)), (1, 10_000));
    }

    #[test]
    fn what_does_not_fit_together_is_said() {
        let check = |resources: Resources| resources.check().err().unwrap_or_default();
        let memory = Some(64 << 20);
        assert!(check(Resources { memory: Some(1 << 20), ..Resources::default() }).contains("6m"));
        assert!(check(Resources { memory_swap: Some(9), ..Resources::default() }).contains("needs --memory"));
        assert!(check(Resources { memory, memory_swap: Some(9), ..Resources::default() }).contains("less than"));
        assert!(
            check(Resources { memory, memory_reservation: Some(1 << 30), ..Resources::default() }).contains("more")
        );
        assert!(check(Resources { nano_cpus: Some(1), cpu_quota: Some(5), ..Resources::default() }).contains("--cpus"));
        assert_eq!(check(Resources { memory, memory_swap: Some(-1), ..Resources::default() }), "");
    }

    #[test]
    fn later_numbers_replace_earlier_ones_and_nothing_takes_them_back() {
        let mut resources =
            Resources { memory: Some(5), memory_swap: Some(9), cpu_quota: Some(3), ..Resources::default() };
        resources.change(&Resources { nano_cpus: Some(7), pids_limit: Some(4), ..Resources::default() });
        assert_eq!((resources.cpu_quota, resources.nano_cpus, resources.pids_limit), (None, Some(7), Some(4)));
        resources.change(&Resources { memory: Some(0), pids_limit: Some(-1), ..Resources::default() });
        assert_eq!((resources.memory, resources.memory_swap, resources.pids_limit), (None, None, None));
    }

    #[test]
    fn a_device_is_a_block_device() {
        let rate = |path: &str| DeviceRate { kind: Rate::Reads, path: path.into(), most: 1 };
        let resources = |path: &str| Resources { devices: vec![rate(path)], ..Resources::default() };
        assert!(resources("/dev/null").limits().unwrap_err().1.contains("no block device"));
        assert!(resources("/no/such").limits().is_err());
    }
}
