use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;

use super::*;
use crate::image::Descriptor;

mod kept;
mod space;
mod verify;

/// A layer with one file.
fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn describe(bytes: &[u8]) -> Descriptor {
    Descriptor { digest: Digest::of(bytes), size: bytes.len() as u64 }
}

/// Bytes that do not compress, so that a blob is worth resuming.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..len).map(next).collect()
}

struct Fixture {
    store: Store,
    dir: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    Fixture { store: Store::open(&dir.path().join("v1")).unwrap(), dir }
}

impl Fixture {
    fn pending(&self, diff_id: &Digest) -> Pending<'_> {
        match self.store.layer(diff_id, &|| panic!("waits for nobody")).unwrap() {
            Slot::Absent(pending) => pending,
            Slot::Ready(_) => panic!("the layer is there already"),
        }
    }

    fn ready(&self, diff_id: &Digest) -> Layer {
        match self.store.layer(diff_id, &|| panic!("waits for nobody")).unwrap() {
            Slot::Ready(layer) => layer,
            Slot::Absent(_) => panic!("the layer is not there"),
        }
    }

    fn layer(&self, tar: &[u8]) -> Layer {
        let diff_id = Digest::of(tar);
        if let Slot::Absent(pending) = self.store.layer(&diff_id, &|| ()).unwrap() {
            let blob = gzip(tar);
            pending.fill(&describe(&blob), 0, &mut &blob[..]).unwrap();
        }
        self.ready(&diff_id)
    }

    fn add_for(&self, name: &str, platform: &str, tars: &[Vec<u8>], created: &str) -> Image {
        let platform = Platform::parse(platform).unwrap();
        let layers: Vec<Layer> = tars.iter().map(|tar| self.layer(tar)).collect();
        let diff_ids: Vec<&Digest> = layers.iter().map(Layer::diff_id).collect();
        let config = serde_json::json!({
            "os": platform.os, "architecture": platform.architecture, "created": created, "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = config.to_string().into_bytes();
        let manifest = format!("manifest of {}", Digest::of(&config)).into_bytes();
        let new = NewImage {
            names: &[Reference::parse(name).unwrap()],
            platform: &platform,
            index: None,
            index_digest: None,
            manifest: &manifest,
            manifest_digest: &Digest::of(&manifest),
            config: &config,
            id: &Digest::of(&config),
            layers: &layers.iter().collect::<Vec<_>>(),
        };
        self.store.add(&new).unwrap()
    }

    fn add(&self, name: &str, tars: &[Vec<u8>]) -> Image {
        self.add_for(name, "linux/amd64", tars, "2024-01-02T03:04:05Z")
    }

    fn find(&self, query: &str) -> Option<Image> {
        self.store.find(query, &Platform::parse("linux/amd64").unwrap()).unwrap()
    }

    fn remove(&self, query: &str) -> Result<Removed, Error> {
        self.remove_as(query, &Removal { force: false, holder: &|_| Ok(None) })
    }

    fn remove_as(&self, query: &str, removal: &Removal<'_>) -> Result<Removed, Error> {
        self.store.remove(query, &Platform::parse("linux/amd64").unwrap(), removal)
    }

    /// Every file and directory below the store, but for the four directories that are always there.
    fn contents(&self) -> Vec<String> {
        fn walk(dir: &Path, into: &mut Vec<String>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                into.push(path.display().to_string());
                if path.is_dir() {
                    walk(&path, into);
                }
            }
        }
        let mut all = Vec::new();
        if self.store.root().exists() {
            walk(self.store.root(), &mut all);
        }
        let root = format!("{}/", self.store.root().display());
        let mut all: Vec<String> = all.iter().map(|path| path.replacen(&root, "", 1)).collect();
        all.retain(|path| !["blobs", "blobs/sha256", "layers", "images", "images/names.json"].contains(&path.as_str()));
        all.sort();
        all
    }
}

