//! The names of an inode. Nearly all have one, which takes no allocation of its own.

use std::ops::Deref;

use super::nodes::{Id, Name};

/// A name, with the directory that it is in.
type Entry = (Id, Name);

/// Names with their directories, the oldest first.
#[derive(Clone, Debug)]
pub struct Names(Few);

/// As large as one name: that of two variants needs no tag, as a name is never a null pointer.
#[derive(Clone, Debug)]
enum Few {
    One(Entry),
    Others(Option<Box<Others>>),
}

/// None, or several.
#[derive(Clone, Debug)]
struct Others(Vec<Entry>);

impl Names {
    /// Adds one.
    pub fn push(&mut self, parent: Id, name: Name) {
        if let Few::Others(Some(others)) = &mut self.0 {
            others.0.push((parent, name));
            return;
        }
        let mut all: Vec<Entry> = std::mem::take(self).into();
        all.push((parent, name));
        *self = all.into();
    }

    /// Takes one away, if it is there.
    pub fn remove(&mut self, parent: Id, name: &[u8]) {
        let mut all: Vec<Entry> = std::mem::take(self).into();
        all.retain(|(dir, known)| *dir != parent || **known != *name);
        *self = all.into();
    }
}

impl Default for Names {
    fn default() -> Names {
        Names(Few::Others(None))
    }
}

impl Deref for Names {
    type Target = [Entry];

    fn deref(&self) -> &[Entry] {
        match &self.0 {
            Few::One(one) => std::slice::from_ref(one),
            Few::Others(others) => others.as_ref().map_or(&[], |others| &others.0),
        }
    }
}

impl From<Vec<Entry>> for Names {
    fn from(names: Vec<Entry>) -> Names {
        Names(match <[Entry; 1]>::try_from(names) {
            Ok([one]) => Few::One(one),
            Err(names) if names.is_empty() => Few::Others(None),
            Err(names) => Few::Others(Some(Box::new(Others(names)))),
        })
    }
}

impl From<Names> for Vec<Entry> {
    fn from(names: Names) -> Vec<Entry> {
        match names.0 {
            Few::One(one) => vec![one],
            Few::Others(others) => others.map_or_else(Vec::new, |others| others.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_and_go() {
        let mut names = Names::default();
        for (number, text) in ["a", "b", "c"].into_iter().enumerate() {
            names.push(number as Id, text.as_bytes().into());
        }
        names.remove(1, b"c");
        assert_eq!(names.len(), 3, "that is not in this directory");
        names.remove(1, b"b");
        assert_eq!(names.iter().map(|(dir, name)| (*dir, &**name)).collect::<Vec<_>>(), [(0, &b"a"[..]), (2, b"c")]);
        names.remove(0, b"a");
        names.remove(2, b"c");
        assert!(names.is_empty());
        assert!(size_of::<Names>() <= 24);
    }
}
