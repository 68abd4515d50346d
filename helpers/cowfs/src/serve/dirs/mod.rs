//! Several host directories laid over each other, as a view.
//!
//! A path of the union is the same path in each layer that has it, so that a file is found from the layer's root by the names
//! that lead to it; nothing is followed on the way. A directory is listed once, merged, and kept from then on, as is what
//! was seen of its files when they were first looked at: after that most is answered without a system call, also that a name
//! is not there. That takes about 200 bytes for each file seen. Content is read from files that stay open as long as not too many
//! others are wanted.

mod kept;
mod listing;
mod look;
mod view;

use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use fuser::INodeNo;
use nix::dir::{Dir as Reader, Type};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::Mode;
use sys::statx::{Status, statx};

use super::host::Numbers;
use super::view::{Answer, Attr, c_string};
use crate::dirs::{Dirs, Own};
use crate::host::Mounts;
use crate::owners::Owners;
use kept::Kept;
use listing::{Gathered, Listing, What};
use look::{Found, Looked, look};

/// The union of several directories.
pub struct DirsView {
    layers: Vec<Arc<OwnedFd>>,
    lifetime: Duration,
    /// The links of directories are counted.
    counts: bool,
    owners: Owners,
    /// Access control lists are shown.
    acls: bool,
    /// What is not.
    own: Option<Own>,
    /// A layer lies on a filesystem that may be long in answering.
    slow: bool,
    numbers: Numbers,
    dirs: RwLock<HashMap<INodeNo, Arc<Dir>>>,
    /// Where in its directory a file was seen, by one of its names.
    places: RwLock<HashMap<INodeNo, (Arc<Dir>, u32)>>,
    /// Files with several names, and those that were seen.
    links: RwLock<HashMap<INodeNo, Names>>,
    /// All that there is was looked at, so that all names of all files are known.
    all_seen: OnceLock<()>,
    open_dirs: Kept<(INodeNo, u16)>,
    open_files: Kept<INodeNo>,
}

/// Names, each with the directory that it is in.
type Names = Vec<(INodeNo, Vec<u8>)>;

/// A directory of the union.
struct Dir {
    number: INodeNo,
    parent: INodeNo,
    name: CString,
    /// The layers that have it, the topmost first.
    layers: Vec<u16>,
    listing: OnceLock<Listing>,
}

