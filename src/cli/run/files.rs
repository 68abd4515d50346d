//! What a container sees of this machine's files, and what it has in memory.

use clap::Args;
use enter::container::record::{Device, Mount};

use super::values;
use crate::settings::values::Storage;

/// Files.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// Show a folder or a file of this machine inside; options are ro, rw, z, Z, rbind, bind, noexec
    #[arg(short, long, value_name = "SOURCE:TARGET[:OPTIONS]", value_parser = values::volume)]
    pub volume: Vec<values::Volume>,

    /// The same in words: type=bind,source=PATH,target=PATH[,readonly] or type=tmpfs,target=PATH[,tmpfs-size=BYTES]
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = values::mount)]
    pub mount: Vec<Mount>,

    /// Files in memory at this place; options are size=64m, mode=1777, ro, rw, exec, noexec
    #[arg(long, value_name = "TARGET[:OPTIONS]", value_parser = values::tmpfs)]
    pub tmpfs: Vec<Mount>,

    /// Where changes are kept
    #[arg(long, value_enum, value_name = "KIND")]
    pub storage: Option<Storage>,

    /// With --storage fuse: writeback lets the kernel collect small writes, as it does with --rm anyway; writeback=false does not. It is
    /// quicker to write, slower to read again what was just written, and the last writes are lost if the container's filesystem server is killed
    #[arg(long, value_name = "OPTION", value_parser = values::storage_option)]
    pub storage_opt: Vec<values::StorageOption>,

    /// Let nothing be changed but in volumes, and in /run, /tmp and /var/tmp, which are in memory then
    #[arg(long)]
    pub read_only: bool,

    /// With --read-only: whether /run, /tmp and /var/tmp can be written
    #[arg(long, value_name = "BOOL", default_value = "true", default_missing_value = "true", num_args = 0..=1,
        require_equals = true, hide_default_value = true, hide_possible_values = true, action = clap::ArgAction::Set)]
    pub read_only_tmpfs: bool,

    /// The size of /dev/shm; 64m without it
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    pub shm_size: Option<u64>,

    /// Give the container a device of this machine that you may use yourself
    #[arg(long, value_name = "DEVICE[:TARGET][:rwm]", value_parser = values::device)]
    pub device: Vec<Device>,
}
