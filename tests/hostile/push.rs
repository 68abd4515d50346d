//! Pushes to a registry that lies about what it has, wants it elsewhere, forgets it, or breaks off: the push ends by itself, with an error, and what
//! is here stays as it was.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::registry::{Lie, Registry, Request, gzip, noise, tar};
use crate::support::user::Outcome;
use crate::victim::{Victim, pause};

/// What a registry that takes blobs has in mind.
#[derive(Default)]
struct Sink {
    /// How much has come of the upload.
    there: u64,
    /// Uploads that have begun and parts that have come.
    begun: usize,
    parts: usize,
    /// What was finished, and names that were given.
    finished: usize,
    named: usize,
}

/// A victim who has pulled `a:1`, whose layer goes in several parts, and a registry to push it to.
struct Pushing {
    victim: Victim,
    target: Registry,
    sink: Arc<Mutex<Sink>>,
}

/// How an answer begins, and its headers.
type Said = (&'static str, Vec<String>);

/// What the registry says in the place of an honest answer, if anything.
type Lies = dyn Fn(&Request, &mut Sink) -> Option<Said> + Send + Sync;

/// More than the largest part, so that it goes in several.
const SIZE: usize = 17 << 20;

/// A layer of that size and its blob, made once for all tests.
fn layer() -> &'static (Vec<u8>, Vec<u8>) {
    static LAYER: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    LAYER.get_or_init(|| {
        let tar = tar("noise", &noise(1, SIZE));
        let blob = gzip(&tar);
        (tar, blob)
    })
}

impl Pushing {
    fn new(lies: impl Fn(&Request, &mut Sink) -> Option<Said> + Send + Sync + 'static) -> Self {
        Self::of(layer(), Arc::new(lies))
    }

    fn of((tar, blob): &(Vec<u8>, Vec<u8>), lies: Arc<Lies>) -> Self {
        let (mut victim, _) = Victim::new();
        victim.registry.push_as("a:1", "amd64", std::slice::from_ref(tar), std::slice::from_ref(blob), |_| {});
        victim.pull("a:1").success();
        victim.user.set("ENTER_RETRIES", "1");
        let (target, sink) = (Registry::start(), Arc::<Mutex<Sink>>::default());
        let hosts = [victim.registry.host(), target.host()];
        victim.configure(&hosts.map(|host| format!("[[registry]]\nlocation = '{host}'\ninsecure = true\n")).concat());
        victim.log_in(&target.host());
        let pushing = Self { victim, target, sink };
        pushing.tell(lies);
        pushing
    }

    /// Other lies from now on, of a registry that has nothing yet.
    fn tell(&self, lies: Arc<Lies>) {
        let state = Arc::clone(&self.sink);
        *lock(&state) = Sink::default();
        self.target.repent();
        let play = Lie::act(move |request, out| {
            let mut sink = lock(&state);
            let (status, headers) = lies(request, &mut sink).unwrap_or_else(|| honest(request, &mut sink));
            drop(sink);
            answer(out, status, &headers)
        });
        self.target.lie("/v2/", usize::MAX, play);
    }

    fn push(&self) -> Outcome {
        let (from, to) = (self.victim.registry.host(), self.target.host());
        let before = self.victim.files("layers");
        let outcome = self.victim.enter(&["push", &format!("{from}/a:1"), &format!("{to}/b:1")]);
        assert_eq!(self.victim.files("layers"), before);
        assert!(!outcome.stderr.contains("secret") && !outcome.stderr.contains("bWU6"), "{}", outcome.stderr);
        outcome
    }

    /// The push fails with these words, and no name is given to what is not there.
    #[track_caller]
    fn refuses(&self, words: &[&str]) -> Outcome {
        let outcome = self.push();
        outcome.refused(words);
        assert_eq!(lock(&self.sink).named, 0, "{}", outcome.stderr);
        assert!(lock(&self.sink).begun < 40, "{} uploads", lock(&self.sink).begun);
        outcome
    }
}

fn lock(sink: &Mutex<Sink>) -> MutexGuard<'_, Sink> {
    sink.lock().unwrap_or_else(PoisonError::into_inner)
}

fn answer(out: &mut dyn Write, status: &str, headers: &[String]) -> io::Result<()> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    write!(out, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n")
}