impl DirsView {
    pub fn new(dirs: Dirs, owners: Owners, acls: bool) -> std::io::Result<Self> {
        let mounts = Mounts::now()?;
        let layers: Vec<_> = dirs.layers.into_iter().map(Arc::new).collect();
        let count = u16::try_from(layers.len()).map_err(|_| Errno::E2BIG)?;
        let mut slow = false;
        let mut roots = Vec::new();
        for layer in 0..count {
            let root = &layers[usize::from(layer)];
            slow |= mounts.is_slow(statx(root, c"")?.mount);
            roots.push(layer);
            if look(root, c"")?.is_some_and(|root| root.opaque) {
                break;
            }
        }
        let root = Dir {
            number: INodeNo::ROOT,
            parent: INodeNo::ROOT,
            name: CString::default(),
            layers: roots,
            listing: OnceLock::new(),
        };
        let (most, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
        let part = |part: u64, most_of_all: u64| usize::try_from((most / part).min(most_of_all)).unwrap_or(16);
        Ok(DirsView {
            layers,
            lifetime: dirs.lifetime,
            counts: dirs.counts,
            owners,
            acls,
            own: dirs.own,
            slow,
            numbers: Numbers::default(),
            dirs: RwLock::new(HashMap::from([(INodeNo::ROOT, Arc::new(root))])),
            places: RwLock::default(),
            links: RwLock::default(),
            all_seen: OnceLock::new(),
            open_dirs: Kept::new(part(8, 1024)),
            open_files: Kept::new(part(4, 4096)),
        })
    }

    fn dir(&self, number: INodeNo) -> Answer<Arc<Dir>> {
        let dirs = self.dirs.read().unwrap_or_else(PoisonError::into_inner);
        match dirs.get(&number) {
            Some(dir) => Ok(dir.clone()),
            None if self.place(number).is_ok() => Err(Errno::ENOTDIR),
            None => Err(Errno::ESTALE),
        }
    }

    /// A directory of a layer, opened with `O_PATH`.
    fn open_dir(&self, dir: &Dir, layer: u16) -> Answer<Arc<OwnedFd>> {
        let mut way: Vec<(INodeNo, CString)> = Vec::new();
        let (mut number, mut parent, mut name) = (dir.number, dir.parent, dir.name.clone());
        let mut open = loop {
            if number == INodeNo::ROOT {
                break self.layers[usize::from(layer)].clone();
            }
            if let Some(open) = self.open_dirs.get((number, layer)) {
                break open;
            }
            way.push((number, name));
            let above = self.dir(parent)?;
            (number, parent, name) = (above.number, above.parent, above.name.clone());
        };
        while let Some((number, name)) = way.pop() {
            let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            open = Arc::new(openat(&*open, &*name, flags, Mode::empty())?);
            self.open_dirs.put((number, layer), open.clone());
        }
        Ok(open)
    }

    /// What a directory holds.
    fn listing<'d>(&self, dir: &'d Dir) -> Answer<&'d Listing> {
        if let Some(listing) = dir.listing.get() {
            return Ok(listing);
        }
        let mut gathered = Gathered::default();
        for &layer in &dir.layers {
            let open = self.open_dir(dir, layer)?;
            let own = self.own.as_ref().filter(|own| own.is_in(&open)).map(|own| &*own.name);
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let mut reader = Reader::from_fd(openat(&*open, ".", flags, Mode::empty())?)?;
            for entry in reader.iter() {
                let entry = entry?;
                let name = entry.file_name();
                let what = match entry.file_type() {
                    _ if matches!(name.to_bytes(), b"." | b"..") || own == Some(name) => continue,
                    Some(Type::Directory) => What::Directory,
                    None if statx(&*open, name)?.mode & libc::S_IFMT == libc::S_IFDIR => What::Directory,
                    _ => What::Other,
                };
                gathered.add(layer, name.to_bytes(), what);
            }
            if gathered.opaque {
                break;
            }
        }
        // Should another thread have been faster, its own is the same.
        Ok(dir.listing.get_or_init(|| gathered.merge()))
    }

    /// What an entry of a directory is; `None` where it turns out to be no file.
    fn look<'d>(&self, dir: &'d Arc<Dir>, listing: &'d Listing, index: usize) -> Answer<Option<&'d Found>> {
        let known = listing.found(index);
        if known.get().is_none() {
            let found = self.look_first(dir, listing, index)?;
            if let Some(found) = &found {
                self.remember(dir, index, listing.name(index), &found.attr);
            }
            let _ = known.set(found.map(Box::new));
        }
        Ok(known.get().and_then(Option::as_deref))
    }

    fn look_first(&self, dir: &Dir, listing: &Listing, index: usize) -> Answer<Option<Found>> {
        let name = c_string(listing.name(index))?;
        let layers = listing.layers(index);
        let Some(top) = look(&*self.open_dir(dir, layers[0])?, &name)? else { return Ok(None) };
        let number = self.number(layers[0], &top.status);
        let mut attr = self.attr(number, &top);
        if attr.mode & libc::S_IFMT == libc::S_IFDIR {
            let mut count = 1;
            let mut opaque = top.opaque;
            while !opaque && count < layers.len() {
                opaque = look(&*self.open_dir(dir, layers[count])?, &name)?.is_some_and(|below| below.opaque);
                count += 1;
            }
            let made = self.make_dir(Dir {
                number,
                parent: dir.number,
                name,
                layers: layers[..count].to_vec(),
                listing: OnceLock::new(),
            });
            // Where the host counts the directories in a directory, so do we.
            if count > 1 && attr.nlink > 1 {
                attr.nlink = 2 + self.listing(&made)?.directories;
            }
        }
        Ok(Some(Found { attr, has_xattrs: top.has_xattrs, stands_for_another: top.stands_for_another }))
    }

    /// The directory of this number; two threads that come to know it make one.
    fn make_dir(&self, dir: Dir) -> Arc<Dir> {
        let mut dirs = self.dirs.write().unwrap_or_else(PoisonError::into_inner);
        dirs.entry(dir.number).or_insert_with(|| Arc::new(dir)).clone()
    }

    fn remember(&self, dir: &Arc<Dir>, index: usize, name: &[u8], attr: &Attr) {
        let mut places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        places.entry(attr.inode).or_insert_with(|| (dir.clone(), index as u32));
        drop(places);
        if attr.nlink > 1 && attr.mode & libc::S_IFMT != libc::S_IFDIR {
            let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
            let (known, one) = (links.entry(attr.inode).or_default(), (dir.number, name.to_vec()));
            if !known.contains(&one) {
                known.push(one);
            }
        }
    }

    /// Where a file was seen that the kernel knows.
    fn place(&self, number: INodeNo) -> Answer<(Arc<Dir>, usize)> {
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.get(&number).map(|(dir, index)| (dir.clone(), *index as usize)).ok_or(Errno::ESTALE)
    }

    /// What is known of a file, but for the root.
    fn known<T>(&self, number: INodeNo, get: impl FnOnce(&Found) -> T) -> Answer<T> {
        let (dir, index) = self.place(number)?;
        let listing = self.listing(&dir)?;
        self.look(&dir, listing, index)?.map(get).ok_or(Errno::ESTALE)
    }

    /// A file's directory in the layer that it is seen in, open, and its name there.
    fn way_to(&self, number: INodeNo) -> Answer<(Arc<OwnedFd>, CString)> {
        if number == INodeNo::ROOT {
            return Ok((self.layers[0].clone(), CString::default()));
        }
        let (dir, index) = self.place(number)?;
        let listing = self.listing(&dir)?;
        Ok((self.open_dir(&dir, listing.layers(index)[0])?, c_string(listing.name(index))?))
    }

    fn open_file(&self, number: INodeNo) -> Answer<Arc<OwnedFd>> {
        if let Some(open) = self.open_files.get(number) {
            return Ok(open);
        }
        let (dir, name) = self.way_to(number)?;
        // Should it be a pipe all the same, nobody is to wait for it.
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let open = Arc::new(openat(&*dir, &*name, flags, Mode::empty())?);
        self.open_files.put(number, open.clone());
        Ok(open)
    }

    /// The number of a file. Layers that are part of each other have numbers of their own.
    fn number(&self, layer: u16, status: &Status) -> INodeNo {
        self.numbers.of(&Status { mount: status.mount | u64::from(layer) << 40, ..*status })
    }

    fn attr(&self, number: INodeNo, looked: &Looked) -> Attr {
        let attr = Attr::of(number, &looked.status, &self.owners);
        let uncounted = !self.counts && attr.mode & libc::S_IFMT == libc::S_IFDIR;
        if uncounted { Attr { nlink: 1, ..attr } } else { attr }
    }

    /// Looks at every file from a directory on.
    fn look_at_all(&self, top: &Arc<Dir>) -> Answer<()> {
        let mut todo = vec![top.clone()];
        while let Some(dir) = todo.pop() {
            let listing = self.listing(&dir)?;
            for index in 0..listing.len() {
                if let Some(found) = self.look(&dir, listing, index)?
                    && found.attr.mode & libc::S_IFMT == libc::S_IFDIR
                {
                    todo.push(self.dir(found.attr.inode)?);
                }
            }
        }
        Ok(())
    }

    fn has_any_xattr(&self, inode: INodeNo) -> Answer<bool> {
        if inode == INodeNo::ROOT { Ok(true) } else { self.known(inode, |found| found.has_xattrs) }
    }
}
