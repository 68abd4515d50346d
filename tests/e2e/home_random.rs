//! A home that a program has changed at random: the difference is that of two trees, half of it taken over and the rest forgotten leaves just that
//! half, and being killed on the way leaves every file whole.
//!
//! `ENTER_HOME_OPERATIONS` says how much is done in it; a few hundred things without it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::Duration;

use crate::support::User;

/// Paths below the home, each with what it is: mode, and content or target.
type Tree = BTreeMap<String, String>;

/// Lists a tree, in the box and outside: a line for each path, with its mode and what is in it.
const LIST: &str = "cd ~ && find . -mindepth 1 ! -path '*/.enter-apply*' | sort | while IFS= read -r f; do \
    if [ -L \"$f\" ]; then echo \"$f|link $(readlink \"$f\")\"; \
    elif [ -f \"$f\" ]; then echo \"$f|$(stat -c %f \"$f\") $(cat \"$f\" | md5sum)\"; \
    else echo \"$f|$(stat -c %f \"$f\")\"; fi; done";

fn parsed(text: &str) -> Tree {
    let entry = |line: &str| {
        let (path, is) = line.split_once('|').expect("a path and what it is");
        (path.trim_start_matches("./").to_owned(), is.to_owned())
    };
    text.lines().map(entry).collect()
}

fn of_home(user: &User) -> Tree {
    let output = user.command("sh").args(["-c", LIST]).output().expect("sh runs");
    parsed(&String::from_utf8_lossy(&output.stdout))
}

fn of_box(user: &User) -> Tree {
    parsed(&user.run(["work", "--", "sh", "-c", LIST]).success())
}

/// Numbers that look like chance, and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// A path of up to three names out of a few.
    fn path(&mut self) -> String {
        let depth = 1 + self.below(3);
        (0..depth).map(|_| format!("n{}", self.below(9))).collect::<Vec<_>>().join("/")
    }
}

/// A shell script that does so many things, most of which can be done. What is written is never what was there.
fn program(chance: &mut Chance, operations: usize) -> String {
    let mut script = String::from("cd ~\n");
    for number in 0..operations {
        let (a, b) = (chance.path(), chance.path());
        script += &match chance.below(12) {
            0..=2 => format!("echo {number} >{a}"),
            3 => format!("echo {number} >>{a}"),
            4 => format!("mkdir {a}"),
            5 => format!("rm -rf {a}"),
            6 => format!("mv -f {a} {b}"),
            7 => format!("ln {a} {b}"),
            8 => format!("ln -s {b} {a}"),
            9 => format!("chmod {} {a}", ["700", "755", "750", "711"][chance.below(4)]),
            10 => format!("rm -rf {a}; mkdir {a}; echo {number} >{a}/n0"),
            _ => format!("mkdir -p {a}/n1; echo {number} >{a}/n1/n2; mv {a} {b}"),
        };
        script += " 2>/dev/null\n";
    }
    script + "true\n"
}

fn is_dir(is: &str) -> bool {
    is.starts_with('4') && is.len() == 4
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// What `enter diff` is to say of two trees; directories that are told of only for what is in them left out.
fn expected(before: &Tree, after: &Tree) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for (path, is) in after {
        match before.get(path) {
            None => drop(lines.insert(format!("A {path}"))),
            Some(was) if was != is => drop(lines.insert(format!("C {path}"))),
            _ => {}
        }
    }
    let shows = |path: &str| path.is_empty() || (after.get(path).is_some_and(|is| is_dir(is)));
    let gone = before.keys().filter(|path| !after.contains_key(*path) && shows(parent(path)));
    lines.extend(gone.map(|path| format!("D {path}")));
    lines
}

fn told(user: &User, before: &Tree, after: &Tree) -> BTreeSet<String> {
    let outcome = user.run(["diff", "--home", "work"]);
    assert!(!outcome.stderr.contains("conflict"), "{}", outcome.stderr);
    let home = format!("{}/", user.home().display());
    let is_frame = |path: &str| {
        let both = (before.get(path), after.get(path));
        matches!(both, (Some(one), Some(other)) if one == other && is_dir(one))
    };
    let text = outcome.success();
    let lines = text.lines().map(|line| line.replacen(&home, "", 1));
    lines.filter(|line| !(line.starts_with("C ") && is_frame(&line[2..]))).collect()
}

