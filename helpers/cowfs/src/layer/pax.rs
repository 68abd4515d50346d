//! Extended headers (POSIX.1-2001, "pax Interchange Format"): records `LENGTH KEY=VALUE\n`.
//!
//! Values may hold any byte, newlines among them, so records are cut by their length alone.

use super::sparse;
use super::{Limits, Time, may_be_shown};
use crate::error::{Error, Result, shown};

/// What the extended header before an entry says about it.
#[derive(Debug, Default)]
pub struct Pax {
    pub path: Option<Vec<u8>>,
    pub linkpath: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<Time>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: sparse::Pax,
}

impl Pax {
    /// Reads all records of one extended header. A later record of a key replaces an earlier one; an
    /// empty value takes it back.
    pub fn parse(mut bytes: &[u8], limits: &Limits) -> Result<Pax> {
        let mut pax = Pax::default();
        while !bytes.is_empty() {
            let (record, rest) = cut(bytes).ok_or_else(|| bad("a record's length is wrong"))?;
            bytes = rest;
            let equals = record.iter().position(|&b| b == b'=');
            let (key, value) = match equals {
                Some(0) | None => return Err(bad("a record has no key")),
                Some(at) => (&record[..at], &record[at + 1..]),
            };
            pax.take(key, value, limits)?;
        }
        Ok(pax)
    }

