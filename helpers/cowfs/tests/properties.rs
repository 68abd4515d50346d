//! Whatever the bytes, no panic; whatever the entries, the tree that a plain model of unpacking gives.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Head, Tar};
use cowfs::layer::{LayerIndex, Limits, index_tar};
use cowfs::tree::{Image, Inode, Kind, Tree, merge};
use proptest::prelude::*;

/// What a tar may say, on few names, so that entries meet.
#[derive(Clone, Debug)]
enum Step {
    File(Vec<u8>),
    Directory(u32),
    Symlink,
    HardLink(String),
    Fifo,
    Whiteout,
    Opaque,
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec("[abc]", 1..4).prop_map(|parts| parts.join("/"))
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..600).prop_map(Step::File),
        3 => (0..0o10000u32).prop_map(Step::Directory),
        1 => Just(Step::Symlink),
        2 => path().prop_map(Step::HardLink),
        1 => Just(Step::Fifo),
        2 => Just(Step::Whiteout),
        1 => Just(Step::Opaque),
    ]
}

type Layer = Vec<(String, Step)>;

fn tar(layer: &Layer) -> Vec<u8> {
    let mut tar = Tar::default();
    for (path, step) in layer {
        match step {
            Step::File(content) => tar.file(path, content),
            Step::Directory(mode) => {
                tar.head(&Head { name: path.as_bytes(), kind: b'5', mode: *mode, ..Head::default() })
            }
            // Outside the names that are used as parents, so that the model need not follow it.
            Step::Symlink => tar.symlink(path, "nowhere/at all"),
            Step::HardLink(target) => tar.hard_link(path, target),
            Step::Fifo => tar.head(&Head { name: path.as_bytes(), kind: b'6', ..Head::default() }),
            Step::Whiteout => {
                let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
                tar.file(format!("{dir}/.wh.{name}"), "")
            }
            Step::Opaque => tar.file(format!("{path}/.wh..wh..opq"), ""),
        };
    }
    tar.end()
}

/// A file of the model; hard links share its number.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    File(Vec<u8>),
    Directory(u32),
    Symlink,
    Fifo,
}

/// Unpacking, as simply as it can be said: a map from whole paths to numbered files.
#[derive(Default)]
struct Model {
    paths: BTreeMap<String, usize>,
    files: Vec<Node>,
}

impl Model {
    fn remove(&mut self, path: &str, with_itself: bool) {
        let below = format!("{path}/");
        self.paths.retain(|known, _| !(known.starts_with(&below) || (with_itself && known == path)));
    }

    fn is_directory(&self, path: &str) -> bool {
        self.paths.get(path).is_some_and(|&file| matches!(self.files[file], Node::Directory(_)))
    }

    fn make(&mut self, path: &str, node: Node) {
        self.files.push(node);
        self.paths.insert(path.to_owned(), self.files.len() - 1);
    }

    /// `false` where an unpacker fails.
    fn apply(&mut self, layer: &Layer) -> bool {
        for (path, step) in layer {
            match step {
                Step::Whiteout => self.remove(path, true),
                Step::Opaque => self.remove(path, false),
                _ => {}
            }
        }
        layer.iter().all(|(path, step)| self.add(path, step))
    }

    fn add(&mut self, path: &str, step: &Step) -> bool {
        let node = match step {
            Step::Whiteout | Step::Opaque => return true,
            Step::File(content) => Node::File(content.clone()),
            Step::Directory(mode) => Node::Directory(*mode),
            Step::Symlink => Node::Symlink,
            Step::Fifo | Step::HardLink(_) => Node::Fifo,
        };
        for (at, _) in path.match_indices('/') {
            let parent = &path[..at];
            if !self.is_directory(parent) {
                self.make(parent, Node::Directory(0o755));
            }
        }
        if let Step::HardLink(target) = step {
            let Some(&file) = self.paths.get(target) else { return false };
            if self.is_directory(target) {
                return false;
            }
            if self.paths.get(path) != Some(&file) {
                self.remove(path, true);
                self.paths.insert(path.to_owned(), file);
            }
            return true;
        }
        if let (Node::Directory(mode), true) = (&node, self.is_directory(path)) {
            self.files[self.paths[path]] = Node::Directory(*mode);
            return true;
        }
        self.remove(path, true);
        self.make(path, node);
        true
    }
}

