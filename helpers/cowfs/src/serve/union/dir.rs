//! What a directory of the upper side holds, as it stands above the lower directory of its place.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU64;

use hashbrown::HashTable;

use super::nodes::{Id, Name};

/// What the upper side says of a name.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    /// The inode, if it has been looked at.
    pub id: Option<Id>,
    /// It is gone: the lower side has it, or had it.
    pub whiteout: bool,
    /// It is a directory.
    pub directory: bool,
    /// The lower directory has the name, too.
    pub over: Option<Over>,
    /// Its position in a listing.
    position: u64,
}

/// A slot as it is kept: half as large.
#[derive(Clone, Copy, Debug)]
struct Packed {
    id: Option<NonZeroU64>,
    /// The inode of what it is over.
    over: Id,
    /// The position, and in the upper bits the flags.
    position: u64,
}

const IS_OVER: u64 = 1 << 63;
const IS_OVER_DIRECTORY: u64 = 1 << 62;
const IS_DIRECTORY: u64 = 1 << 61;
const IS_WHITEOUT: u64 = 1 << 60;
const POSITION: u64 = IS_WHITEOUT - 1;

impl From<Slot> for Packed {
    fn from(slot: Slot) -> Packed {
        let flag = |set: bool, flag: u64| if set { flag } else { 0 };
        let position = slot.position
            | flag(slot.over.is_some(), IS_OVER)
            | flag(slot.over.is_some_and(|over| over.directory), IS_OVER_DIRECTORY)
            | flag(slot.directory, IS_DIRECTORY)
            | flag(slot.whiteout, IS_WHITEOUT);
        Packed { id: slot.id.and_then(NonZeroU64::new), over: slot.over.map_or(0, |over| over.id), position }
    }
}

impl From<Packed> for Slot {
    fn from(packed: Packed) -> Slot {
        let has = |flag: u64| packed.position & flag != 0;
        Slot {
            id: packed.id.map(NonZeroU64::get),
            whiteout: has(IS_WHITEOUT),
            directory: has(IS_DIRECTORY),
            over: has(IS_OVER).then(|| Over { id: packed.over, directory: has(IS_OVER_DIRECTORY) }),
            position: packed.position & POSITION,
        }
    }
}

/// What the lower directory has under a name.
#[derive(Clone, Copy, Debug)]
pub struct Over {
    /// The inode.
    pub id: Id,
    /// It is a directory.
    pub directory: bool,
}

/// The names of one directory. A name that is not here is the lower directory's, if that has it.
///
/// A listing shows first the names that only the upper side has, in the order in which they came: positions are
/// never given again, so that whoever reads while others write misses nothing and gets nothing twice. Then
/// come the lower directory's, at the lower directory's positions, whatever the upper side has made of them.
#[derive(Debug, Default)]
pub struct Dir {
    /// All, by their positions. One list for order and content, and numbers to find names by, take half the memory of two maps.
    entries: Vec<Entry>,
    /// Where among them each name is.
    index: HashTable<u32>,
    hashes: RandomState,
    /// How many have been taken away and are still there.
    gaps: usize,
    next: u64,
    /// Directories among all that can be seen; `None` where the lower side cannot tell.
    pub directories: Option<u32>,
    /// What new files get from it, once it was asked: its default ACL.
    pub default_acl: Option<Option<Vec<u8>>>,
    /// How many of its entries are known to the kernel or have been.
    known: u32,
}

#[derive(Debug)]
struct Entry {
    /// `None`: it was taken away.
    name: Option<Name>,
    kept: Packed,
}

/// The first position after `.` and `..`.
const FIRST: u64 = 3;

/// So many gaps are never too many.
const GAPS: usize = 16;

impl Dir {
    /// An empty one above a lower directory with so many directories in it.
    pub fn new(directories: Option<u32>) -> Dir {
        Dir { next: FIRST, directories, ..Dir::default() }
    }

