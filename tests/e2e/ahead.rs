//! Containers that run before their image is all here: what they read, who is killed meanwhile, and what is left.
//!
//! The registry holds back what comes from front to back, and answers what is asked for by itself, so that no test depends on how fast anything is.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use enter::image::{Digest, Platform};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::registry::{Lie, Registry, Request, noise};
use crate::stargz::{ANNOTATION, Builder, Layer};
use crate::support::hub::support;
use crate::support::{DEADLINE, User, hub, wait_until};

/// So much of a layer comes from front to back before the rest is held back.
const SOME: usize = 300_000;
/// What is told of files that cannot be read.
const LOSS: &str = "files of the image that have not come cannot be read";
const BUSYBOX: &str = "/bin/busybox";

/// How the registry is about the layer.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Holding,
    Open,
    /// It breaks off, and answers nothing.
    Gone,
}

/// Changes the registry's mood, also of answers that have begun.
#[derive(Clone)]
struct Gate(Arc<(Mutex<Mood>, Condvar)>);

impl Gate {
    fn set(&self, mood: Mood) {
        *self.0.0.lock().unwrap() = mood;
        self.0.1.notify_all();
    }

    /// Waits until nothing is held back any more.
    fn pass(&self) -> Mood {
        let held = self.0.0.lock().unwrap();
        *self.0.1.wait_timeout_while(held, DEADLINE, |mood| *mood == Mood::Holding).unwrap().0
    }

    fn mood(&self) -> Mood {
        *self.0.0.lock().unwrap()
    }
}

/// The answer to somebody who wants a layer.
fn answer(blob: &[u8], gate: &Gate, request: &Request, out: &mut dyn Write) -> io::Result<()> {
    if gate.mood() == Mood::Gone {
        return Ok(());
    }
    let range = request.headers.get("range").map(|range| range.trim_start_matches("bytes=").split_once('-').unwrap());
    let first = range.map_or(0, |(first, _)| first.parse().unwrap());
    let last = range.and_then(|(_, last)| last.parse().ok()).unwrap_or(blob.len() - 1);
    match range {
        Some(_) => write!(out, "HTTP/1.1 206 Some\r\nContent-Range: bytes {first}-{last}/{}\r\n", blob.len())?,
        None => write!(out, "HTTP/1.1 200 All\r\n")?,
    }
    write!(out, "Content-Length: {}\r\nConnection: close\r\n\r\n", last + 1 - first)?;
    if range.is_some_and(|(_, last)| !last.is_empty()) {
        return out.write_all(&blob[first..=last]);
    }
    let middle = SOME.clamp(first, last);
    out.write_all(&blob[first..middle])?;
    match gate.pass() {
        Mood::Gone => Ok(()),
        _ => out.write_all(&blob[middle..=last]),
    }
}

/// A user, and a registry with an image that is wanted before it is here.
struct Place {
    user: User,
    registry: Registry,
    gate: Gate,
    image: String,
    blob: Digest,
}

/// What is in the image beside a busybox.
fn content(name: &str) -> Vec<u8> {
    match name {
        "/small" => b"a small file\n".to_vec(),
        "/big" => noise(3, 3 << 20),
        "/other" => noise(4, 2 << 20),
        "/unlisted" => noise(5, 10_000),
        _ => b"the last file\n".to_vec(),
    }
}

/// A layer with a table; of one file the table has no digest, so that it comes only with the whole.
fn layer() -> Builder {
    let mut builder = Builder::default();
    builder.file_as("bin/busybox", &fs::read(BUSYBOX).unwrap(), 4 << 20, 0o755);
    for name in ["/small", "/big", "/unlisted", "/other", "/last"] {
        builder.file(&name[1..], &content(name), 1 << 20);
    }
    let unlisted = builder.entries.iter_mut().find(|entry| entry["name"] == "unlisted").unwrap();
    for key in ["digest", "chunkDigest"] {
        unlisted.as_object_mut().unwrap().remove(key);
    }
    builder
}

impl Place {
    fn new() -> Self {
        Self::with(&layer().finish())
    }

