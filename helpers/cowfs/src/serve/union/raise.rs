//! Copying up: what only the lower side has gets a place in the upper side, and keeps its number.
//!
//! Things are made complete in the work directory and then get their place by one rename, so that a server that is killed
//! leaves either the old or the new. Content is copied without the lock, as the lower side never changes; of two who
//! want the same inode the second waits for the first.

use std::fs::File;
use std::sync::Arc;

use fuser::{FileHandle, INodeNo};
use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use sys::statx::statx;

use super::content::{lengthen, write_all};
use super::make::{Made, New};
use super::nodes::{Id, Name, Node, Nodes, ROOT};
use super::place::Place;
use super::xattrs::CAPABILITY;
use super::{Child, Durability, Over, Union, recorded_below, work};
use crate::error::errno;
use crate::layer::Time;
use crate::serve::view::{Answer, Attr, Reading, View};
use crate::upper::below::Looks;
use crate::upper::marks::At;
use crate::upper::record::Record;
use crate::upper::{self, Ownership};

/// How much of a file's content is to be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Its attributes alone, if its content is worth that.
    Attributes,
    /// So many bytes.
    UpTo(u64),
}

impl Content {
    pub const ALL: Content = Content::UpTo(u64::MAX);
}

/// Files up to this size are copied whole: that costs no more than to say where their content is.
const SMALL: u64 = 64 << 10;

/// How much is copied at once.
const PIECE: usize = 1 << 20;

impl<L: View> Union<L> {
    /// Whether an inode needs more copying before it can be changed as planned.
    pub(super) fn must_rise(&self, nodes: &Nodes, id: Id, content: Content) -> bool {
        match nodes.get(id) {
            Some(node) if node.is_upper() => {
                node.kind == libc::S_IFREG && node.lower.is_some() && content != Content::Attributes
            }
            _ => true,
        }
    }

    /// Copies an inode up, with all its names, as far as it has not been. Without `wait`, `EAGAIN` where that may take long.
    pub(super) fn raise(&self, id: Id, content: Content, wait: bool) -> Answer<()> {
        let mut nodes = self.nodes();
        loop {
            if !self.must_rise(&nodes, id, content) {
                return Ok(());
            }
            if nodes.rising.insert(id) {
                break;
            }
            if !wait {
                return Err(Errno::EAGAIN);
            }
            nodes.awaiting += 1;
            nodes = self.risen.wait(nodes).unwrap_or_else(std::sync::PoisonError::into_inner);
            nodes.awaiting -= 1;
        }
        drop(nodes);
        let risen = self.raise_alone(id, content, wait);
        let mut nodes = self.nodes();
        nodes.rising.remove(&id);
        if nodes.awaiting > 0 {
            self.risen.notify_all();
        }
        risen
    }

    fn raise_alone(&self, id: Id, content: Content, wait: bool) -> Answer<()> {
        let mut nodes = self.nodes();
        if nodes.upper(id).is_some() {
            if !wait {
                return Err(Errno::EAGAIN);
            }
            let lower = nodes.node(id)?.lower.ok_or(Errno::EIO)?;
            let file = self.file_in(&mut nodes, id)?;
            drop(nodes);
            return self.complete(id, lower, &file, content);
        }
        let attr = self.lower.attributes(INodeNo(id))?;
        if attr.mode & libc::S_IFMT == libc::S_IFDIR {
            return self.raise_dir(&mut nodes, id);
        }
        drop(nodes);
        // What changes while it is copied has changed since.
        let looks = self.looks_of(id);
        // Before anything is made that would have to be removed again.
        let is_file = attr.mode & libc::S_IFMT == libc::S_IFREG;
        let source = if is_file { Some(self.source_of(&attr, content, wait)?) } else { None };
        let fresh = self.work.fresh();
        let raised =
            self.copy(&fresh, &attr, source).and_then(|made| self.settle(&fresh, id, &attr, Copied { looks, ..made }));
        raised.inspect_err(|_| self.work.discard(&fresh))
    }

