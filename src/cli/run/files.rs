//! What a container sees of this machine's files, and what it has in memory.

use clap::Args;
use clap::ValueEnum;
use enter::container::record::{Device, Mount};

use super::values;
use crate::settings::values::Storage;

/// Files.
#[derive(Debug, Args)]
pub struct FileArgs {
    /// Show a volume, or a folder or file of this machine, inside; with a TARGET alone, a new volume of the container's own
    ///
    /// A SOURCE that begins with / or . is a folder or file of this machine, which must be there. Any other is a volume's name; it is made if
    /// it is missing. What the image has in the place of a new volume is taken over into it.
    ///
    /// The options are ro, rw, noexec; nocopy, for a volume that begins empty; O, for a view that can be written without changing the source,
    /// and begins anew at each start; U, which gives all of it to the container's user; rbind and bind, with and without what is mounted below;
    /// rprivate, where nothing is to appear that is mounted on this machine later; runbindable, where it is not to be mounted elsewhere inside
    /// either. z and Z are taken for SELinux.
    #[arg(short, long, value_name = "SOURCE:TARGET[:OPTIONS]", value_parser = values::volume)]
    pub volume: Vec<values::Volume>,

    /// The same in words: type=volume,source=NAME,target=PATH or type=bind,source=PATH,target=PATH
    ///
    /// Types and their keys beside target, ro and rw: `bind` (source, create, bind-propagation, bind-recursive, bind-nonrecursive), `volume`
    /// (source, nocopy, subpath, volume-label, volume-opt), `tmpfs` (the options of --tmpfs, also as tmpfs-size and tmpfs-mode), `image` (source,
    /// subpath, rw: what is written is thrown away), `glob` (source, a pattern: all that it fits, in target or each in its own place) and `devpts`
    /// (uid, gid, mode, max). `bind` and `volume` take the
    /// options of --volume too. A value with a comma stands in double quotes with its key: "source=/a,b".
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = values::mount)]
    pub mount: Vec<values::Volume>,

    /// Show the volumes and folders that this container shows; it need not run
    ///
    /// Options are ro and rw. What is asked for by --volume and --mount in the same place comes first.
    #[arg(long, value_name = "CONTAINER[:OPTIONS]", value_parser = values::volumes_from)]
    pub volumes_from: Vec<values::VolumesFrom>,

    /// What there is where the image asks for volumes
    #[arg(long, value_enum, value_name = "KIND", default_value = "anonymous", hide_default_value = true)]
    pub image_volume: ImageVolume,

    /// Who keeps new volumes; there is one who does
    #[arg(long, value_name = "DRIVER", value_parser = values::volume_driver, hide = true)]
    pub volume_driver: Option<String>,

    /// Files in memory at this place; options are size=64m or 50%, mode=1777, uid, gid, nr_inodes, tmpcopyup, U, ro, rw, exec, noexec
    ///
    /// It begins empty; with tmpcopyup, it has what the image has there. It is root's; U makes it the container's user's.
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

/// What there is where the image asks for volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ImageVolume {
    /// New volumes without names, which go with the container
    #[value(alias = "bind")]
    Anonymous,
    /// Files in memory
    Tmpfs,
    /// Nothing: what is written there is the container's
    Ignore,
}