    fn with(layer: &Layer) -> Self {
        let registry = Registry::start();
        let annotate =
            |manifest: &mut serde_json::Value| manifest["layers"][0]["annotations"] = json!({ANNOTATION: layer.toc});
        let architecture = Platform::host().architecture;
        let (tars, blobs) = ([layer.tar.clone()], [layer.blob.clone()]);
        let blob = registry.push_as("image:latest", &architecture, &tars, &blobs, annotate).blobs[0].clone();
        let gate = Gate(Arc::new((Mutex::new(Mood::Holding), Condvar::new())));
        let (held, bytes) = (gate.clone(), layer.blob.clone());
        let lie = Lie::act(move |request, out| answer(&bytes, &held, request, out));
        registry.lie(&format!("blobs/{blob}"), usize::MAX, lie);
        let mut user = User::without_registry();
        let containers = user.config().join("containers");
        fs::create_dir_all(&containers).unwrap();
        let insecure = format!("[[registry]]\nlocation = '{}'\ninsecure = true\n", registry.host());
        fs::write(containers.join("registries.conf"), insecure).unwrap();
        user.set("ENTER_RETRIES", "0");
        let image = format!("{}/image", registry.host());
        Self { user, registry, gate, image, blob }
    }

    /// A container that sleeps, and whose program the kernel knows all of: without one of its pages it would be killed.
    fn sleeper(&self, name: &str) {
        self.user.run(["run", "-d", "--name", name, &self.image, BUSYBOX, "sleep", "1000"]).success();
        self.user.run(["exec", name, BUSYBOX, "sha256sum", BUSYBOX]).success();
    }

    /// Reads a file in a container that runs; its content must be right.
    #[track_caller]
    fn reads(&self, container: &str, name: &str) {
        let outcome = self.user.run(["exec", container, BUSYBOX, "cat", name]);
        assert!(outcome.status.success() && outcome.stdout == content(name), "{name}: {}", outcome.stderr);
    }

    /// Tries to, and must get EIO.
    #[track_caller]
    fn fails(&self, container: &str, name: &str) {
        let outcome = self.user.run(["exec", container, BUSYBOX, "cat", name]);
        assert_eq!(outcome.code(), Some(1), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("Input/output error"), "{}", outcome.stderr);
    }

    /// Reads a file in a container of its own.
    #[track_caller]
    fn has(&self, name: &str) {
        let outcome = self.user.run(["run", "--rm", "--network", "none", &self.image, BUSYBOX, "cat", name]);
        assert!(outcome.status.success() && outcome.stdout == content(name), "{name}: {}", outcome.stderr);
    }

    fn images(&self) -> usize {
        self.user.run(["images", "-q"]).success().lines().count()
    }

    /// Waits until the image is in the store, and looks whether it is whole.
    #[track_caller]
    fn whole(&self) {
        wait_until("the image to be here", || (self.images() == 1).then_some(()));
        wait_until("the end of who fetched it", || self.filler().is_none().then_some(()));
        self.user.run(["verify"]).success();
    }

