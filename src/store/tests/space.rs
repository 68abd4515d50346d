//! What the store takes on disk, and what goes when it is to take less.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use super::*;
use crate::store::space::of_tree;

impl Fixture {
    /// What du(1) sees of the store.
    fn du(&self) -> u64 {
        of_tree(self.store.root())
    }

    fn used_at(&self, image: &Image, seconds: u64) {
        let record = image.tree.with_file_name("image.json");
        let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
        fs::File::open(record).unwrap().set_modified(time).unwrap();
    }
}

fn names(images: &[Image]) -> Vec<String> {
    images.iter().map(|image| image.names[0].path().to_owned()).collect()
}

#[test]
fn what_an_image_alone_has_is_what_its_removal_frees() {
    let fixture = fixture();
    let shared = tar("shared", &noise(300_000));
    let one = fixture.add("one", &[shared.clone(), tar("one", &noise(100_000))]);
    let two = fixture.add("two", &[shared, tar("two", &noise(200_000))]);
    let usage = fixture.store.usage().unwrap();
    assert_eq!(usage.images.len(), 2);
    // Compressed forms are the first to go, whoever has them.
    let forms: u64 =
        fixture.store.compressed().unwrap().iter().map(|kept| fs::metadata(&kept.path).unwrap().blocks() * 512).sum();
    assert!(usage.idle >= forms && forms > 500_000);
    let before = fixture.du();
    fixture.store.drop_compressed(&|_| true).unwrap();
    assert_eq!(before - fixture.du(), forms);
    let usage = fixture.store.usage().unwrap();
    assert_eq!(usage.idle, 0);
    for (name, image) in [("one", &one), ("two", &two)] {
        let share = fixture.store.usage().unwrap().images[&image.id];
        assert!(share.unique > 100_000 || name == "two");
        let before = fixture.du();
        let removed = fixture.remove(name).unwrap();
        assert_eq!(removed.freed, share.unique, "{name}");
        // names.json grows and shrinks by itself, within its block.
        assert_eq!(before - fixture.du(), share.unique, "{name}");
    }
}

#[test]
fn a_prune_counts_what_it_frees() {
    let fixture = fixture();
    fixture.add("one", &[tar("one", b"one")]);
    drop(fixture.layer(&tar("nobody's", &noise(100_000))));
    let pending = fixture.pending(&Digest::of(b"other"));
    fs::write(pending.dir().join("blob-x.partial"), noise(50_000)).unwrap();
    std::mem::forget(pending);
    let shadow = fixture.store.root().join("repair-1-1/layers");
    fs::create_dir_all(&shadow).unwrap();
    fs::write(shadow.join("file"), noise(10_000)).unwrap();
    fs::write(fixture.store.root().join("blobs/sha256").join("0".repeat(64)), b"nobody's").unwrap();
    let (usage, before) = (fixture.store.usage().unwrap(), fixture.du());
    let forms = fixture.store.drop_compressed(&|_| true).unwrap().freed;
    let pruned = fixture.store.prune().unwrap();
    assert_eq!(before - fixture.du(), pruned.freed + forms);
    // The pull that goes on keeps its part.
    let part = of_tree(&fixture.store.layer_dir(&Digest::of(b"other")));
    assert_eq!(usage.idle, pruned.freed + forms + part);
}

