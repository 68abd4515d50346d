//! What one directory of the union holds: the names of several directories, the topmost first, merged.

use std::ops::Range;
use std::sync::OnceLock;

use super::look::Found;
use crate::upper::OPAQUE_FILE;

/// What a layer's directory says of a name, as far as listing it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// It is a directory.
    Directory,
    /// It is something else. That may turn out to be a whiteout when it is looked at.
    Other,
    /// It is gone, says a file `.wh.NAME`. (Last: beside a file of that name it counts for the layers below only.)
    Whiteout,
}

/// The names of files by which older tools hide others.
const WHITEOUT: &[u8] = b".wh.";
const WHITEOUT_OWN: &[u8] = b".wh..wh.";

/// Names as they come from the layers.
#[derive(Default)]
pub struct Gathered {
    text: Vec<u8>,
    names: Vec<(Range<usize>, u16, What)>,
    /// A layer has said that those below it do not count.
    pub opaque: bool,
}

impl Gathered {
    /// Takes a name that a layer's directory has.
    pub fn add(&mut self, layer: u16, name: &[u8], what: What) {
        let (name, what) = match name.strip_prefix(WHITEOUT) {
            None => (name, what),
            Some(_) if name == OPAQUE_FILE => return self.opaque = true,
            Some(_) if name.starts_with(WHITEOUT_OWN) => return,
            Some(hidden) => (hidden, What::Whiteout),
        };
        let start = self.text.len();
        self.text.extend_from_slice(name);
        self.names.push((start..self.text.len(), layer, what));
    }

    /// Puts them together.
    pub fn merge(mut self) -> Listing {
        let text = std::mem::take(&mut self.text);
        let name = |entry: &(Range<usize>, u16, What)| &text[entry.0.clone()];
        self.names.sort_unstable_by(|a, b| (name(a), a.1, a.2).cmp(&(name(b), b.1, b.2)));
        let mut listing = Listing::default();
        for same in self.names.chunk_by(|a, b| name(a) == name(b)) {
            listing.add(name(&same[0]), same.iter().map(|(_, layer, what)| (*layer, *what)));
        }
        listing.text.shrink_to_fit();
        listing.runs.shrink_to_fit();
        listing.entries.shrink_to_fit();
        listing
    }
}

/// A merged directory. The names are sorted.
#[derive(Debug, Default)]
pub struct Listing {
    text: Vec<u8>,
    runs: Vec<u16>,
    entries: Vec<Entry>,
    /// How many of them are directories.
    pub directories: u32,
}

#[derive(Debug)]
struct Entry {
    /// Where its name ends in the text; it begins where the one before ends.
    name_end: u32,
    /// Where its layers end in the runs.
    run_end: u32,
    /// What it is, once it was looked at: perhaps nothing.
    found: OnceLock<Option<Box<Found>>>,
}

impl Listing {
    fn add(&mut self, name: &[u8], layers: impl Iterator<Item = (u16, What)>) {
        let start = self.runs.len();
        for (layer, what) in layers {
            match what {
                What::Directory => self.runs.push(layer),
                What::Other if self.runs.len() == start => {
                    self.runs.push(layer);
                    break;
                }
                _ => break,
            }
            if self.runs.len() == start + 1 {
                self.directories += 1;
            }
        }
        if self.runs.len() > start {
            self.text.extend_from_slice(name);
            let (name_end, run_end) = (self.text.len() as u32, self.runs.len() as u32);
            self.entries.push(Entry { name_end, run_end, found: OnceLock::new() });
        }
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of a name.
    pub fn index(&self, name: &[u8]) -> Option<usize> {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = usize::midpoint(from, to);
            match self.name(middle).cmp(name) {
                std::cmp::Ordering::Less => from = middle + 1,
                std::cmp::Ordering::Equal => return Some(middle),
                std::cmp::Ordering::Greater => to = middle,
            }
        }
        None
    }

    /// A name.
    pub fn name(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).map_or(0, |before| self.entries[before].name_end);
        &self.text[start as usize..self.entries[index].name_end as usize]
    }

    /// The layers that have it, the topmost first: several only of directories.
    pub fn layers(&self, index: usize) -> &[u16] {
        let start = index.checked_sub(1).map_or(0, |before| self.entries[before].run_end);
        &self.runs[start as usize..self.entries[index].run_end as usize]
    }

    /// What it is, as far as that is known.
    pub fn found(&self, index: usize) -> &OnceLock<Option<Box<Found>>> {
        &self.entries[index].found
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Merges `layer name` pairs; a slash at the end makes a directory.
    fn merged(names: &[(u16, &str)]) -> Vec<(String, Vec<u16>)> {
        let mut gathered = Gathered::default();
        for (layer, name) in names {
            let what = if name.ends_with('/') { What::Directory } else { What::Other };
            gathered.add(*layer, name.trim_end_matches('/').as_bytes(), what);
        }
        let listing = gathered.merge();
        let entry = |i| (String::from_utf8_lossy(listing.name(i)).into_owned(), listing.layers(i).to_vec());
        (0..listing.len()).map(entry).collect()
    }

    fn entry(name: &str, layers: &[u16]) -> (String, Vec<u16>) {
        (name.to_owned(), layers.to_vec())
    }

    #[test]
    fn directories_are_merged_and_files_are_not() {
        let names = [(0, "dir/"), (0, "file"), (1, "file"), (1, "dir/"), (2, "dir"), (3, "dir/"), (3, "deep/")];
        assert_eq!(merged(&names), [entry("deep", &[3]), entry("dir", &[0, 1]), entry("file", &[0])]);
        assert_eq!(merged(&[(0, "both"), (1, "both/")]), [entry("both", &[0])]);
    }

    #[test]
    fn whiteouts_by_name_hide_what_is_below_them() {
        assert_eq!(merged(&[(0, ".wh.gone"), (1, "gone"), (1, "kept")]), [entry("kept", &[1])]);
        assert_eq!(merged(&[(0, "d/"), (1, ".wh.d"), (2, "d/")]), [entry("d", &[0])]);
        assert_eq!(merged(&[(0, "d/"), (0, ".wh.d"), (2, "d/")]), [entry("d", &[0])]);
        assert_eq!(merged(&[(0, ".wh..wh.plnk/"), (0, ".wh..wh.aufs")]), []);
        let mut gathered = Gathered::default();
        gathered.add(0, b".wh..wh..opq", What::Other);
        assert!(gathered.opaque);
    }

    proptest! {
        #[test]
        fn every_name_is_found_again(names in prop::collection::btree_set((0..4_u16, "[a-d]{1,3}"), 0..40)) {
            let mut gathered = Gathered::default();
            for (layer, name) in &names {
                gathered.add(*layer, name.as_bytes(), What::Other);
            }
            let listing = gathered.merge();
            for (layer, name) in &names {
                let index = listing.index(name.as_bytes()).unwrap();
                prop_assert!(listing.layers(index)[0] <= *layer);
            }
            prop_assert!((1..listing.len()).all(|i| listing.name(i - 1) < listing.name(i)));
            prop_assert_eq!(listing.index(b"zz"), None);
        }
    }
}
