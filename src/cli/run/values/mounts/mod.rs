//! What is mounted in a container, as `--volume`, `--tmpfs` and `--device` say it; `--mount` says it in words.

mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;

use enter::container::record::{Device, Kind, Mount};
use nix::unistd::{SysconfVar, sysconf};

use super::{Parsed, bytes, target};

pub use words::mount;

/// What a flag asks to be mounted. The source of a bind is as it was typed; a volume without a name has none yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The mount.
    pub mount: Mount,
    /// Whether its SELinux label was to be changed.
    pub relabel: bool,
    /// The source is a pattern, and the target a folder that all it fits is mounted in; or, where it is empty, everything is mounted
    /// where it is on this machine.
    pub glob: bool,
    /// Labels of the volume, if it is made for this.
    pub labels: BTreeMap<String, String>,
    /// Options of the volume, if it is made for this.
    pub options: BTreeMap<String, String>,
}

impl Volume {
    fn of(kind: Kind, target: &str, typed: &str) -> Self {
        let mount = Mount::new(kind, target, typed);
        Self { mount, relabel: false, glob: false, labels: BTreeMap::new(), options: BTreeMap::new() }
    }
}

const VOLUME: &str = "expected SOURCE:TARGET[:OPTIONS]";

/// Reads `--volume`.
pub fn volume(text: &str) -> Parsed<Volume> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, place, options) = match parts[..] {
        [place] => {
            place_of(place).map_err(|why| format!("{VOLUME}, or a TARGET alone: {why}"))?;
            return Ok(Volume::of(Kind::Volume(String::new()), place, text));
        }
        [source, place] => (source, place, ""),
        [source, place, options] => (source, place, options),
        _ => return Err(VOLUME.into()),
    };
    place_of(place)?;
    let mut volume = Volume::of(source_of(source)?, place, text);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        set(&mut volume, option)?;
    }
    sound(&volume.mount)?;
    Ok(volume)
}

/// A folder of this machine, or a volume: docker's rule.
fn source_of(source: &str) -> Parsed<Kind> {
    if source.is_empty() {
        return Err(format!("{VOLUME}: the source is empty"));
    }
    if source.starts_with(['/', '.', '~']) {
        return Ok(Kind::Bind(source.into()));
    }
    if enter::volume::is_name(source) {
        return Ok(Kind::Volume(source.to_owned()));
    }
    Err(format!("`{source}` cannot be a volume's name; a folder here is ./{source}"))
}

const OPTIONS: &str = "ro, rw, z, Z, U, O, exec, noexec, bind, rbind, private, rprivate, slave, rslave, unbindable, runbindable; of volumes copy, nocopy";

/// Sets an option of `--volume`.
fn set(volume: &mut Volume, option: &str) -> Parsed<()> {
    let mount = &mut volume.mount;
    let is_volume = matches!(mount.kind, Kind::Volume(_));
    match option {
        "ro" => mount.read_only = true,
        "rw" => mount.read_only = false,
        "exec" => mount.no_exec = false,
        "noexec" => mount.no_exec = true,
        "rbind" => mount.recursive = true,
        "bind" => mount.recursive = false,
        "z" | "Z" => volume.relabel = true,
        "U" => mount.give = true,
        "O" => mount.overlay = true,
        "copy" if is_volume => mount.no_copy = false,
        "nocopy" if is_volume => mount.no_copy = true,
        "copy" | "nocopy" => return Err(format!("`{option}` is for volumes: what a folder holds is your own")),
        "private" | "rprivate" => (mount.private, mount.unbindable) = (true, false),
        "slave" | "rslave" => (mount.private, mount.unbindable) = (false, false),
        "unbindable" | "runbindable" => (mount.private, mount.unbindable) = (true, true),
        // As it is in any case: neither devices nor set-user-ID programs of this machine's are privileges inside.
        "nosuid" | "nodev" | "cached" | "delegated" | "consistent" => {}
        "suid" | "dev" => {
            return Err(format!("`{option}` cannot be had: what is shown of this machine is no source of privileges"));
        }
        "shared" | "rshared" => {
            return Err(format!(
                "`{option}` cannot be had: mounts of this machine show in a container, and none of a container's here"
            ));
        }
        "idmap" => return Err(IDMAP.into()),
        option if option.starts_with("idmap=") => return Err(IDMAP.into()),
        option if option.starts_with("upperdir=") || option.starts_with("workdir=") => {
            return Err(format!("`{option}` cannot be had: what is written through `O` is thrown away at the end"));
        }
        other => return Err(format!("unknown option `{other}`; known are {OPTIONS}")),
    }
    Ok(())
}

