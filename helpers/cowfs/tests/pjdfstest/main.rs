//! The POSIX test suite `pjdfstest` as root of a user namespace: on a directory of the host, and on each writable filesystem
//! that stands on layers. These fail nothing that the directory passes, but for what `exceptions.txt` gives a reason for;
//! and what that says to fail, fails.
//!
//! `helpers/test.sh` installs the program, as the hint here does.

#[path = "../common/mod.rs"]
mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use common::Tar;
use common::union::Place;

/// The version whose tests `exceptions.txt` speaks of.
const VERSION: &str = "0.2.2";

/// Each test's name, and whether it passed.
type Results = BTreeMap<String, bool>;

/// `target/tools/bin/pjdfstest`, beside the folder that this test was built in.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let target = test.ancestors().nth(3).unwrap();
    let program = target.join("tools/bin/pjdfstest");
    let said = Command::new(&program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    assert_eq!(
        String::from_utf8_lossy(&said).trim(),
        format!("pjdfstest {VERSION}"),
        "this test needs pjdfstest: cargo install pjdfstest --version {VERSION} --locked --root {}",
        target.join("tools").display()
    );
    program
}

/// A place with the suite in it. The users that it wants are those of this machine's namespace alone.
fn place() -> Place {
    let place = Place::new(&[Tar::default().dir(".").dir("directory").file("directory/file", "content").end()]);
    place.install(&program());
    let put = |name: &str, text: &str| std::fs::write(place.path(name), text).unwrap();
    put("passwd", "root:x:0:0::/:/bin/sh\none:x:1001:1001::/:/bin/sh\ntwo:x:1002:1002::/:/bin/sh\n");
    put("group", "root:x:0:\none:x:1001:\ntwo:x:1002:\n");
    // mount(8) would call a program that mounts FUSE filesystems, and give back all options, of which FUSE takes none.
    std::fs::create_dir(place.path("bin")).unwrap();
    put("bin/mount", "#!/bin/sh\nLIBMOUNT_FORCE_MOUNT2=always exec /bin/mount -i \"$@\"\n");
    std::fs::set_permissions(place.path("bin/mount"), PermissionsExt::from_mode(0o755)).unwrap();
    let features = ["posix_fallocate", "rename_ctime", "stat_st_birthtime", "utime_now", "utimensat"];
    let features: String = features.iter().map(|name| format!("{name} = {{}}\n")).collect();
    for (name, remount) in [("all", false), ("remount", true)] {
        let settings = format!("[settings]\nnaptime = 0.02\nallow_remount = {remount}\n");
        let users = "[dummy_auth]\nentries = [[\"one\", \"one\"], [\"two\", \"two\"]]\n";
        put(&format!("{name}.toml"), &format!("[features]\n{features}{settings}{users}"));
    }
    place
}

/// Runs the suite, or with `remount` its tests of a filesystem that is made read-only, which want one to themselves. The path
/// is short, since the address of a socket has to hold it.
fn results(place: &Place, driver: &str, remount: bool) -> Results {
    let (config, which) = if remount { ("remount", "erofs") } else { ("all", "") };
    let script = format!(
        "mount --bind $PLACE/passwd /etc/passwd; mount --bind $PLACE/group /etc/group
         mkdir -p $PLACE/sides/second; mount -t tmpfs second $PLACE/sides/second
         mount --bind $VIEW /mnt; cd /; PATH=$PLACE/bin:$PATH
         $PLACE/pjdfstest -c $PLACE/{config}.toml -p /mnt -s $PLACE/sides/second {which} || :
         umount /mnt"
    );
    let mut command = place.command(driver, &format!("sides/{driver}"), &script);
    let text = common::view::expect(command.env("RUST_BACKTRACE", "0").env("NO_COLOR", "1").output().unwrap());
    assert!(text.contains("Summary: "), "{driver}: the suite did not come to its end:\n{text}");
    let result = |line: &str| {
        let (name, rest) = line.split_once(' ')?;
        let passed = match rest.trim_start() {
            "ok" => true,
            "FAILED" | "skipped" => false,
            _ => return None,
        };
        Some((name.to_owned(), passed))
    };
    text.lines().filter_map(result).collect()
}

/// The tests that are expected not to pass on `driver`: each line that begins with `==` names the drivers, up to a colon, for
/// which the tests on the lines after it do not.
fn exceptions(driver: &str) -> BTreeSet<String> {
    let mut ours = false;
    let mut names = BTreeSet::new();
    for line in include_str!("exceptions.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        match line.strip_prefix("== ") {
            Some(header) => {
                let (drivers, reason) = header.split_once(": ").expect("`== DRIVER…: REASON`");
                assert!(!reason.is_empty(), "{line}");
                ours = drivers.split(' ').any(|name| name == driver);
            }
            None if ours => assert!(names.insert(line.to_owned()), "{line} is there twice for {driver}"),
            None => {}
        }
    }
    names
}

/// The differences between what fails and what is to fail.
fn differences(driver: &str, failed: &BTreeSet<String>, expected: &BTreeSet<String>) -> Vec<String> {
    let unexpected = failed.difference(expected).map(|name| format!("{driver}: {name} does not pass"));
    let needless = expected.difference(failed);
    let needless = needless.map(|name| format!("{driver}: {name} passes: remove it from exceptions.txt"));
    unexpected.chain(needless).collect()
}

#[test]
fn a_writable_side_passes_what_a_plain_directory_passes() {
    let place = place();
    let plain = results(&place, "plain", false);
    assert!(plain.len() > 350, "only {} tests were run", plain.len());
    let failing = |results: &Results| -> BTreeSet<String> {
        results.iter().filter(|(_, passed)| !**passed).map(|(name, _)| name.clone()).collect()
    };
    let beyond = failing(&plain);
    let mut broken = differences("plain", &beyond, &exceptions("plain"));
    for driver in ["overlay", "fuse", "writeback", "native"] {
        let mut failed = failing(&results(&place, driver, false));
        failed.retain(|name| !beyond.contains(name));
        // A directory cannot be made read-only, so these have nothing to be compared with.
        failed.extend(failing(&results(&place, driver, true)));
        broken.extend(differences(driver, &failed, &exceptions(driver)));
    }
    assert!(broken.is_empty(), "{} differences:\n{}", broken.len(), broken.join("\n"));
}