    /// The process that fetches.
    fn filler(&self) -> Option<Pid> {
        let store = self.user.store();
        let is_it = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let mut words = line.split(|byte| *byte == 0);
            words.any(|word| word == b"__fill") && words.any(|word| word == store.as_os_str().as_encoded_bytes())
        };
        let mut all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        all.find(is_it).map(Pid::from_raw)
    }

    fn kill_filler(&self) {
        kill(self.filler().expect("it runs"), Signal::SIGKILL).unwrap();
        wait_until("its end", || self.filler().is_none().then_some(()));
    }

    /// How often all of the layer was asked for, or all from a byte on.
    fn fetched(&self) -> usize {
        let whole = |request: &&Request| request.headers.get("range").is_none_or(|range| range.ends_with('-'));
        let path = self.blob.to_string();
        self.registry.log().iter().filter(|request| request.line.contains(&path)).filter(whole).count()
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.user.enter(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

#[test]
fn a_container_runs_long_before_its_image_is_here_and_everything_arrives() {
    let place = Place::new();
    let arguments = ["--network", "none", &place.image, "--", BUSYBOX, "cat", "/last"];
    assert_eq!(place.user.run(arguments).success(), "the last file\n");
    assert_eq!(place.images(), 0, "it is not here");
    place.sleeper("a");
    place.has("/big");
    place.reads("a", "/small");
    assert_eq!(place.fetched(), 1, "all of them wait for the same");
    place.user.run(["image", "prune", "-a", "-f"]).success();
    place.user.run(["rmi", &place.image]).unable(&["no such image"]);
    place.reads("a", "/other");
    place.gate.set(Mood::Open);
    place.whole();
    place.reads("a", "/unlisted");
    assert_eq!(place.fetched(), 1);
    place.user.run(["rm", "-f", "a"]).success();
    let Place { user, registry, image, gate, blob } = place;
    drop(registry);
    let place = Place { user, registry: Registry::start(), image, gate, blob };
    ["/small", "/big", "/other", "/last", "/unlisted"].iter().for_each(|name| place.has(name));
    place.user.run(["rmi", &place.image]).success();
    place.user.run(["image", "prune", "-a", "-f"]).success();
    assert_eq!(fs::read_dir(place.user.store().join("layers")).unwrap().count(), 0);
}

/// All files and their content, read by several at once.
const EVERYTHING: &str = r#"mkdir /tmp/sums
    find / -xdev -type f ! -path '/tmp/*' ! -path '/run/*' ! -path '/dev/*' ! -path /etc/hosts ! -path /etc/hostname ! -path /etc/resolv.conf \
        ! -name stargz.index.json | sort | xargs -P4 -n200 sh -c 'sha256sum "$@" >/tmp/sums/$$' sh
    sort /tmp/sums/*"#;

#[track_caller]
fn same(found: &str, wanted: &str) {
    let other: Vec<_> = found.lines().zip(wanted.lines()).filter(|(found, wanted)| found != wanted).take(5).collect();
    assert!(found == wanted, "{} lines of {}: {other:?}", found.lines().count(), wanted.lines().count());
}

#[test]
fn all_of_a_real_image_is_read_while_it_comes_slowly_and_is_the_same_as_ever() {
    let mut user = User::new();
    let mut registry = Command::new(support("throttled.py"));
    registry.arg(&hub().layout).arg("20000000").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut registry = registry.spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(registry.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    let host = ready.split_whitespace().nth(1).unwrap();
    let file = user.config().join("containers/registries.conf");
    let known = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{known}\n[[registry]]\nlocation = '{host}'\ninsecure = true\n")).unwrap();
    user.set("ENTER_LAZY", "true");
    let all = |image: &str| {
        user.run(["run", "--rm", "--network", "none", image, "sh", "-c", &format!("echo begun; {EVERYTHING}")])
            .success()
    };
    let wanted = all("debian");
    for form in ["stargz", "chunked"] {
        let image = format!("{host}/{form}");
        same(&all(&image), &wanted);
        wait_until("the image to be here", || user.run(["images"]).success().contains(form).then_some(()));
        same(&all(&image), &wanted);
    }
    user.run(["verify"]).success();
    drop(registry.stdin.take());
    registry.wait().unwrap();
}

#[test]
fn a_read_waits_for_what_comes_only_with_the_whole() {
    let place = Place::new();
    let arguments = ["run", "--rm", "--network", "none", &place.image, BUSYBOX];
    let script = "busybox cat /last; exec busybox cat /unlisted";
    let mut reader = place.start(&[&arguments[..], &["sh", "-c", script]].concat());
    wait_until("the container", || (place.registry.count("blobs") > 4).then_some(()));
    place.has("/small");
    assert!(reader.try_wait().unwrap().is_none(), "it waits");
    place.gate.set(Mood::Open);
    let output = reader.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout == [content("/last"), content("/unlisted")].concat());
    place.whole();
}

#[test]
fn who_fetches_is_killed_and_the_next_command_goes_on() {
    let place = Place::new();
    place.sleeper("a");
    place.reads("a", "/last");
    place.kill_filler();
    place.fails("a", "/other");
    place.user.run(["verify"]).success();
    place.reads("a", "/last");
    place.has("/big");
    place.reads("a", "/other");
    place.gate.set(Mood::Open);
    place.whole();
    place.reads("a", "/unlisted");
    place.has("/unlisted");
}

#[test]
fn who_fetches_is_killed_and_a_pull_mends_what_runs() {
    let place = Place::new();
    place.sleeper("a");
    place.kill_filler();
    place.fails("a", "/other");
    place.gate.set(Mood::Open);
    place.user.run(["pull", "-q", &place.image]).success();
    place.whole();
    place.has("/other");
    place.reads("a", "/other");
}

#[test]
fn a_killed_monitor_does_not_keep_the_image_from_coming() {
    let place = Place::new();
    place.sleeper("a");
    place.reads("a", "/last");
    let state = fs::read_dir(place.user.store().join("containers")).unwrap().flatten();
    let state = state.filter_map(|entry| fs::read(entry.path().join("state.json")).ok()).next().unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    let monitor = i32::try_from(state["monitor"].as_i64().unwrap()).unwrap();
    kill(Pid::from_raw(monitor), Signal::SIGKILL).unwrap();
    place.has("/small");
    assert_eq!(place.fetched(), 1);
    place.gate.set(Mood::Open);
    place.whole();
    place.user.run(["start", "a"]).success();
    place.reads("a", "/other");
}

#[test]
fn a_registry_that_is_gone_and_back_again() {
    let place = Place::new();
    place.sleeper("a");
    place.reads("a", "/small");
    place.gate.set(Mood::Gone);
    place.fails("a", "/other");
    // What has been read before is known to the kernel, as of any file.
    place.reads("a", "/small");
    let outcome = place.user.run(["run", "--rm", &place.image, BUSYBOX, "cat", "/unlisted"]);
    assert_eq!(outcome.code(), Some(1));
    // Told at once, and once.
    for words in ["Input/output error", LOSS, "hint: fetch the rest: enter pull"] {
        assert_eq!(outcome.stderr.matches(words).count(), 1, "{words}: {}", outcome.stderr);
    }
    let logs = place.user.run(["logs", "a"]);
    assert!(logs.stderr.contains(&format!("enter: {LOSS}: ")), "{}", logs.stderr);
    assert!(logs.success().is_empty());
    assert_eq!(place.images(), 0);
    // As long as somebody reads of it, it is tried again.
    place.gate.set(Mood::Open);
    place.whole();
    place.reads("a", "/other");
    place.reads("a", "/unlisted");
}

#[test]
fn without_the_registry_what_had_come_is_kept_and_the_next_pull_fetches_the_rest() {
    let place = Place::new();
    place.has("/last");
    place.gate.set(Mood::Gone);
    wait_until("the end of who fetches", || place.filler().is_none().then_some(()));
    place.user.run(["run", "--rm", &place.image, BUSYBOX, "true"]).refused(&[]);
    place.user.run(["verify"]).success();
    place.gate.set(Mood::Open);
    place.user.run(["pull", "-q", &place.image]).success();
    place.whole();
    let ranges = place.registry.log().into_iter().filter_map(|request| request.headers.get("range").cloned());
    assert!(ranges.filter(|range| range.ends_with('-')).any(|range| range != "bytes=0-"), "what had come counts");
}

#[test]
fn a_table_that_lies_ends_in_an_error_and_the_image_can_be_had_without_it() {
    let mut builder = layer();
    // Setuid, by the table.
    builder.entries[0]["mode"] = json!(0o4755);
    let place = Place::with(&builder.finish());
    place.sleeper("a");
    place.reads("a", "/last");
    place.gate.set(Mood::Open);
    wait_until("the lie to be found", || place.filler().is_none().then_some(()));
    place.fails("a", "/big");
    assert_eq!(place.images(), 0);
    place.user.run(["verify"]).success();
    place.user.run(["pull", "-q", &place.image]).success();
    place.whole();
    place.has("/big");
    let mode = place.user.run(["run", "--rm", &place.image, BUSYBOX, "stat", "-c", "%a", BUSYBOX]).success();
    assert_eq!(mode, "755\n");
}

#[test]
fn a_layer_that_is_not_what_its_digest_says_never_becomes_an_image() {
    let layer = layer().finish();
    let mut blob = layer.blob.clone();
    // In the content of /big, which the table would not let through.
    blob[2 << 20] ^= 1;
    let place = Place::with(&layer);
    let gate = place.gate.clone();
    place.registry.repent();
    let lie = Lie::act(move |request, out| answer(&blob, &gate, request, out));
    place.registry.lie(&format!("blobs/{}", place.blob), usize::MAX, lie);
    place.sleeper("a");
    place.reads("a", "/last");
    place.gate.set(Mood::Open);
    wait_until("the lie to be found", || place.filler().is_none().then_some(()));
    place.fails("a", "/other");
    assert_eq!(place.images(), 0);
    place.user.run(["pull", "-q", &place.image]).refused(&["digest"]);
    place.registry.repent();
    place.user.run(["pull", "-q", &place.image]).success();
    place.whole();
    place.has("/big");
}
