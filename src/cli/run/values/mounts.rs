//! What is mounted in a container.

use std::path::PathBuf;

use enter::container::record::{Device, Kind, Mount};

use super::{Parsed, bytes, target};

/// `--volume`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Volume {
    /// A folder or file of this machine; the source is still as it was typed.
    Bind {
        /// The mount.
        mount: Mount,
        /// Whether its SELinux label was to be changed.
        relabel: bool,
    },
    /// A place of the container's own.
    Anonymous(String),
}

const VOLUME: &str = "expected SOURCE:TARGET[:OPTIONS]";

/// Reads `--volume`.
pub fn volume(text: &str) -> Parsed<Volume> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, place, options) = match parts[..] {
        [place] => {
            target(place).map_err(|why| format!("{VOLUME}, or a TARGET alone: {why}"))?;
            return Ok(Volume::Anonymous(place.to_owned()));
        }
        [source, place] => (source, place, ""),
        [source, place, options] => (source, place, options),
        _ => return Err(VOLUME.into()),
    };
    if source.is_empty() {
        return Err(format!("{VOLUME}: the source is empty"));
    }
    if !source.contains('/') && source != "." && source != ".." && source != "~" {
        return Err(format!("this version keeps no volumes by name; a folder here is ./{source}"));
    }
    place_of(place)?;
    let mut mount = bind(source, place, text);
    let mut relabel = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "z" | "Z" => relabel = true,
            option => bind_option(&mut mount, option)?,
        }
    }
    Ok(Volume::Bind { mount, relabel })
}

fn bind(source: &str, target: &str, typed: &str) -> Mount {
    Mount {
        kind: Kind::Bind(source.into()),
        target: target.to_owned(),
        read_only: false,
        no_exec: false,
        recursive: true,
        typed: typed.to_owned(),
    }
}

fn bind_option(mount: &mut Mount, option: &str) -> Parsed<()> {
    match option {
        "ro" => mount.read_only = true,
        "rw" => mount.read_only = false,
        "exec" => mount.no_exec = false,
        "noexec" => mount.no_exec = true,
        "rbind" => mount.recursive = true,
        "bind" => mount.recursive = false,
        // As it is in any case: neither devices nor set-user-ID programs of this machine's are privileges inside, and what is
        // mounted here later shows there.
        "nosuid" | "nodev" | "rslave" | "slave" | "cached" | "delegated" | "consistent" => {}
        "suid" | "dev" => {
            return Err(format!("`{option}` cannot be had: what is shown of this machine is no source of privileges"));
        }
        "shared" | "rshared" | "private" | "rprivate" => {
            return Err(format!(
                "`{option}` cannot be had: mounts of this machine show in a container, and none of a container's here"
            ));
        }
        "U" => return Err("`U` cannot be had: your files would be given to somebody else; use --userns keep-id".into()),
        "O" => return Err("`O` cannot be had: this version makes no overlays of your folders".into()),
        "nocopy" | "copy" => {
            return Err(format!("`{option}` is for volumes by name, which this version does not keep"));
        }
        other => return Err(format!("unknown option `{other}`; known are ro, rw, z, Z, rbind, bind, exec, noexec")),
    }
    Ok(())
}

fn place_of(text: &str) -> Parsed<()> {
    target(text)?;
    if text.trim_end_matches('/').is_empty() {
        return Err("the target cannot be the root itself".into());
    }
    Ok(())
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
    Mount {
        kind: Kind::Tmpfs { size: None, mode: 0o1777 },
        target: target.to_owned(),
        read_only: false,
        no_exec: true,
        recursive: false,
        typed: typed.to_owned(),
    }
}

fn tmpfs_option(mount: &mut Mount, key: &str, value: &str) -> Parsed<()> {
    let Kind::Tmpfs { size, mode } = &mut mount.kind else { return Ok(()) };
    match key {
        "size" => *size = Some(bytes(value)?),
        "mode" => {
            let bits = u32::from_str_radix(value, 8).ok().filter(|bits| *bits <= 0o7777);
            *mode = bits.ok_or("mode is an octal number such as 1777")?;
        }
        "ro" => mount.read_only = true,
        "rw" => mount.read_only = false,
        "exec" => mount.no_exec = false,
        "noexec" => mount.no_exec = true,
        "nosuid" | "nodev" | "notmpcopyup" => {}
        "tmpcopyup" => return Err("`tmpcopyup` cannot be had: a place in memory begins empty".into()),
        "suid" | "dev" => return Err(format!("`{key}` cannot be had for files in memory")),
        "uid" | "gid" => {
            return Err(format!("`{key}` cannot be had: it belongs to the container's root; use mode=1777"));
        }
        other => return Err(format!("unknown option `{other}`; known are size, mode, ro, rw, exec, noexec")),
    }
    Ok(())
}

/// Reads `--mount`.
pub fn mount(text: &str) -> Parsed<Mount> {
    let pairs: Vec<(&str, &str)> = text.split(',').map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
    let get = |names: &[&str]| pairs.iter().find(|(key, _)| names.contains(key)).map(|(_, value)| *value);
    let kind = get(&["type"]).unwrap_or("volume");
    let place = get(&["target", "destination", "dst"])
        .ok_or("expected type=bind, type=tmpfs or type=devpts with target=PATH: there is no target")?;
    place_of(place)?;
    let mut mount = match kind {
        "bind" => {
            let source = get(&["source", "src"]).filter(|source| !source.is_empty());
            bind(source.ok_or("type=bind needs source=PATH")?, place, text)
        }
        "tmpfs" => in_memory(place, text),
        "devpts" => Mount { kind: Kind::Devpts, ..in_memory(place, text) },
        "volume" => return Err("this version keeps no volumes; use type=bind or type=tmpfs".into()),
        other => return Err(format!("unknown type `{other}`; known are bind, tmpfs and devpts")),
    };
    for (key, value) in pairs {
        match key {
            "type" | "source" | "src" | "target" | "destination" | "dst" => {}
            key if kind == "devpts" => {
                return Err(format!("unknown key `{key}`; known for type=devpts is target alone"));
            }
            "readonly" | "ro" => mount.read_only = truth(key, value)?,
            "rw" => mount.read_only = !truth(key, value)?,
            "bind-propagation" if kind == "bind" => bind_option(&mut mount, value)?,
            "bind-nonrecursive" if kind == "bind" => mount.recursive = !truth(key, value)?,
            "bind-recursive" if kind == "bind" => match value {
                "enabled" | "readonly" => {}
                "disabled" => mount.recursive = false,
                _ => return Err("bind-recursive is enabled, disabled or readonly".into()),
            },
            "consistency" => {}
            "tmpfs-size" | "tmpfs-mode" if kind == "tmpfs" => tmpfs_option(&mut mount, &key[6..], value)?,
            key if kind == "tmpfs" => tmpfs_option(&mut mount, key, value)?,
            key => bind_option(&mut mount, key).map_err(|_| {
                format!("unknown key `{key}`; known are type, source, target, readonly, bind-nonrecursive, tmpfs-size, tmpfs-mode")
            })?,
        }
    }
    Ok(mount)
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