const IDMAP: &str = "`idmap` cannot be had: the kernel lets only root of the machine number files otherwise; `U` gives them to the container's user, \
                     and --userns keep-id makes that you";

/// Refuses what excludes each other.
fn sound(mount: &Mount) -> Parsed<()> {
    if mount.overlay && mount.give {
        return Err("`O` and `U` exclude each other: one keeps the files as they are, the other gives them away".into());
    }
    Ok(())
}

/// What runc lets be replaced in /proc, for lxcfs.
const LXCFS: &[&str] =
    &["cpuinfo", "diskstats", "loadavg", "meminfo", "net/dev", "slabinfo", "stat", "swaps", "uptime"];

fn place_of(text: &str) -> Parsed<()> {
    target(text)?;
    let bare: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    match bare[..] {
        [] => Err("the target cannot be the root itself: choose a folder below it".into()),
        ["proc", ..] if !LXCFS.contains(&bare[1..].join("/").as_str()) => {
            Err("the target cannot be in /proc, which tells programs about themselves: choose another folder".into())
        }
        _ => Ok(()),
    }
}

/// `--volumes-from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumesFrom {
    /// A container's name or id, as it was typed.
    pub container: String,
    /// Whether all of it is only to be read.
    pub read_only: bool,
    /// As it was typed.
    pub typed: String,
}

/// Reads `--volumes-from`.
pub fn volumes_from(text: &str) -> Parsed<VolumesFrom> {
    let (container, options) = text.split_once(':').unwrap_or((text, ""));
    if container.is_empty() {
        return Err("expected CONTAINER or CONTAINER:OPTIONS".into());
    }
    let mut from = VolumesFrom { container: container.to_owned(), read_only: false, typed: text.to_owned() };
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => from.read_only = true,
            "rw" => from.read_only = false,
            // Labels are those of the container that has it.
            "z" | "Z" => {}
            other => return Err(format!("unknown option `{other}`; known are ro, rw, z, Z")),
        }
    }
    Ok(from)
}

/// Reads `--volume-driver`.
pub fn volume_driver(text: &str) -> Parsed<String> {
    match text {
        "" | "local" => Ok("local".into()),
        _ => Err("there is one driver: local".into()),
    }
}

/// Reads `--tmpfs`.
pub fn tmpfs(text: &str) -> Parsed<Mount> {
    let (place, options) = text.split_once(':').unwrap_or((text, ""));
    place_of(place)?;
    let mut mount = in_memory(place, text);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        tmpfs_option(&mut mount, key, value)?;
    }
    Ok(mount)
}

fn in_memory(target: &str, typed: &str) -> Mount {
    let kind = Kind::Tmpfs { size: None, mode: 0o1777 };
    Mount { no_exec: true, recursive: false, ..Mount::new(kind, target, typed) }
}

