//! `xdg-open` and its like: what is to be opened is named as it is known outside.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::ask::{ask, usual};
use crate::show;

/// What xdg-open(1) ends with for a command line that it does not understand.
const WRONG: u8 = 1;

/// Where a file is not there.
const NO_FILE: u8 = 2;

/// Opens what is named.
pub fn open(name: &OsStr, mut arguments: Vec<OsString>) -> ExitCode {
    let name = name.to_string_lossy();
    let [what] = &mut arguments[..] else {
        return show::failure(&[format!("{name} takes one address or file")], None, WRONG);
    };
    let text = what.to_string_lossy().into_owned();
    if matches!(text.as_str(), "--help" | "-h" | "--manual" | "--version") {
        show::data("xdg-open ADDRESS|FILE: opens it on this machine, outside of the container, as enter's own.\n");
        return ExitCode::SUCCESS;
    }
    if text.starts_with('-') {
        return show::failure(&[format!("{name} knows no option {text}")], None, WRONG);
    }
    let path = match text.strip_prefix("file://") {
        Some(path) => PathBuf::from(decoded(path.strip_prefix("localhost").unwrap_or(path))),
        None if has_scheme(&text) => return ask(OsStr::new("open"), arguments),
        None => PathBuf::from(&*what),
    };
    match path.canonicalize() {
        Ok(path) => ask(OsStr::new("open"), vec![usual(path).into()]),
        Err(error) => show::failure(&[format!("cannot open {text}"), error.to_string().to_lowercase()], None, NO_FILE),
    }
}

/// Whether it begins as addresses do: `NAME:`.
fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once(':') else { return false };
    scheme.starts_with(|char: char| char.is_ascii_alphabetic())
        && scheme.chars().all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
}

/// Without its `%XX`.
fn decoded(text: &str) -> OsString {
    use std::os::unix::ffi::OsStringExt;
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|_| *byte == b'%').and_then(|hex| u8::from_str_radix(hex, 16).ok());
        plain.push(hex.unwrap_or(*byte));
        at += if hex.is_some() { 3 } else { 1 };
    }
    OsString::from_vec(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_files() {
        for address in ["https://x", "mailto:a@b", "x-y+z.1:"] {
            assert!(has_scheme(address), "{address}");
        }
        for file in ["a/b:c", "/a", "./https:", "1:2", ":", ""] {
            assert!(!has_scheme(file), "{file}");
        }
        assert_eq!(decoded("/a%20b%zz%"), "/a b%zz%");
    }
}
