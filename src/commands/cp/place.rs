//! What an argument of `cp` stands for.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// One side of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// An archive on a standard stream.
    Stream,
    /// A path of this machine.
    Here(PathBuf),
    /// A path of a container.
    Container(String, PathBuf),
}

impl Side {
    /// Reads one as docker does: a colon ends the name of a container, but not in a path that begins with a slash or a dot.
    pub fn parse(text: &OsStr) -> Self {
        let bytes = text.as_bytes();
        if bytes == b"-" {
            return Self::Stream;
        }
        let colon = bytes.iter().position(|byte| *byte == b':').filter(|at| *at > 0);
        match colon {
            Some(at) if !matches!(bytes[0], b'/' | b'.') => match std::str::from_utf8(&bytes[..at]) {
                Ok(name) => Self::Container(name.to_owned(), absolute(&bytes[at + 1..])),
                Err(_) => Self::Here(text.into()),
            },
            _ => Self::Here(text.into()),
        }
    }
}

/// Paths of a container begin at its root.
fn absolute(path: &[u8]) -> PathBuf {
    let slash: &[u8] = if path.starts_with(b"/") { b"" } else { b"/" };
    OsString::from_vec([slash, path].concat()).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sides_are_told_apart_as_docker_does() {
        for (text, expected) in [
            ("-", Side::Stream),
            ("web:/a/.", Side::Container("web".into(), "/a/.".into())),
            ("web:a b", Side::Container("web".into(), "/a b".into())),
            ("web:", Side::Container("web".into(), "/".into())),
            ("web:a:b", Side::Container("web".into(), "/a:b".into())),
            ("/a:b", Side::Here("/a:b".into())),
            ("./a:b", Side::Here("./a:b".into())),
            ("../a:b", Side::Here("../a:b".into())),
            (":a", Side::Here(":a".into())),
            ("file", Side::Here("file".into())),
        ] {
            assert_eq!(Side::parse(OsStr::new(text)), expected, "{text}");
        }
        let Side::Container(_, path) = Side::parse(OsStr::new("web:a/.")) else { panic!() };
        assert!(path.as_os_str().as_bytes().ends_with(b"/."), "what ends in a dot keeps it");
    }

    proptest! {
        #[test]
        fn any_bytes_are_one_of_them(bytes in proptest::collection::vec(1_u8.., 1..40)) {
            match Side::parse(OsStr::from_bytes(&bytes)) {
                Side::Stream => prop_assert_eq!(&bytes, b"-"),
                Side::Here(path) => prop_assert_eq!(path.as_os_str().as_bytes(), &bytes),
                Side::Container(name, path) => prop_assert!(!name.contains(':') && path.is_absolute()),
            }
        }
    }
}