#[test]
fn a_layer_is_its_tar_and_an_index() {
    let fixture = fixture();
    let tar = tar("etc/hello", b"hello");
    for blob in [gzip(&tar), zstd::encode_all(&tar[..], 1).unwrap(), tar.clone()] {
        let pending = fixture.pending(&Digest::of(&tar));
        pending.fill(&describe(&blob), 0, &mut &blob[..]).unwrap();
        drop(pending);
        let layer = fixture.ready(&Digest::of(&tar));
        assert_eq!(fs::read(layer.tar()).unwrap(), tar);
        assert_eq!(layer.index(&Limits::default()).unwrap().len(), 1);
        let forms = usize::from(blob != tar);
        assert_eq!(fixture.contents().len(), 3 + forms, "{:?}", fixture.contents());
        drop(layer);
        assert_eq!(fixture.store.prune().unwrap().layers, 1);
        assert!(fixture.contents().is_empty());
    }
}

#[test]
fn directories_are_private() {
    let fixture = fixture();
    let image = fixture.add("tool", &[tar("a", b"a")]);
    for path in [
        fixture.store.root().to_owned(),
        fixture.store.images_dir(),
        image.tree.parent().unwrap().to_owned(),
        fixture.store.layers(),
    ] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700, "{}", path.display());
    }
    assert_eq!(fs::metadata(&image.tars[0]).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn bad_bytes_leave_nothing() {
    let fixture = fixture();
    let tar = tar("etc/hello", &noise(3 << 20));
    let blob = gzip(&tar);
    let good = describe(&blob);
    let mut flipped = blob.clone();
    flipped[1_000_000] ^= 1;
    let longer = [&blob[..], b"x"].concat();
    let not_tar = noise(2 << 20);
    let cut = gzip(&tar[..1_000_000]);
    let fill = |diff_id: &Digest, blob: &Descriptor, bytes: &[u8]| {
        let error = fixture.pending(diff_id).fill(blob, 0, &mut &*bytes).unwrap_err();
        assert!(fixture.contents().is_empty(), "{error}: {:?}", fixture.contents());
        assert!(error.is_about_content(), "{error:?}");
        error
    };
    let diff_id = Digest::of(&tar);
    assert!(matches!(fill(&diff_id, &good, &flipped), Error::Digest { expected, .. } if expected == good.digest));
    assert!(matches!(fill(&diff_id, &good, &longer), Error::Size { longer: true, .. }));
    assert!(matches!(fill(&diff_id, &good, &blob[..500_000]), Error::Size { longer: false, .. }));
    assert!(matches!(
        fill(&diff_id, &describe(&flipped), &flipped),
        Error::Decompress { .. } | Error::Layer { .. } | Error::Digest { .. }
    ));
    assert!(
        matches!(fill(&Digest::of(b"x"), &good, &blob), Error::Digest { expected, .. } if expected == Digest::of(b"x"))
    );
    assert!(matches!(fill(&Digest::of(&not_tar), &describe(&not_tar), &not_tar), Error::Layer { .. }));
    assert!(matches!(fill(&Digest::of(&tar[..1_000_000]), &describe(&cut), &cut), Error::Layer { .. }));
}

#[test]
fn a_bomb_is_stopped_by_the_limit() {
    let mut fixture = fixture();
    fixture.store = fixture.store.clone().with_limits(Limits { tar_bytes: 4 << 20, ..Limits::default() });
    let tar = tar("zeros", &vec![0; 64 << 20]);
    let blob = gzip(&tar);
    let error = fixture.pending(&Digest::of(&tar)).fill(&describe(&blob), 0, &mut &blob[..]).unwrap_err();
    assert!(matches!(error, Error::Layer { source: cowfs::Error::Limit { .. }, .. }), "{error:?}");
    assert!(fixture.contents().is_empty());
}

/// Fails after some bytes, as a connection does.
struct Breaks<'a>(&'a [u8]);

impl Read for Breaks<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::ErrorKind::ConnectionReset.into()),
            got => Ok(got),
        }
    }
}

