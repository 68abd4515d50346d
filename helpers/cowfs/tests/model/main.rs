//! What a plain directory does, every writable filesystem above layers does: random operations give the same results, the
//! same errors and in the end the same tree, also after unmounting and mounting again, and where the drivers take turns.
//!
//! A failure names its seed and the shortest list of operations that still shows it. `COWFS_TEST_SEED=N` tries that seed
//! alone, `COWFS_TEST_CASES=N` as many seeds as one likes.
//!
//! cowfs is known to differ from a directory in one way: chown(2) that changes neither owner nor group, by somebody who may not
//! call it, of a file with set-id bits does nothing, and is no error; FUSE makes the same request of a write.
//!
//! The kernel's overlayfs is known to differ in more ways. Lists for it leave them out:
//! - A directory of the lower side cannot be renamed (`EXDEV`), but by copying it.
//! - A file of the lower side with several names becomes several files when it is written; so its layers have none.
//! - Who has opened a file of the lower side for reading does not see what others write; so files are opened for both.
//! - A directory that is on both sides has one link, and numbers of inodes change with the first write.

#[path = "../common/mod.rs"]
mod common;
mod shrink;

use common::union::{Place, example};
use common::{layers, random, trees};

/// Which driver serves a session (from one mount to the next), as they take turns.
type Drivers = &'static [&'static str];

/// How many operations a list has.
const LENGTH: usize = 200;

/// A place where lists are carried out.
struct Model {
    place: Place,
    /// The drivers that are compared with the directory.
    drivers: Drivers,
}

impl Model {
    fn new(drivers: Drivers) -> Model {
        let place = Place::new(&layers::layers(!drivers.contains(&"overlay")));
        place.install(&example("operate"));
        Model { place, drivers }
    }

    /// What comes of each operation, on drivers that take turns.
    fn carry_out(&self, drivers: Drivers, list: &[String]) -> Vec<String> {
        let end = ["as 0", "tree", "remount", "tree"].map(str::to_owned);
        // The root is the upper directory itself, which is new.
        let begin = ["utimens . 900000000 0".to_owned()];
        let lines = [&begin, list, &end].concat();
        let mut script = "cd $PLACE/sides\n".to_owned();
        for (number, session) in lines.split(|line| line == "remount").enumerate() {
            std::fs::create_dir_all(self.place.path("sides")).unwrap();
            std::fs::write(self.place.path(&format!("session{number}")), session.join("\n")).unwrap();
            let driver = drivers[number % drivers.len()];
            // The working directory is what keeps a filesystem mounted: only `operate` is to be in it.
            script += &format!(
                "../union --here {driver} $PLACE/sides/at $LAYERS -- sh -euc 'cd $VIEW; $PLACE/operate $PLACE/session{number}'
                 echo 'remount = done'\n"
            );
        }
        script += "find at -delete\n";
        let mut command = self.place.command("none", "sides", &script);
        let text = common::view::expect(command.output().unwrap());
        text.lines().skip(1).map(str::to_owned).collect()
    }

    /// The list without what the kernel's overlayfs is known to do differently.
    fn allowed(&self, mut list: Vec<String>) -> Vec<String> {
        if !self.drivers.contains(&"overlay") {
            return list;
        }
        for line in &mut list {
            let words: Vec<&str> = line.split(' ').collect();
            if let ["open", slot, path, how @ ("r" | "rn"), mode] = words[..] {
                *line = format!("open {slot} {path} {} {mode}", how.replace('r', "rw"));
            }
        }
        // A rename that is refused changes nothing, so that what follows is the same without it.
        let came = self.carry_out(self.drivers, &list);
        let mut came = came.iter();
        list.retain(|line| {
            let result = came.next().map_or("", |came| &came[line.len()..]);
            !(line.starts_with("rename ") && result == " = EXDEV")
        });
        list
    }

    /// The first difference between the directory and the drivers, and the operation's place in the list.
    fn difference(&self, list: &[String]) -> Option<(usize, String)> {
        let expected = self.carry_out(&["plain"], list);
        let seen = self.carry_out(self.drivers, list);
        let overlay = self.drivers.contains(&"overlay");
        if overlay && seen.iter().any(|line| line.starts_with("rename ") && line.ends_with("= EXDEV")) {
            // While a list is made shorter, other renames than before may be refused.
            return None;
        }
        let differ = |(expected, seen): (&String, &String)| {
            let (expected, seen) = if overlay {
                (trees::without_links(expected), trees::without_links(seen))
            } else {
                (expected.clone(), seen.clone())
            };
            (expected != seen).then(|| trees::explain(&expected, &seen))
        };
        let mut pairs = expected.iter().zip(&seen).enumerate();
        let first = pairs.find_map(|(number, pair)| Some((number, differ(pair)?)));
        assert!(first.is_some() || expected.len() == seen.len(), "a session has not come to its end");
        first
    }
}

/// Tries as many seeds as are asked for.
fn check(drivers: Drivers) {
    let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match asked("COWFS_TEST_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..asked("COWFS_TEST_CASES").unwrap_or(20),
    };
    let model = Model::new(drivers);
    for seed in seeds {
        let list = model.allowed(random::operations(seed, LENGTH));
        if let Some(first) = model.difference(&list) {
            let (list, explanation) = shrink::shortest(list, first, |list| model.difference(list));
            panic!("COWFS_TEST_SEED={seed} on {drivers:?}: {explanation}\nafter\n{}", list.join("\n"));
        }
    }
}

#[test]
fn the_kernels_overlay_is_a_directory() {
    check(&["overlay"]);
}

#[test]
fn cowfs_that_records_owners_is_a_directory() {
    check(&["fuse"]);
}

#[test]
fn cowfs_whose_writes_the_kernel_collects_is_a_directory() {
    check(&["writeback"]);
}

#[test]
fn cowfs_that_gives_files_to_their_owners_is_a_directory() {
    check(&["native"]);
}

#[test]
fn two_drivers_that_take_turns_over_one_upper_side_are_a_directory() {
    check(&["overlay", "native"]);
}

#[test]
fn cowfs_that_writes_in_two_ways_by_turns_is_a_directory() {
    check(&["fuse", "writeback"]);
}
