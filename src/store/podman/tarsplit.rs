//! A tar put together again from the files that were unpacked from it, and from what was not: headers and padding, kept by `tar-split` as a line
//! of JSON each.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use super::Files;

/// The longest line, in bytes: the headers of one entry, or the zeros behind the last.
const MAX_LINE: u64 = 16 << 20;
/// A line that is the content of a file.
const FILE: u8 = 1;
/// A line that is bytes of the tar.
const BYTES: u8 = 2;

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    name_raw: Option<String>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    payload: Option<String>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// So much of a file's content; never nothing.
    File(PathBuf, u64),
    /// Nothing, as of an empty file.
    Nothing,
}

/// Reads a line.
pub fn parse(line: &[u8]) -> io::Result<Piece> {
    let wrong = |error: &dyn std::fmt::Display| {
        io::Error::new(io::ErrorKind::InvalidData, format!("a line of the tar-split is wrong: {error}"))
    };
    let decode = |text: &str| BASE64_STANDARD.decode(text).map_err(|error| wrong(&error));
    let line: Line = serde_json::from_slice(line).map_err(|error| wrong(&error))?;
    match (line.kind, line.size.unwrap_or(0)) {
        (BYTES, _) => Ok(Piece::Bytes(decode(line.payload.as_deref().unwrap_or_default())?)),
        (FILE, 0) => Ok(Piece::Nothing),
        (FILE, size) => {
            let name = match (line.name_raw.filter(|raw| !raw.is_empty()), line.name) {
                (Some(raw), _) => decode(&raw)?,
                (None, Some(name)) => name.into_bytes(),
                (None, None) => return Err(wrong(&"a file without a name")),
            };
            Ok(Piece::File(PathBuf::from(std::ffi::OsString::from_vec(name)), size))
        }
        (other, _) => Err(wrong(&format!("its type is {other}"))),
    }
}

/// The tar.
pub struct Tar<'a, R> {
    lines: R,
    folder: PathBuf,
    files: &'a mut dyn Files,
    now: Now,
}

enum Now {
    Bytes(Vec<u8>, usize),
    File(File, u64, PathBuf),
}

impl<'a, R: BufRead> Tar<'a, R> {
    /// The tar that `lines` describe, whose files are below `folder`.
    pub fn new(lines: R, folder: PathBuf, files: &'a mut dyn Files) -> Self {
        Self { lines, folder, files, now: Now::Bytes(Vec::new(), 0) }
    }

    /// Goes on to the next line; `false` at the end.
    fn next(&mut self) -> io::Result<bool> {
        let mut line = Vec::new();
        let got = (&mut self.lines).take(MAX_LINE).read_until(b'\n', &mut line)?;
        if got as u64 == MAX_LINE {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "a line of the tar-split is too long"));
        }
        if got == 0 {
            return Ok(false);
        }
        self.now = match parse(&line)? {
            Piece::Nothing => Now::Bytes(Vec::new(), 0),
            Piece::Bytes(bytes) => Now::Bytes(bytes, 0),
            Piece::File(path, size) => {
                let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", shown(&path)));
                let file = self.files.open(&self.folder, &path).map_err(named)?;
                if !file.metadata().map_err(named)?.is_file() {
                    return Err(named(io::Error::other("it is no file")));
                }
                Now::File(file, size, path)
            }
        };
        Ok(true)
    }
}

impl<R: BufRead> Read for Tar<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.now {
                Now::Bytes(bytes, at) if *at < bytes.len() => {
                    let got = into.len().min(bytes.len() - *at);
                    into[..got].copy_from_slice(&bytes[*at..*at + got]);
                    *at += got;
                    return Ok(got);
                }
                Now::File(file, left, path) if *left > 0 => {
                    let wanted = usize::try_from(*left).unwrap_or(usize::MAX).min(into.len());
                    let got = file.read(&mut into[..wanted])?;
                    if got == 0 && wanted > 0 {
                        let reason = format!("{} has been changed since it was unpacked", shown(path));
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
                    }
                    *left -= got as u64;
                    return Ok(got);
                }
                _ => {}
            }
            if !self.next()? {
                return Ok(0);
            }
        }
    }
}

fn shown(path: &Path) -> String {
    crate::store::bundle::shown(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Below;

    impl Files for Below {
        fn open(&mut self, folder: &Path, path: &Path) -> io::Result<File> {
            File::open(folder.join(path))
        }
    }

    fn read(lines: &str, folder: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Tar::new(lines.as_bytes(), folder.to_owned(), &mut Below).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn bytes_and_files_are_put_together_in_order() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), "content").unwrap();
        let lines = "{\"type\":2,\"payload\":\"aGVhZA==\",\"position\":0}\n{\"type\":1,\"name\":\"f\",\"size\":7,\"payload\":\"AAA=\"}\n\
                     {\"type\":1,\"name\":\"gone\",\"payload\":null,\"size\":0}\n{\"type\":2,\"payload\":\"dGFpbA==\"}\n\
                     {\"type\":1,\"name_raw\":\"Zg==\",\"size\":3}\n";
        assert_eq!(read(lines, dir.path()).unwrap(), b"headcontenttailcon");
        for (lines, reason) in [
            ("{\"type\":1,\"name\":\"f\",\"size\":8}\n", "changed"),
            ("{\"type\":1,\"name\":\"none\",\"size\":8}\n", "none"),
            ("{\"type\":3}\n", "type is 3"),
            ("{\"type\":2,\"payload\":\"%\"}\n", "wrong"),
            ("{\"type\":1,\"size\":1}\n", "name"),
            ("x\n", "wrong"),
        ] {
            let error = read(lines, dir.path()).unwrap_err().to_string();
            assert!(error.contains(reason), "{lines}: {error}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        struct Endless;
        impl Read for Endless {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                into.fill(b'1');
                Ok(into.len())
            }
        }
        let mut below = Below;
        let mut tar = Tar::new(io::BufReader::new(Endless), PathBuf::new(), &mut below);
        assert_eq!(tar.read(&mut [0; 10]).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    proptest! {
        #[test]
        fn any_line_is_no_panic(text in "\\{\"type\":[0-3],\"(name|name_raw|payload)\":\"[a-zA-Z=+/.]{0,9}\",\"size\":-?[0-9]{1,22}\\}|.{0,60}") {
            let _ = parse(text.as_bytes());
        }
    }
}