/// All paths of a tree, with what is there.
fn walk(image: &Image) -> BTreeMap<String, Inode> {
    let mut found = BTreeMap::new();
    let mut todo = vec![(String::new(), image.tree().root().unwrap())];
    while let Some((path, inode)) = todo.pop() {
        for entry in image.tree().entries(&inode) {
            let name = String::from_utf8(entry.name.to_vec()).unwrap();
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            todo.push((path.clone(), image.tree().inode(entry.inode).unwrap()));
            found.insert(path, image.tree().inode(entry.inode).unwrap());
        }
    }
    found
}

fn open(layers: &[Layer]) -> Option<(tempfile::TempDir, Image)> {
    let dir = tempfile::tempdir().unwrap();
    let (mut indexes, mut tars) = (Vec::new(), Vec::new());
    for (number, layer) in layers.iter().enumerate() {
        let bytes = tar(layer);
        indexes.push(index_tar(&bytes[..], &Limits::default()).unwrap());
        tars.push(dir.path().join(number.to_string()));
        std::fs::write(&tars[number], bytes).unwrap();
    }
    std::fs::write(dir.path().join("tree"), merge(&indexes).ok()?).unwrap();
    let image = Image::open(&dir.path().join("tree"), &tars).unwrap();
    Some((dir, image))
}

/// Whether some entry would be reached through a link, which the model does not follow.
fn has_link_as_parent(layers: &[Layer]) -> bool {
    let steps = || layers.iter().flatten();
    let links: BTreeSet<&String> = steps().filter(|(_, s)| matches!(s, Step::Symlink)).map(|(path, _)| path).collect();
    let hard = steps().any(|(_, step)| matches!(step, Step::HardLink(target) if links.contains(target)));
    let under = |path: &str| links.iter().any(|link| path.starts_with(&format!("{link}/")) || path == link.as_str());
    hard || steps().any(|(path, step)| match step {
        Step::Opaque => under(path),
        Step::HardLink(target) => under(target) || path.match_indices('/').any(|(at, _)| under(&path[..at])),
        _ => path.match_indices('/').any(|(at, _)| under(&path[..at])),
    })
}