#[test]
fn what_was_not_used_for_longest_goes_first() {
    let fixture = fixture();
    let images: Vec<Image> =
        ["a", "b", "c", "d"].iter().map(|name| fixture.add(name, &[tar(name, &noise(200_000 + name.len()))])).collect();
    let _ = &images;
    let images: Vec<Image> = ["a", "b", "c", "d"].iter().map(|name| fixture.find(name).unwrap()).collect();
    for (image, seconds) in images.iter().zip([40, 10, 30, 20]) {
        fixture.used_at(image, seconds);
    }
    let nobody = |_: &Digest| Ok(None);
    let total = fixture.store.usage().unwrap().total;
    // Below the limit, nothing happens.
    let dropped = fixture.store.limit(total, &BTreeSet::new(), &nobody).unwrap();
    assert_eq!((dropped.forms, dropped.images.len(), dropped.freed), (0, 0, 0));
    // A little above: one form.
    let dropped = fixture.store.limit(total - 1, &BTreeSet::new(), &nobody).unwrap();
    assert_eq!((dropped.forms, dropped.images.len()), (1, 0));
    assert!(dropped.total < total);
    let bare = {
        fixture.store.drop_compressed(&|_| true).unwrap();
        fixture.store.usage().unwrap().total
    };
    let dropped = fixture.store.limit(bare - 1, &BTreeSet::new(), &nobody).unwrap();
    assert_eq!(names(&dropped.images), ["library/b"]);
    assert_eq!(dropped.total, fixture.store.usage().unwrap().total);
    // A pin, a container and the image that was just pulled stay, whatever is wanted.
    fixture.store.pin(&images[0], Some(&images[0].names[0]), true).unwrap();
    let held = |id: &Digest| Ok((*id == images[2].id).then(|| Holder { container: "box".into(), running: true }));
    let keep = BTreeSet::from([images[3].id.clone()]);
    let dropped = fixture.store.limit(0, &keep, &held).unwrap();
    assert_eq!(dropped.images.len(), 0);
    assert_eq!(fixture.store.images().unwrap().len(), 3);
    let lease = images[3].lease().unwrap();
    assert_eq!(fixture.store.limit(0, &BTreeSet::new(), &held).unwrap().images.len(), 0);
    drop(lease);
    let dropped = fixture.store.limit(0, &BTreeSet::new(), &held).unwrap();
    assert_eq!(names(&dropped.images), ["library/d"]);
    // Who cannot say whether an image is used keeps it.
    assert!(fixture.store.limit(0, &BTreeSet::new(), &|_| Err("unknown".into())).is_err());
    assert_eq!(fixture.store.images().unwrap().len(), 2);
}

#[test]
fn a_start_is_a_use() {
    let fixture = fixture();
    let image = fixture.add("one", &[tar("one", b"one")]);
    fixture.used_at(&image, 10);
    assert_eq!(fixture.store.last_used(&image), std::time::UNIX_EPOCH + Duration::from_secs(10));
    assert!(fixture.store.mend(&image).unwrap());
    assert!(fixture.store.last_used(&image) > std::time::UNIX_EPOCH + Duration::from_secs(1000));
}

#[test]
fn a_pin_goes_with_its_name_or_its_image() {
    let fixture = fixture();
    let image = fixture.add("one", &[tar("one", b"one")]);
    let name = image.names[0].clone();
    assert!(!image.pinned);
    assert!(fixture.store.pin(&image, Some(&name), true).unwrap());
    assert!(!fixture.store.pin(&image, Some(&name), true).unwrap());
    assert!(fixture.find("one").unwrap().pinned);
    // The name stands for another image: it is that one now.
    let next = fixture.add("one", &[tar("two", b"two")]);
    assert!(next.pinned && !fixture.store.by_id(&image.id).unwrap().unwrap().pinned);
    fixture.store.untag(&next, &[]).unwrap();
    fixture.store.tag(&next.id, std::slice::from_ref(&name)).unwrap();
    assert!(!fixture.find("one").unwrap().pinned);
    assert!(fixture.store.pin(&next, None, true).unwrap());
    assert!(fixture.find("one").unwrap().pinned);
    fixture.remove("one").unwrap();
    let names = fs::read_to_string(fixture.store.images_dir().join("names.json")).unwrap();
    assert!(!names.contains("pinned"), "{names}");
    assert!(fixture.store.pin(&image, None, true).unwrap() && fixture.store.pin(&image, None, false).unwrap());
}