    pub fn get(&self, name: &[u8]) -> Option<Slot> {
        self.find(name).map(|at| self.entries[at].kept.into())
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        let is_it = |at: &u32| self.entries[*at as usize].name.as_deref() == Some(name);
        self.index.find(self.hashes.hash_one(name), is_it).map(|at| *at as usize)
    }

    /// Puts a file in the place of whatever had this name.
    pub fn put(&mut self, name: &Name, id: Option<Id>, directory: bool, over: Option<Over>) {
        self.take(name, over);
        if directory {
            self.count(1);
        }
        if id.is_some() {
            self.known += 1;
        }
        self.add(name, Slot { id, whiteout: false, directory, over, position: self.next });
    }

    /// Takes a name away; where the lower directory has it a whiteout stands for it from now on.
    pub fn remove(&mut self, name: &Name, over: Option<Over>) {
        self.take(name, over);
        if over.is_some() {
            self.add(name, Slot { id: None, whiteout: true, directory: false, over, position: self.next });
        }
    }

    fn add(&mut self, name: &Name, slot: Slot) {
        self.next += 1;
        self.entries.push(Entry { name: Some(name.clone()), kept: slot.into() });
        self.enter(self.entries.len() - 1);
    }

    /// Makes an entry one that is found.
    fn enter(&mut self, at: usize) {
        let Dir { entries, index, hashes, .. } = self;
        let hash = |at: &u32| hashes.hash_one(entries[*at as usize].name.as_deref().unwrap_or_default());
        let at = at as u32;
        index.insert_unique(hash(&at), at, hash);
    }

    /// What was seen under a name is seen no more.
    fn take(&mut self, name: &[u8], over: Option<Over>) {
        match self.cut(name) {
            Some(old) => {
                if old.directory {
                    self.count(-1);
                }
                if old.id.is_some() {
                    self.known = self.known.saturating_sub(1);
                }
            }
            None if over.is_some_and(|over| over.directory) => self.count(-1),
            None => {}
        }
    }

    fn cut(&mut self, name: &[u8]) -> Option<Slot> {
        let at = self.find(name)?;
        if let Ok(found) = self.index.find_entry(self.hashes.hash_one(name), |known| *known as usize == at) {
            found.remove();
        }
        let entry = &mut self.entries[at];
        entry.name = None;
        let slot = entry.kept.into();
        self.gaps += 1;
        if self.gaps > GAPS && self.gaps > self.entries.len() / 2 {
            self.close_gaps();
        }
        Some(slot)
    }

    fn close_gaps(&mut self) {
        self.entries.retain(|entry| entry.name.is_some());
        self.entries.shrink_to(2 * self.entries.len());
        self.gaps = 0;
        self.index = HashTable::with_capacity(self.entries.len());
        (0..self.entries.len()).for_each(|at| self.enter(at));
    }

    fn count(&mut self, change: i32) {
        self.directories = self.directories.and_then(|count| count.checked_add_signed(change));
    }

    /// An entry has been looked at.
    pub fn found(&mut self, name: &[u8], id: Id) {
        if let Some(at) = self.find(name)
            && std::mem::replace(&mut self.entries[at].kept.id, NonZeroU64::new(id)).is_none()
        {
            self.known += 1;
        }
    }

    /// The kernel knows an entry no more.
    pub fn forgotten(&mut self, name: &[u8]) {
        if let Some(at) = self.find(name)
            && self.entries[at].kept.id.take().is_some()
        {
            self.known = self.known.saturating_sub(1);
        }
    }

    /// Whether entries need this directory to find themselves.
    pub fn is_known_below(&self) -> bool {
        self.known > 0
    }

    /// The names that only the upper side has, from a position on, with their positions.
    pub fn listed_from(&self, position: u64) -> impl Iterator<Item = (u64, &Name)> {
        let first = self.entries.partition_point(|entry| entry.kept.position & POSITION < position);
        let alone = |kept: &Packed| kept.position & (IS_OVER | IS_WHITEOUT) == 0;
        let names = self.entries[first..].iter().filter(move |entry| alone(&entry.kept));
        names.filter_map(|entry| Some((entry.kept.position & POSITION, entry.name.as_ref()?)))
    }

