//! Where images and containers are to be kept: whether it can be written, and whether its filesystem keeps what it is given.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::finding::Finding;

const STORE: &str = "store";
const ATTRIBUTES: &str = "extended attributes";

/// A folder to try things in, on the filesystem of the store; removed with this value.
pub struct Scratch {
    root: PathBuf,
    made: io::Result<PathBuf>,
}

/// Makes a folder in the store and writes a file into it.
pub fn scratch(store: &Path) -> Scratch {
    Scratch { root: store.to_owned(), made: make(store) }
}

fn make(store: &Path) -> io::Result<PathBuf> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(store)?;
    let folder = store.join(format!("doctor.{}", std::process::id()));
    // What a killed doctor with our process id left.
    remove(&folder);
    fs::DirBuilder::new().mode(0o700).create(&folder)?;
    let written = fs::File::create(folder.join("file")).and_then(|mut file| {
        file.write_all(b"written\n")?;
        file.sync_all()
    });
    match written {
        Ok(()) => Ok(folder),
        Err(error) => {
            remove(&folder);
            Err(error)
        }
    }
}

fn remove(folder: &Path) {
    // overlayfs makes a folder in its work folder that nobody may look into.
    let inner = folder.join("work/work");
    if inner.exists() {
        let _ = fs::set_permissions(&inner, fs::Permissions::from_mode(0o700));
    }
    let _ = fs::remove_dir_all(folder);
}

impl Scratch {
    /// Whether the store can be written.
    pub fn finding(&self) -> Finding {
        let root = self.root.display();
        match &self.made {
            Ok(_) => Finding::good(STORE, format!("{root} written")),
            Err(error) => {
                let mend = match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        "make room there, or set XDG_DATA_HOME to a folder on another disk".to_owned()
                    }
                    io::ErrorKind::PermissionDenied => format!(
                        "make {root} your own (sudo chown -R \"$(id -u):$(id -g)\" '{root}'), or set XDG_DATA_HOME to a folder \
                         that is"
                    ),
                    _ => "set XDG_DATA_HOME to a folder that can be written".to_owned(),
                };
                Finding::bad(STORE, format!("cannot write in {root}: {error}"), Some(mend))
            }
        }
    }

    /// The folder, if it could be made.
    pub fn place(&self) -> Option<&Path> {
        self.made.as_deref().ok()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Ok(folder) = &self.made {
            remove(folder);
        }
    }
}

/// Sets an attribute of the kind in which overlayfs keeps what was deleted, and cowfs whose a file is.
pub fn attributes(scratch: &Path) -> Finding {
    match sys::xattr::set(&scratch.join("file"), c"user.enter.doctor", b"y") {
        Ok(()) => Finding::good(ATTRIBUTES, "kept by the store's filesystem"),
        Err(errno) => {
            let detail = format!("the filesystem of {} keeps none: {}", scratch.display(), errno.desc());
            match errno {
                Errno::ENOSPC | Errno::EDQUOT => {
                    Finding::bad(ATTRIBUTES, detail, Some("make room on that filesystem".into()))
                }
                // cowfs writes them down beside the files then.
                _ => {
                    let cost = "; containers keep their changes by the fuse driver, which is slower so";
                    let mend = "set XDG_DATA_HOME to a folder on ext4, xfs or btrfs";
                    Finding::less(ATTRIBUTES, detail + cost, Some(mend.into()))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{attributes, scratch};
    use crate::doctor::State;

    #[test]
    fn a_store_that_can_be_written_is_left_as_it_was() {
        let home = tempfile::tempdir().unwrap();
        let store = home.path().join("enter/v1");
        {
            let scratch = scratch(&store);
            assert_eq!(scratch.finding().state, State::Good);
            assert!(scratch.place().unwrap().join("file").exists());
            attributes(scratch.place().unwrap());
        }
        assert_eq!(store.read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_store_in_the_way_of_a_file_is_bad_and_says_where() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("enter"), "").unwrap();
        let scratch = scratch(&home.path().join("enter/v1"));
        let finding = scratch.finding();
        assert_eq!((finding.state, scratch.place()), (State::Bad, None));
        assert!(finding.detail.contains("enter/v1") && finding.mend.is_some(), "{finding:?}");
    }
}
