//! SIGKILL of any part of a running container at any moment: nothing is left that the next command does not clear.
//!
//! A test program of its own, because it adopts every orphan of what it starts (PR_SET_CHILD_SUBREAPER) and so must be
//! alone with its descendants. `ENTER_TEST_SEED` repeats a run; the seed is printed.

// What a failed run needs to be repeated; the test harness shows it with the failure.
#![allow(clippy::print_stdout)]

#[path = "../support/mod.rs"]
mod support;

mod descendants;
mod storm;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use descendants::{Process, descendants};
use support::{User, hub, wait_for_some};

/// One test at a time: each one looks at all descendants of this process.
static ALONE: Mutex<()> = Mutex::new(());

#[test]
fn a_hundred_kills_at_random_moments_leave_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(|broken| broken.into_inner());
    let mut random = Random::seeded();
    let user = prepared();
    std::fs::write(user.home().join("precious"), "kept").expect("a home can be written");
    let mut victims = std::collections::BTreeMap::<String, u32>::new();
    for round in 0..100 {
        let script = "sleep 4242 & sleep 4242 & wait";
        let mut command = user.enter(["--storage", driver(&mut random), "busybox", "--", "sh", "-c", script]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("enter starts");
        std::thread::sleep(Duration::from_micros(random.below(80_000)));
        let running = ours();
        if !running.is_empty() {
            let victim = &running[random.below(running.len() as u64) as usize];
            *victims.entry(victim.name.clone()).or_default() += 1;
            // It may have ended by itself just now; that is a moment like any other.
            let _ = kill(victim.pid, Signal::SIGKILL);
        }
        // Killing one of the command's own sleeps ends nothing, and rightly so: then the user gives up.
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
        child.wait().expect("a killed child ends");
        assert_nothing_runs(&format!("round {round}"));
        if round % 10 == 9 {
            assert_nothing_kept(&user);
        }
    }
    println!("killed: {victims:?}");
    assert_nothing_kept(&user);
    assert_eq!(std::fs::read_to_string(user.home().join("precious")).expect("the home is whole"), "kept");
}

#[test]
fn the_end_of_any_one_part_is_the_end_of_all() {
    for storage in DRIVERS {
        the_end_of_any_one_part(storage);
    }
}

fn the_end_of_any_one_part(storage: &str) {
    let _alone = ALONE.lock().unwrap_or_else(|broken| broken.into_inner());
    let user = prepared();
    let start = || {
        let started = user.home().join("started");
        drop(std::fs::remove_file(&started));
        // Without pasta, whose end is the end of the network alone.
        let script = "echo >~/started; sleep 4243; true";
        let mut command = user.enter(["--storage", storage, "--network", "none", "busybox", "--", "sh", "-c", script]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().expect("enter starts");
        support::wait_until("the command's start", || started.exists().then_some(()));
        support::wait_until("sleep", || ours().iter().any(|process| process.name == "sleep").then_some(()));
        child
    };
    let mut child = start();
    let count = ours().len();
    child.kill().expect("a child can be killed");
    child.wait().expect("a killed child ends");
    assert_nothing_runs("the first");
    // As many parts as there are, each killed once in a container of its own. The last ones are the command's own.
    for part in 0..count {
        let mut child = start();
        let running = ours();
        assert_eq!(running.len(), count, "each start looks the same: {running:?}");
        let victim = &running[part];
        kill(victim.pid, Signal::SIGKILL).expect("a running process can be killed");
        let status = support::user::wait(&mut child);
        let status = status.unwrap_or_else(|| panic!("enter did not end after a kill of {victim:?}"));
        assert!(!status.success() || victim.name == "sleep", "{victim:?}: {status}");
        assert_nothing_runs(&format!("a kill of {victim:?}"));
    }
    assert_nothing_kept(&user);
}

/// Who can keep a container's changes.
const DRIVERS: [&str; 2] = ["overlay", "fuse"];

/// One of them.
fn driver(random: &mut Random) -> &'static str {
    DRIVERS[usize::from(random.below(2) == 0)]
}

/// A user who has pulled the image already.
fn prepared() -> User {
    nix::sys::prctl::set_child_subreaper(true).expect("Linux 3.4 adopts orphans");
    let user = User::new();
    user.run(["pull", "busybox"]).success();
    user
}

/// The descendants of this process that belong to enter.
fn ours() -> Vec<Process> {
    let all = descendants(std::process::id().cast_signed());
    let registry: Vec<Pid> =
        descendants(hub().process().cast_signed()).into_iter().map(|process| process.pid).collect();
    let hub = Pid::from_raw(hub().process().cast_signed());
    all.into_iter().filter(|process| process.pid != hub && !registry.contains(&process.pid)).collect()
}

#[track_caller]
fn assert_nothing_runs(when: &str) {
    let gone = wait_for_some(|| {
        let left = ours();
        reap(&left);
        left.is_empty().then_some(())
    });
    assert!(gone.is_some(), "after {when} these still run: {:?}", ours());
}

/// Takes the exit status of adopted orphans, which are zombies until someone does.
fn reap(processes: &[Process]) {
    for process in processes {
        let _ = waitpid(process.pid, Some(WaitPidFlag::WNOHANG));
    }
}

/// After one more command: no folder of a container, no socket, no mount.
#[track_caller]
fn assert_nothing_kept(user: &User) {
    assert_eq!(user.run(["busybox", "--", "cat", "/etc/os-release"]).success().lines().next(), Some("ID=busybox"));
    assert_nothing_runs("the next command");
    let containers = entries(&user.store().join("containers"));
    assert!(containers.is_empty(), "folders of dead containers: {containers:?}");
    let sockets: Vec<PathBuf> = tree(&user.runtime()).into_iter().filter(|path| is_socket(path)).collect();
    assert!(sockets.is_empty(), "sockets of dead containers: {sockets:?}");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("there is /proc");
    let folder = user.data().display().to_string();
    assert!(!mounts.contains(&folder), "mounts of dead containers:\n{mounts}");
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("a folder's entry").path()).collect()
}

fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = entries(folder);
    for path in found.clone() {
        if path.is_dir() && !path.is_symlink() {
            found.extend(tree(&path));
        }
    }
    found
}

fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    path.symlink_metadata().is_ok_and(|info| info.file_type().is_socket())
}

/// Numbers that the seed determines (xorshift64*).
struct Random(u64);

impl Random {
    fn seeded() -> Self {
        Self::seeded_with(u64::from(std::process::id()) << 20 | 1)
    }

    /// From this number, where no other is asked for.
    fn seeded_with(seed: u64) -> Self {
        let given = std::env::var("ENTER_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or(seed);
        println!("ENTER_TEST_SEED={seed}");
        Self(seed.max(1))
    }

    /// Numbers of its own for one of several.
    fn branch(&mut self, number: u64) -> Self {
        Self((self.0 ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15)).max(1))
    }

    /// A number below `limit`, which is not 0.
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) % limit
    }
}