#[test]
fn a_broken_download_goes_on_where_it_ended() {
    let fixture = fixture();
    let tar = tar("etc/hello", &noise(3 << 20));
    let diff_id = Digest::of(&tar);
    let blob = gzip(&tar);
    let pending = fixture.pending(&diff_id);
    assert_eq!(pending.resumable(&describe(&blob)), 0);
    let error = pending.fill(&describe(&blob), 0, &mut Breaks(&blob[..2_000_000])).unwrap_err();
    assert!(matches!(error, Error::Source { .. }), "{error:?}");
    drop(pending);
    fixture.store.sweep().unwrap();
    let pending = fixture.pending(&diff_id);
    let there = pending.resumable(&describe(&blob));
    assert!(there > 1_000_000, "{there}");
    pending.fill(&describe(&blob), there, &mut &blob[usize::try_from(there).unwrap()..]).unwrap();
    drop(pending);
    assert_eq!(fs::read(fixture.ready(&diff_id).tar()).unwrap(), tar);
    assert_eq!(fixture.contents().len(), 4, "{:?}", fixture.contents());
}

#[test]
fn a_damaged_part_is_thrown_away() {
    let fixture = fixture();
    let tar = tar("etc/hello", &noise(3 << 20));
    let blob = gzip(&tar);
    let pending = fixture.pending(&Digest::of(&tar));
    pending.fill(&describe(&blob), 0, &mut Breaks(&noise(1_500_000))).unwrap_err();
    let there = pending.resumable(&describe(&blob));
    let rest = &blob[usize::try_from(there).unwrap()..];
    assert!(pending.fill(&describe(&blob), there, &mut &*rest).unwrap_err().is_about_content());
    assert_eq!(pending.resumable(&describe(&blob)), 0);
    pending.fill(&describe(&blob), 0, &mut &blob[..]).unwrap();
}

#[test]
fn what_cannot_be_resumed_is_swept() {
    let fixture = fixture();
    let dir = fixture.store.layer_dir(&Digest::of(b"x"));
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("layer.tar.new"), b"half").unwrap();
    fixture.store.sweep().unwrap();
    assert!(fixture.contents().is_empty());
}

#[test]
fn a_second_pull_waits_for_the_first_and_finds_the_layer() {
    let fixture = fixture();
    let tar = tar("a", b"a");
    let diff_id = Digest::of(&tar);
    let pending = fixture.pending(&diff_id);
    let (waits, waiting) = mpsc::channel();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let slot = fixture.store.layer(&diff_id, &|| waits.send(()).unwrap()).unwrap();
            assert!(matches!(slot, Slot::Ready(_)), "{slot:?}");
        });
        waiting.recv().unwrap();
        pending.fill(&describe(&tar), 0, &mut &tar[..]).unwrap();
        drop(pending);
        second.join().unwrap();
    });
}

#[test]
fn a_second_pull_takes_over_from_one_that_died() {
    let fixture = fixture();
    let diff_id = Digest::of(b"x");
    let pending = fixture.pending(&diff_id);
    std::thread::scope(|scope| {
        let (waits, waiting) = mpsc::channel::<()>();
        let (store, diff_id) = (&fixture.store, &diff_id);
        let second =
            scope.spawn(move || matches!(store.layer(diff_id, &|| waits.send(()).unwrap()).unwrap(), Slot::Absent(_)));
        waiting.recv().unwrap();
        drop(pending);
        assert!(second.join().unwrap());
    });
}

#[test]
fn images_are_found_by_name_id_prefix_and_digest() {
    let fixture = fixture();
    let debian = fixture.add("debian", &[tar("a", b"a"), tar("b", b"b")]);
    let tool = fixture.add("quay.io/team/tool:1", &[tar("a", b"a")]);
    assert_eq!(debian.tars.len(), 2);
    assert_eq!(fixture.find("debian").unwrap().id, debian.id);
    assert_eq!(fixture.find("docker.io/library/debian:latest").unwrap().id, debian.id);
    assert!(fixture.find("debian:12").is_none());
    assert!(fixture.find("tool:1").is_none(), "only registries.conf may say which registry is meant");
    let hex = tool.id.hex();
    for id in [
        tool.id.to_string(),
        hex.to_owned(),
        hex[..12].to_owned(),
        hex[..3].to_owned(),
        format!("sha256:{}", &hex[..12]),
    ] {
        assert_eq!(fixture.find(&id).map(|image| image.id), Some(tool.id.clone()), "{id}");
    }
    assert_eq!(fixture.find(&format!("quay.io/team/tool@{}", tool.manifest)).unwrap().id, tool.id);
    assert!(fixture.find(&format!("quay.io/other/tool@{}", tool.manifest)).is_none());
    assert!(fixture.find(&hex[..2]).is_none());
    assert_eq!(debian.created.unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs(), 1_704_164_645);
    assert_eq!(fixture.store.images().unwrap().len(), 2);
    assert_eq!(fixture.store.all_names().unwrap().len(), 2);
}