    /// Where a copy of a file is to have its content from.
    fn source_of(&self, attr: &Attr, content: Content, wait: bool) -> Answer<Source> {
        if !wait && self.durability == Durability::Durable {
            return Err(Errno::EAGAIN);
        }
        let may_point = content == Content::Attributes && self.ownership == Ownership::Recorded && self.below.is_none();
        if may_point && attr.size > SMALL {
            match self.lower_path(attr.inode) {
                Err(Errno::ENAMETOOLONG) => {}
                path => return Ok(Source::Below(path?)),
            }
        }
        let length = if let Content::UpTo(wanted) = content { wanted.min(attr.size) } else { attr.size };
        if length > SMALL {
            return if wait { Ok(Source::Read(length)) } else { Err(Errno::EAGAIN) };
        }
        let mut pieces = Vec::new();
        let mut keep = |at, piece: &[u8]| {
            pieces.push((at, piece.to_vec()));
            Ok(())
        };
        match self.read_pieces(attr.inode, length, wait, &mut keep) {
            // A file of the host that the user may not read can have other attributes all the same.
            Err(Errno::EACCES) if may_point => Ok(Source::Below(self.lower_path(attr.inode)?)),
            read => read.map(|()| Source::Known(pieces, length)),
        }
    }

    /// Makes a copy of what is no directory.
    fn copy(&self, fresh: &Place, attr: &Attr, source: Option<Source>) -> Answer<Copied> {
        let target = match attr.mode & libc::S_IFMT {
            libc::S_IFLNK => self.lower.target(attr.inode)?.into_owned(),
            _ => Vec::new(),
        };
        let record = recorded_below(attr);
        let new = New { record, target: &target, acls: [None, None] };
        let made = self.make_at(fresh, &new)?;
        let mut lower = None;
        if let (Some(file), Some(source)) = (&made.file, source) {
            match source {
                Source::Known(pieces, length) => {
                    pieces.iter().try_for_each(|(at, piece)| write_all(file, *at, piece))?;
                    let end = pieces.last().map_or(0, |(at, piece)| at + piece.len() as u64);
                    lengthen(file, end, length)?;
                }
                Source::Read(length) => {
                    let end = self.copy_content(attr.inode, length, file)?;
                    lengthen(file, end, length)?;
                }
                Source::Below(path) => {
                    self.point_to(attr, &path, file)?;
                    lower = Some(attr.inode.0);
                }
            }
        }
        let place = made.file.as_ref().map_or_else(|| fresh.clone(), |file| Place::open(file.clone()));
        let has_capabilities = self.imitate(&place, attr)?;
        if self.durability == Durability::Durable
            && let Some(file) = &made.file
        {
            file.sync_all().map_err(|error| errno(&error))?;
        }
        Ok(Copied { made, record, lower, has_capabilities, looks: None })
    }

    /// Says in a copy where its content is.
    fn point_to(&self, attr: &Attr, path: &[u8], file: &File) -> Answer<()> {
        lengthen(file, 0, attr.size)?;
        self.marks.set(At::file(file), upper::REDIRECT, path)?;
        self.marks.set(At::file(file), upper::METACOPY, b"")?;
        // It must stay known to the lower side, whatever the kernel forgets.
        self.lower.hold(attr.inode);
        Ok(())
    }

    /// Gives a copy its place, or rather all that the inode has.
    fn settle(&self, fresh: &Place, id: Id, attr: &Attr, copied: Copied) -> Answer<()> {
        let mut nodes = self.nodes();
        let names =
            if nodes.get(id).is_some_and(|node| node.nameless) { Vec::new() } else { self.visible(&mut nodes, id)? };
        let Copied { made, record, lower, has_capabilities, looks } = copied;
        let mut places = Vec::new();
        for (parent, name) in &names {
            self.raise_dir(&mut nodes, *parent)?;
            // Its contents must be known before: that name is still the lower side's.
            self.dir(&mut nodes, *parent)?;
            let over = self.over(&nodes, *parent, name)?;
            places.push((self.place(&nodes, *parent, name)?, over));
        }
        for (parent, name) in &names {
            self.take_down(&nodes, *parent, name, looks)?;
        }
        self.take_places(&nodes, fresh, &names, &places)?;
        for ((parent, name), (_, over)) in names.iter().zip(&places) {
            self.dir(&mut nodes, *parent)?.put(name, Some(id), false, *over);
        }
        let lookups = nodes.get(id).map_or(0, |node| node.lookups);
        let nameless = names.is_empty();
        if nameless {
            self.work.discard(fresh);
        }
        let node = Node {
            lookups,
            names: names.into(),
            inode: made.status.inode,
            kind: attr.mode & libc::S_IFMT,
            record: Some(record),
            stands_for_another: made.other,
            lower,
            file: made.file.clone().filter(|_| nameless),
            nameless,
            no_capabilities: !has_capabilities,
            ..Node::default()
        };
        nodes.insert(id, node);
        if let Some(file) = made.file.filter(|_| !nameless) {
            nodes.keep_open(id, &file);
        }
        Ok(())
    }