    fn take(&mut self, key: &[u8], value: &[u8], limits: &Limits) -> Result<()> {
        match key {
            b"path" => self.path = some(value),
            b"linkpath" => self.linkpath = some(value),
            b"size" => self.size = number(value)?,
            b"uid" => self.uid = number(value)?,
            b"gid" => self.gid = number(value)?,
            b"mtime" => self.mtime = time(value)?,
            _ => {
                if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
                    return self.sparse.take(name, value, limits);
                }
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattr(name.to_vec(), value.to_vec(), limits)?;
                } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                    // libarchive writes both forms; the plain one is preferred where both are there.
                    let name = percent_decoded(name);
                    if !self.xattrs.iter().any(|(known, _)| *known == name) {
                        let value = base64_decoded(value).ok_or_else(|| bad("an attribute is not valid base64"))?;
                        self.xattr(name, value, limits)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps an attribute if it may be shown: capabilities and the user's own, but none with which an
    /// image could speak to overlayfs or to this filesystem.
    fn xattr(&mut self, name: Vec<u8>, value: Vec<u8>, limits: &Limits) -> Result<()> {
        if !may_be_shown(&name) {
            return Ok(());
        }
        let too_large = || Error::Limit {
            path: shown(&name),
            what: "bytes in extended attributes",
            limit: limits.xattr_bytes as u64,
        };
        if name.len() > super::NAME_MAX {
            return Err(too_large());
        }
        self.xattrs.retain(|(known, _)| *known != name);
        if self.xattrs.len() >= limits.xattrs {
            return Err(Error::Limit {
                path: shown(&name),
                what: "extended attributes of an entry",
                limit: limits.xattrs as u64,
            });
        }
        let used: usize = self.xattrs.iter().map(|(n, v)| n.len() + v.len()).sum();
        if used + name.len() + value.len() > limits.xattr_bytes {
            return Err(too_large());
        }
        self.xattrs.push((name, value));
        Ok(())
    }
}

/// The first record without its length and newline, and what follows it.
fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().take(20).position(|&b| b == b' ')?;
    let length: usize = digits(&bytes[..space])?.try_into().ok()?;
    let record = bytes.get(..length)?;
    let body = record.get(space + 1..length.checked_sub(1)?)?;
    (record.last() == Some(&b'\n')).then(|| (body, &bytes[length..]))
}

fn some(value: &[u8]) -> Option<Vec<u8>> {
    (!value.is_empty()).then(|| value.to_vec())
}

fn bad(reason: &str) -> Error {
    Error::Entry { path: "extended header".to_owned(), reason: reason.to_owned() }
}

/// A decimal number of digits alone.
pub fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn number(value: &[u8]) -> Result<Option<u64>> {
    if value.is_empty() {
        return Ok(None);
    }
    match digits(value) {
        Some(number) => Ok(Some(number)),
        None => Err(bad("a number is malformed")),
    }
}

/// `[-]SECONDS[.FRACTION]`; digits beyond nanoseconds are cut off.
fn time(value: &[u8]) -> Result<Option<Time>> {
    if value.is_empty() {
        return Ok(None);
    }
    let malformed = || bad("a time is malformed");
    let (negative, value) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let (whole, fraction) = match value.iter().position(|&b| b == b'.') {
        Some(at) => (&value[..at], &value[at + 1..]),
        None => (value, &b""[..]),
    };
    let secs = digits(whole).and_then(|s| i64::try_from(s).ok()).ok_or_else(malformed)?;
    if !fraction.iter().all(u8::is_ascii_digit) {
        return Err(malformed());
    }
    let nanos = (0..9).fold(0, |sum, i| sum * 10 + fraction.get(i).map_or(0, |digit| u32::from(digit - b'0')));
    Ok(Some(match (negative, nanos) {
        (false, _) => Time { secs, nanos },
        (true, 0) => Time { secs: -secs, nanos: 0 },
        (true, _) => Time { secs: -secs - 1, nanos: 1_000_000_000 - nanos },
    }))
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let hex = |b: Option<&u8>| b.and_then(|&b| char::from(b).to_digit(16));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        match (text[at], hex(text.get(at + 1)), hex(text.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// Base64 as libarchive writes it: the standard alphabet, padding optional.
fn base64_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let text = text.trim_ascii();
    let end = text.iter().rposition(|&b| b != b'=').map_or(0, |at| at + 1);
    let mut out = Vec::with_capacity(end * 3 / 4);
    let (mut bits, mut held) = (0u32, 0);
    for &byte in &text[..end] {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(six)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        crate::layer::scan::tests::pax_record(key, value)
    }

    fn parse(records: &[(&str, &[u8])]) -> Result<Pax> {
        let bytes: Vec<u8> = records.iter().flat_map(|(k, v)| record(k, v)).collect();
        Pax::parse(&bytes, &Limits::default())
    }

    #[test]
    fn a_newline_in_a_value_belongs_to_it() {
        let pax = parse(&[("path", b"a\n12 size=5\nb"), ("size", b"7")]).unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"a\n12 size=5\nb"[..]));
        assert_eq!(pax.size, Some(7));
    }

    #[test]
    fn times_before_1970_and_fractions() {
        let at = |text: &str| time(text.as_bytes()).unwrap().unwrap();
        assert_eq!(at("1.5"), Time { secs: 1, nanos: 500_000_000 });
        assert_eq!(at("-1.25"), Time { secs: -2, nanos: 750_000_000 });
        assert_eq!(at("-3"), Time { secs: -3, nanos: 0 });
        assert_eq!(at("1.0000000019"), Time { secs: 1, nanos: 1 });
        for bad in ["", "."] {
            assert!(!matches!(time(bad.as_bytes()), Ok(Some(_))));
        }
        for bad in ["x", "1.x", "--1", "1e3", "99999999999999999999"] {
            assert!(time(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn attributes_by_allow_list() {
        let pax = parse(&[
            ("SCHILY.xattr.user.mime", b"text\n/plain"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.security.selinux", b"label"),
            ("SCHILY.xattr.security.capability", b"\x01"),
            ("LIBARCHIVE.xattr.user.b%3dc", b"AAEC/w=="),
            ("LIBARCHIVE.xattr.user.mime", b"AAAA"),
        ])
        .unwrap();
        let expected: Vec<(Vec<u8>, Vec<u8>)> = vec![
            (b"user.mime".to_vec(), b"text\n/plain".to_vec()),
            (b"security.capability".to_vec(), b"\x01".to_vec()),
            (b"user.b=c".to_vec(), vec![0, 1, 2, 255]),
        ];
        assert_eq!(pax.xattrs, expected);
    }

    #[test]
    fn records_that_lie_about_their_length() {
        for bytes in ["5 a=b\n", "600 a=b\n", "0 a=b\n", "x a=b\n", "6 a=bc", "99999999999999999999 a=b\n"] {
            assert!(Pax::parse(bytes.as_bytes(), &Limits::default()).is_err(), "{bytes:?}");
        }
    }
}
