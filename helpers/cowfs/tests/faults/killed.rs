//! The server is killed while it writes: every operation that had come to its end is there at the next mount, the one under way
//! is there or not, and nothing else has changed.

use crate::common::trees::{explain, without_links};
use crate::common::union::{Place, example};
use crate::common::view::expect;
use crate::common::{layers, random};

/// How many operations a list has, and how many microseconds they take, about.
const LENGTH: usize = 60;
const MICROSECONDS: u64 = 4000;

fn place() -> Place {
    // A file with several names is copied up to one after another: that is not atomic, and its names may be apart.
    let place = Place::new(&layers::layers(false));
    place.install(&example("operate"));
    place
}

/// What comes of a list in a place that is new, or that an earlier session has left.
fn carry_out(place: &Place, driver: &str, list: &[String]) -> Vec<String> {
    std::fs::write(place.path("list"), list.join("\n")).unwrap();
    // When the server is gone, nothing more can be unmounted in good order: that must not matter.
    let script = format!(
        "cd $PLACE/sides; ../union --here {driver} $PLACE/sides/at $LAYERS -- sh -euc 'cd $VIEW; $PLACE/operate $PLACE/list'"
    );
    let text = expect(place.run("none", "sides", &script));
    text.lines().map(str::to_owned).collect()
}

fn clear(place: &Place) {
    place.output("none", "sides", "rm -rf $PLACE/sides/at");
}

/// The tree that a directory is after a list of operations.
fn tree_after(place: &Place, list: &[String]) -> String {
    let came = carry_out(place, "plain", &[list, &["as 0", "tree"].map(str::to_owned)].concat());
    clear(place);
    came.last().unwrap().clone()
}

/// A list, without other mounts, and without mappings: whoever touches one whose server is gone is killed himself. Where
/// the kernel collects writes, they are `synced`.
fn operations(seed: u64, synced: bool) -> Vec<String> {
    let begin = ["utimens . 900000000 0".to_owned()];
    let operations =
        random::operations(seed, LENGTH).into_iter().filter(|line| line != "remount" && !line.starts_with("map"));
    let slot = |line: &str| match line.split(' ').collect::<Vec<_>>()[..] {
        ["write" | "ftruncate", slot, ..] | ["copy", _, _, slot, ..] => Some(slot.to_owned()),
        ["fallocate" | "futimens" | "fchmod" | "fchown", slot, ..] => Some(slot.to_owned()),
        _ => None,
    };
    let with_sync = operations.flat_map(|line| {
        let sync = slot(&line).filter(|_| synced).map(|slot| format!("fsync {slot}"));
        [Some(line), sync].into_iter().flatten()
    });
    begin.into_iter().chain(with_sync).collect()
}

/// Whether the server's end shows in a result: an error, or less written than was to be.
fn is_end(line: &str) -> bool {
    let less = match line.split(' ').collect::<Vec<_>>()[..] {
        ["write", _, _, length, _, "=", written] => written.parse::<u64>().is_ok_and(|n| n.to_string() != length),
        _ => false,
    };
    less || ["ENOTCONN", "ECONNABORTED", "EIO"].iter().any(|errno| line.ends_with(errno))
}

/// Whether the operation under way has been done in part. Of one that changes content: set-id bits go before it comes, and there
/// may be a piece of it. Of any: a directory whose entry was copied up gets its time back a moment later.
fn is_halfway(operation: &str, seen: &str, trees: &[String]) -> bool {
    let name = operation.split(' ').next().unwrap_or_default();
    let content = ["write", "copy", "fallocate", "ftruncate", "truncate", "open"].contains(&name);
    let [.., before, after] = trees else { return false };
    let is_between = |((seen, before), after): ((&str, &str), &str)| {
        let is_content = |word: &str| word.starts_with("size=") || word.starts_with("content=");
        let is_directory = seen.split(' ').nth(1).is_some_and(|mode| mode.len() == 5 && mode.starts_with('4'));
        let mut words = seen.split(' ').zip(before.split(' ')).zip(after.split(' '));
        words.all(|((seen, before), after)| {
            let piece = content && (seen == after || before != after && is_content(seen));
            seen == before || piece || is_directory && seen == "now"
        })
    };
    let lines = |tree: &str| tree.split("| ").count();
    let matches = |before: &str, after: &str| {
        let files = seen.split("| ").zip(before.split("| ")).zip(after.split("| "));
        lines(seen) == lines(before) && lines(seen) == lines(after) && files.into_iter().all(is_between)
    };
    matches(before, after) || matches(before, before)
}

fn check(driver: &str) {
    let asked = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let seeds = match asked("COWFS_TEST_SEED") {
        Some(seed) => seed..seed + 1,
        // Many a sync takes its time.
        None => 0..asked("COWFS_TEST_CASES").unwrap_or(if driver == "writeback" { 40 } else { 100 }),
    };
    let place = place();
    let mut interrupted = 0;
    for seed in seeds {
        let writeback = driver == "writeback";
        let list = operations(seed, writeback);
        let mut random = random::Random::new(!seed);
        let mut deadly = list.clone();
        deadly.insert(1, format!("kill {}", random.below(MICROSECONDS)));
        let mut came = carry_out(&place, driver, &deadly);
        came.remove(1);
        let done = came.iter().position(|line| is_end(line)).unwrap_or(list.len());
        interrupted += u64::from(done < list.len());
        let after = carry_out(&place, driver, &["tree".to_owned()]);
        // What the kernel had collected and not been asked to sync may be lost.
        let unsynced = usize::from(writeback);
        let seen = after.last().unwrap();
        if driver == "native" {
            let kernel = carry_out(&place, "overlay", &["tree".to_owned()]);
            assert_eq!(
                without_links(kernel.last().unwrap()),
                without_links(seen),
                "seed {seed}: overlayfs reads something else"
            );
        }
        clear(&place);
        let possible = done.saturating_sub(unsynced)..=(done + 1).min(list.len());
        let trees: Vec<String> = possible.map(|count| tree_after(&place, &list[..count])).collect();
        let halfway = list.get(done).is_some_and(|line| is_halfway(line, seen, &trees));
        assert!(
            trees.contains(seen) || halfway,
            "COWFS_TEST_SEED={seed} on {driver}: after {done} operations and a {}:{}\nthat is, after\n{}",
            deadly[1],
            trees.iter().map(|tree| explain(tree, seen)).collect::<Vec<_>>().join("\nor"),
            came[..=done.min(came.len() - 1)].join("\n"),
        );
    }
    assert!(interrupted > 0, "no server was killed in time");
}

#[test]
fn recording_owners() {
    check("fuse");
}

#[test]
fn with_collected_writes() {
    check("writeback");
}

#[test]
fn giving_files_to_their_owners() {
    check("native");
}