fn tmpfs_option(mount: &mut Mount, key: &str, value: &str) -> Parsed<()> {
    let Kind::Tmpfs { size, mode } = &mut mount.kind else { return Ok(()) };
    let looks = &mut mount.looks;
    match key {
        "size" => *size = Some(in_bytes(value)?),
        "mode" => {
            *mode = permissions(value)?;
            looks.mode = Some(*mode);
        }
        "nr_inodes" => {
            looks.most = Some(bytes(value).map_err(|_| "nr_inodes is a number of files such as 1000 or 10k")?)
        }
        "uid" => looks.uid = Some(id(key, value)?),
        "gid" => looks.gid = Some(id(key, value)?),
        "U" | "chown" => mount.give = truth(key, value)?,
        "ro" => mount.read_only = truth(key, value)?,
        "rw" => mount.read_only = !truth(key, value)?,
        "exec" => mount.no_exec = !truth(key, value)?,
        "noexec" => mount.no_exec = truth(key, value)?,
        "tmpcopyup" => looks.copy_up = truth(key, value)?,
        "notmpcopyup" => looks.copy_up = !truth(key, value)?,
        "nosuid" | "nodev" => {}
        // Nobody else sees what is mounted in it.
        "private" | "rprivate" | "slave" | "rslave" => {}
        "suid" | "dev" => return Err(format!("`{key}` cannot be had for files in memory")),
        "nr_blocks" => return Err("`nr_blocks` cannot be had: say how much with size".into()),
        other => {
            return Err(format!(
                "unknown option `{other}`; known are size, mode, uid, gid, nr_inodes, U, tmpcopyup, notmpcopyup, ro, rw, exec, noexec"
            ));
        }
    }
    Ok(())
}

/// How much files in memory may take: bytes, or, as the kernel has it, a share of this machine's memory such as 50%.
fn in_bytes(value: &str) -> Parsed<u64> {
    let Some(share) = value.strip_suffix('%') else { return bytes(value) };
    // To the kernel, 0 is no limit at all.
    let share = share.parse::<u64>().ok().filter(|share| (1..=100).contains(share));
    let share = share.ok_or("a share of the memory is a number from 1% to 100%")?;
    let number = |variable| sysconf(variable).ok().flatten().and_then(|number| u64::try_from(number).ok());
    let memory = number(SysconfVar::_PHYS_PAGES).zip(number(SysconfVar::PAGE_SIZE));
    let (pages, page) =
        memory.ok_or("the kernel does not say how much memory there is: say it in bytes such as 64m")?;
    // Whole pages, of which there is never none.
    Ok((pages * share / 100).max(1) * page)
}

/// Reads a key of `type=devpts`.
fn terminal_option(mount: &mut Mount, key: &str, value: &str) -> Parsed<()> {
    match key {
        "uid" => mount.looks.uid = Some(id(key, value)?),
        "gid" => mount.looks.gid = Some(id(key, value)?),
        "mode" => mount.looks.mode = Some(permissions(value)?),
        "max" => {
            let most = value.parse().ok().filter(|most| (1..=1 << 20).contains(most));
            mount.looks.most = Some(most.ok_or("max is a number of terminals from 1 to 1048576")?);
        }
        _ => return Err(format!("unknown key `{key}`; known for type=devpts are type, target, uid, gid, mode, max")),
    }
    Ok(())
}

fn permissions(value: &str) -> Parsed<u32> {
    let bits = u32::from_str_radix(value, 8).ok().filter(|bits| *bits <= 0o7777);
    bits.ok_or_else(|| "mode is an octal number such as 1777".into())
}

fn id(key: &str, value: &str) -> Parsed<u32> {
    let id = value.parse().ok().filter(|id| *id != u32::MAX);
    id.ok_or_else(|| format!("{key} is a number such as 1000"))
}

fn truth(key: &str, value: &str) -> Parsed<bool> {
    match value {
        "" | "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("`{key}` is true or false")),
    }
}

/// Reads `--device`.
pub fn device(text: &str) -> Parsed<Device> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_permissions = |text: &str| !text.is_empty() && text.chars().all(|char| "rwm".contains(char));
    let (source, place, permissions) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, permissions] if is_permissions(permissions) => (source, source, permissions),
        [source, place] => (source, place, "rwm"),
        [source, place, permissions] if is_permissions(permissions) => (source, place, permissions),
        _ => return Err("expected DEVICE[:TARGET][:rwm]".into()),
    };
    if !source.starts_with('/') {
        return Err("expected DEVICE[:TARGET][:rwm], and a device's whole path".into());
    }
    place_of(place)?;
    if !(permissions.contains('r') && permissions.contains('w')) {
        return Err("only root may rule what a device is used for; leave the permissions away".into());
    }
    Ok(Device { source: PathBuf::from(source), target: place.into(), permissions: permissions.to_owned() })
}
