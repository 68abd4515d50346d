//! Containers that begin while their image is still being fetched: what they read, and what becomes of the image. A container is here whoever
//! opens the image's tree and tars, as the server of its filesystem does.

use std::fs;
use std::sync::{Mutex, mpsc};
use std::thread;

use cowfs::tree::Image as Files;
use enter::image::{Digest, Reference};
use enter::registry::{Error, Job, LayerEvent, Told, fill, pull_or_start};
use enter::store::Image;
use serde_json::json;

use super::Fixture;
use super::registry::{Lie, noise};
use super::stargz::{ANNOTATION, Builder, Layer};

/// Files of a layer that is large enough for such a start, in its order.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = (0..40).map(|at| (format!("small-{at}"), noise(at, 1000))).collect();
    files.push(("big".into(), noise(100, 3 << 20)));
    files.push(("empty".into(), Vec::new()));
    files.push(("other".into(), noise(101, 2 << 20)));
    files.push(("last".into(), b"the last file".to_vec()));
    files
}

fn honest() -> Builder {
    let mut builder = Builder::default();
    for (name, content) in files() {
        builder.file(&name, &content, 1 << 20);
    }
    builder
}

fn push(fixture: &Fixture, layers: &[Layer]) -> Vec<Digest> {
    push_as(fixture, "a:1", layers)
}

fn push_as(fixture: &Fixture, name: &str, layers: &[Layer]) -> Vec<Digest> {
    let (tars, blobs): (Vec<_>, Vec<_>) = layers.iter().map(|layer| (layer.tar.clone(), layer.blob.clone())).unzip();
    let annotate = |manifest: &mut serde_json::Value| {
        for (number, layer) in layers.iter().enumerate() {
            manifest["layers"][number]["annotations"] = json!({ANNOTATION: layer.toc});
        }
    };
    fixture.registry.push_as(name, "amd64", &tars, &blobs, annotate).blobs
}

/// What a process tells that fetches: a line when containers can begin, and what failed.
struct Words(Mutex<mpsc::Sender<Option<String>>>);

impl Told for Words {
    fn ready(&self) {
        self.0.lock().unwrap().send(None).unwrap();
    }

    fn failed(&self, error: &Error) {
        // Nobody listens any more to one that goes on.
        let _ = self.0.lock().unwrap().send(Some(error.to_string()));
    }
}

/// What came of a start.
struct Started {
    /// What the process ended with that fetches, if there was one.
    filled: Option<Result<Image, Error>>,
    /// What the pull returned.
    pulled: Result<Image, Error>,
}

/// Pulls `a:1` with a start. `meanwhile` gets the image as soon as containers can begin from it, and a way to wait for what has failed;
/// the process, which is a thread here, goes on until it is done.
fn start(fixture: &Fixture, meanwhile: impl FnOnce(&Image, &dyn Fn() -> String)) -> Started {
    let name = Reference::parse(&format!("{}/a:1", fixture.registry.host())).unwrap();
    let (say, heard) = mpsc::channel();
    let heard = Mutex::new(heard);
    thread::scope(|scope| {
        let filler = Mutex::new(None);
        let start = |job: &Job| {
            // As it is sent to another process.
            let sent = serde_json::to_string(job).unwrap();
            let words = Words(Mutex::new(say.clone()));
            *filler.lock().unwrap() = Some(scope.spawn(move || {
                let job = serde_json::from_str(&sent).unwrap();
                let filled = fill(&fixture.store, &job, &fixture.options.environment, &words);
                let _ = words.0.lock().unwrap().send(Some("it has ended".into()));
                filled
            }));
            match heard.lock().unwrap().recv().unwrap() {
                None => Some(fixture.store.arriving(job.image()).unwrap().unwrap()),
                Some(_) => None,
            }
        };
        let pulled = pull_or_start(&fixture.store, &name, &fixture.options, &fixture.heard, Some(&start));
        if let Ok(image) = &pulled {
            meanwhile(image, &|| heard.lock().unwrap().recv().unwrap().unwrap());
        }
        let filled = filler.into_inner().unwrap().map(|filler| filler.join().unwrap());
        Started { filled, pulled }
    })
}

