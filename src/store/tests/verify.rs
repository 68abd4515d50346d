//! What is damaged is found, and mended.

use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

impl Fixture {
    fn damage(&self) -> Vec<Damage> {
        self.store.verify(None, 2, &|_| ()).unwrap().damage
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = self.damage().into_iter().map(|damage| damage.part).collect();
        parts.sort();
        parts
    }
}

/// Changes one byte in the middle of a file, as a disk does.
fn rot(path: &Path) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let at = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[test]
fn a_store_that_is_whole_is_found_so() {
    let fixture = fixture();
    fixture.add("one", &[tar("a", &noise(100_000)), tar("b", b"b")]);
    fixture.add("two", &[tar("a", &noise(100_000)), tar("c", b"c")]);
    let seen = AtomicU64::new(0);
    let verified = fixture
        .store
        .verify(None, 4, &|bytes| {
            seen.fetch_add(bytes, Ordering::Relaxed);
        })
        .unwrap();
    assert!(verified.damage.is_empty(), "{:?}", verified.damage);
    // Three layers with an index and a form each, two images with a configuration, a manifest and a tree each.
    assert_eq!(verified.files, 3 * 3 + 2 * 3);
    assert_eq!(verified.bytes, seen.load(Ordering::Relaxed));
    assert!(verified.bytes > 200_000);
}

#[test]
fn each_kind_of_file_is_looked_at() {
    let fixture = fixture();
    let image = fixture.add("one", &[tar("a", &noise(100_000))]);
    let other = fixture.add("two", &[tar("b", b"b")]);
    let (diff_id, dir) = (image.config.diff_ids[0].clone(), image.tars[0].with_file_name(""));
    let form = fixture.ready(&diff_id).forms().unwrap()[0].clone();
    let record = image.tree.with_file_name("image.json");
    for (path, expected) in [
        (dir.join("layer.tar"), Part::Layer(diff_id.clone())),
        (dir.join("layer.index"), Part::Index(diff_id.clone())),
        (form.path.clone(), Part::Form(form.digest.clone())),
        (fixture.store.blob(&image.manifest), Part::Document(image.manifest.clone())),
        (fixture.store.blob(&image.id), Part::Document(image.id.clone())),
        (image.tree.clone(), Part::Tree(image.id.clone())),
        (record, Part::Record(image.id.clone())),
    ] {
        let good = fs::read(&path).unwrap();
        let mut changes: Vec<Option<Vec<u8>>> = vec![Some(good[..good.len() - 1].to_vec()), Some(Vec::new())];
        // A tree is made again when it is missing, a form by whoever wants it; an image without a record is none.
        if !matches!(expected, Part::Tree(_) | Part::Form(_) | Part::Record(_)) {
            changes.push(None);
        }
        rot(&path);
        changes.push(fs::read(&path).ok());
        for change in changes {
            match &change {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            // A changed byte of a record's text may be one that says nothing, as its last one does.
            if matches!(expected, Part::Record(_)) && change.as_ref().is_some_and(|bytes| !bytes.is_empty()) {
                continue;
            }
            let damage = fixture.damage();
            let found = damage.iter().find(|damage| damage.part == expected);
            let found =
                found.unwrap_or_else(|| panic!("{expected:?} {:?}: {damage:?}", change.map(|bytes| bytes.len())));
            assert_eq!(found.path, path);
            let needs = !matches!(expected, Part::Form(_));
            assert_eq!(
                found.images.iter().map(|owner| &owner.id).collect::<Vec<_>>(),
                if needs { vec![&image.id] } else { vec![] }
            );
            assert!(damage.iter().all(|damage| damage.images.iter().all(|owner| owner.id != other.id)));
            // Who asks for the other image alone hears nothing of it.
            let only = [other.id.clone()].into();
            if !matches!(expected, Part::Record(_)) {
                assert!(fixture.store.verify(Some(&only), 1, &|_| ()).unwrap().damage.is_empty());
            }
        }
        fs::write(&path, good).unwrap();
        assert!(fixture.damage().is_empty());
    }
}

#[test]
fn what_is_made_of_others_is_made_again() {
    let fixture = fixture();
    let image = fixture.add("one", &[tar("a", &noise(100_000))]);
    let (diff_id, dir) = (image.config.diff_ids[0].clone(), image.tars[0].with_file_name(""));
    rot(&dir.join("layer.index"));
    rot(&image.tree);
    assert_eq!(fixture.parts(), [Part::Index(diff_id.clone())], "the tree cannot be compared");
    fixture.store.mend_index(&diff_id).unwrap();
    assert_eq!(fixture.parts(), [Part::Tree(image.id.clone())]);
    fixture.store.mend_tree(&image.id).unwrap();
    assert!(fixture.parts().is_empty());
}

#[test]
fn a_layer_is_taken_from_its_form_and_whoever_has_it_open_keeps_it() {
    let fixture = fixture();
    let image = fixture.add("one", &[tar("a", &noise(100_000)), tar("b", b"b")]);
    let (diff_id, path) = (image.config.diff_ids[0].clone(), image.tars[0].clone());
    rot(&path);
    let rotten = fs::read(&path).unwrap();
    let mut open = fs::File::open(&path).unwrap();
    let damaged = fixture.damage();
    assert_eq!(damaged.len(), 1);
    let shadow = fixture.store.shadow().unwrap();
    assert!(!shadow.adopt_layer(&diff_id).unwrap());
    shadow.lend(&image.config.diff_ids[1..]).unwrap();
    assert!(shadow.unpack(&diff_id, &[]).unwrap());
    assert!(shadow.adopt_layer(&diff_id).unwrap());
    drop(shadow);
    let mut same = Vec::new();
    open.read_to_end(&mut same).unwrap();
    assert!(same == rotten);
    assert!(fixture.damage().is_empty());
    assert_eq!(fs::read_dir(fixture.store.root()).unwrap().count(), 3, "no shadow is left");
    // A form that is damaged itself is no help.
    rot(&path);
    let form = fixture.ready(&diff_id).forms().unwrap()[0].path.clone();
    rot(&form);
    let shadow = fixture.store.shadow().unwrap();
    assert!(!shadow.unpack(&diff_id, &[]).unwrap());
    assert!(!shadow.unpack(&diff_id, std::slice::from_ref(&form)).unwrap());
    fixture.store.drop_form(&form).unwrap();
    assert_eq!(fixture.parts(), [Part::Layer(diff_id)]);
}

#[test]
fn what_a_pull_is_at_work_on_is_no_damage() {
    let fixture = fixture();
    fixture.add("one", &[tar("a", b"a")]);
    let pending = fixture.pending(&Digest::of(b"other"));
    fs::write(pending.dir().join("blob-x.partial"), b"part").unwrap();
    assert!(fixture.damage().is_empty());
}
