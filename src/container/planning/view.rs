//! What a plan is decided by: the files of the root that is to be entered, read before anything is mounted.

mod layered;

pub use layered::Layered;

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cowfs::tree::{Image, Kind};

/// A root that can be looked into. Paths are absolute, links are followed inside the root.
pub trait View {
    /// The first `limit` bytes of a regular file; `None` where there is none that can be read.
    fn read(&self, path: &Path, limit: usize) -> Option<Vec<u8>>;

    /// Whether anything is there.
    fn exists(&self, path: &Path) -> bool;

    /// Whether a regular file is there that somebody may execute.
    fn is_program(&self, path: &Path) -> bool;
}

/// The files of an image.
impl View for Image {
    fn read(&self, path: &Path, limit: usize) -> Option<Vec<u8>> {
        let inode = self.resolve(path.as_os_str().as_bytes()).filter(|inode| inode.kind == Kind::File)?;
        let mut content = vec![0; limit.min(usize::try_from(inode.size).unwrap_or(limit))];
        let length = self.read_at(&inode, 0, &mut content).ok()?;
        content.truncate(length);
        Some(content)
    }

    fn exists(&self, path: &Path) -> bool {
        self.resolve(path.as_os_str().as_bytes()).is_some()
    }

    fn is_program(&self, path: &Path) -> bool {
        let inode = self.resolve(path.as_os_str().as_bytes());
        inode.is_some_and(|inode| inode.kind == Kind::File && inode.mode & 0o111 != 0)
    }
}

/// The files of this machine.
#[derive(Debug)]
pub struct Host;

impl View for Host {
    fn read(&self, path: &Path, limit: usize) -> Option<Vec<u8>> {
        let file = File::open(path).ok().filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()))?;
        let mut content = Vec::new();
        file.take(limit as u64).read_to_end(&mut content).ok()?;
        Some(content)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn is_program(&self, path: &Path) -> bool {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    }
}

/// Finds a program by name in the directories where programs are.
pub fn find_program(view: &dyn View, name: &OsStr) -> Option<PathBuf> {
    let directories = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"];
    directories.iter().map(|directory| Path::new(directory).join(name)).find(|path| view.is_program(path))
}

#[cfg(test)]
pub mod fake {
    //! A root made of a few files, for tests.

    use super::*;
    use std::collections::BTreeMap;

    /// Path and content; a path under a `bin` directory is a program.
    #[derive(Default)]
    pub struct Files(pub BTreeMap<&'static str, &'static str>);

    impl View for Files {
        fn read(&self, path: &Path, limit: usize) -> Option<Vec<u8>> {
            let content = self.0.get(path.to_str()?)?;
            Some(content.bytes().take(limit).collect())
        }

        fn exists(&self, path: &Path) -> bool {
            let text = path.to_str().unwrap();
            self.0.keys().any(|known| *known == text || known.starts_with(&format!("{text}/")))
        }

        fn is_program(&self, path: &Path) -> bool {
            self.0.contains_key(path.to_str().unwrap()) && path.parent().unwrap().ends_with("bin")
        }
    }
}