    /// Puts a copy at all of its places, or at none.
    fn take_places(
        &self,
        nodes: &Nodes,
        fresh: &Place,
        names: &[(Id, Name)],
        places: &[(Place, Option<Over>)],
    ) -> Answer<()> {
        let dirs: Vec<Place> = names.iter().map(|(parent, _)| self.place_of(nodes, *parent)).collect::<Answer<_>>()?;
        let before = dirs.iter().map(|dir| statx(dir.dir(), dir.name())).collect::<nix::Result<Vec<_>>>()?;
        if let [(place, _)] = places {
            self.work.settle(fresh, place)?;
        } else if !places.is_empty() {
            // Several names cannot appear at once. Should the server be killed in between, the next one finds in the work directory what is missing.
            let all: Vec<Place> = places.iter().map(|(place, _)| place.clone()).collect();
            self.work.announce(&self.marks, fresh, &self.top, &all);
            for (done, place) in all.iter().enumerate() {
                work::link(fresh, place)
                    .inspect_err(|_| all[..done].iter().for_each(|place| self.work.discard(place)))?;
            }
            self.work.conclude(&self.marks, fresh);
        }
        dirs.iter().zip(&before).for_each(|(dir, before)| work::put_times_back(dir, before));
        Ok(())
    }

    /// Copies the content of a file whose attributes were copied before.
    fn complete(&self, id: Id, lower: Id, file: &Arc<File>, content: Content) -> Answer<()> {
        let size = self.lower.attributes(INodeNo(lower))?.size;
        let wanted = if let Content::UpTo(wanted) = content { wanted } else { u64::MAX };
        let before = statx(&**file, c"")?;
        // It is as long as it was until its content counts.
        self.copy_content(INodeNo(lower), wanted.min(size), file)?;
        let time = |(secs, nanos): (i64, u32)| TimeSpec::new(secs, nanos.into());
        nix::sys::stat::futimens(&**file, &time(before.atime), &time(before.mtime))?;
        if self.durability == Durability::Durable {
            file.sync_data().map_err(|error| errno(&error))?;
        }
        let mut nodes = self.nodes();
        self.marks.remove(At::file(&**file), upper::METACOPY)?;
        let _ = self.marks.remove(At::file(&**file), upper::REDIRECT);
        nodes.node(id)?.lower = None;
        Ok(())
    }

    /// Copies the beginning of a lower file's content, but for holes. Returns where the last of it ends.
    fn copy_content(&self, from: INodeNo, length: u64, to: &File) -> Answer<u64> {
        let mut end = 0;
        let mut write = |at, piece: &[u8]| {
            end = at + piece.len() as u64;
            write_all(to, at, piece)
        };
        self.read_pieces(from, length, true, &mut write)?;
        Ok(end)
    }

    /// Reads the beginning of a lower file, but for holes. Without `wait`, `EAGAIN` where some of it is not in memory.
    fn read_pieces(&self, from: INodeNo, length: u64, wait: bool, take: Take<'_>) -> Answer<()> {
        if length == 0 {
            return Ok(());
        }
        let handle = self.lower.open(from)?;
        let read = self.read_open(from, handle, length, wait, take);
        self.lower.close(handle);
        read
    }