fn check(open: &Files, names: impl Iterator<Item = &'static str>) {
    let files = files();
    for name in names {
        let content = &files.iter().find(|(known, _)| known == name).unwrap().1;
        assert!(open.read_file(name, 4 << 20).unwrap().unwrap() == *content, "{name}");
    }
}

fn error_of(open: &Files, name: &str) -> Option<i32> {
    let inode = open.resolve(name).unwrap();
    open.read_at(&inode, 0, &mut [0; 10]).unwrap_err().raw_os_error()
}

#[test]
fn a_container_begins_before_the_layer_is_here_and_reads_what_it_wants_of_it() {
    let fixture = Fixture::new();
    let layer = honest().finish();
    let blob = push(&fixture, &[Layer { blob: layer.blob.clone(), tar: layer.tar.clone(), toc: layer.toc.clone() }]);
    fixture.registry.lie(&blob[0].to_string(), 1, Lie::StallWhole(100));
    let mut kept = None;
    let started = start(&fixture, |image, _| {
        assert!(fixture.store.by_id(&image.id).unwrap().is_none(), "it is not here");
        let open = Files::open(&image.tree, &image.tars).unwrap();
        check(&open, ["last", "small-7", "big", "empty", "small-8", "other"].into_iter());
        assert!(!image.tars[0].is_file(), "the layer is not here yet");
        assert_eq!(fixture.store.trouble(&image.id).unwrap(), None);
        assert_eq!(fixture.store.prune().unwrap().layers, 0, "what is coming is nobody's garbage");
        kept = Some((open, image.clone()));
    });
    let (open, image) = kept.unwrap();
    let filled = started.filled.unwrap().unwrap();
    assert_eq!((&filled.id, &started.pulled.unwrap().id), (&image.id, &image.id));
    assert!(fs::read(&filled.tars[0]).unwrap() == layer.tar, "what is in the store is what an ordinary pull brings");
    check(&open, ["small-1", "big", "last"].into_iter());
    assert!(fixture.store.arriving(&image.id).unwrap().is_none());
    let whole = Files::open(&filled.tree, &filled.tars).unwrap();
    check(&whole, ["small-39", "big", "other", "last"].into_iter());
    fixture.registry.forget();
    fixture.pull("a:1").unwrap();
    assert_eq!(fixture.registry.log().len(), 0, "it is here as any other");
}

#[test]
fn what_is_in_the_tar_already_is_not_fetched_again() {
    let fixture = Fixture::new();
    let layer = honest().finish();
    let stall = layer.blob.len() - 300_000;
    let blob = push(&fixture, &[layer]);
    let path = format!("blobs/{}", blob[0]);
    fixture.registry.lie(&path, 1, Lie::StallWhole(stall));
    start(&fixture, |image, _| {
        let open = Files::open(&image.tree, &image.tars).unwrap();
        // Behind what has come, so that it is fetched by itself; the rest has passed by then, or is waited for.
        check(&open, ["last"].into_iter());
        while fixture.registry.count(&path) < 3 {
            thread::yield_now();
        }
        let before = fixture.registry.count(&path);
        check(&open, ["small-0", "small-20", "big"].into_iter());
        assert!(fixture.registry.count(&path) <= before + 1, "{:?}", fixture.registry.log());
    })
    .filled
    .unwrap()
    .unwrap();
}

#[test]
fn who_reads_one_file_after_the_other_waits_ever_more_seldom() {
    let fixture = Fixture::new();
    let mut builder = Builder::default();
    let name = |at: u64| format!("file-{at:03}");
    for at in 0..400 {
        builder.file(&name(at), &noise(at, 20_000), 1 << 20);
    }
    let blob = push(&fixture, &[builder.finish()]);
    let path = format!("blobs/{}", blob[0]);
    fixture.registry.lie(&path, 1, Lie::StallWhole(100));
    let waited = || {
        let log = fixture.registry.log();
        let ranges = log
            .iter()
            .filter(|request| request.line.contains(&path))
            .filter_map(|request| request.headers.get("range"));
        ranges.filter(|range| !range.ends_with('-')).count()
    };
    start(&fixture, |image, _| {
        let open = Files::open(&image.tree, &image.tars).unwrap();
        let before = waited();
        for at in 0..400 {
            assert!(open.read_file(name(at), 1 << 20).unwrap().unwrap() == noise(at, 20_000), "{at}");
        }
        // 8 MB: a quarter, a half, one, two and four megabytes, and the rest.
        assert!(waited() - before <= 7, "{}", waited() - before);
    })
    .filled
    .unwrap()
    .unwrap();
}

