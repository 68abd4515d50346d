//! What `volume create --opt` says: docker's and podman's options of the driver `local`, as far as an ordinary user can have them.

use std::collections::BTreeMap;

use super::Error;

/// What a volume's top is to be like; each as it is in any case where it was not asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looks {
    /// Whose it is, in the container's ids.
    pub uid: Option<u32>,
    /// Which group's.
    pub gid: Option<u32>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// At most so many bytes.
    pub size: Option<u64>,
    /// At most so many files.
    pub inodes: Option<u64>,
    /// Programs in it are not run.
    pub no_exec: bool,
}

/// Whether its files are in memory, each container's own.
pub fn is_memory(options: &BTreeMap<String, String>) -> bool {
    options.get("type").is_some_and(|kind| kind == "tmpfs")
}

/// Sees that all of them can be had.
///
/// # Errors
/// [`Error::Option`].
pub fn check(options: &BTreeMap<String, String>) -> Result<(), Error> {
    let refused = |key: &str, value: &str, reason: &str, hint: &str| Error::Option {
        option: format!("{key}={value}"),
        reason: reason.into(),
        hint: hint.into(),
    };
    for (key, value) in options {
        match (key.as_str(), value.as_str()) {
            ("type", "none" | "bind" | "tmpfs" | "") | ("device" | "o", _) => {}
            ("type", _) => {
                let hint = "mount it as root, and make a volume of the folder: --opt type=none,device=/FOLDER,o=bind";
                return Err(refused(key, value, "only root may mount that", hint));
            }
            _ => return Err(refused(key, value, "it is not known", "known are type, device and o")),
        }
    }
    let looks = looks(options)?;
    if is_memory(options) {
        return Ok(());
    }
    if looks.size.is_some() || looks.inodes.is_some() {
        let hint =
            "keep it in memory with --opt type=tmpfs, or put it on a filesystem of that size: --opt device=/FOLDER";
        return Err(refused("o", "size", "only root may limit what a folder holds", hint));
    }
    let is_owned = looks.uid.is_some() || looks.gid.is_some();
    let binds = options.get("o").is_some_and(|text| words(text).any(|word| matches!(word, "bind" | "rbind")));
    match options.get("device") {
        Some(device) if !device.starts_with('/') => {
            Err(refused("device", device, "it is no whole path", "name a folder by its path from / on"))
        }
        Some(device) if is_owned => Err(refused(
            "device",
            device,
            "a folder of yours keeps its owner",
            "leave uid and gid away, or give it with -v NAME:TARGET:U",
        )),
        None if binds || options.contains_key("type") || (options.contains_key("o") && !is_owned) => {
            Err(refused("type", "none", "there is no device to show", "name a folder with --opt device=/FOLDER"))
        }
        _ => Ok(()),
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// Reads `o`.
///
/// # Errors
/// [`Error::Option`].
pub fn looks(options: &BTreeMap<String, String>) -> Result<Looks, Error> {
    let memory = is_memory(options);
    let mut looks = Looks::default();
    for word in options.get("o").map(|text| words(text)).into_iter().flatten() {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let wrong = |reason: &str| Error::Option {
            option: format!("o={word}"),
            reason: reason.into(),
            hint: match memory {
                true => "known for type=tmpfs are size, mode, uid, gid, nr_inodes, ro, rw, exec and noexec".into(),
                false => "known are bind, rbind, ro, rw, noexec, uid and gid; anything else needs root".into(),
            },
        };
        let id = || {
            value.parse().ok().filter(|id| *id != u32::MAX).ok_or_else(|| wrong("it is no number of a user or group"))
        };
        match key {
            "ro" | "rw" | "nosuid" | "nodev" | "exec" => {}
            "noexec" => looks.no_exec = true,
            "bind" | "rbind" if !memory => {}
            "uid" => looks.uid = Some(id()?),
            "gid" => looks.gid = Some(id()?),
            "size" => looks.size = Some(number(value).ok_or_else(|| wrong("it is no size such as 64m"))?),
            "nr_inodes" | "inodes" => looks.inodes = Some(number(value).ok_or_else(|| wrong("it is no number"))?),
            "mode" if memory => {
                let bits = u32::from_str_radix(value, 8).ok().filter(|bits| *bits <= 0o7777);
                looks.mode = Some(bits.ok_or_else(|| wrong("it is no octal number such as 1777"))?);
            }
            _ => return Err(wrong("it is not known")),
        }
    }
    Ok(looks)
}

/// A number as tmpfs takes it: with k, m or g behind it.
fn number(text: &str) -> Option<u64> {
    let text = text.trim_end_matches(['b', 'B']);
    let (digits, shift) = match text.as_bytes().last()?.to_ascii_lowercase() {
        b'k' => (&text[..text.len() - 1], 10),
        b'm' => (&text[..text.len() - 1], 20),
        b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_only_root_may_mount_is_refused() {
        for good in [
            &[][..],
            &[("type", "none"), ("device", "/srv"), ("o", "bind,ro")],
            &[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=100m,uid=1000")],
            &[("type", "tmpfs")],
            &[("o", "uid=1000,gid=1000")],
        ] {
            assert!(check(&options(good)).is_ok(), "{good:?}");
        }
        for bad in [
            &[("type", "nfs"), ("device", ":/x")][..],
            &[("type", "tmpfs"), ("o", "size=lots")],
            &[("type", "tmpfs"), ("o", "bind")],
            &[("o", "size=1g"), ("device", "/x")],
            &[("o", "size=1g")],
            &[("o", "uid=1"), ("device", "/x")],
            &[("o", "uid=root")],
            &[("o", "bind")],
            &[("device", "relative")],
            &[("colour", "red")],
        ] {
            let error = check(&options(bad)).unwrap_err();
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{error}");
        }
    }

    #[test]
    fn sizes_are_those_of_the_kernel() {
        let all = looks(&options(&[("type", "tmpfs"), ("o", "size=100m,mode=700,uid=5,nr_inodes=1k,noexec")])).unwrap();
        let expected = Looks {
            uid: Some(5),
            gid: None,
            mode: Some(0o700),
            size: Some(100 << 20),
            inodes: Some(1024),
            no_exec: true,
        };
        assert_eq!(all, expected);
    }
}
