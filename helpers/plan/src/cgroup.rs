//! A control group of the container's own: what it may use at most.

use serde::{Deserialize, Serialize};

use crate::Text;

/// A control group (cgroups(7), version 2), in which everything runs that the container starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cgroup {
    /// Where it is made.
    pub parent: CgroupParent,
    /// What is not to be exceeded.
    pub limits: Limits,
    /// It belongs to the container's root, which may divide it further: for systemd inside.
    #[serde(default)]
    pub delegated: bool,
}

/// Where a control group is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CgroupParent {
    /// In a scope of systemd's user manager, in this slice, or in the one that it has for programs.
    Scope {
        /// `NAME.slice`.
        slice: Option<String>,
    },
    /// In this group, which the user may divide.
    Below(Text),
}

/// What a control group's files are to say. What is `None` or empty stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// `memory.max`, in bytes.
    pub memory: Option<Most>,
    /// `memory.swap.max`, in bytes: of swap alone.
    pub swap: Option<Most>,
    /// `memory.low`, in bytes: what is not taken away while others have more than they are promised.
    pub memory_low: Option<u64>,
    /// `cpu.max`: so many microseconds of processor time in each period of so many.
    pub cpu: Option<(Most, u64)>,
    /// `cpu.weight`, 1 to 10,000; 100 is everybody's.
    pub cpu_weight: Option<u64>,
    /// `cpuset.cpus`, as `0-2,5`.
    pub cpus: String,
    /// `cpuset.mems`.
    pub memory_nodes: String,
    /// `pids.max`.
    pub processes: Option<Most>,
    /// `io.weight`, 1 to 10,000; 100 is everybody's.
    pub io_weight: Option<u64>,
    /// Of single block devices.
    pub devices: Vec<DeviceLimit>,
}

/// What a block device is used for at most, a second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceLimit {
    /// `major:minor`.
    pub number: (u64, u64),
    /// `io.weight` of it.
    pub weight: Option<u64>,
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Bytes written.
    pub written_bytes: Option<u64>,
    /// Reads.
    pub reads: Option<u64>,
    /// Writes.
    pub writes: Option<u64>,
}

/// A number, or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Most {
    /// So much.
    Of(u64),
    /// Any number.
    Any,
}

impl std::fmt::Display for Most {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Of(number) => write!(f, "{number}"),
            // The kernel's word.
            Self::Any => f.write_str("max"),
        }
    }
}

impl Limits {
    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The files that say it, each with what is to be written there; in this order, in which no value is refused for what another was before.
    pub fn files(&self) -> Vec<(&'static str, String)> {
        let mut files = Vec::new();
        let mut say = |file, value: Option<String>| files.extend(value.map(|value| (file, value)));
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        say("memory.max", self.memory.map(|most| most.to_string()));
        say("memory.swap.max", self.swap.map(|most| most.to_string()));
        say("memory.low", self.memory_low.map(|low| low.to_string()));
        say("cpu.max", self.cpu.map(|(quota, period)| format!("{quota} {period}")));
        say("cpu.weight", self.cpu_weight.map(|weight| weight.to_string()));
        say("cpuset.cpus", text(&self.cpus));
        say("cpuset.mems", text(&self.memory_nodes));
        say("pids.max", self.processes.map(|most| most.to_string()));
        say("io.weight", self.io_weight.map(|weight| format!("default {weight}")));
        for device in &self.devices {
            let (major, minor) = device.number;
            say("io.weight", device.weight.map(|weight| format!("{major}:{minor} {weight}")));
            let each = [
                ("rbps", device.read_bytes),
                ("wbps", device.written_bytes),
                ("riops", device.reads),
                ("wiops", device.writes),
            ];
            let each: String =
                each.iter().filter_map(|(key, most)| most.map(|most| format!(" {key}={most}"))).collect();
            say("io.max", (!each.is_empty()).then(|| format!("{major}:{minor}{each}")));
        }
        files
    }

    /// The controllers that those files belong to.
    pub fn controllers(&self) -> Vec<&'static str> {
        let mut controllers: Vec<_> = self.files().iter().filter_map(|(file, _)| file.split('.').next()).collect();
        controllers.dedup();
        controllers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_what_the_kernels_files_say() {
        let limits = Limits {
            memory: Some(Most::Of(1 << 20)),
            swap: Some(Most::Any),
            cpu: Some((Most::Of(150_000), 100_000)),
            cpus: "0-1".into(),
            processes: Some(Most::Of(7)),
            devices: vec![DeviceLimit {
                number: (8, 0),
                read_bytes: Some(9),
                writes: Some(3),
                ..DeviceLimit::default()
            }],
            ..Limits::default()
        };
        let files = limits.files();
        let files: Vec<_> = files.iter().map(|(file, value)| (*file, value.as_str())).collect();
        assert_eq!(
            files,
            [
                ("memory.max", "1048576"),
                ("memory.swap.max", "max"),
                ("cpu.max", "150000 100000"),
                ("cpuset.cpus", "0-1"),
                ("pids.max", "7"),
                ("io.max", "8:0 rbps=9 wiops=3"),
            ]
        );
        assert_eq!(limits.controllers(), ["memory", "cpu", "cpuset", "pids", "io"]);
        assert!(Limits::default().is_empty() && Limits::default().files().is_empty());
    }
}
