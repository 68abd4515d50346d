//! Sixteen users' hands at the same few containers, and SIGKILL at random moments for any process: afterwards each container is
//! whole or gone, what is listed is what runs, and no lock is stuck.
//!
//! `ENTER_TEST_SECONDS` is how long it lasts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, TryLockError};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::descendants::{Process, parent};
use super::support::User;
use super::{ALONE, Random, assert_nothing_kept, assert_nothing_runs, driver, entries, hub, ours, prepared, reap};

/// What the numbers begin with where nothing else is asked for: a failure can be repeated, as far as processes are ever alike.
const SEED: u64 = 20_261_122;
const HANDS: u64 = 16;
/// Fewer than hands, so that several are often at the same container.
const NAMES: u64 = 12;
/// A command that takes longer waits for what will never come.
const STUCK: Duration = Duration::from_secs(60);

#[test]
fn a_storm_of_kills_leaves_each_container_whole_or_gone() {
    let _alone = ALONE.lock().unwrap_or_else(|broken| broken.into_inner());
    let mut random = Random::seeded_with(SEED);
    let seconds = std::env::var("ENTER_TEST_SECONDS").ok().and_then(|text| text.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(40));
    let user = prepared();
    let storm = Storm {
        user: &user,
        commands: Mutex::default(),
        stuck: Mutex::default(),
        done: Mutex::default(),
        said: Mutex::default(),
    };
    let mut victims = BTreeMap::<String, u32>::new();
    std::thread::scope(|scope| {
        for hand in 0..HANDS {
            let (storm, mut random) = (&storm, random.branch(hand));
            scope.spawn(move || {
                while Instant::now() < end {
                    storm.act(&mut random);
                }
            });
        }
        while Instant::now() < end {
            std::thread::sleep(Duration::from_micros(10_000 + random.below(120_000)));
            let running = ours();
            if !running.is_empty() {
                let victim = &running[random.below(running.len() as u64) as usize];
                *victims.entry(victim.name.clone()).or_default() += 1;
                let _ = kill(victim.pid, Signal::SIGKILL);
            }
            storm.reap(&running);
        }
    });
    println!("killed: {victims:?}\ndone, with how many that failed: {:?}", storm.done.lock().unwrap());
    for (line, count) in &*storm.said.lock().unwrap() {
        println!("{count:4} × {line}");
    }
    assert_eq!(*storm.stuck.lock().unwrap(), [""; 0], "commands that did not end");
    user.run(["ps", "-a"]).success();
    what_is_listed_is_what_runs(&user);
    let left = listed(&user);
    println!("left: {left:?}");
    for container in &left {
        it_is_whole(&user, container);
    }
    for image in
        user.run(["images", "--format", "{{.Repository}}"]).success().lines().filter(|name| name.contains("kept"))
    {
        user.run(["run", "--rm", image, "true"]).success();
    }
    for number in 0..NAMES {
        user.run(["create", "--name", &name(number), "busybox"]).success();
        user.run(["rm", &name(number)]).success();
    }
    assert_nothing_runs("the removal of all");
    assert_nothing_kept(&user);
    assert!(entries(&user.store().join("names")).is_empty(), "names of nobody");
}

fn name(number: u64) -> String {
    format!("c{number}")
}

/// What all hands share.
struct Storm<'a> {
    user: &'a User,
    /// Processes whose end a hand waits for.
    commands: Mutex<BTreeSet<Pid>>,
    stuck: Mutex<Vec<String>>,
    /// How often each verb was used, and how often it failed.
    done: Mutex<BTreeMap<String, (u32, u32)>>,
    /// What was said, with the names of containers left out.
    said: Mutex<BTreeMap<String, u32>>,
}

impl Storm<'_> {
    /// One command, whatever comes of it.
    fn act(&self, random: &mut Random) {
        let container = name(random.below(NAMES));
        let sleep = ["--storage", driver(random), "busybox", "sh", "-c", "echo begun; exec sleep 4244"];
        let words: Vec<&str> = match random.below(24) {
            0..=2 => [&["create", "--name", &container][..], &sleep].concat(),
            3..=6 => [&["run", "-d", "--name", &container][..], &sleep].concat(),
            7 => vec!["run", "--rm", "--storage", driver(random), "busybox", "true"],
            8..=10 => vec!["start", &container],
            11..=13 => vec!["exec", &container, "sh", "-c", "echo more >>/file"],
            14 => vec!["stop", "-t", "0", &container],
            15..=16 => vec!["rm", "-f", &container],
            17 => vec!["rm", &container],
            18 => vec!["kill", &container],
            19 => vec!["restart", "-t", "0", &container],
            20 => vec!["commit", &container, "kept"],
            21 => vec!["logs", &container],
            22 => vec![if random.below(2) == 0 { "pause" } else { "unpause" }, &container],
            _ => vec!["ps", "-a"],
        };
        let mut command = self.user.enter(&words);
        let errors = tempfile::NamedTempFile::new().expect("a temporary file");
        command.stdout(Stdio::null()).stderr(errors.reopen().expect("a temporary file is there"));
        let succeeded = self.watch(command, &words.join(" "));
        let said = std::fs::read_to_string(errors.path()).unwrap_or_default();
        if said.contains("panicked") {
            self.stuck().push(format!("{}: {said}", words.join(" ")));
        }
        for line in said.lines().filter(|line| !line.is_empty()) {
            let mut lines = self.said.lock().unwrap_or_else(|broken| broken.into_inner());
            *lines.entry(format!("{}: {}", words[0], without_names(line))).or_default() += 1;
        }
        let mut done = self.done.lock().unwrap_or_else(|broken| broken.into_inner());
        let count = done.entry(words[0].to_owned()).or_default();
        *count = (count.0 + 1, count.1 + u32::from(!succeeded));
    }

    /// Waits for a command's end, as long as that may take.
    fn watch(&self, mut command: Command, line: &str) -> bool {
        let mut child = command.spawn().expect("enter starts");
        let pid = Pid::from_raw(child.id().cast_signed());
        self.commands().insert(pid);
        let status = ended(&mut child);
        if status.is_none() {
            self.stuck().push(line.to_owned());
            // Whoever looks at it may want to see it first.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.commands().remove(&pid);
        status.unwrap_or_default()
    }

    /// Takes the orphans that have ended; the hands wait for their own.
    fn reap(&self, running: &[Process]) {
        let commands = self.commands().clone();
        let orphans: Vec<Process> =
            running.iter().filter(|process| !commands.contains(&process.pid)).cloned().collect();
        reap(&orphans);
    }

    fn commands(&self) -> MutexGuard<'_, BTreeSet<Pid>> {
        self.commands.lock().unwrap_or_else(|broken| broken.into_inner())
    }

    fn stuck(&self) -> MutexGuard<'_, Vec<String>> {
        self.stuck.lock().unwrap_or_else(|broken| broken.into_inner())
    }
}

