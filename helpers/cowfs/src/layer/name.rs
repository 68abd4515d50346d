//! Names in a tar, made harmless: lexically cleaned, clamped to the root, and measured.

use super::{Limits, NAME_MAX};
use crate::error::{Error, Result, shown};

/// What a path in a layer stands for, by its name alone.
#[derive(Debug, PartialEq, Eq)]
pub enum Name {
    /// An ordinary path.
    Plain(Vec<u8>),
    /// `dir/.wh.name`: the path that is hidden.
    Whiteout(Vec<u8>),
    /// `dir/.wh..wh..opq`: the directory whose lower content is hidden.
    Opaque(Vec<u8>),
    /// Bookkeeping of AUFS (`.wh..wh.plnk` and the like), which is no part of an image.
    Ignored,
}

const WHITEOUT: &[u8] = b".wh.";
const AUFS: &[u8] = b".wh..wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Cleans `raw` lexically: empty components and `.` vanish, `..` takes back its predecessor and never
/// leaves the root. The result has no leading slash; the root is empty.
pub fn clean(raw: &[u8], limits: &Limits) -> Result<Vec<u8>> {
    let fail = |reason: String| Error::Entry { path: shown(raw), reason };
    let limit = |what, limit| Error::Limit { path: shown(raw), what, limit };
    if raw.contains(&0) {
        return Err(fail("its name contains a NUL byte".to_owned()));
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in raw.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ if part.len() > NAME_MAX => {
                return Err(limit("bytes in a name", NAME_MAX as u64));
            }
            _ => parts.push(part),
        }
        if parts.len() > limits.depth {
            return Err(limit("depth", limits.depth as u64));
        }
    }
    let path = parts.join(&b'/');
    if path.len() > limits.path_bytes {
        return Err(limit("bytes in a path", limits.path_bytes as u64));
    }
    Ok(path)
}

/// Cleans `raw` and tells whiteouts from ordinary names.
pub fn classify(raw: &[u8], limits: &Limits) -> Result<Name> {
    let path = clean(raw, limits)?;
    let split = path.iter().rposition(|&b| b == b'/');
    let (dir, file) = match split {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&b""[..], &path[..]),
    };
    if dir.split(|&b| b == b'/').any(|part| part.starts_with(AUFS)) {
        return Ok(Name::Ignored);
    }
    if file == OPAQUE {
        return Ok(Name::Opaque(dir.to_vec()));
    }
    if file.starts_with(AUFS) {
        return Ok(Name::Ignored);
    }
    let Some(hidden) = file.strip_prefix(WHITEOUT) else {
        return Ok(Name::Plain(path));
    };
    if matches!(hidden, b"" | b"." | b"..") {
        return Err(Error::Entry { path: shown(raw), reason: "a whiteout that names nothing".to_owned() });
    }
    let mut target = dir.to_vec();
    if !target.is_empty() {
        target.push(b'/');
    }
    target.extend_from_slice(hidden);
    Ok(Name::Whiteout(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(raw: &str) -> String {
        String::from_utf8(clean(raw.as_bytes(), &Limits::default()).unwrap()).unwrap()
    }

    #[test]
    fn names_are_clamped_to_the_root() {
        assert_eq!(cleaned("/etc//passwd"), "etc/passwd");
        assert_eq!(cleaned("./a/./b/"), "a/b");
        assert_eq!(cleaned("../../etc/passwd"), "etc/passwd");
        assert_eq!(cleaned("a/../../../b"), "b");
        assert_eq!(cleaned("/"), "");
        assert_eq!(cleaned("./"), "");
    }

    #[test]
    fn names_are_measured() {
        let limits = Limits::default();
        assert!(clean(&[b'x'; 255], &limits).is_ok());
        let error = clean(&[b'x'; 256], &limits).unwrap_err();
        assert!(error.to_string().contains("limit of 255"), "{error}");
        let long = vec![b"x".as_slice(); 2047].join(&b'/');
        assert_eq!(long.len(), 4093);
        assert!(clean(&long, &limits).is_ok());
        assert!(clean(&[&long[..], b"/xyz"].concat(), &limits).is_err());
        assert!(clean(b"a\0b", &limits).is_err());
    }

    #[test]
    fn whiteouts_are_told_apart() {
        let of = |raw: &str| classify(raw.as_bytes(), &Limits::default());
        assert_eq!(of("a/.wh.b").unwrap(), Name::Whiteout(b"a/b".to_vec()));
        assert_eq!(of(".wh.b").unwrap(), Name::Whiteout(b"b".to_vec()));
        assert_eq!(of("a/.wh..wh..opq").unwrap(), Name::Opaque(b"a".to_vec()));
        assert_eq!(of(".wh..wh..opq").unwrap(), Name::Opaque(b"".to_vec()));
        assert_eq!(of(".wh..wh.plnk/1.2").unwrap(), Name::Ignored);
        assert_eq!(of(".wh..wh.aufs").unwrap(), Name::Ignored);
        assert_eq!(of("a/.whb").unwrap(), Name::Plain(b"a/.whb".to_vec()));
        assert!(of("a/.wh.").is_err());
        assert!(of("a/.wh...").is_err());
    }
}
