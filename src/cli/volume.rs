//! `enter volume`, as docker and podman have it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::PruneArgs;
use super::run::values;

/// What can be done about volumes.
#[derive(Debug, Subcommand)]
pub enum VolumeCommand {
    /// Make a volume
    ///
    /// Prints its name. It begins empty, and what an image has in the place where it is mounted first is taken over into it. It stays until it is
    /// removed. Nobody needs to make one first: `--volume NAME:TARGET` does so.
    Create(VolumeCreateArgs),
    /// Tell by the exit code whether there is such a volume
    ///
    /// 0: there is. 1: there is not. Nothing is printed.
    Exists(VolumeExistsArgs),
    /// Write all files of a volume as an archive
    ///
    /// As a tar, uncompressed, with owners as a container's root sees them. What containers that use it are writing meanwhile may be in it
    /// by half.
    Export(VolumeExportArgs),
    /// Put the files of an archive into a volume
    ///
    /// The archive may be compressed. Files of the same names are replaced, others stay. Devices are left out.
    Import(VolumeImportArgs),
    /// Show all that is known of volumes
    ///
    /// As JSON, with docker's names.
    Inspect(VolumeInspectArgs),
    /// List volumes
    ///
    /// In the order of their names. Those without a name of their own have 64 hexadecimal digits.
    #[command(visible_alias = "list")]
    Ls(VolumeLsArgs),
    /// Print where volumes' files are
    ///
    /// They lie in a folder of yours, and nothing has to be mounted to look at them; the command is here for scripts. What containers have written
    /// may belong to your subordinate ids.
    Mount(VolumeMountArgs),
    /// Remove volumes that no container uses
    ///
    /// Asks first. Without `--all`, those without a name, which were made for one container. Prints the names of those that are gone, and how
    /// much was freed.
    Prune(VolumePruneArgs),
    /// Remove volumes with all that is in them
    ///
    /// Prints the names of those that are gone. One that a container uses, running or not, is not removed; with `--force` its containers are
    /// removed first.
    #[command(visible_alias = "remove")]
    Rm(VolumeRmArgs),
    /// Say that a volume's files are not looked at any more
    ///
    /// Prints the names. As nothing was mounted, nothing is unmounted: for scripts.
    #[command(visible_alias = "umount")]
    Unmount(VolumeMountArgs),
}

/// Make a volume.
#[derive(Debug, Args)]
pub struct VolumeCreateArgs {
    /// Its name; without one it gets 64 hexadecimal digits, and counts as one that was made for one container
    #[arg(value_name = "NAME")]
    pub name: Option<String>,

    /// The same, as docker had it once
    #[arg(long = "name", value_name = "NAME", conflicts_with = "name", hide = true)]
    pub old_name: Option<String>,

    /// Who keeps it; there is one who does: local
    #[arg(short, long, value_name = "DRIVER", value_parser = values::volume_driver)]
    pub driver: Option<String>,

    /// Say something about it
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = values::label)]
    pub label: Vec<(String, String)>,

    /// What it is: a folder of this machine (type=none, device=/FOLDER, o=bind,ro), or files in memory (type=tmpfs, o=size=64m)
    ///
    /// Options of tmpfs are size, mode, uid, gid, nr_inodes, ro and noexec. Such a volume is made anew for each container, and one container
    /// at a time can have it. For any other, o=uid=ID,gid=ID says whose its top is, in the container's ids.
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = values::label)]
    pub opt: Vec<(String, String)>,

    /// Take one that is there already for made
    #[arg(long)]
    pub ignore: bool,
}

/// Tell whether there is such a volume.
#[derive(Debug, Args)]
pub struct VolumeExistsArgs {
    /// The whole name
    #[arg(value_name = "VOLUME")]
    pub volume: String,
}

/// Write all files of a volume as an archive.
#[derive(Debug, Args)]
pub struct VolumeExportArgs {
    /// A name, or the beginning of one
    #[arg(value_name = "VOLUME")]
    pub volume: String,

    /// The file to write; without it the standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Put the files of an archive into a volume.
#[derive(Debug, Args)]
pub struct VolumeImportArgs {
    /// A name, or the beginning of one
    #[arg(value_name = "VOLUME")]
    pub volume: String,

    /// The archive; `-` for the standard input
    #[arg(value_name = "FILE", default_value = "-", hide_default_value = true)]
    pub source: PathBuf,
}

/// Show all that is known of volumes.
#[derive(Debug, Args)]
pub struct VolumeInspectArgs {
    /// Names, or the beginnings of names
    #[arg(value_name = "VOLUME", required_unless_present = "all")]
    pub volumes: Vec<String>,

    /// Show all of them
    #[arg(short, long, conflicts_with = "volumes")]
    pub all: bool,

    /// Print each by a template: `json`, or Go's syntax such as '{{.Mountpoint}}'; the fields are those of the JSON
    #[arg(short, long, value_name = "TEMPLATE")]
    pub format: Option<String>,
}

/// List volumes.
#[derive(Debug, Args)]
pub struct VolumeLsArgs {
    /// Only what fits every filter
    ///
    /// The keys are `name` (a regular expression, or a part), `label=KEY[=VALUE]`, `label!=KEY[=VALUE]`, `dangling` (true for those that no
    /// container uses), `anonymous`, `driver`, `scope`, `opt=KEY[=VALUE]`, `until=TIME` and `since=VOLUME`.
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,

    /// Print each by a template: `table`, `json`, or Go's syntax such as '{{.Name}} {{.Mountpoint}}'
    ///
    /// The fields are .Name .Driver .Mountpoint .Scope .Labels .Label "KEY" .Links .Size .CreatedAt .Anonymous. A template that begins with
    /// "table " gets headings.
    #[arg(long, value_name = "TEMPLATE")]
    pub format: Option<String>,

    /// Print no headings
    #[arg(short, long)]
    pub noheading: bool,

    /// Print only names
    #[arg(short, long)]
    pub quiet: bool,
}

/// Print where volumes' files are.
#[derive(Debug, Args)]
pub struct VolumeMountArgs {
    /// Names, or the beginnings of names
    #[arg(value_name = "VOLUME", required = true)]
    pub volumes: Vec<String>,
}

/// Remove volumes that no container uses.
#[derive(Debug, Args)]
pub struct VolumePruneArgs {
    /// Those with a name too
    #[arg(short, long)]
    pub all: bool,

    #[command(flatten)]
    pub prune: PruneArgs,
}

/// Remove volumes.
#[derive(Debug, Args)]
pub struct VolumeRmArgs {
    /// Names, or the beginnings of names
    #[arg(value_name = "VOLUME", required_unless_present = "all")]
    pub volumes: Vec<String>,

    /// Remove all
    #[arg(short, long, conflicts_with = "volumes")]
    pub all: bool,

    /// Remove the containers that use it first, running or not; one that is not there is no failure
    #[arg(short, long)]
    pub force: bool,

    /// With --force: seconds that a container has to end by itself; without, it is ended at once
    #[arg(short, long, value_name = "SECONDS", requires = "force", allow_negative_numbers = true, value_parser = super::control::seconds)]
    pub time: Option<i64>,
}
