//! Ten pulls of overlapping images at once, with what else one does to images beside them: nothing breaks, and the store is whole afterwards.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use enter::image::Digest;
use enter::store::Store;

use crate::support::{Outcome, User};

/// They have layers in common.
const IMAGES: &[&str] = &["busybox", "sixty", "odd", "platforms", "zstd"];

/// How long: `PULLS_SECONDS`, or a while that a test may take.
fn time() -> Duration {
    let seconds = std::env::var("PULLS_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(8))
}

/// What may be said against one of these: that somebody else was quicker.
#[track_caller]
fn done_or(outcome: &Outcome, words: &[&str]) {
    if !outcome.status.success() {
        assert!(words.iter().any(|words| outcome.stderr.contains(words)), "{outcome:?}");
    }
}

#[test]
fn ten_pulls_at_once_with_rmi_prune_and_run_beside_them() {
    let user = User::new();
    let end = Instant::now() + time();
    let (pulls, others) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let again = |count: &AtomicUsize, act: &dyn Fn(usize)| {
        for at in 0.. {
            if Instant::now() > end {
                break;
            }
            act(at);
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    let beside: [Box<dyn Fn(usize) + Sync>; 4] = [
        Box::new(|at| {
            let outcome = user.run(["rmi", "-f", IMAGES[at % IMAGES.len()]]);
            done_or(&outcome, &["no such image", "is being used", "is using"]);
        }),
        Box::new(|at| {
            let all = if at % 2 == 0 { &["image", "prune", "-f"][..] } else { &["image", "prune", "-a", "-f"] };
            done_or(&user.run(all), &[]);
        }),
        Box::new(|at| {
            let image = ["busybox", "sixty"][at % 2];
            let ran = user.run(["run", "--rm", "--network", "none", image, "echo", "ran"]);
            assert_eq!(ran.success(), "ran\n");
        }),
        Box::new(|_| drop(user.run(["images", "-a", "--digests"]).success())),
    ];
    std::thread::scope(|scope| {
        for thread in 0..10 {
            let (user, again, pulls) = (&user, &again, &pulls);
            scope.spawn(move || {
                again(pulls, &|at| drop(user.run(["pull", "-q", IMAGES[(thread + at) % IMAGES.len()]]).success()));
            });
        }
        for act in &beside {
            let (again, others) = (&again, &others);
            scope.spawn(move || again(others, act));
        }
    });
    assert!(pulls.into_inner() > 10 && others.into_inner() > 4);
    user.run(["verify"]).success();
    whole(&user);
    user.run(["rmi", "-f", "-a"]).success();
    user.run(["image", "prune", "-a", "-f"]).success();
    let store = user.store();
    for folder in ["layers", "blobs/sha256"] {
        let left: Vec<_> = std::fs::read_dir(store.join(folder)).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Every layer hashes to what its name says, and every image is there and runs.
fn whole(user: &User) {
    let store = Store::open(&user.store()).unwrap();
    for image in store.images().unwrap() {
        assert_eq!(image.tars.len(), image.config.diff_ids.len());
        for (tar, diff_id) in image.tars.iter().zip(&image.config.diff_ids) {
            assert_eq!(Digest::of(&std::fs::read(tar).unwrap()), *diff_id, "{}", tar.display());
        }
        assert!(store.mend(&image).unwrap(), "{image:?}");
        cowfs::tree::Image::open(&image.tree, &image.tars).unwrap();
    }
    for image in IMAGES {
        user.run(["pull", "-q", image]).success();
        assert_eq!(user.sh(&["--network", "none"], image, "echo whole"), "whole\n");
    }
}
