//! What a container may use of the machine: docker's flags.

use std::path::PathBuf;

use clap::Args;
use enter::container::record::{DeviceRate, Rate, Resources};

use super::values;

/// Limits. They need control groups of version 2, which systemd gives to users.
#[derive(Debug, Default, Args)]
pub struct ResourceArgs {
    /// Let the container have so much memory at most, such as 512m or 2g; 0 for no limit
    #[arg(short, long, value_name = "BYTES", value_parser = values::bytes)]
    pub memory: Option<u64>,

    /// So much memory and swap together at most, -1 for any; twice --memory without it
    #[arg(long, value_name = "BYTES", value_parser = values::bytes_or_any, allow_hyphen_values = true)]
    pub memory_swap: Option<i64>,

    /// Leave it so much memory while the machine has too little for all
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    pub memory_reservation: Option<u64>,

    /// Let it have so many processors' time at most, such as 1.5; 0 for no limit
    #[arg(long, value_name = "NUMBER", value_parser = values::processors)]
    pub cpus: Option<u64>,

    /// Its share of the processors while they are busy, beside others' 1024
    #[arg(short, long, value_name = "SHARES")]
    pub cpu_shares: Option<u64>,

    /// Count processor time in periods of so many microseconds, for --cpu-quota
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_period: Option<u64>,

    /// So many microseconds of processor time in each period at most, -1 for any
    #[arg(long, value_name = "MICROSECONDS", value_parser = values::quota, allow_hyphen_values = true)]
    pub cpu_quota: Option<i64>,

    /// Run on these processors only, such as 0-2,5
    #[arg(long, value_name = "LIST", value_parser = values::numbers)]
    pub cpuset_cpus: Option<String>,

    /// Use memory of these nodes only
    #[arg(long, value_name = "LIST", value_parser = values::numbers)]
    pub cpuset_mems: Option<String>,

    /// So many processes and threads at most, -1 for any
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,

    /// Its share of disks while they are busy, 10 to 1000, beside others' 100
    #[arg(long, value_name = "WEIGHT", value_parser = values::weight)]
    pub blkio_weight: Option<u64>,

    /// The same of one disk
    #[arg(long, value_name = "DEVICE:WEIGHT", value_parser = values::device_weight)]
    pub blkio_weight_device: Vec<(PathBuf, u64)>,

    /// Read so many bytes a second from a disk at most, such as /dev/sda:10mb
    #[arg(long, value_name = "DEVICE:BYTES", value_parser = values::device_bytes)]
    pub device_read_bps: Vec<(PathBuf, u64)>,

    /// Write so many bytes a second to a disk at most
    #[arg(long, value_name = "DEVICE:BYTES", value_parser = values::device_bytes)]
    pub device_write_bps: Vec<(PathBuf, u64)>,

    /// Read from a disk so many times a second at most
    #[arg(long, value_name = "DEVICE:NUMBER", value_parser = values::device_number)]
    pub device_read_iops: Vec<(PathBuf, u64)>,

    /// Write to a disk so many times a second at most
    #[arg(long, value_name = "DEVICE:NUMBER", value_parser = values::device_number)]
    pub device_write_iops: Vec<(PathBuf, u64)>,
}

impl ResourceArgs {
    /// As they are kept. `parent`: the slice.
    pub fn resources(&self, parent: Option<&str>) -> Resources {
        let of = |kind: Rate, typed: &[(PathBuf, u64)]| {
            typed
                .iter()
                .map(move |(path, most)| DeviceRate { kind, path: path.clone(), most: *most })
                .collect::<Vec<_>>()
        };
        let devices = [
            of(Rate::Weight, &self.blkio_weight_device),
            of(Rate::ReadBytes, &self.device_read_bps),
            of(Rate::WrittenBytes, &self.device_write_bps),
            of(Rate::Reads, &self.device_read_iops),
            of(Rate::Writes, &self.device_write_iops),
        ];
        Resources {
            memory: self.memory,
            memory_swap: self.memory_swap,
            memory_reservation: self.memory_reservation,
            nano_cpus: self.cpus,
            cpu_shares: self.cpu_shares,
            cpu_period: self.cpu_period,
            cpu_quota: self.cpu_quota,
            cpuset_cpus: self.cpuset_cpus.clone().unwrap_or_default(),
            cpuset_mems: self.cpuset_mems.clone().unwrap_or_default(),
            pids_limit: self.pids_limit,
            blkio_weight: self.blkio_weight,
            devices: devices.concat(),
            cgroup_parent: parent.unwrap_or_default().to_owned(),
        }
    }
}