/// A line with `C` in the place of names and ids.
fn without_names(line: &str) -> String {
    let is_name = |word: &str| {
        let hex = word.len() >= 12 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let named = word
            .strip_prefix('c')
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
        hex || named
    };
    let words = line.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    let plain = words.map(|word| {
        let end = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric()).len();
        if is_name(&word[..end]) { format!("C{}", &word[end..]) } else { word.to_owned() }
    });
    plain.collect()
}

/// Whether it succeeded; None where it does not end.
fn ended(child: &mut Child) -> Option<bool> {
    let end = Instant::now() + STUCK;
    while Instant::now() < end {
        match child.try_wait() {
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Ok(Some(status)) => return Some(status.success()),
            // It was taken for an orphan in its first moment.
            Err(_) => return Some(false),
        }
    }
    None
}

/// A container as it is listed.
#[derive(Debug)]
struct Listed {
    id: String,
    state: String,
    name: String,
}

fn listed(user: &User) -> Vec<Listed> {
    let text = user.run(["ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.State}} {{.Names}}"]).success();
    let words = |line: &str| line.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
    text.lines()
        .map(|line| match &words(line)[..] {
            [id, state, name] => Listed { id: id.clone(), state: state.clone(), name: name.clone() },
            _ => panic!("{line}"),
        })
        .collect()
}

/// Each container that is said to run has its lock held and its process, and there is a monitor for each of them and nothing else.
#[track_caller]
fn what_is_listed_is_what_runs(user: &User) {
    let agreed = super::support::wait_for_some(|| {
        reap(&ours());
        disagreement(user).is_none().then_some(())
    });
    assert!(agreed.is_some(), "{}", disagreement(user).unwrap_or_default());
}

fn disagreement(user: &User) -> Option<String> {
    let containers = user.store().join("containers");
    let mut alive = 0;
    for container in listed(user) {
        let runs = matches!(container.state.as_str(), "running" | "paused" | "restarting");
        alive += usize::from(runs);
        if runs != is_locked(&containers.join(&container.id)) {
            return Some(format!("the lock of {container:?} says otherwise"));
        }
        if container.state == "running" {
            let pid = user.run(["inspect", "--format", "{{.State.Pid}}", &container.id]).success();
            if !Path::new("/proc").join(pid.trim()).exists() {
                return Some(format!("the process {pid} of {container:?} is not there"));
            }
        }
    }
    // A monitor has no parent but the one that takes orphans; so has whatever has lost its monitor.
    let me = Pid::this();
    let orphans: Vec<Process> =
        ours().into_iter().filter(|process| parent(process.pid) == Some(me) && process.pid != hub_process()).collect();
    (orphans.len() != alive).then(|| format!("{alive} containers run, and these are orphans: {orphans:?}"))
}

fn hub_process() -> Pid {
    Pid::from_raw(hub().process().cast_signed())
}

fn is_locked(folder: &Path) -> bool {
    let Ok(file) = File::open(folder.join("lock")) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// It can be looked at, started, used, ended and removed.
#[track_caller]
fn it_is_whole(user: &User, container: &Listed) {
    let id = container.id.as_str();
    let is_ours = container.name.strip_prefix('c').is_some_and(|number| number.parse::<usize>().is_ok());
    if !is_ours {
        // One of `run --rm`: still ending when it was listed, or never begun. It does nothing that could be waited for, and goes.
        user.run(["rm", "-f", id]).success();
        return assert!(listed(user).iter().all(|other| other.id != container.id), "{container:?}");
    }
    user.run(["inspect", id]).success();
    user.run(["logs", id]).success();
    match container.state.as_str() {
        "paused" => drop(user.run(["unpause", id]).success()),
        "running" => {}
        _ => drop(user.run(["start", id]).success()),
    }
    user.run(["exec", id, "true"]).success();
    user.run(["stop", "-t", "0", id]).success();
    user.run(["start", &container.name]).success();
    user.run(["kill", &container.name]).success();
    user.run(["wait", &container.name]).success();
    user.run(["rm", &container.name]).success();
    assert!(!user.store().join("containers").join(id).exists(), "{container:?}");
}