/// The home when the changes at and below these paths were taken over.
fn taken(before: &Tree, after: &Tree, chosen: &[String]) -> Tree {
    let mut tree = before.clone();
    let is_chosen = |path: &str| chosen.iter().any(|above| path == above || is_below(path, above));
    for line in expected(before, after).iter().filter(|line| is_chosen(&line[2..])) {
        let path = &line[2..];
        let now = after.get(path);
        if !now.is_some_and(|is| is_dir(is)) {
            tree.retain(|other, _| other != path && !is_below(other, path));
        }
        if let Some(is) = now {
            tree.insert(path.to_owned(), is.clone());
        }
        let mut above = parent(path);
        while !above.is_empty() {
            if !tree.get(above).is_some_and(|is| is_dir(is)) {
                tree.insert(above.to_owned(), after[above].clone());
            }
            above = parent(above);
        }
    }
    tree
}

/// Takes paths over, while being killed again and again, until it is done.
fn apply(user: &User, chosen: &[String], (before, goal): (&Tree, &Tree), chance: &mut Chance) {
    let args: Vec<String> = ["apply", "work"].iter().map(ToString::to_string).chain(chosen.iter().cloned()).collect();
    for attempt in 0..12 {
        let mut child = user.enter(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("enter starts");
        std::thread::sleep(Duration::from_millis(15 + chance.below(40 * (attempt + 1)) as u64));
        let _ = child.kill();
        let ended = child.wait().expect("enter ends");
        for (path, is) in of_home(user) {
            let known = [before.get(&path), goal.get(&path)];
            // A directory may not have its permissions yet.
            let whole = known.contains(&Some(&is)) || (is_dir(&is) && goal.get(&path).is_some_and(|is| is_dir(is)));
            assert!(whole, "{path} is {is}, and neither of {known:?}");
        }
        if ended.success() {
            break;
        }
    }
    // What was taken over already is not chosen again.
    let outcome = user.run(["diff", "--home", "work"]);
    let home = format!("{}/", user.home().display());
    let text = outcome.success().replace(&home, "");
    let left = chosen.iter().filter(|path| text.lines().any(|line| &line[2..] == *path || is_below(&line[2..], path)));
    let left: Vec<&String> = left.collect();
    if !left.is_empty() {
        user.run(["apply", "work"].into_iter().chain(left.iter().map(|path| path.as_str()))).success();
    }
}

fn a_random_program(user: &User, seed: u64) {
    let operations = std::env::var("ENTER_HOME_OPERATIONS").map_or(300, |text| text.parse().expect("a number"));
    let mut chance = Chance(seed);
    // Too long for a command line where there is much to do.
    let script = user.data().join("program");
    std::fs::write(&script, program(&mut chance, operations)).expect("a script is written");
    let output = user.command("sh").arg(&script).output().expect("sh runs");
    assert!(output.status.success());
    let before = of_home(user);
    user.run_with_input(
        ["-n", "work", "--home", "cow", "busybox", "--", "sh"],
        program(&mut chance, operations).as_bytes(),
    )
    .success();
    let after = of_box(user);
    let changes = expected(&before, &after);
    assert!(changes.len() > 5, "it has done something: {changes:?}");
    assert_eq!(told(user, &before, &after), changes);
    assert_eq!(of_home(user), before, "the home is as it was");

    let half: Vec<String> = changes.iter().map(|line| line[2..].to_owned()).filter(|_| chance.below(2) == 0).collect();
    let goal = taken(&before, &after, &half);
    apply(user, &half, (&before, &goal), &mut chance);
    assert_eq!(of_home(user), goal, "half of it: {half:?}");
    assert_eq!(of_box(user), after, "the box sees what it saw");
    user.run(["discard", "work"]).success();
    assert_eq!(user.run(["diff", "--home", "work"]).success(), "");
    assert_eq!((of_home(user), of_box(user)), (goal.clone(), goal));
    let found = user.command("find").args([".", "-name", ".enter-apply*"]).output().expect("find runs");
    assert!(found.stdout.is_empty(), "nothing half done is left");
}

fn a_random_program_is_taken_over_by_half(user: &User) {
    for seed in 1..=3 {
        a_random_program(user, seed);
        user.run(["rm", "work"]).success();
        let empty = user.command("sh").args(["-c", "rm -rf ./*"]).status().expect("sh runs");
        assert!(empty.success());
    }
}

on_both_drivers! {
    a_random_program_is_taken_over_by_half,
}
