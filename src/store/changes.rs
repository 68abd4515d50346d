//! What the last layer of an image changes of those below it, and what two images have otherwise.

use std::collections::BTreeMap;

use cowfs::layer::Body;
use cowfs::tree::{Inode, Kind, Tree, merge_within};

use super::{Error, Image, Store};

/// What a layer does to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerChange {
    /// It was not there.
    Added,
    /// It was there, and is another.
    Changed,
    /// It is not there any more.
    Deleted,
}

impl Store {
    /// What the last layer of an image changes, sorted by path.
    ///
    /// # Errors
    /// Layers that are missing or damaged.
    pub fn top_changes(&self, image: &Image) -> Result<Vec<(LayerChange, Vec<u8>)>, Error> {
        let layers = self.layers_here(&image.config.diff_ids)?;
        let limits = self.limits_of_ours();
        let mut indexes = layers.iter().map(|layer| layer.index(&limits)).collect::<Result<Vec<_>, _>>()?;
        let Some(top) = indexes.pop() else { return Ok(Vec::new()) };
        let broken = |source| Error::Tree { image: image.id.clone(), source };
        let below = merge_within(&indexes, u64::MAX).and_then(Tree::from_bytes).map_err(broken)?;
        let mut found: BTreeMap<Vec<Vec<u8>>, LayerChange> = BTreeMap::new();
        for entry in top.entries().filter(|entry| !entry.path.is_empty()) {
            let parts: Vec<Vec<u8>> = entry.path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect();
            for end in 1..parts.len() {
                found.entry(parts[..end].to_vec()).or_insert(change(&below, &parts[..end]));
            }
            match entry.body {
                Body::Whiteout => drop(found.insert(parts, LayerChange::Deleted)),
                Body::Opaque => {
                    let hidden = at(&below, &parts).map(|inode| names(&below, &inode)).unwrap_or_default();
                    for name in hidden {
                        found.entry([&parts[..], &[name]].concat()).or_insert(LayerChange::Deleted);
                    }
                }
                _ => drop(found.insert(parts.clone(), change(&below, &parts))),
            }
        }
        Ok(found.into_iter().map(|(parts, change)| (change, parts.join(&b'/'))).collect())
    }
}

impl Store {
    /// What is otherwise in `to` than in `from`, sorted by path. Of a directory that is in one of them alone, all that it has is told where it was
    /// added, and itself where it was deleted. Files are the same where what a tar says of them is.
    ///
    /// # Errors
    /// Layers that are missing or damaged.
    pub fn changes_between(&self, from: &Image, to: &Image) -> Result<Vec<(LayerChange, Vec<u8>)>, Error> {
        let tree = |image: &Image| -> Result<Tree, Error> {
            if !self.mend(image)? {
                return Err(Error::NoSuchImage(image.id.short().to_owned()));
            }
            Tree::open(&image.tree).map_err(|source| Error::Tree { image: image.id.clone(), source })
        };
        let (before, after) = (tree(from)?, tree(to)?);
        let mut both = Both { before: &before, after: &after, found: BTreeMap::new() };
        if let (Some(before), Some(after)) = (before.root(), after.root()) {
            both.compare(&[], &before, &after);
        }
        Ok(both.found.into_iter().map(|(parts, change)| (change, parts.join(&b'/'))).collect())
    }
}

/// Two trees that are being compared.
struct Both<'a> {
    before: &'a Tree,
    after: &'a Tree,
    found: BTreeMap<Vec<Vec<u8>>, LayerChange>,
}

impl Both<'_> {
    /// Compares two directories; whether something in them is otherwise. A directory is as deep as its path is long, which is limited.
    fn compare(&mut self, parts: &[Vec<u8>], before: &Inode, after: &Inode) -> bool {
        let mut changed = false;
        for name in names(self.before, before) {
            if self.after.child(after, &name).is_none() {
                self.found.insert([parts, &[name]].concat(), LayerChange::Deleted);
                changed = true;
            }
        }
        for name in names(self.after, after) {
            let path = [parts, std::slice::from_ref(&name)].concat();
            let Some(new) = self.after.child(after, &name) else { continue };
            match self.before.child(before, &name) {
                None => {
                    self.added(&path, &new);
                    changed = true;
                }
                Some(old) if old.kind == Kind::Directory && new.kind == Kind::Directory => {
                    if self.compare(&path, &old, &new) | !self.is_same(&old, &new) {
                        self.found.insert(path, LayerChange::Changed);
                        changed = true;
                    }
                }
                Some(old) if self.is_same(&old, &new) => {}
                Some(_) => {
                    if new.kind == Kind::Directory {
                        self.added(&path, &new);
                    }
                    self.found.insert(path, LayerChange::Changed);
                    changed = true;
                }
            }
        }
        changed
    }

    fn added(&mut self, path: &[Vec<u8>], inode: &Inode) {
        self.found.insert(path.to_vec(), LayerChange::Added);
        for name in names(self.after, inode) {
            if let Some(child) = self.after.child(inode, &name) {
                self.added(&[path, &[name]].concat(), &child);
            }
        }
    }

    fn is_same(&self, old: &Inode, new: &Inode) -> bool {
        let meta = |inode: &Inode| (inode.kind, inode.mode, inode.uid, inode.gid, inode.device());
        // When a directory was changed says little of what is in it.
        let content = |inode: &Inode| (inode.kind != Kind::Directory).then_some((inode.size, inode.mtime));
        let xattrs = |tree: &Tree, inode: &Inode| -> BTreeMap<Vec<u8>, Vec<u8>> {
            tree.xattrs(inode).map(|(name, value)| (name.to_vec(), value.to_vec())).collect()
        };
        meta(old) == meta(new)
            && content(old) == content(new)
            && self.before.target(old) == self.after.target(new)
            && xattrs(self.before, old) == xattrs(self.after, new)
    }
}

fn names(tree: &Tree, directory: &Inode) -> Vec<Vec<u8>> {
    tree.entries(directory).map(|entry| entry.name.to_vec()).collect()
}

fn at(tree: &Tree, parts: &[Vec<u8>]) -> Option<Inode> {
    parts.iter().try_fold(tree.root()?, |at, name| tree.child(&at, name))
}

fn change(below: &Tree, parts: &[Vec<u8>]) -> LayerChange {
    if at(below, parts).is_some() { LayerChange::Changed } else { LayerChange::Added }
}
