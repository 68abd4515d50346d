//! The files of a container that does not run: what it has changed, above its image, as overlayfs would show it.
//!
//! The upper side is hostile: it is walked component by component, and a link leads to another path in the same root.

use std::ffi::{CString, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use cowfs::tree::{Image, Inode, Kind};
use cowfs::upper::marks::At;
use nix::libc;

use super::View;
use crate::container::upper::{Content, Found, Upper, at};

/// As many links as the kernel follows.
const MAX_LINKS: u32 = 40;

/// An image below, and changes above.
pub struct Layered<'a> {
    upper: &'a Upper,
    image: &'a Image,
}

/// What is at a path.
enum There {
    /// A file of the upper side: its path there, and `st_mode`.
    Upper(CString, u32),
    /// A file of the image.
    Lower(Inode),
}

/// A place on the way: its path in the upper side, with what is there, and its part of the image. Either may be missing.
#[derive(Clone)]
struct Place {
    upper: Option<(Vec<u8>, u32)>,
    lower: Option<Inode>,
}

impl<'a> Layered<'a> {
    /// `upper` is of a container that does not run.
    pub fn new(upper: &'a Upper, image: &'a Image) -> Self {
        Self { upper, image }
    }

    fn top(&self) -> Place {
        Place { upper: Some((Vec::new(), libc::S_IFDIR)), lower: self.image.tree().root() }
    }

    fn at<'s>(&'s self, path: &'s CString) -> At<'s> {
        at(self.upper.top(), path)
    }

    fn resolve(&self, path: &Path) -> Option<There> {
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
        let place = way.pop()?;
        match place.upper {
            Some((path, mode)) => Some(There::Upper(CString::new(path).ok()?, mode)),
            None => place.lower.map(There::Lower),
        }
    }

    /// What `name` is in a directory, and what it says if it is a link.
    fn step(&self, place: &Place, name: &OsString) -> Option<(Place, Option<Vec<u8>>)> {
        let lower = place.lower.as_ref().filter(|lower| lower.kind == Kind::Directory);
        let lower = lower.and_then(|lower| self.image.tree().child(lower, name.as_bytes()));
        if let Some((parent, mode)) = &place.upper
            && is(*mode, libc::S_IFDIR)
        {
            let path = if parent.is_empty() {
                name.as_bytes().to_vec()
            } else {
                [parent, &b"/"[..], name.as_bytes()].concat()
            };
            let c_path = CString::new(path.clone()).ok()?;
            match self.upper.look(self.at(&c_path)) {
                // It is gone.
                Ok(Found::Whiteout) => return None,
                Ok(Found::File(status, recorded)) => {
                    let link = is(status.mode, libc::S_IFLNK);
                    let link = if link { Some(self.upper.target(self.at(&c_path), recorded).ok()?) } else { None };
                    // Only a directory that is not opaque shows what lies below it.
                    let shows = is(status.mode, libc::S_IFDIR) && !self.upper.is_opaque(self.at(&c_path));
                    let lower = lower.filter(|lower| shows && lower.kind == Kind::Directory);
                    return Some((Place { upper: Some((path, status.mode)), lower }, link));
                }
                // Nothing of that name, or nothing that can be looked at.
                Err(_) => {}
            }
        }
        let lower = lower?;
        let link = match lower.kind {
            Kind::Symlink => Some(self.image.tree().target(&lower)?.to_vec()),
            _ => None,
        };
        Some((Place { upper: None, lower: Some(lower) }, link))
    }

    /// The regular file of the image at a path without links in it.
    fn of_image(&self, path: &[u8]) -> Option<Inode> {
        let tree = self.image.tree();
        let mut parts = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty());
        parts.try_fold(tree.root()?, |at, name| tree.child(&at, name)).filter(|found| found.kind == Kind::File)
    }

    fn read_lower(&self, inode: &Inode, limit: usize) -> Option<Vec<u8>> {
        let mut content = vec![0; limit.min(usize::try_from(inode.size).unwrap_or(limit))];
        let length = self.image.read_at(inode, 0, &mut content).ok()?;
        content.truncate(length);
        Some(content)
    }
}

/// Whether a mode says that a file is of this type.
fn is(mode: u32, kind: u32) -> bool {
    mode & libc::S_IFMT == kind
}

impl View for Layered<'_> {
    fn read(&self, path: &Path, limit: usize) -> Option<Vec<u8>> {
        match self.resolve(path)? {
            There::Upper(path, mode) if is(mode, libc::S_IFREG) => match self.upper.content(self.at(&path)).ok()? {
                Content::Own(file) => {
                    let mut content = Vec::new();
                    file.take(limit as u64).read_to_end(&mut content).ok()?;
                    Some(content)
                }
                Content::Lower(path) => self.read_lower(&self.of_image(&path)?, limit),
            },
            There::Upper(..) => None,
            There::Lower(inode) if inode.kind == Kind::File => self.read_lower(&inode, limit),
            There::Lower(_) => None,
        }
    }

    fn exists(&self, path: &Path) -> bool {
        self.resolve(path).is_some()
    }

    fn is_program(&self, path: &Path) -> bool {
        match self.resolve(path) {
            Some(There::Upper(_, mode)) => is(mode, libc::S_IFREG) && mode & 0o111 != 0,
            Some(There::Lower(inode)) => inode.kind == Kind::File && inode.mode & 0o111 != 0,
            None => false,
        }
    }
}
