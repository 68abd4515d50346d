//! `--mount`: what is mounted, in words.

use enter::container::record::{ImageUse, Kind, Mount};

use super::{IDMAP, Volume, in_memory, place_of, set, sound, terminal_option, tmpfs_option, truth};
use crate::cli::run::values::Parsed;

const TYPES: &str = "bind, volume, tmpfs, image, glob and devpts";

/// Words that say the same.
const SYNONYMS: &[(&str, &str)] = &[
    ("src", "source"),
    ("dst", "target"),
    ("destination", "target"),
    ("readonly", "ro"),
    ("volume-nocopy", "nocopy"),
    ("volume-subpath", "subpath"),
    ("image-subpath", "subpath"),
    ("bind-create-src", "create"),
    ("chown", "U"),
    ("tmpfs-size", "size"),
    ("tmpfs-mode", "mode"),
    ("readwrite", "rw"),
    ("volume-opt", "option"),
    ("volume-label", "label"),
];

/// Reads `--mount`.
pub fn mount(text: &str) -> Parsed<Volume> {
    let fields = fields(text)?;
    let pairs: Vec<(&str, &str)> = fields
        .iter()
        .map(|field| field.split_once('=').unwrap_or((field, "")))
        .map(|(key, value)| (SYNONYMS.iter().find(|(from, _)| *from == key).map_or(key, |(_, to)| *to), value))
        .collect();
    let get = |wanted: &str| pairs.iter().find(|(key, _)| *key == wanted).map(|(_, value)| *value);
    let kind = get("type").unwrap_or("volume");
    let source = get("source").filter(|source| !source.is_empty());
    let place = match (get("target"), kind) {
        (Some(place), _) => place_of(place).map(|()| place)?,
        (None, "glob") => "",
        (None, _) => return Err(format!("expected type={kind},…,target=PATH: there is no target")),
    };
    let needed = |what: &str| source.ok_or_else(|| format!("type={kind} needs source={what}"));
    let mut volume = match kind {
        "bind" => Volume::of(Kind::Bind(needed("PATH")?.into()), place, text),
        "glob" => Volume { glob: true, ..Volume::of(Kind::Bind(needed("PATTERN")?.into()), place, text) },
        "volume" => {
            let name = source.unwrap_or_default();
            if !name.is_empty() && !enter::volume::is_name(name) {
                return Err(format!("`{name}` cannot be a volume's name; a folder is shown with type=bind"));
            }
            Volume::of(Kind::Volume(name.to_owned()), place, text)
        }
        "image" => {
            let image = ImageUse { name: needed("IMAGE")?.to_owned(), id: String::new() };
            let mut volume = Volume::of(Kind::Image(image), place, text);
            volume.mount.read_only = true;
            volume
        }
        "tmpfs" => memory(in_memory(place, text)),
        "devpts" => memory(Mount { kind: Kind::Devpts, ..in_memory(place, text) }),
        "ramfs" => return Err("type=ramfs cannot be had: nothing limits what it takes; use type=tmpfs".into()),
        other => return Err(format!("unknown type `{other}`; known are {TYPES}")),
    };
    for (key, value) in pairs {
        match key {
            "type" | "target" => {}
            "source" if kind != "tmpfs" && kind != "devpts" => {}
            key => word(&mut volume, kind, key, value)?,
        }
    }
    if kind == "image" {
        // An image never changes.
        volume.mount.overlay = !volume.mount.read_only;
    }
    sound(&volume.mount)?;
    Ok(volume)
}

fn memory(mount: Mount) -> Volume {
    Volume { mount: mount.clone(), ..Volume::of(mount.kind, &mount.target, &mount.typed) }
}

/// Takes one word of those that not every mount has.
fn word(volume: &mut Volume, kind: &str, key: &str, value: &str) -> Parsed<()> {
    let unknown = |known: &str| Err(format!("unknown key `{key}`; known for type={kind} are type, target{known}"));
    let mount = &mut volume.mount;
    match (kind, key) {
        ("devpts", _) => terminal_option(mount, key, value),
        (_, "ro") => truth(key, value).map(|truth| mount.read_only = truth),
        (_, "rw") => truth(key, value).map(|truth| mount.read_only = !truth),
        (_, "consistency") => Ok(()),
        ("tmpfs", "source") => Ok(()),
        ("tmpfs", _) => tmpfs_option(mount, key, value),
        ("volume" | "image", "subpath") => {
            let parts: Vec<&str> = value.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
            if parts.is_empty() || parts.contains(&"..") {
                return Err("subpath is a path below the top, without `..` in it".into());
            }
            mount.subpath = parts.join("/");
            Ok(())
        }
        ("image", _) => unknown(", source, rw, subpath"),
        ("bind" | "glob" | "volume", "idmap") => Err(IDMAP.into()),
        (
            "bind" | "glob" | "volume",
            "U" | "O" | "nocopy" | "copy" | "exec" | "noexec" | "suid" | "nosuid" | "dev" | "nodev",
        ) => {
            if truth(key, value)? {
                set(volume, key)
            } else {
                Ok(())
            }
        }
        ("bind" | "glob" | "volume", "relabel") => match value {
            "shared" | "private" => set(volume, "z"),
            _ => Err("relabel is shared or private".into()),
        },
        ("bind" | "glob", "bind-propagation") => set(volume, value),
        ("bind" | "glob", "bind-nonrecursive") => truth(key, value).map(|truth| mount.recursive = !truth),
        ("bind" | "glob", "bind-recursive") => match value {
            "enabled" | "readonly" | "true" | "1" => Ok(()),
            "disabled" | "false" | "0" => {
                mount.recursive = false;
                Ok(())
            }
            "writable" => {
                Err("bind-recursive=writable cannot be had: what is read-only is so with all that is mounted below"
                    .into())
            }
            _ => Err("bind-recursive is enabled, disabled or readonly".into()),
        },
        ("bind", "create") => truth(key, value).map(|truth| mount.create = truth),
        ("bind", _) => unknown(
            ", source, ro, rw, create, bind-propagation, bind-recursive, bind-nonrecursive, relabel, U, O, exec, noexec",
        ),
        ("glob", _) => unknown(", source, ro, rw, bind-propagation, bind-nonrecursive, relabel, U, O, exec, noexec"),
        (_, "volume-driver") if value == "local" => Ok(()),
        (_, "volume-driver") => Err(format!("there is no driver `{value}`: the only one is local")),
        (_, "label" | "option") => {
            let table = if key == "label" { &mut volume.labels } else { &mut volume.options };
            let (name, value) = value.split_once('=').unwrap_or((value, ""));
            if name.is_empty() {
                return Err("volume-label and volume-opt are KEY=VALUE".into());
            }
            table.insert(name.to_owned(), value.to_owned());
            Ok(())
        }
        _ => unknown(
            ", source, ro, rw, nocopy, subpath, volume-label, volume-opt, volume-driver, relabel, U, O, exec, noexec",
        ),
    }
}

/// Splits at commas; a field in double quotes may have some (CSV, as docker reads it).
fn fields(text: &str) -> Parsed<Vec<String>> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted || field.is_empty() => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    if quoted {
        return Err("a double quote is not closed".into());
    }
    fields.push(field);
    Ok(fields)
}
