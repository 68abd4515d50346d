//! The tests' own tools: what a broken one would make every other test say nothing about.

use std::os::unix::process::ExitStatusExt as _;

use crate::support::user::finish;
use crate::support::{Terminal, User, hub};

#[test]
fn the_registry_serves_its_images_to_other_tools() {
    let user = User::new();
    let (folder, address) = (&hub().configuration, &hub().address);
    let mut skopeo = user.command("skopeo");
    skopeo.args(["inspect", "--raw", "--cert-dir"]).arg(folder.join("certs.d").join(address));
    skopeo.arg(format!("docker://{address}/library/platforms:latest"));
    let manifest = finish(skopeo, b"").success();
    assert!(manifest.contains("arm64") && manifest.contains("amd64"), "{manifest}");
}

#[test]
fn a_terminal_is_one_and_can_be_resized_and_cut() {
    let user = User::without_registry();
    let mut terminal = Terminal::start(&user.command("sh"));
    terminal.line("tty; stty size; echo rea''dy");
    assert!(terminal.wait_for("ready\r\n").contains("24 80"), "{}", terminal.shown());
    terminal.resize(50, 132);
    terminal.line("stty size; echo ag''ain; exec sleep 1000");
    assert!(terminal.wait_for("again\r\n").contains("50 132"), "{}", terminal.shown());
    terminal.hang_up();
    assert_eq!(terminal.wait().signal(), Some(nix::libc::SIGHUP));
}