#[test]
fn a_name_has_an_image_for_each_platform() {
    let fixture = fixture();
    let amd64 = fixture.add_for("debian", "linux/amd64", &[tar("a", b"a")], "");
    let arm64 = fixture.add_for("debian", "linux/arm64", &[tar("a", b"b")], "");
    let on = |platform: &str| {
        fixture.store.find("debian", &Platform::parse(platform).unwrap()).unwrap().map(|image| image.id)
    };
    assert_eq!(on("linux/amd64"), Some(amd64.id));
    assert_eq!(on("linux/arm64"), Some(arm64.id));
    assert_eq!(on("linux/s390x"), None);
    let only = || fixture.store.only_target(&Reference::parse("debian").unwrap()).unwrap();
    assert!(only().is_none(), "it could be either");
    assert_eq!(fixture.remove("debian").unwrap().deleted.len(), 1);
    assert!(only().is_some_and(|image| image.platform.to_string() == "linux/arm64"));
    assert_eq!(fixture.remove("debian").unwrap().deleted.len(), 1, "the one for another platform, now the only one");
    assert!(fixture.contents().is_empty());
}

#[test]
fn an_image_may_have_no_layers() {
    let fixture = fixture();
    let image = fixture.add("scratch", &[]);
    assert!(image.tars.is_empty());
    assert!(cowfs::tree::Image::open(&image.tree, &image.tars).is_ok());
    fixture.remove("scratch").unwrap();
}

#[test]
fn a_name_that_moves_leaves_a_dangling_image() {
    let fixture = fixture();
    let old = fixture.add("debian", &[tar("a", b"old")]);
    let new = fixture.add("debian", &[tar("a", b"new")]);
    assert_eq!(fixture.find("debian").unwrap().id, new.id);
    let images = fixture.store.images().unwrap();
    let dangling = images.iter().find(|image| image.names.is_empty()).unwrap();
    assert_eq!(dangling.id, old.id);
    fixture.remove(old.id.short()).unwrap();
    assert!(fixture.find("debian").is_some());
}

#[test]
fn removing_takes_what_nobody_else_needs() {
    let fixture = fixture();
    let shared = tar("a", b"shared");
    let one = fixture.add("one", &[shared.clone(), tar("b", b"one")]);
    let two = fixture.add("two", &[shared.clone(), tar("b", b"two")]);
    let removed = fixture.remove("one").unwrap();
    assert_eq!(removed.untagged, [Reference::parse("one").unwrap()]);
    assert_eq!(removed.deleted, [one.id]);
    assert!(removed.freed > 0);
    assert!(two.tars.iter().all(|tar| tar.exists()));
    assert!(!one.tars[1].exists());
    fixture.remove("two").unwrap();
    assert!(fixture.contents().is_empty(), "{:?}", fixture.contents());
    assert!(matches!(fixture.remove("two"), Err(Error::NoSuchImage(name)) if name == "two"));
}

#[test]
fn an_image_goes_with_its_last_name() {
    let fixture = fixture();
    let image = fixture.add("one", &[tar("a", b"a")]);
    fixture.add("two", &[tar("a", b"a")]);
    assert!(matches!(fixture.remove(image.id.short()), Err(Error::ManyNames { .. })));
    assert!(fixture.remove("one").unwrap().deleted.is_empty());
    assert_eq!(fixture.remove("two").unwrap().deleted, [image.id]);
    assert!(fixture.contents().is_empty());
}

#[test]
fn what_runs_is_not_removed() {
    let fixture = fixture();
    let image = fixture.add("one", &[tar("a", b"a")]);
    let lease = image.lease().unwrap();
    assert!(matches!(fixture.remove("one"), Err(Error::InUse { .. })));
    assert!(matches!(fixture.remove(image.id.short()), Err(Error::InUse { .. })));
    assert_eq!(fixture.find("one").unwrap().names.len(), 1);
    drop(lease);
    fixture.remove("one").unwrap();
    assert!(matches!(image.lease(), Err(Error::NoSuchImage(_))));
}

