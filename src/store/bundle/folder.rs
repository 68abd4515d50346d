//! The files of a folder, none of which leads out of it.

use std::fs::File;
use std::io;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::{Held, Part, shown, wrong};
use crate::store::Error;

/// A folder.
#[derive(Debug)]
pub struct Folder {
    root: File,
}

impl Folder {
    /// The one that is open.
    pub fn new(root: File) -> Self {
        Self { root }
    }

    /// A file's content.
    pub fn open(&self, path: &str) -> Result<Part<'static>, Error> {
        // What is no file, a pipe say, is not waited for.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let input = |source| Error::Input { what: shown(path), source };
        let file = match sys::path::open_in_root(&self.root, Path::new(path), flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ENOTDIR) => {
                return Err(wrong(format!("{} is not in it", shown(path))));
            }
            Err(errno) => return Err(input(io::Error::from(errno))),
        };
        let status = file.metadata().map_err(input)?;
        if !status.is_file() {
            return Err(wrong(format!("{} is no file", shown(path))));
        }
        Ok(Part { file: Held::Owned(file), at: 0, left: status.len() })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_is_read_and_no_pipe_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "inside").unwrap();
        symlink("/etc/passwd", dir.path().join("out")).unwrap();
        symlink("file", dir.path().join("in")).unwrap();
        nix::unistd::mkfifo(&dir.path().join("pipe"), Mode::S_IRWXU).unwrap();
        let folder = Folder::new(File::open(dir.path()).unwrap());
        let mut text = String::new();
        folder.open("in").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "inside");
        for path in ["out", "pipe", "missing", "../../etc/passwd", "."] {
            assert!(folder.open(path).is_err(), "{path}");
        }
    }
}