/// What a registry answers that takes whatever comes.
fn honest(request: &Request, sink: &mut Sink) -> Said {
    let (method, path) = request.line.split_once(' ').unwrap_or_default();
    let length = request.headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let place = || "Location: /v2/b/blobs/uploads/1?state=x".to_owned();
    match method {
        "POST" => {
            (sink.there, sink.begun) = (0, sink.begun + 1);
            ("202 Accepted", vec![place(), "Range: 0-0".into()])
        }
        "PATCH" => {
            sink.there += length;
            sink.parts += 1;
            ("202 Accepted", vec![place(), format!("Range: 0-{}", sink.there.saturating_sub(1))])
        }
        "PUT" if path.contains("/uploads/") => {
            sink.finished += 1;
            ("201 Created", vec!["Location: /v2/b/blobs/x".into()])
        }
        "PUT" => {
            sink.named += 1;
            ("201 Created", Vec::new())
        }
        "GET" if path.contains("/uploads/") => {
            ("204 No Content", vec![place(), format!("Range: 0-{}", sink.there.saturating_sub(1))])
        }
        "DELETE" => ("204 No Content", Vec::new()),
        "HEAD" => ("404 Not Found", Vec::new()),
        _ => ("200 OK", Vec::new()),
    }
}

fn is(request: &Request, method: &str) -> bool {
    request.line.starts_with(&format!("{method} "))
}

fn finishes(request: &Request) -> bool {
    is(request, "PUT") && request.line.contains("/uploads/")
}

fn names(request: &Request) -> bool {
    is(request, "PUT") && request.line.contains("/manifests/")
}

#[test]
fn an_honest_one_gets_it() {
    let pushing = Pushing::new(|_, _| None);
    pushing.push().success();
    let sink = lock(&pushing.sink);
    // The layer in parts, and the configuration.
    assert!(
        (sink.begun, sink.finished, sink.named) == (2, 2, 1) && sink.parts > 1,
        "{} {} {} {}",
        sink.begun,
        sink.parts,
        sink.finished,
        sink.named
    );
}

#[test]
fn uploads_that_are_to_go_somewhere_else() {
    for place in [
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://169.254.169.254/x",
        "http://[fe80::1]/x",
        "http://[",
        "data:,x",
    ] {
        Pushing::new(move |request, _| {
            is(request, "POST").then(|| ("202 Accepted", vec![format!("Location: {place}")]))
        })
        .refuses(&["127.0.0.1"]);
    }
    Pushing::new(|request, _| is(request, "POST").then(|| ("202 Accepted", Vec::new()))).refuses(&["no place"]);
}

#[test]
fn another_host_gets_no_credentials_with_an_upload() {
    let elsewhere = Registry::start();
    let location = format!("Location: http://{}/v2/b/blobs/uploads/1", elsewhere.host());
    elsewhere.lie(
        "/v2/",
        usize::MAX,
        Lie::Answer(401, vec![("WWW-Authenticate", "Basic realm=\"give\"".into())], Vec::new()),
    );
    let pushing = Pushing::new(move |request, _| {
        if !request.headers.contains_key("authorization") {
            return Some(("401 Unauthorized", vec!["WWW-Authenticate: Basic realm=\"x\"".into()]));
        }
        is(request, "POST").then(|| ("202 Accepted", vec![location.clone()]))
    });
    let outcome = pushing.refuses(&["answered 401"]);
    assert!(!outcome.stderr.contains(&format!("login {}", elsewhere.host())), "{}", outcome.stderr);
    assert!(!elsewhere.log().is_empty());
    assert!(elsewhere.log().iter().all(|request| !request.headers.contains_key("authorization")));
}

#[test]
fn parts_that_are_never_enough() {
    // It takes all, and has nothing.
    Pushing::new(|request, sink| {
        sink.there = 0;
        is(request, "PATCH")
            .then(|| ("202 Accepted", vec!["Location: /v2/b/blobs/uploads/1".into(), "Range: 0-0".into()]))
    })
    .refuses(&["kept nothing"]);
    // It has more than was sent.
    Pushing::new(|request, _| is(request, "PATCH").then(|| ("202 Accepted", vec!["Range: 0-99999999999".into()])))
        .refuses(&["another part"]);
    // What it has changes with each question.
    Pushing::new(|request, sink| {
        sink.parts += 1;
        let there = [0, 5 << 20, 3, 1 << 40, u64::MAX][sink.parts % 5];
        (is(request, "PATCH") || is(request, "GET"))
            .then(|| ("202 Accepted", vec!["Location: /v2/b/blobs/uploads/1".into(), format!("Range: 0-{there}")]))
    })
    .refuses(&[]);
    for range in ["nonsense", "5-9", "-1--1", "0-18446744073709551616", "bytes */5", "\u{7f}"] {
        let range = format!("Range: {range}");
        let pushing = Pushing::new(move |request, _| {
            is(request, "PATCH")
                .then(|| ("202 Accepted", vec!["Location: /v2/b/blobs/uploads/1".into(), range.clone()]))
        });
        // Some of these say nothing, and then what was sent counts.
        assert!(pushing.push().code().is_some_and(|code| code == 0 || code == 125));
    }
}

