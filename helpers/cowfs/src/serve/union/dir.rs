//! What a directory of the upper side holds, as it stands above the lower directory of its place.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;

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
    slots: HashMap<Name, Packed>,
    order: BTreeMap<u64, Name>,
    next: u64,
    /// Directories among all that can be seen; `None` where the lower side cannot tell.
    pub directories: Option<u32>,
    /// What new files get from it, once it was asked: its default ACL.
    pub default_acl: Option<Option<Vec<u8>>>,
    /// How many of its entries are known to the kernel or have been.
    known: u32,
}

/// The first position after `.` and `..`.
const FIRST: u64 = 3;

impl Dir {
    /// An empty one above a lower directory with so many directories in it.
    pub fn new(directories: Option<u32>) -> Dir {
        Dir { next: FIRST, directories, ..Dir::default() }
    }

    pub fn get(&self, name: &[u8]) -> Option<Slot> {
        self.slots.get(name).copied().map(Slot::from)
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
        let position = self.next;
        self.next += 1;
        if over.is_none() {
            self.order.insert(position, name.clone());
        }
        self.slots.insert(name.clone(), Slot { id, whiteout: false, directory, over, position }.into());
    }

    /// Takes a name away; where the lower directory has it a whiteout stands for it from now on.
    pub fn remove(&mut self, name: &Name, over: Option<Over>) {
        self.take(name, over);
        if over.is_some() {
            let slot = Slot { id: None, whiteout: true, directory: false, over, position: 0 };
            self.slots.insert(name.clone(), slot.into());
        }
    }

    /// What was seen under a name is seen no more.
    fn take(&mut self, name: &[u8], over: Option<Over>) {
        match self.slots.remove(name).map(Slot::from) {
            Some(old) => {
                self.order.remove(&old.position);
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

    fn count(&mut self, change: i32) {
        self.directories = self.directories.and_then(|count| count.checked_add_signed(change));
    }

    /// An entry has been looked at.
    pub fn found(&mut self, name: &[u8], id: Id) {
        if let Some(slot) = self.slots.get_mut(name)
            && std::mem::replace(&mut slot.id, NonZeroU64::new(id)).is_none()
        {
            self.known += 1;
        }
    }

    /// The kernel knows an entry no more.
    pub fn forgotten(&mut self, name: &[u8]) {
        if let Some(slot) = self.slots.get_mut(name)
            && slot.id.take().is_some()
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
        self.order.range(position.max(FIRST)..).map(|(&position, name)| (position, name))
    }

    /// Nothing of the lower directory is seen any more: all that is seen is here.
    pub fn without_lower(&mut self) {
        self.slots.retain(|_, slot| slot.position & IS_WHITEOUT == 0);
        for (name, slot) in &mut self.slots {
            slot.position &= !(IS_OVER | IS_OVER_DIRECTORY);
            self.order.insert(slot.position & POSITION, name.clone());
        }
    }

    /// Whether anything but whiteouts is here.
    pub fn has_files(&self) -> bool {
        self.slots.values().any(|slot| slot.position & IS_WHITEOUT == 0)
    }

    /// Whether there are whiteouts in it.
    pub fn has_whiteouts(&self) -> bool {
        self.slots.values().any(|slot| slot.position & IS_WHITEOUT != 0)
    }

    /// All that the upper side says.
    pub fn all(&self) -> impl Iterator<Item = (&Name, Slot)> {
        self.slots.iter().map(|(name, slot)| (name, (*slot).into()))
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
