//! Compressed forms: kept, found, lost and thrown away.

use super::super::kept::name;
use super::*;
use crate::store::space::of_file;

#[test]
fn a_layer_is_kept_as_it_came_and_as_it_is_made() {
    let fixture = fixture();
    let tar = tar("a", &noise(5000));
    let layer = fixture.layer(&tar);
    let came = describe(&gzip(&tar));
    assert_eq!(fs::read(layer.compressed(&came.digest).unwrap()).unwrap(), gzip(&tar));
    assert_eq!(layer.compressed(layer.diff_id()), Some(layer.tar()));
    assert_eq!(layer.compressed(&Digest::of(b"another")), None);

    let mut keeping = layer.keep().unwrap();
    keeping.write_all(b"another ").unwrap();
    drop(layer.keep().unwrap());
    keeping.write_all(b"form").unwrap();
    assert_eq!(keeping.finish().unwrap(), describe(b"another form"));
    assert_eq!(fs::read(layer.compressed(&Digest::of(b"another form")).unwrap()).unwrap(), b"another form");
    let mut made: Vec<Digest> = layer.forms().unwrap().into_iter().map(|kept| kept.digest).collect();
    made.sort();
    let mut expected = vec![came.digest, Digest::of(b"another form")];
    expected.sort();
    assert_eq!(made, expected);
}

#[test]
fn a_form_that_is_used_once_leaves_no_file() {
    let fixture = fixture();
    let layer = fixture.layer(&tar("a", b"a"));
    let before = fixture.contents();
    let mut keeping = layer.keep().unwrap();
    keeping.write_all(b"form").unwrap();
    let (descriptor, mut file) = keeping.detach().unwrap();
    assert_eq!(descriptor, describe(b"form"));
    assert_eq!(fixture.contents(), before);
    let mut bytes = Vec::new();
    io::Seek::rewind(&mut file).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"form");
}

#[test]
fn nothing_is_kept_where_that_is_not_wanted() {
    let mut fixture = fixture();
    fixture.store = fixture.store.clone().keeping_compressed(false);
    for content in [noise(100), noise(3 << 20)] {
        let tar = tar("a", &content);
        assert!(fixture.layer(&tar).forms().unwrap().is_empty());
    }
    assert_eq!(fixture.contents().len(), 6, "{:?}", fixture.contents());
}

#[test]
fn a_layer_that_lost_its_index_is_taken_in_again_from_what_was_kept() {
    let fixture = fixture();
    let tar = tar("a", &noise(3 << 20));
    let blob = gzip(&tar);
    let dir = fixture.layer(&tar).dir().to_owned();
    let before = fixture.contents();
    fs::remove_file(dir.join("layer.index")).unwrap();
    let pending = fixture.pending(&Digest::of(&tar));
    assert_eq!(pending.resumable(&describe(&blob)), blob.len() as u64);
    pending.fill(&describe(&blob), blob.len() as u64, &mut io::empty()).unwrap();
    drop(pending);
    assert_eq!(fixture.contents(), before);

    // What is damaged does not serve, and does not stay.
    fs::remove_file(dir.join("layer.index")).unwrap();
    let kept = dir.join(name(&Digest::of(&blob)));
    let mut damaged = blob.clone();
    damaged[1_000_000] ^= 1;
    fs::write(&kept, &damaged).unwrap();
    let pending = fixture.pending(&Digest::of(&tar));
    let error = pending.fill(&describe(&blob), blob.len() as u64, &mut io::empty()).unwrap_err();
    assert!(error.is_about_content(), "{error}");
    assert_eq!(pending.resumable(&describe(&blob)), 0);
    assert!(!kept.exists());
}

#[test]
fn what_broke_off_is_not_taken_for_a_form() {
    let fixture = fixture();
    for content in [noise(100), noise(3 << 20)] {
        let tar = tar("a", &content);
        let blob = gzip(&tar);
        let pending = fixture.pending(&Digest::of(&tar));
        pending.fill(&describe(&blob), 0, &mut Breaks(&blob[..blob.len() / 2])).unwrap_err();
        pending.fill(&describe(&blob), 0, &mut &blob[..blob.len() / 2]).unwrap_err();
        assert!(!pending.dir().join(name(&Digest::of(&blob))).exists());
        drop(pending);
    }
    assert!(fixture.contents().is_empty(), "{:?}", fixture.contents());
}

#[test]
fn forms_go_when_asked_and_with_their_layer() {
    let fixture = fixture();
    let image = fixture.add("one", &[tar("a", b"a"), tar("b", b"b")]);
    let kept = fixture.store.compressed().unwrap();
    assert_eq!(kept.len(), 2);
    // What a killed push left, in a layer that is needed.
    let part = kept[0].path.with_file_name("blob-new-1-1.partial");
    fs::write(&part, b"half").unwrap();
    let (freed, form) = (of_file(&part), of_file(&kept[0].path));
    assert_eq!(fixture.store.prune().unwrap(), Pruned { layers: 0, freed });
    assert!(!part.exists());
    let first = kept[0].digest.clone();
    let dropped = fixture.store.drop_compressed(&|kept| kept.digest == first).unwrap();
    assert_eq!(dropped, Pruned { layers: 1, freed: form });
    assert_eq!(fixture.store.compressed().unwrap(), &kept[1..]);
    assert!(image.tars.iter().all(|tar| tar.exists()));
    fixture.remove("one").unwrap();
    assert!(fixture.contents().is_empty(), "{:?}", fixture.contents());
}

#[test]
fn documents_are_given_as_they_came_or_not_at_all() {
    let fixture = fixture();
    let image = fixture.add("one", &[tar("a", b"a")]);
    let config = fixture.store.document(&image.id).unwrap().unwrap();
    assert!(image.id.matches(&config));
    assert!(fixture.store.document(&image.manifest).unwrap().is_some());
    assert_eq!(fixture.store.document(&Digest::of(b"no")).unwrap(), None);
    fs::write(fixture.store.blob(&image.id), b"{}").unwrap();
    assert!(matches!(fixture.store.document(&image.id), Err(Error::Digest { .. })));
}