#[test]
fn of_several_layers_those_that_are_here_are_not_fetched_and_the_others_come_in_any_order() {
    let fixture = Fixture::new();
    let base = Builder::default().file("base", b"base", 1 << 20).finish();
    let upper = Builder::default().file("upper", &noise(7, 1 << 20), 100_000).file(".wh.small-3", b"", 1).finish();
    let again = Layer { blob: base.blob.clone(), tar: base.tar.clone(), toc: base.toc.clone() };
    push_as(&fixture, "b:1", &[again]);
    fixture.pull("b:1").unwrap();
    let blobs = push(&fixture, &[base, honest().finish(), upper]);
    fixture.registry.forget();
    let started = start(&fixture, |image, _| {
        let open = Files::open(&image.tree, &image.tars).unwrap();
        assert_eq!(open.read_file("base", 100).unwrap().unwrap(), b"base");
        assert_eq!(open.read_file("upper", 2 << 20).unwrap().unwrap(), noise(7, 1 << 20));
        assert!(open.resolve("small-3").is_none());
        check(&open, ["small-4", "last"].into_iter());
    });
    assert_eq!(started.filled.unwrap().unwrap().tars.len(), 3);
    assert_eq!(fixture.registry.count(&format!("blobs/{}", blobs[0])), 0);
}

#[test]
fn content_that_is_not_what_the_table_says_is_never_handed_out() {
    let fixture = Fixture::new();
    let mut builder = honest();
    let wrong = Digest::of(b"something else");
    let last = builder.entries.iter_mut().find(|entry| entry["name"] == "last").unwrap();
    last["chunkDigest"] = json!(wrong);
    let layer = builder.finish();
    let blob = push(&fixture, &[layer]);
    fixture.registry.lie(&blob[0].to_string(), 1, Lie::StallWhole(100));
    let started = start(&fixture, |image, _| {
        let open = Files::open(&image.tree, &image.tars).unwrap();
        check(&open, ["small-1"].into_iter());
        assert_eq!(error_of(&open, "last"), Some(eio()));
        assert_eq!(error_of(&open, "other"), Some(eio()), "nothing of such a layer is read any more");
    });
    drop(started);
}

#[test]
fn a_table_that_shows_other_files_than_the_layer_is_found_when_the_layer_is_here() {
    type Change = fn(&mut Builder);
    let changes: [(&str, Change); 4] = [
        ("a file that is not there", |builder| {
            builder.entries.push(json!({"name": "extra", "type": "dir", "mode": 0o755}));
        }),
        ("another mode", |builder| builder.entries[0]["mode"] = json!(0o4755)),
        ("another owner", |builder| builder.entries[1]["uid"] = json!(5)),
        // The one's content under the other's name, digest included.
        ("another content", |builder| {
            for key in ["offset", "chunkDigest", "digest"] {
                builder.entries[0][key] = builder.entries[1][key].clone();
            }
        }),
    ];
    for (what, change) in changes {
        let fixture = Fixture::new();
        let mut builder = honest();
        change(&mut builder);
        let blob = push(&fixture, &[builder.finish()]);
        fixture.registry.lie(&blob[0].to_string(), 1, Lie::StallWhole(100));
        let started = start(&fixture, |image, failed| {
            let open = Files::open(&image.tree, &image.tars).unwrap();
            // As the table has it, as long as nothing speaks against it.
            assert_eq!(open.read_file("small-0", 2000).unwrap().unwrap().len(), 1000);
            assert!(failed().contains("table of contents"), "{what}");
            assert_eq!(error_of(&open, "last"), Some(eio()), "{what}");
        });
        let error = started.filled.unwrap().unwrap_err();
        assert!(matches!(error, Error::Store(enter::store::Error::Contents { .. })), "{what}: {error}");
        assert!(fixture.store.images().unwrap().is_empty(), "{what}");
        assert_eq!(fixture.leftovers(), Vec::<String>::new(), "{what}");
        // The layer itself is as its digests say, and can be had as ever.
        fixture.pull("a:1").unwrap();
    }
}