fn layers() -> impl Strategy<Value = Vec<Layer>> {
    let layer = prop::collection::vec((path(), step()), 0..12);
    prop::collection::vec(layer, 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_merged_tree_is_what_unpacking_gives(layers in layers()) {
        prop_assume!(!has_link_as_parent(&layers));
        let mut model = Model::default();
        let fits = layers.iter().all(|layer| model.apply(layer));
        let opened = open(&layers);
        prop_assert_eq!(opened.is_some(), fits);
        let Some((_dir, image)) = opened else { return Ok(()) };
        let found = walk(&image);
        prop_assert_eq!(found.keys().collect::<Vec<_>>(), model.paths.keys().collect::<Vec<_>>());
        for (path, inode) in &found {
            let file = model.paths[path];
            let node = match inode.kind {
                Kind::File => Node::File(image.read_file(path, u64::MAX).unwrap().unwrap()),
                Kind::Directory => Node::Directory(inode.mode),
                Kind::Symlink => Node::Symlink,
                _ => Node::Fifo,
            };
            prop_assert_eq!(&node, &model.files[file], "{}", path);
            let links = model.paths.values().filter(|&&other| other == file).count();
            if inode.kind == Kind::Directory {
                let inside = |other: &&String| other.rsplit_once('/').map_or("", |(dir, _)| dir) == path;
                let dirs = found.keys().filter(inside).filter(|p| model.is_directory(p)).count();
                prop_assert_eq!(inode.nlink as usize, dirs + 2, "{}", path);
            } else {
                prop_assert_eq!(inode.nlink as usize, links, "{}", path);
            }
        }
    }

    #[test]
    fn an_index_is_read_as_it_was_written(layers in layers()) {
        for layer in &layers {
            let index = index_tar(&tar(layer)[..], &Limits::default()).unwrap();
            let mut bytes = Vec::new();
            index.write_to(&mut bytes).unwrap();
            prop_assert_eq!(LayerIndex::parse(bytes).unwrap(), index);
        }
    }

    #[test]
    fn no_tar_makes_the_reader_panic(layers in layers(), changes in changes(), length in any::<prop::sample::Index>()) {
        let mut bytes = tar(&layers[0]);
        change(&mut bytes, &changes);
        let _ = index_tar(&bytes[..], &Limits::default());
        // With its checksums mended, damage reaches further in.
        for at in (0..bytes.len()).step_by(512) {
            mend(&mut bytes[at..]);
        }
        let _ = index_tar(&bytes[..], &Limits::default());
        let _ = index_tar(&bytes[..length.index(bytes.len())], &Limits::default());
    }

    #[test]
    fn no_extended_header_makes_the_reader_panic(
        key in "(GNU\\.sparse\\.(map|offset|numbytes|major|minor|realsize|numblocks|name)|size|uid|mtime|path|SCHILY\\.xattr\\.user\\.x|LIBARCHIVE\\.xattr\\.user\\.y)",
        other in "(GNU\\.sparse\\.(map|offset|numbytes|major|minor|realsize|numblocks|name)|size|linkpath)",
        value in "[0-9,.\n-]{0,24}", second in "[0-9,]{0,24}", body in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let mut tar = Tar::default();
        tar.pax(&[(&key, value.as_bytes()), (&other, second.as_bytes()), ("GNU.sparse.realsize", b"4096")]);
        tar.file("f", &body);
        if let Ok(index) = index_tar(&tar.end()[..], &Limits::default()) {
            let mut bytes = Vec::new();
            index.write_to(&mut bytes).unwrap();
            prop_assert!(LayerIndex::parse(bytes).is_ok(), "what is made can be read");
        }
    }

    #[test]
    fn no_index_or_tree_makes_its_reader_panic(layers in layers(), changes in changes(), noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let indexes: Vec<_> = layers.iter().map(|l| index_tar(&tar(l)[..], &Limits::default()).unwrap()).collect();
        let mut bytes = Vec::new();
        indexes[0].write_to(&mut bytes).unwrap();
        change(&mut bytes, &changes);
        if let Ok(index) = LayerIndex::parse(bytes) {
            index.entries().for_each(drop);
            let _ = merge(&[index]);
        }
        if let Ok(mut bytes) = merge(&indexes) {
            change(&mut bytes, &changes);
            look_at_everything(bytes);
        }
        look_at_everything(noise.clone());
        let _ = LayerIndex::parse(noise);
    }
}

/// Bytes to be overwritten: where, and with what.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff)]), 1..8)
}

fn change(bytes: &mut [u8], changes: &[(prop::sample::Index, u8)]) {
    for (at, value) in changes {
        let at = at.index(bytes.len());
        bytes[at] = *value;
    }
}

/// Makes a block's checksum right.
fn mend(block: &mut [u8]) {
    if block.len() >= 512 && block[257..262] == *b"ustar" {
        block[148..156].fill(b' ');
        let sum: u32 = block[..512].iter().map(|&b| u32::from(b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fn look_at_everything(bytes: Vec<u8>) {
    let Ok(tree) = Tree::from_bytes(bytes) else { return };
    tree.tar_lengths().for_each(drop);
    for number in 0..tree.inode_count().min(1000) {
        let Some(inode) = tree.inode(number) else { continue };
        tree.entries(&inode).take(1000).for_each(drop);
        tree.xattrs(&inode).take(1000).for_each(drop);
        let _ = (tree.target(&inode), tree.parent(&inode), tree.child(&inode, b"a"), tree.lookup(b"a/b/c"));
        let _ = (inode.data(), inode.device(), tree.segment(number));
    }
}