#[test]
fn what_a_container_needs_loses_its_names_only_by_force() {
    let fixture = fixture();
    fixture.add("one", &[tar("a", b"a")]);
    fixture.add("two", &[tar("a", b"a")]);
    let holder = |running| move |_: &Digest| Ok(Some(Holder { container: "web".into(), running }));
    let (stopped, running) = (holder(false), holder(true));
    let id = fixture.find("one").unwrap().id;
    let refused = |query: &str, holder: &dyn Fn(&Digest) -> Result<Option<Holder>, Unknown>, expected: &str| {
        let error = fixture.remove_as(query, &Removal { force: false, holder }).unwrap_err().to_string();
        assert_eq!(error, format!("conflict: unable to {}", expected.replace("ID", id.short())));
    };
    // The one name is not the last.
    assert_eq!(fixture.remove_as("one", &Removal { force: false, holder: &running }).unwrap().untagged.len(), 1);
    let by_name =
        "remove repository reference \"two:latest\" (must force) - container web is using its referenced image ID";
    refused("two", &stopped, by_name);
    refused(id.short(), &stopped, "delete ID (must be forced) - image is being used by stopped container web");
    refused(id.short(), &running, "delete ID (cannot be forced) - image is being used by running container web");
    let removed = fixture.remove_as("two", &Removal { force: true, holder: &running }).unwrap();
    assert_eq!((removed.untagged.len(), removed.deleted.len()), (1, 0));
    assert_eq!(fixture.store.prune().unwrap().layers, 0);
    assert_eq!(fixture.remove(id.short()).unwrap().deleted, [id]);
}

#[test]
fn layers_of_a_pull_under_way_are_not_collected() {
    let fixture = fixture();
    let layer = fixture.layer(&tar("a", b"a"));
    assert_eq!(fixture.store.prune().unwrap(), Pruned::default());
    assert!(layer.tar().exists());
    drop(layer);
    assert_eq!(fixture.store.prune().unwrap().layers, 1);
}

#[test]
fn a_damaged_index_is_made_again() {
    let fixture = fixture();
    let layer = fixture.layer(&tar("a", b"a"));
    fs::write(layer.tar().with_file_name("layer.index"), b"junk").unwrap();
    assert_eq!(layer.index(&Limits::default()).unwrap().len(), 1);
    assert!(cowfs::layer::LayerIndex::open(&layer.tar().with_file_name("layer.index")).is_ok());
}

#[test]
fn trees_unused_for_long_are_dropped_and_made_again() {
    let fixture = fixture();
    let images: Vec<Image> =
        (0..20).map(|number| fixture.add(&format!("a{number}"), &[tar(&number.to_string(), b"x")])).collect();
    assert_eq!(images.iter().filter(|image| image.tree.exists()).count(), 16);
    assert!(!images[0].tree.exists() && images[19].tree.exists());
    assert!(fixture.store.mend(&images[0]).unwrap());
    assert!(cowfs::tree::Image::open(&images[0].tree, &images[0].tars).is_ok());
}

#[test]
fn records_of_another_version_or_damaged_are_named() {
    let fixture = fixture();
    fixture.add("one", &[tar("a", b"a")]);
    let names = fixture.store.images_dir().join("names.json");
    fs::write(&names, br#"{"version":2,"everything":"different"}"#).unwrap();
    assert!(matches!(fixture.store.images(), Err(Error::Version { found: 2, .. })));
    fs::write(&names, b"{").unwrap();
    let error = fixture.store.images().unwrap_err();
    assert!(matches!(&error, Error::Record { path, .. } if *path == names));
    assert!(error.hint().unwrap().contains("names.json"));
    assert!(fixture.store.prune().is_ok() && fixture.store.root().join("layers").exists());
}

#[test]
fn a_store_that_cannot_be_made_names_the_path() {
    let fixture = fixture();
    let file = fixture.dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = Store::open(&file).unwrap_err();
    assert!(error.to_string().contains(&file.display().to_string()));
    let below = Store::open(&file.join("v1"));
    assert!(below.is_err() || below.unwrap().images().is_err());
    assert!(fixture.store.images().unwrap().is_empty());
    assert!(!fixture.store.root().exists(), "looking creates nothing");
}
