//! What the last layer of an image changes of those below it.

use std::collections::BTreeMap;

use cowfs::layer::Body;
use cowfs::tree::{Inode, Tree, merge};

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
        let mut indexes = layers.iter().map(|layer| layer.index(&self.limits)).collect::<Result<Vec<_>, _>>()?;
        let Some(top) = indexes.pop() else { return Ok(Vec::new()) };
        let broken = |source| Error::Tree { image: image.id.clone(), source };
        let below = merge(&indexes).and_then(Tree::from_bytes).map_err(broken)?;
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

fn names(tree: &Tree, directory: &Inode) -> Vec<Vec<u8>> {
    tree.entries(directory).map(|entry| entry.name.to_vec()).collect()
}

fn at(tree: &Tree, parts: &[Vec<u8>]) -> Option<Inode> {
    parts.iter().try_fold(tree.root()?, |at, name| tree.child(&at, name))
}

fn change(below: &Tree, parts: &[Vec<u8>]) -> LayerChange {
    if at(below, parts).is_some() { LayerChange::Changed } else { LayerChange::Added }
}
