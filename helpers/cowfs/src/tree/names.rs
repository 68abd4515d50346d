//! The way from an inode back to its names, which only writing needs: made when it is first asked for.

use std::collections::HashMap;

use super::read::{Kind, Tree};

/// The names of every inode of a tree, as numbers of entries. Eight bytes an inode, more for hard links only.
#[derive(Debug)]
pub struct Names {
    /// Directories with entries, in the order of their entries: the first entry, and the directory.
    directories: Vec<(u32, u32)>,
    /// One entry of each inode.
    one: Vec<u32>,
    /// The others.
    others: HashMap<u32, Vec<u32>>,
}

/// No entry leads to the inode.
const NONE: u32 = u32::MAX;

impl Names {
    /// Reads all entries of a tree.
    pub fn of(tree: &Tree) -> Names {
        let inodes = tree.inode_count();
        let mut names = Names { directories: Vec::new(), one: vec![NONE; inodes as usize], others: HashMap::new() };
        for number in 0..inodes {
            let Some(dir) = tree.inode(number).filter(|inode| inode.kind == Kind::Directory) else { continue };
            let Some(first) = tree.first_entry(&dir) else { continue };
            if dir.entry_count() > 0 {
                names.directories.push((first, number));
            }
            for (index, entry) in tree.entries(&dir).enumerate() {
                let at = first.saturating_add(index as u32);
                match names.one.get_mut(entry.inode as usize) {
                    Some(one) if *one == NONE => *one = at,
                    Some(_) => names.others.entry(entry.inode).or_default().push(at),
                    None => {}
                }
            }
        }
        names.directories.sort_unstable();
        names
    }

    /// The directories in which an inode has a name, and the names.
    pub fn get(&self, tree: &Tree, inode: u32) -> Vec<(u32, Vec<u8>)> {
        let one = self.one.get(inode as usize).copied().filter(|&one| one != NONE);
        let others = self.others.get(&inode).into_iter().flatten().copied();
        let name = |entry: u32| {
            let at = self.directories.partition_point(|&(first, _)| first <= entry).checked_sub(1)?;
            let (first, number) = self.directories[at];
            let found = tree.entry(&tree.inode(number)?, entry - first)?;
            Some((number, found.name.to_vec()))
        };
        one.into_iter().chain(others).filter_map(name).collect()
    }
}
