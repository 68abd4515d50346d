//! Inode numbers for files of several filesystems: unique, and the same for a file as long as we run.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use fuser::INodeNo;
use sys::statx::Status;

/// Where a file is seen: its mount, and its device, since one mount of btrfs has many.
type Place = (u64, (u32, u32));

/// Gives out inode numbers.
///
/// A number is the place's index in the upper 16 bits and the file's own number below: so hard links are one
/// inode, and a file that was forgotten is found under its old number again, with nothing to remember.
/// The same directory seen through two mounts is two inodes, as the kernel wants a directory to have one
/// parent.
#[derive(Debug, Default)]
pub struct Numbers(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    places: HashMap<Place, u64>,
    /// The mounts of the places, in the order of their indexes.
    mounts: Vec<u64>,
    /// Files whose own number is too large, or whose place came too late.
    others: HashMap<(Place, u64), u64>,
    /// Names of files that have several, where each name is to be a file of its own: by the file, the directory and the name.
    names: HashMap<(u64, u64, Vec<u8>), u64>,
}

const BITS: u32 = 48;
/// The index of `others`; the places' own begin at 1, so that no number is as small as the root's.
const OTHERS: u64 = 0xffff;

impl Numbers {
    /// The number of a file.
    pub fn of(&self, status: &Status) -> INodeNo {
        let place = (status.mount, status.device);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = known.places.len() as u64 + 1;
        let index = match known.places.get(&place) {
            Some(&index) => index,
            None if next < OTHERS => {
                known.mounts.push(place.0);
                *known.places.entry(place).or_insert(next)
            }
            None => OTHERS,
        };
        if index < OTHERS && status.inode >> BITS == 0 {
            return INodeNo(index << BITS | status.inode);
        }
        let next = (known.others.len() + known.names.len()) as u64;
        INodeNo(OTHERS << BITS | *known.others.entry((place, status.inode)).or_insert(next))
    }

    /// The number of one name of a file, as if it had no other.
    pub fn of_name(&self, status: &Status, parent: INodeNo, name: &[u8]) -> INodeNo {
        let file = self.of(status);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = (known.others.len() + known.names.len()) as u64;
        INodeNo(OTHERS << BITS | *known.names.entry((file.0, parent.0, name.to_vec())).or_insert(next))
    }

    /// The mount that a number's file is seen through, where the number says so.
    pub fn mount(&self, number: INodeNo) -> Option<u64> {
        let index = usize::try_from((number.0 >> BITS).checked_sub(1)?).ok()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).mounts.get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(mount: u64, device: u32, inode: u64) -> Status {
        let zero = (0, 0);
        let time = (0, 0);
        Status {
            mode: 0,
            nlink: 1,
            uid: 0,
            gid: 0,
            size: 0,
            blocks: 0,
            inode,
            device: (device, 0),
            represents: zero,
            mount,
            atime: time,
            mtime: time,
            ctime: time,
            btime: time,
        }
    }

    #[test]
    fn numbers_are_unique_and_stable() {
        let numbers = Numbers::default();
        let files = [status(1, 1, 2), status(1, 2, 2), status(2, 1, 2), status(1, 1, 1 << 60), status(1, 1, 1 << 61)];
        let first: Vec<INodeNo> = files.iter().map(|file| numbers.of(file)).collect();
        let second: Vec<INodeNo> = files.iter().map(|file| numbers.of(file)).collect();
        assert_eq!(first, second);
        let distinct: std::collections::HashSet<_> = first.iter().collect();
        assert_eq!(distinct.len(), files.len());
        assert!(first.iter().all(|&number| number > INodeNo::ROOT));
        assert_eq!((numbers.mount(first[1]), numbers.mount(first[2])), (Some(1), Some(2)));
        assert_eq!((numbers.mount(INodeNo::ROOT), numbers.mount(first[4])), (None, None));
    }
}
