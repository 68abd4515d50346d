//! Standard streams that are not what one expects, and readers that take their time.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::pty::posix_openpt;

use crate::support::user::wait;
use crate::support::{User, wait_until};

#[test]
fn a_directory_as_standard_input_does_not_open_the_host() {
    let user = User::new();
    user.sh(&[], "busybox", "true");
    for (number, name) in ["input", "output", "error"].iter().enumerate() {
        let folder = || Stdio::from(File::open("/opt").expect("a folder"));
        let mut command = user.enter(["busybox", "--", "sh", "-c", "cd -P /proc/self/fd/0/.. && touch ~/escaped"]);
        match number {
            0 => command.stdin(folder()),
            1 => command.stdout(folder()),
            _ => command.stderr(folder()),
        };
        let status = wait(&mut command.spawn().expect("enter starts")).expect("enter ends");
        assert_eq!(status.code(), Some(125), "standard {name}");
        assert!(!user.home().join("escaped").exists());
    }
}

#[test]
fn a_terminal_that_is_read_slowly_gets_all_that_was_written_before_the_end() {
    let user = User::new();
    user.sh(&[], "busybox", "true");
    let mut master = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("a pty");
    sys::terminal::unlock(&master).expect("a pty can be unlocked");
    let slave: OwnedFd = sys::terminal::peer(&master).expect("a pty has a slave side");
    // Writes, in pieces that a pipe takes whole or not at all, until everything on the way to the terminal is full.
    let script =
        "n=0; while timeout 1 head -c 4096 /dev/zero; do n=$((n+1)); done; echo $n >~/.count; mv ~/.count ~/count";
    let mut command = user.enter(["busybox", "--", "sh", "-c", script]);
    let mut child = command.stdout(slave).stderr(Stdio::null()).spawn().expect("enter starts");
    drop(command);
    let count = wait_until("a full terminal", || std::fs::read_to_string(user.home().join("count")).ok());
    // The command has ended; for longer than anyone waits for one that still holds its output, nobody reads.
    std::thread::sleep(Duration::from_secs(1));
    let (mut read, mut buffer) = (0, [0; 65536]);
    // EIO: nobody holds the other side any more.
    while let Ok(length @ 1..) = master.read(&mut buffer) {
        read += length;
    }
    assert_eq!(wait(&mut child).and_then(|status| status.code()), Some(0));
    assert_eq!(read, 4096 * count.trim().parse::<usize>().expect("a number"));
}