    fn read_open(&self, from: INodeNo, handle: FileHandle, length: u64, wait: bool, take: Take<'_>) -> Answer<()> {
        let mut buffer = Vec::new();
        let mut at = 0;
        while at < length {
            // Where the lower side cannot say where there is data, everything is.
            let data = match self.lower.seek(from, handle, at, false) {
                Ok(data) => data,
                Err(Errno::ENXIO) => break,
                Err(_) => at,
            };
            let end = self.lower.seek(from, handle, data, true).unwrap_or(length).min(length);
            at = data;
            while at < end {
                let size = PIECE.min(usize::try_from(end - at).unwrap_or(PIECE));
                buffer.clear();
                self.lower.read(from, Reading { handle, offset: at, size }, wait, &mut buffer)?;
                if buffer.is_empty() {
                    return Err(Errno::EIO);
                }
                take(at, &buffer)?;
                at += buffer.len() as u64;
            }
        }
        Ok(())
    }

    /// Gives what lies at a place in the upper side the attributes of an inode of the lower side, times last. Returns whether it has
    /// capabilities.
    pub(super) fn imitate(&self, place: &Place, attr: &Attr) -> Answer<bool> {
        let kind = attr.mode & libc::S_IFMT;
        let mut has_capabilities = false;
        if kind == libc::S_IFREG || kind == libc::S_IFDIR {
            let names = self.lower.xattr_names(attr.inode)?;
            for name in names.split(|&b| b == 0).filter(|name| !name.is_empty()) {
                let value = self.lower.xattr(attr.inode, name)?;
                self.marks.set(place.at(), &self.stored_name(name)?, &value)?;
                has_capabilities |= name == CAPABILITY;
            }
        }
        if kind == libc::S_IFDIR {
            let record = recorded_below(attr);
            match self.ownership {
                Ownership::Recorded => {
                    work::set_mode(place, record.on_host())?;
                    if record.must_be_said() {
                        self.marks.set(place.at(), upper::record::NAME, record.to_string().as_bytes())?;
                    }
                }
                Ownership::Native => {
                    work::set_owner(place, Some(attr.uid), Some(attr.gid))?;
                    work::set_mode(place, attr.mode)?;
                }
            }
        }
        if kind == libc::S_IFREG && self.ownership == Ownership::Native && attr.mode & 0o6000 != 0 {
            // Writing the content has taken them away.
            work::set_mode(place, attr.mode)?;
        }
        let time = |time: Time| TimeSpec::new(time.secs, time.nanos.into());
        work::set_times(place, &time(attr.atime), &time(attr.mtime))?;
        Ok(has_capabilities)
    }

    /// Copies a directory up, without what it holds, and those above it.
    pub(super) fn raise_dir(&self, nodes: &mut Nodes, id: Id) -> Answer<()> {
        let mut way = Vec::new();
        let mut at = id;
        while nodes.upper(at).is_none() {
            if nodes.get(at).is_some_and(|node| node.nameless) {
                return Err(Errno::ENOENT);
            }
            let (parent, name) = self.lower.names(INodeNo(at))?.pop().ok_or(Errno::ESTALE)?;
            way.push((at, parent.0, name));
            at = parent.0;
        }
        while let Some((id, parent, name)) = way.pop() {
            let fresh = self.work.fresh();
            nix::sys::stat::mkdirat(fresh.dir(), fresh.path(), nix::sys::stat::Mode::S_IRWXU)?;
            self.raise_one_dir(nodes, &fresh, id, parent, &name).inspect_err(|_| self.work.discard(&fresh))?;
        }
        Ok(())
    }

    fn raise_one_dir(&self, nodes: &mut Nodes, fresh: &Place, id: Id, parent: Id, name: &[u8]) -> Answer<()> {
        self.imitate(fresh, &self.lower.attributes(INodeNo(id))?)?;
        let inode = statx(fresh.dir(), fresh.name())?.inode;
        let place = self.place(nodes, parent, name)?;
        let above = self.place_of(nodes, parent)?;
        let before = statx(above.dir(), above.name())?;
        // Its contents must be known before: that name is still the lower side's.
        self.dir(nodes, parent)?;
        self.take_down(nodes, parent, name, self.lower_looks(nodes, parent, name))?;
        self.work.settle(fresh, &place)?;
        work::put_times_back(&above, &before);
        let name: Name = name.into();
        let over = Over { id, directory: true };
        self.dir(nodes, parent)?.put(&name, Some(id), true, Some(over));
        let names = vec![(parent, name)].into();
        // It must stay known to the lower side, whatever the kernel forgets.
        self.lower.hold(INodeNo(id));
        nodes.insert(id, Node { names, inode, kind: libc::S_IFDIR, lower: Some(id), ..Node::default() });
        Ok(())
    }

