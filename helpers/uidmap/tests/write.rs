//! The maps, written to the namespaces of real processes. As an ordinary user this runs newuidmap and newgidmap and needs
//! subordinate ids; as root, the maps are written directly.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Pid, User as Account, getgid, getuid};
use uidmap::{Error, Kind, Maps, Range, SubIds, User, write};

/// A process that waits in a user namespace of its own.
struct Waiter(Child);

impl Waiter {
    fn new() -> Waiter {
        // unshare(1) gives up its single thread's namespace and then becomes cat, which waits for its stdin to close.
        let child = Command::new("unshare")
            .args(["--user", "cat"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("the tests need unshare(1) of util-linux");
        let own = fs::read_link("/proc/self/ns/user").unwrap();
        let link = format!("/proc/{}/ns/user", child.id());
        let start = Instant::now();
        while fs::read_link(&link).is_ok_and(|namespace| namespace == own) {
            assert!(start.elapsed() < Duration::from_secs(30), "unshare --user made no namespace");
            std::thread::sleep(Duration::from_millis(1));
        }
        Waiter(child)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.0.id()).unwrap())
    }

    fn read(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(format!("/proc/{}/{file}", self.0.id())).unwrap();
        text.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("the waiting process is ours to end");
    }
}

fn subids() -> SubIds {
    let uid = getuid();
    if uid.is_root() {
        return SubIds { uids: vec![Range::new(100_000, 1000)], gids: vec![Range::new(200_000, 1000)] };
    }
    let name = Account::from_uid(uid).unwrap().expect("the user who runs the tests has a name").name;
    let subids = SubIds::of(&User { name: name.clone(), uid: uid.as_raw() }).unwrap();
    assert!(!subids.is_empty(), "the tests need subordinate ids: {}", uidmap::add_subids_command(&name));
    subids
}

#[test]
fn the_whole_range_is_mapped() {
    let maps = Maps::outer(getuid().as_raw(), getgid().as_raw(), &subids()).unwrap();
    assert_eq!(maps.kind, Kind::Ranges);
    let waiter = Waiter::new();
    write(waiter.pid(), &maps).unwrap();
    assert_eq!(waiter.read("uid_map").join("\n") + "\n", maps.uids.to_string());
    assert_eq!(waiter.read("gid_map").join("\n") + "\n", maps.gids.to_string());
    assert_eq!(waiter.read("setgroups"), ["allow"]);
}

#[test]
fn a_single_id_is_mapped_without_any_help() {
    let maps = Maps::single(getuid().as_raw(), getgid().as_raw(), 1234, 567).unwrap();
    let waiter = Waiter::new();
    write(waiter.pid(), &maps).unwrap();
    assert_eq!(waiter.read("uid_map"), [format!("1234 {} 1", getuid())]);
    assert_eq!(waiter.read("gid_map"), [format!("567 {} 1", getgid())]);
}

#[test]
fn ids_that_are_not_ones_own_are_refused() {
    if getuid().is_root() {
        // Root may map what it likes; what it may not is map a namespace twice.
        let maps = Maps::outer(0, 0, &subids()).unwrap();
        let waiter = Waiter::new();
        write(waiter.pid(), &maps).unwrap();
        assert!(write(waiter.pid(), &maps).is_err());
        return;
    }
    let foreign = SubIds { uids: vec![Range::new(1, 5)], gids: vec![Range::new(1, 5)] };
    let maps = Maps::outer(getuid().as_raw(), getgid().as_raw(), &foreign).unwrap();
    let waiter = Waiter::new();
    let error = write(waiter.pid(), &maps).unwrap_err();
    let Error::Refused { path, message, .. } = &error else { panic!("{error}") };
    assert!(path.ends_with("newuidmap") && !message.is_empty(), "{error}");
    assert!(error.hint().is_some());
}
