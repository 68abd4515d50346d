//! The text of mount options: where one ends, and what its value says.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result, shown};
use crate::owners::Extent;

/// One option, for words about it.
pub struct One<'o> {
    pub name: &'o [u8],
    pub value: Option<&'o [u8]>,
}

impl One<'_> {
    pub fn wrong(&self, reason: &str) -> Error {
        let value = self.value.map(|value| format!("={}", shown(value)));
        wrong(shown(self.name) + &value.unwrap_or_default(), reason)
    }

    /// Which of several values it has.
    pub fn choice(&self, value: &[u8], values: &[&[u8]]) -> Result<usize> {
        let known: Vec<_> = values.iter().map(|value| String::from_utf8_lossy(value)).collect();
        let wrong = || self.wrong(&format!("it can be {} here", known.join(" or ")));
        values.iter().position(|known| *known == value).ok_or_else(wrong)
    }

    pub fn id(&self, value: &[u8]) -> Result<u32> {
        number(value).filter(|&id| id != u32::MAX).ok_or_else(|| self.wrong("it needs a number"))
    }

    /// `ID:SHOWN:COUNT`, once or several times.
    pub fn extents(&self, value: &[u8]) -> Result<Vec<Extent>> {
        // podman begins with a colon.
        let value = value.strip_prefix(b":").unwrap_or(value);
        let numbers: Option<Vec<u32>> = value.split(|&b| b == b':').map(number).collect();
        let wrong = || self.wrong("it needs three numbers, or three times as many, separated by colons");
        let numbers = numbers.ok_or_else(wrong)?;
        let (triples, rest) = numbers.as_chunks::<3>();
        let fits = |[id, shown, count]: &[u32; 3]| {
            *count > 0 && id.checked_add(*count).is_some() && shown.checked_add(*count).is_some()
        };
        if !rest.is_empty() || !triples.iter().all(fits) {
            return Err(wrong());
        }
        Ok(triples.iter().map(|&[inside, outside, count]| Extent { inside, outside, count }).collect())
    }

    pub fn seconds(&self, value: &[u8]) -> Result<Duration> {
        let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<f64>().ok());
        let seconds = number.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.ok_or_else(|| self.wrong("it needs a number of seconds"))
    }
}

pub fn wrong(option: String, reason: &str) -> Error {
    Error::Option { option, reason: reason.to_owned() }
}

/// Digits, and nothing else.
fn number(digits: &[u8]) -> Option<u32> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| std::str::from_utf8(digits).ok()?.parse().ok())?
}

/// The parts between separators that stand neither behind a backslash nor in a value in double quotes. Backslashes are kept, but
/// before the separator; quotes are not kept.
pub fn split(text: &[u8], separator: u8) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut quoted = false;
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        let part = parts.last_mut().expect("there is always one");
        match byte {
            b'\\' => match bytes.next() {
                Some(next) if next == separator => part.push(next),
                next => part.extend([byte].into_iter().chain(next)),
            },
            b'"' if quoted || part.ends_with(b"=") => quoted = !quoted,
            _ if byte == separator && !quoted => parts.push(Vec::new()),
            _ => part.push(byte),
        }
    }
    parts
}

/// Paths separated by colons. `None` where one is empty: two colons announce directories for data alone to the kernel.
pub fn directories(value: &[u8]) -> Option<Vec<PathBuf>> {
    split(value, b':').iter().map(|dir| (!dir.is_empty()).then(|| path(dir))).collect()
}

/// A path in which backslashes take away the meaning of what follows.
pub fn path(value: &[u8]) -> PathBuf {
    let mut plain = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        let escaped = if byte == b'\\' { bytes.next() } else { None };
        plain.push(escaped.unwrap_or(byte));
    }
    OsString::from_vec(plain).into()
}