    /// The names under which an inode of the lower side can still be seen.
    fn visible(&self, nodes: &mut Nodes, id: Id) -> Answer<Vec<(Id, Name)>> {
        let mut seen = Vec::new();
        for (parent, name) in self.lower.names(INodeNo(id))? {
            if !self.is_reachable(nodes, parent.0)? {
                continue;
            }
            let covered = match nodes.upper(parent.0).is_some() {
                true => self.dir(nodes, parent.0)?.get(&name).is_some(),
                false => false,
            };
            if !covered {
                seen.push((parent.0, Name::from(name)));
            }
        }
        Ok(seen)
    }

    /// Whether a lower directory can be seen at its place. What of the way is in the upper side is known then.
    fn is_reachable(&self, nodes: &mut Nodes, directory: Id) -> Answer<bool> {
        let mut way = Vec::new();
        let mut at = directory;
        while at != ROOT {
            let (parent, name) = self.lower.names(INodeNo(at))?.pop().ok_or(Errno::ESTALE)?;
            way.push((at, name));
            at = parent.0;
        }
        let mut at = ROOT;
        while let Some((id, name)) = way.pop() {
            if nodes.upper(at).is_none_or(|node| node.lower != Some(at)) {
                return Ok(nodes.upper(at).is_none());
            }
            match self.child(nodes, at, &name)? {
                Some(Child::Upper(found)) if found == id => at = id,
                Some(Child::Lower(attr)) if attr.inode.0 == id => return Ok(true),
                _ => return Ok(false),
            }
        }
        Ok(nodes.upper(at).is_some_and(|node| node.lower == Some(at)))
    }

    /// The path of an inode in the lower side, from its root on.
    fn lower_path(&self, inode: INodeNo) -> Answer<Vec<u8>> {
        let mut parts = Vec::new();
        let mut at = inode;
        while at != INodeNo::ROOT {
            let (parent, name) = self.lower.names(at)?.pop().ok_or(Errno::ESTALE)?;
            parts.push(name);
            at = parent;
        }
        let path: Vec<u8> = parts.iter().rev().flat_map(|part| b"/".iter().chain(part)).copied().collect();
        // An attribute's value has no more room on every filesystem.
        if path.len() < 3000 { Ok(path) } else { Err(Errno::ENAMETOOLONG) }
    }

    /// The open file of an inode in the upper side.
    pub(super) fn file_in(&self, nodes: &mut Nodes, id: Id) -> Answer<Arc<File>> {
        let node = nodes.upper(id).ok_or(Errno::ESTALE)?;
        if let Some(file) = &node.file {
            return Ok(file.clone());
        }
        let place = self.place_of(nodes, id)?;
        let file = Arc::new(super::content::open(&place)?);
        nodes.keep_open(id, &file);
        Ok(file)
    }
}

/// Takes a piece of a file, and where it begins.
type Take<'t> = &'t mut dyn FnMut(u64, &[u8]) -> Answer<()>;

/// Where a copy has its content from.
enum Source {
    /// It is known: pieces between holes, where each begins, and the length of all.
    Known(Vec<(u64, Vec<u8>)>, u64),
    /// It is to be read from the lower side, so much of it.
    Read(u64),
    /// It stays where it is, in the lower side's file of this path.
    Below(Vec<u8>),
}

/// A copy in the work directory.
struct Copied {
    made: Made,
    record: Record,
    /// The lower file that still holds its content.
    lower: Option<Id>,
    has_capabilities: bool,
    /// How the lower file looked before.
    looks: Option<Looks>,
}
