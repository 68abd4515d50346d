//! Every parser of what others wrote, fed with damaged copies of what is sound (`corpus/NAME/`): none may panic, hang, or take much memory.
//!
//! ```text
//! FUZZ_SECONDS=600 cargo test --test fuzz              all of them, ten minutes altogether
//! FUZZ_SEED=7 cargo test --test fuzz layer             one of them, as in the run that failed
//! ```
//!
//! An input that makes a parser fail is written to a file, which the failure names: put it into the corpus with the mend, where it is tried in
//! every run. The last input of a run that died altogether is found in the temporary folder as `enter-fuzz-NAME`.

mod damage;
mod targets;

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use damage::Damage;
use targets::{TARGETS, Target};

/// Longer than this no input may take. No honest one takes a thousandth of it.
const HANGS: Duration = Duration::from_secs(20);

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(name)
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs a target on an input, and says what went wrong.
fn attempt(target: Target, input: &[u8]) -> Result<(), String> {
    let begun = Instant::now();
    let done = catch_unwind(AssertUnwindSafe(|| target(input)));
    let words = |panic: Box<dyn std::any::Any + Send>| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
    };
    done.map_err(|panic| format!("it panicked: {}", words(panic)))?;
    match begun.elapsed() {
        time if time > HANGS => Err(format!("it took {time:?}")),
        _ => Ok(()),
    }
}

/// Runs a target on its corpus, and then on damaged copies for a while.
fn fuzz(name: &str) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target of this name");
    let mut sound = Vec::new();
    let mut files: Vec<PathBuf> =
        fs::read_dir(corpus(name)).expect("a corpus").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let input = fs::read(&file).unwrap();
        if let Err(what) = attempt(*target, &input) {
            panic!("{name} on {}: {what}", file.display());
        }
        sound.push(input);
    }
    assert!(!sound.is_empty(), "{name} has no corpus");
    let all = variable("FUZZ_SECONDS").unwrap_or(10);
    let time = Duration::from_millis(all * 1000 / TARGETS.len() as u64);
    let seed = variable("FUZZ_SEED")
        .unwrap_or_else(|| u64::from(std::process::id()) ^ Instant::now().elapsed().as_nanos() as u64 ^ now());
    let mut damage = Damage::new(seed, &sound);
    let last = std::env::temp_dir().join(format!("enter-fuzz-{name}-{}", std::process::id()));
    let file = fs::File::create(&last).unwrap();
    let begun = Instant::now();
    let mut inputs = 0_u64;
    while begun.elapsed() < time {
        let input = damage.next();
        file.set_len(0).and_then(|()| file.write_all_at(input, 0)).unwrap();
        if let Err(what) = attempt(*target, input) {
            let kept = last.with_extension("failed");
            fs::rename(&last, &kept).unwrap();
            panic!("{name}, FUZZ_SEED={seed}, input {inputs} in {}: {what}", kept.display());
        }
        inputs += 1;
    }
    fs::remove_file(&last).unwrap();
    assert!(inputs > 0, "not a single input in {time:?}");
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}

macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            fuzz(stringify!($name));
        })+

        #[test]
        fn every_target_is_run() {
            let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($name)),+]);
        }
    };
}

tests!(
    reference,
    transport,
    digest,
    platform,
    document,
    config,
    change,
    layer,
    index,
    tree,
    decoder,
    archive,
    challenge,
    token,
    words,
    registries,
    credentials,
    policy,
    payload,
    key,
    signatures,
    accounts,
    subids,
    options,
    acl,
    request,
    names
);
