//! Each system call that the server makes of the host's filesystem for one operation fails in its turn: the operation has been done or
//! has not, can be tried again, and the next mount shows the same.

use crate::common::Tar;
use crate::common::union::Place;
use crate::common::view::require;

/// What is done, each by one call, so that there is nothing between done and not done.
const OPERATIONS: [&str; 8] = [
    "echo more >> small",
    "chmod 600 large",
    "truncate -s 100 large",
    "rm small",
    "echo more >> dir/one",
    "rm dir/one",
    "mv large small",
    "mkfifo fifo",
];

/// The system calls that fail.
const CALLS: [&str; 9] =
    ["statx", "utimensat", "renameat2", "linkat", "lsetxattr", "fsetxattr", "ftruncate", "openat", "pwrite64"];

/// How many of each call of an operation fail in their turn, at most.
const MOST: usize = 8;

/// Prints what there is, but times.
const TREE: &str = "tree() { (cd $VIEW; find . -mindepth 1 -type f -exec cksum {} + -o -exec echo {} +; find . -mindepth 1 -exec stat -c '%n %u:%g %a %h %s' {} +) | sort; }; ";

fn place() -> Place {
    let mut tar = Tar::default();
    tar.dir(".").dir("dir").file("large", "line of the lower side\n".repeat(4000)).file("small", "small\n");
    tar.file("dir/one", "linked\n").hard_link("two", "dir/one");
    Place::new(&[tar.end()])
}

/// Does something while the `turn`th `call` of each of the server's threads fails: whether it was done, whether any call failed, and
/// the tree. What failed is tried again without faults, and the tree after that follows.
fn attempt(place: &Place, driver: &str, operation: &str, call: &str, turn: usize) -> (bool, bool, Vec<String>) {
    let script = format!(
        "{TREE} cd $VIEW; log=$PLACE/sides/log; : > $log.told
         strace -f -o $log -e trace={call} -e inject={call}:error=EIO:when={turn} -p $SERVER 2> $log.told & tracer=$!
         until grep -q attached $log.told; do kill -0 $tracer; sleep 0.01; done
         done=1; ({operation}) 2> $log.why || done=0
         kill -INT $tracer; wait $tracer || :
         if grep -q INJECTED $log; then fault=1; else fault=0; fi
         echo $done $fault; if test $done = 0; then grep -q -e Input/output -e I/O $log.why; tree; {operation}; fi; echo ==; tree"
    );
    let text = place.output(driver, "sides/at", &script);
    let (first, trees) = text.split_once('\n').unwrap();
    (first.starts_with('1'), first.ends_with('1'), trees.split("==\n").map(str::to_owned).collect())
}

#[test]
fn a_call_that_fails_leaves_nothing_half_done() {
    require("strace");
    let place = place();
    for driver in ["fuse", "native"] {
        let mut faults = 0;
        let clear = || place.output("none", "sides", "rm -rf $PLACE/sides/at");
        let tree = |script: &str| place.output(driver, "sides/at", &format!("{TREE} (cd $VIEW; {script}); tree"));
        let before = tree(":");
        for operation in OPERATIONS {
            clear();
            let after = tree(operation);
            for call in CALLS {
                // One without faults is the same as all after it.
                let all = (1..=MOST).take_while(|turn| {
                    clear();
                    let (done, fault, trees) = attempt(&place, driver, operation, call, *turn);
                    let which = format!("{driver}: `{operation}` with the {turn}. {call} failing");
                    assert!(fault || done, "{which}: failed without reason");
                    assert!(done || [&before, &after].contains(&&trees[0]), "{which}: half done:\n{}", trees[0]);
                    assert_eq!(trees[1], after, "{which}: in the end");
                    assert_eq!(tree(":"), after, "{which}: after the next mount");
                    fault
                });
                faults += all.count();
            }
        }
        clear();
        assert!(faults > 40, "{driver}: only {faults} calls were made to fail");
    }
}