#[test]
fn refusals_at_each_step() {
    let pushing = Pushing::new(|_, _| None);
    for status in [
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "405 No",
        "413 Too Large",
        "416 Range",
        "429 Slow",
        "500 Oops",
        "503 Busy",
        "600 What",
    ] {
        for step in ["POST", "PATCH", "finish", "name"] {
            pushing.tell(Arc::new(move |request: &Request, _: &mut Sink| {
                let now = match step {
                    "finish" => finishes(request),
                    "name" => names(request),
                    method => is(request, method),
                };
                now.then(|| (status, vec!["Retry-After: 3600".into()]))
            }));
            // A registry that takes no parts may take it as a whole.
            let outcome = pushing.push();
            let parts = ["PATCH", "POST"].contains(&step) && !outcome.stderr.contains("error:");
            assert!(outcome.code() == Some(if parts { 0 } else { 125 }), "{status} {step}\n{}", outcome.stderr);
            assert!(parts || outcome.stderr.contains("hint:"), "{status} {step}\n{}", outcome.stderr);
        }
    }
}

#[test]
fn access_that_is_lost_in_the_middle() {
    let pushing = Pushing::new(|request, sink| {
        (is(request, "PATCH") && sink.parts > 0)
            .then(|| ("401 Unauthorized", vec!["WWW-Authenticate: Basic realm=\"again\"".into()]))
    });
    pushing.refuses(&["login"]);
}

#[test]
fn an_upload_that_is_forgotten() {
    // Once: it is begun anew. Always: it is given up.
    let mut once = Pushing::new(|request, sink| {
        let forgets = is(request, "PATCH") && sink.parts == 1 && sink.begun == 1;
        forgets.then(|| ("404 Not Found", Vec::new()))
    });
    once.victim.user.set("ENTER_RETRIES", "4");
    once.push().success();
    let always = Pushing::new(|request, sink| {
        ((is(request, "PATCH") || is(request, "GET")) && sink.parts > 0).then(|| ("404 Not Found", Vec::new()))
    });
    let outcome = always.push();
    assert!(outcome.code() == Some(125) || lock(&always.sink).finished > 0, "{outcome:?}");
}

#[test]
fn a_blob_that_is_said_to_be_there_and_is_not() {
    let pushing = Pushing::new(|request, _| match (is(request, "HEAD"), names(request)) {
        (true, _) => Some(("200 OK", Vec::new())),
        (_, true) => Some(("400 Bad Request", Vec::new())),
        _ => None,
    });
    pushing.refuses(&["manifest"]);
}

#[test]
fn digests_that_are_others() {
    let other = "Docker-Content-Digest: sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    Pushing::new(move |request, _| finishes(request).then(|| ("201 Created", vec![other.into()])))
        .refuses(&["it says that it has received"]);
    let pushing = Pushing::new(move |request, _| names(request).then(|| ("201 Created", vec![other.into()])));
    pushing.push().refused(&["it says that it has received"]);
}

#[test]
fn connections_that_break_anywhere() {
    for step in ["POST", "PATCH", "finish", "name"] {
        let broken = Mutex::new(0);
        let pushing = Pushing::new(move |request, _| {
            let now = match step {
                "finish" => finishes(request),
                "name" => names(request),
                method => is(request, method),
            };
            let mut broken = broken.lock().unwrap();
            *broken += usize::from(now);
            // Half an answer, the first time.
            (now && *broken == 1).then(|| ("HTTP", Vec::new()))
        });
        pushing.push().success();
    }
}

#[test]
fn a_sink_that_takes_its_time() {
    let tar = tar("noise", &noise(1, 200_000));
    let small = (tar.clone(), gzip(&tar));
    let pushing = Pushing::of(
        &small,
        Arc::new(|request: &Request, _: &mut Sink| {
            if finishes(request) {
                pause(8000);
            }
            None
        }),
    );
    pushing.refuses(&["stalled"]);
}

#[test]
fn answers_without_end() {
    let pushing = Pushing::new(|_, _| None);
    for step in ["POST", "PATCH", "PUT"] {
        pushing.target.repent();
        let state = Arc::clone(&pushing.sink);
        pushing.target.lie(
            "/v2/",
            usize::MAX,
            Lie::act(move |request, out| {
                if !is(request, step) {
                    let (status, headers) = honest(request, &mut lock(&state));
                    return answer(out, status, &headers);
                }
                out.write_all(b"HTTP/1.1 403 No\r\n\r\n{\"errors\":[{\"message\":\"")?;
                loop {
                    out.write_all(&[b'x'; 65536])?;
                }
            }),
        );
        pushing.push().refused(&[]);
    }
}