#[test]
fn a_table_that_cannot_be_used_is_no_reason_not_to_pull() {
    type Change = fn(&mut Builder);
    let changes: [Change; 7] = [
        |builder| builder.entries[0]["name"] = json!("a\0b"),
        |builder| builder.entries[0]["offset"] = json!(1_u64 << 40),
        |builder| builder.entries[0]["size"] = json!(1_u64 << 50),
        |builder| builder.entries[0]["chunkSize"] = json!(999),
        |builder| builder.entries[0]["type"] = json!("chunk"),
        |builder| builder.entries[0]["chunkDigest"] = json!("sha256:0"),
        |builder| builder.entries[0]["name"] = json!("\u{fffd}"),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let fixture = Fixture::new();
        let mut builder = honest();
        change(&mut builder);
        push(&fixture, &[builder.finish()]);
        let started =
            start(&fixture, |image, _| check(&Files::open(&image.tree, &image.tars).unwrap(), ["last"].into_iter()));
        assert!(matches!(started.filled, Some(Err(Error::Table { .. }))), "{number}");
        started.pulled.unwrap();
    }
    // One that its digest does not name, and a registry that knows no ranges.
    let fixture = Fixture::new();
    let layer = Layer { toc: Digest::of(b"other"), ..honest().finish() };
    push(&fixture, &[layer]);
    let started = start(&fixture, |_, _| ());
    assert!(matches!(started.filled, Some(Err(Error::Table { .. }))));
    started.pulled.unwrap();
    let fixture = Fixture::new();
    let blob = push(&fixture, &[honest().finish()]);
    fixture.registry.lie(&blob[0].to_string(), usize::MAX, Lie::IgnoreRange);
    let started = start(&fixture, |_, _| ());
    assert!(started.filled.unwrap().is_err());
    started.pulled.unwrap();
    assert_eq!(fixture.leftovers(), Vec::<String>::new());
}

#[test]
fn without_the_registry_what_is_here_can_be_read_and_the_rest_is_an_error() {
    let fixture = Fixture::new();
    let layer = honest().finish();
    let size = layer.blob.len() as u64;
    let blob = push(&fixture, &[layer]);
    let path = blob[0].to_string();
    fixture.registry.lie(&path, 1, Lie::StallWhole(2_000_000));
    fixture.registry.lie(&path, usize::MAX, Lie::RefuseRest(404));
    let started = start(&fixture, |image, failed| {
        let open = Files::open(&image.tree, &image.tars).unwrap();
        assert!(failed().contains(&path), "told once");
        assert!(fixture.store.trouble(&image.id).unwrap().unwrap().contains(&path), "and to be seen by all");
        check(&open, ["small-5", "last"].into_iter());
        fixture.registry.lie(&path, usize::MAX, Lie::RefuseRest(404));
        fixture.registry.repent();
        fixture.registry.lie(&path, usize::MAX, Lie::Answer(404, Vec::new(), Vec::new()));
        check(&open, ["small-6"].into_iter());
        assert_eq!(error_of(&open, "other"), Some(eio()));
    });
    assert!(started.filled.unwrap().is_err());
    assert!(fixture.store.images().unwrap().is_empty());
    fixture.registry.repent();
    let image = fixture.pull("a:1").unwrap();
    let Some(LayerEvent::Started { from }) = fixture.heard.events(&blob[0]).first().copied() else {
        panic!("nothing fetched")
    };
    assert!(from > 0 && from < size, "what had come was kept: {from}");
    check(&Files::open(&image.tree, &image.tars).unwrap(), ["big", "other", "last"].into_iter());
}

#[test]
fn small_images_are_pulled_as_ever() {
    let fixture = Fixture::new();
    push(&fixture, &[Builder::default().file("one", b"one", 10).finish()]);
    let started = start(&fixture, |_, _| ());
    assert!(started.filled.is_none());
    started.pulled.unwrap();
}

/// EIO.
fn eio() -> i32 {
    nix::errno::Errno::EIO as i32
}