    /// Nothing of the lower directory is seen any more: all that is seen is here.
    pub fn without_lower(&mut self) {
        self.entries.retain(|entry| entry.kept.position & IS_WHITEOUT == 0);
        self.entries.iter_mut().for_each(|entry| entry.kept.position &= !(IS_OVER | IS_OVER_DIRECTORY));
        self.close_gaps();
    }

    /// Whether anything but whiteouts is here.
    pub fn has_files(&self) -> bool {
        self.all().any(|(_, slot)| !slot.whiteout)
    }

    /// Whether there are whiteouts in it.
    pub fn has_whiteouts(&self) -> bool {
        self.all().any(|(_, slot)| slot.whiteout)
    }

    /// All that the upper side says.
    pub fn all(&self) -> impl Iterator<Item = (&Name, Slot)> {
        self.entries.iter().filter_map(|entry| Some((entry.name.as_ref()?, entry.kept.into())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.as_bytes().into()
    }

    #[test]
    fn a_listing_is_in_order_and_goes_on_where_it_was() {
        let mut dir = Dir::new(Some(0));
        for text in ["c", "a", "b"] {
            dir.put(&name(text), Some(9), false, None);
        }
        let positions: Vec<(u64, Name)> = dir.listed_from(0).map(|(at, name)| (at, name.clone())).collect();
        assert_eq!(
            positions.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>(),
            [name("c"), name("a"), name("b")]
        );
        dir.remove(&name("a"), None);
        dir.put(&name("c"), Some(10), false, None);
        let rest: Vec<Name> = dir.listed_from(positions[1].0).map(|(_, name)| name.clone()).collect();
        assert_eq!(rest, [name("b"), name("c")]);
    }

    #[test]
    fn what_comes_and_goes_leaves_positions_as_they_were() {
        let mut dir = Dir::new(Some(0));
        let names: Vec<Name> = (0..100).map(|number| name(&number.to_string())).collect();
        names.iter().for_each(|name| dir.put(name, Some(9), false, None));
        let (at, _) = dir.listed_from(0).nth(80).unwrap();
        // So many gaps are closed more than once.
        names[..80].iter().for_each(|name| dir.remove(name, None));
        assert_eq!(dir.listed_from(at).map(|(at, name)| (at, name.clone())).next(), Some((at, name("80"))));
        assert_eq!((dir.all().count(), dir.get(b"79").is_none(), dir.get(b"99").is_some()), (20, true, true));
        // One that is gone and a whiteout are not seen when the lower side's are no more; one that is over the lower side's is.
        let over = Some(Over { id: 5, directory: false });
        dir.remove(&names[0], over);
        dir.put(&names[1], Some(9), false, over);
        dir.remove(&names[98], None);
        dir.without_lower();
        assert!(dir.get(b"0").is_none() && dir.get(b"98").is_none());
        let last: Vec<Name> = dir.listed_from(at).map(|(_, name)| name.clone()).skip(17).collect();
        assert_eq!(last, [name("97"), name("99"), name("1")]);
    }

    #[test]
    fn directories_are_counted_as_they_are_seen() {
        let lower = Over { id: 5, directory: true };
        let mut dir = Dir::new(Some(2));
        dir.put(&name("lower"), Some(5), true, Some(lower));
        assert_eq!(dir.directories, Some(2), "copied up it is the same directory");
        dir.remove(&name("lower"), Some(lower));
        assert_eq!(dir.directories, Some(1));
        dir.put(&name("lower"), Some(6), true, Some(lower));
        dir.put(&name("new"), None, true, None);
        assert_eq!(dir.directories, Some(3));
        assert!(dir.has_files() && !dir.has_whiteouts());
    }
}
