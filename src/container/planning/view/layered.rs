//! The files of a container that does not run: what it has changed, above its image, as overlayfs would show it.
//!
//! The upper side is hostile: it is walked component by component, and a link leads to another path in the same root.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cowfs::tree::{Image, Inode, Kind};

use super::{Host, View};

/// As many links as the kernel follows.
const MAX_LINKS: u32 = 40;

/// An image below, and a directory of changes above.
pub struct Layered<'a> {
    upper: PathBuf,
    image: &'a Image,
}

/// What is at a path.
enum Found {
    /// A file of the upper side.
    Upper(PathBuf, Metadata),
    /// A file of the image.
    Lower(Inode),
}

/// A directory on the way: its upper part and its lower one, either of which may be missing.
#[derive(Clone)]
struct At {
    upper: Option<PathBuf>,
    lower: Option<Inode>,
}

impl<'a> Layered<'a> {
    /// `upper` is overlayfs's `upperdir`.
    pub fn new(upper: &Path, image: &'a Image) -> Self {
        Self { upper: upper.to_owned(), image }
    }

    fn top(&self) -> At {
        At { upper: Some(self.upper.clone()), lower: self.image.tree().root() }
    }

    fn resolve(&self, path: &Path) -> Option<Found> {
        let mut way = vec![self.top()];
        let mut links = 0;
        let parts = |path: &[u8]| -> Vec<OsString> {
            path.split(|byte| *byte == b'/').rev().map(|part| OsString::from_vec(part.to_vec())).collect()
        };
        let mut todo = parts(path.as_os_str().as_bytes());
        while let Some(part) = todo.pop() {
            match part.as_bytes() {
                b"" | b"." => continue,
                b".." => {
                    if way.len() > 1 {
                        way.pop();
                    }
                    continue;
                }
                _ => {}
            }
            let (next, link) = self.step(way.last()?, &part)?;
            let Some(link) = link else {
                way.push(next);
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return None;
            }
            if link.starts_with(b"/") {
                way.truncate(1);
            }
            todo.extend(parts(&link));
        }
        let at = way.pop()?;
        match at.upper {
            Some(path) => path.symlink_metadata().ok().map(|metadata| Found::Upper(path, metadata)),
            None => at.lower.map(Found::Lower),
        }
    }

    /// What `name` is in a directory, and what it says if it is a link.
    fn step(&self, at: &At, name: &OsString) -> Option<(At, Option<Vec<u8>>)> {
        let lower = at.lower.as_ref().filter(|lower| lower.kind == Kind::Directory);
        let lower = lower.and_then(|lower| self.image.tree().child(lower, name.as_bytes()));
        if let Some(path) = at.upper.as_ref().map(|upper| upper.join(name))
            && let Ok(metadata) = path.symlink_metadata()
        {
            let kind = metadata.file_type();
            if kind.is_char_device() && metadata.rdev() == 0 {
                // A whiteout: it is gone.
                return None;
            }
            let link =
                kind.is_symlink().then(|| fs::read_link(&path).ok().map(|link| link.into_os_string().into_vec()));
            let link = match link {
                Some(None) => return None,
                Some(link) => link,
                None => None,
            };
            // Only a directory that is not opaque shows what lies below it.
            let lower = lower.filter(|lower| kind.is_dir() && lower.kind == Kind::Directory && !is_opaque(&path));
            return Some((At { upper: Some(path), lower }, link));
        }
        let lower = lower?;
        let link = match lower.kind {
            Kind::Symlink => Some(self.image.tree().target(&lower)?.to_vec()),
            _ => None,
        };
        Some((At { upper: None, lower: Some(lower) }, link))
    }
}

/// overlayfs's mark, as a mount with `userxattr` writes it.
fn is_opaque(path: &Path) -> bool {
    sys::xattr::get(path, c"user.overlay.opaque").is_ok_and(|value| value == b"y")
}

impl View for Layered<'_> {
    fn read(&self, path: &Path, limit: usize) -> Option<Vec<u8>> {
        match self.resolve(path)? {
            Found::Upper(path, metadata) if metadata.is_file() => Host.read(&path, limit),
            Found::Upper(..) => None,
            Found::Lower(inode) if inode.kind == Kind::File => {
                let mut content = vec![0; limit.min(usize::try_from(inode.size).unwrap_or(limit))];
                let length = self.image.read_at(&inode, 0, &mut content).ok()?;
                content.truncate(length);
                Some(content)
            }
            Found::Lower(_) => None,
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.resolve(path).is_some()
    }

    fn is_program(&self, path: &Path) -> bool {
        match self.resolve(path) {
            Some(Found::Upper(_, metadata)) => metadata.is_file() && metadata.permissions().mode() & 0o111 != 0,
            Some(Found::Lower(inode)) => inode.kind == Kind::File && inode.mode & 0o111 != 0,
            None => false,
        }
    }
}
