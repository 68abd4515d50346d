//! Directories of the host as the layers of one lower, the way the kernel's overlay and fuse-overlayfs take them.

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use sys::statx::statx;

use crate::error::{Error, Result};

/// Directories laid over each other, opened. Nobody changes them while they are shown.
///
/// What hides a name of the directories below: a character device 0:0; an empty file with the attribute
/// `user.overlay.whiteout`; a file `.wh.NAME`. What hides all that the directories below have at its place: a directory with the
/// attribute `user.overlay.opaque`, `trusted.overlay.opaque` (where it can be read) or `user.fuseoverlayfs.opaque`, of value `y`, or
/// with a file `.wh..wh..opq` in it. Owners, permissions and types that are only recorded are shown as they are recorded
/// ([`upper::record`](crate::upper::record), `user.fuseoverlayfs.override_stat`, `user.containers.override_stat`).
#[derive(Debug)]
pub struct Dirs {
    pub(crate) layers: Vec<OwnedFd>,
    pub(crate) lifetime: Duration,
    pub(crate) counts: bool,
    pub(crate) own: Option<Own>,
}

/// A name that is not shown: that of the mount itself.
#[derive(Debug)]
pub(crate) struct Own {
    device: (u32, u32),
    inode: u64,
    pub(crate) name: CString,
}

impl Own {
    /// Whether it is in this directory.
    pub(crate) fn is_in(&self, dir: &OwnedFd) -> bool {
        statx(dir, c"").is_ok_and(|dir| (dir.device, dir.inode) == (self.device, self.inode))
    }
}

/// As long as the kernel can count.
const FOR_EVER: Duration = Duration::from_secs(u32::MAX as u64);

impl Dirs {
    /// Opens the directories at `paths`, the topmost first.
    ///
    /// # Errors
    ///
    /// [`Error::File`] where one is none, or may not be looked at.
    pub fn open<P: AsRef<Path>>(paths: &[P]) -> Result<Dirs> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let open = |path: &P| {
            open(path.as_ref(), flags, Mode::empty()).map_err(|errno| Error::File {
                action: "open the directory",
                path: PathBuf::from(path.as_ref()),
                source: errno.into(),
            })
        };
        let layers = paths.iter().map(open).collect::<Result<Vec<_>>>()?;
        Ok(Dirs { layers, lifetime: FOR_EVER, counts: true, own: None })
    }

    /// Gives every directory one link: to count them, directories that are merged have to be read.
    pub fn without_counting(mut self) -> Dirs {
        self.counts = false;
        self
    }

    /// Does not show the directory that all this is mounted at, an absolute path: whoever looked at it there would wait for himself.
    ///
    /// # Errors
    ///
    /// [`Error::File`] where the directory above it cannot be looked at.
    pub fn mounted_at(mut self, target: &Path) -> Result<Dirs> {
        let (Some(above), Some(name)) = (target.parent(), target.file_name()) else { return Ok(self) };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let status = open(above, flags, Mode::empty()).and_then(|dir| statx(dir, c""));
        let status = status.map_err(|errno| Error::File {
            action: "look at the directory",
            path: above.to_owned(),
            source: errno.into(),
        })?;
        let name = CString::new(name.as_bytes()).unwrap_or_default();
        self.own = Some(Own { device: status.device, inode: status.inode, name });
        Ok(self)
    }

    /// How long the kernel may keep what it has been told, where that is not for ever.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Dirs {
        self.lifetime = lifetime.min(FOR_EVER);
        self
    }
}
