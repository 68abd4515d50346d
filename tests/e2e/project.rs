//! Projects: `.enter.toml`, whether it is allowed, and the box that it describes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Outcome, User, user::finish, wait_until};

/// A folder at home with a project file of this text.
fn project(user: &User, name: &str, text: &str) -> PathBuf {
    let folder = user.home().join(name);
    std::fs::create_dir_all(&folder).expect("a folder at home");
    std::fs::write(folder.join(".enter.toml"), text).expect("a file in it");
    folder
}

fn enter(user: &User, folder: &Path, args: &[&str]) -> Command {
    let mut command = user.enter(args);
    command.current_dir(folder);
    command
}

#[track_caller]
fn run(user: &User, folder: &Path, args: &[&str]) -> Outcome {
    finish(enter(user, folder, args), b"")
}

#[track_caller]
fn allow(user: &User, folder: &Path) {
    run(user, folder, &["allow"]).success();
}

#[track_caller]
fn sh(user: &User, folder: &Path, script: &str) -> String {
    run(user, folder, &[".", "--", "sh", "-c", script]).success()
}

#[test]
fn a_project_s_file_is_used_once_it_is_allowed_and_until_it_changes() {
    let user = User::new();
    let text = "image = 'busybox'\nmounts = ['/etc:/hostetc:ro']\nhooks = { once = 'touch ~/hooked' }\n";
    let folder = project(&user, "web", text);
    let below = folder.join("src");
    std::fs::create_dir(&below).unwrap();
    run(&user, &below, &[]).refused(&[
        "not allowed yet",
        "/etc:/hostetc:ro",
        "touch ~/hooked",
        "busybox",
        "enter allow",
    ]);
    assert!(!user.home().join("hooked").exists());
    assert_eq!(user.run(["ls", "-q"]).success(), "");
    allow(&user, &below);
    // `enter` alone is a shell, which reads what it is given.
    let outcome = finish(enter(&user, &below, &[]), b"pwd; hostname; test -e /hostetc/passwd && echo mounted\n");
    assert_eq!(outcome.text(), format!("{}\nweb\nmounted\n", below.display()), "{}", outcome.stderr);
    assert!(user.home().join("hooked").exists());
    std::fs::write(folder.join(".enter.toml"), format!("{text}# and more\n")).unwrap();
    run(&user, &folder, &[".", "--", "true"]).refused(&["has changed since it was allowed"]);
    allow(&user, &folder);
    run(&user, &folder, &[".", "--", "true"]).success();
    run(&user, &folder, &["deny"]).success();
    run(&user, &folder, &[".", "--", "true"]).refused(&["not allowed"]);
    assert_eq!(user.run(["web", "--", "hostname"]).success(), "web\n", "the box is there all the same");
}

#[test]
fn hooks_are_run_once_and_at_each_start_and_enter_and_not_on_the_standard_output() {
    let user = User::new();
    let text = "image = 'busybox'\n[hooks]\nonce = ['echo once; echo once >>log', 'true']\nstart = 'echo start >>log'\n\
                enter = ['echo enter >>log', 'exit 3']\n";
    let folder = project(&user, "web", text);
    allow(&user, &folder);
    let first = run(&user, &folder, &[".", "--", "sh", "-c", "echo mine; exit 7"]);
    assert_eq!((first.code(), first.text().as_str()), (Some(7), "mine\n"), "{}", first.stderr);
    assert!(first.stderr.contains("once\n") && first.stderr.contains("`hooks.enter` failed (exit code 3): exit 3"));
    wait_until("the box's end", || (user.run(["ls", "--format", "{{.State}}"]).text() == "stopped\n").then_some(()));
    std::fs::write(folder.join(".enter.toml"), text.replace("once >>", "again >>")).unwrap();
    allow(&user, &folder);
    let second = run(&user, &folder, &[".", "--", "cat", "log"]);
    assert_eq!(second.text(), "once\nstart\nenter\nstart\nenter\n");
    assert!(second.stderr.contains("`hooks.once` has changed"), "{}", second.stderr);
}

#[test]
fn what_has_changed_in_the_file_is_changed_in_the_box() {
    let user = User::new();
    let before = "image = 'busybox'\nmounts = ['./one:/one', './two:/two']\nenvironment = { A = 'a', B = 'b' }\nnetworks = ['none']\n";
    let folder = project(&user, "web", before);
    for name in ["one", "two", "three"] {
        std::fs::create_dir(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join(name), "").unwrap();
    }
    allow(&user, &folder);
    let look = "echo $A-$B-$C; ls /one /two /three 2>/dev/null | tr '\\n' ' '";
    assert_eq!(sh(&user, &folder, &format!("echo kept >/tmp/kept; {look}")), "a-b-\n/one: one  /two: two ");
    let after = "image = 'debian'\nmounts = ['./one:/one', './three:/three']\nenvironment = { A = 'x', C = 'c' }\nworkdir = 'two'\n";
    project(&user, "web", after);
    allow(&user, &folder);
    wait_until("the box's end", || (user.run(["ls", "--format", "{{.State}}"]).text() == "stopped\n").then_some(()));
    let outcome = run(&user, &folder, &[".", "--", "sh", "-c", &format!("pwd; cat /tmp/kept; {look}")]);
    let expected = format!("{}/two\nkept\nx--c\n/one: one  /three: three  /two: ", folder.display());
    assert_eq!(sorted(&outcome.text()), sorted(&expected), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("web was made of busybox, and the file says debian now"), "{}", outcome.stderr);
    assert!(user.run(["set", "web"]).success().contains("pasta"));
}

fn sorted(text: &str) -> Vec<String> {
    let mut words: Vec<String> = text.split_whitespace().map(ToOwned::to_owned).collect();
    words.sort();
    words
}

#[test]
fn two_checkouts_are_two_boxes_and_no_folder_hides_an_image() {
    let user = User::new();
    let one = project(&user, "one/web", "image = 'busybox'\n");
    let other = project(&user, "other/web", "image = 'busybox'\n");
    let hostile = project(&user, "busybox", "image = 'busybox'\n");
    for folder in [&one, &other, &hostile] {
        allow(&user, folder);
    }
    assert_eq!(sh(&user, &one, "echo one >/tmp/mark; hostname"), "web\n");
    assert_eq!(sh(&user, &other, "cat /tmp/mark 2>/dev/null; hostname"), "web-2\n");
    assert_eq!(sh(&user, &one, "cat /tmp/mark"), "one\n");
    assert_eq!(sh(&user, &hostile, "hostname"), "busybox-2\n");
    // Renamed, it is found again; removed by hand, it is made anew.
    user.run(["rename", "web-2", "second"]).success();
    assert_eq!(sh(&user, &other, "hostname"), "second\n");
    user.run(["rm", "second"]).success();
    assert_eq!(sh(&user, &other, "hostname"), "web-2\n");
}

#[test]
fn two_who_come_at_once_make_one_box() {
    let user = User::new();
    let folder = project(&user, "web", "image = 'busybox'\nhooks = { once = 'echo x >>~/once' }\n");
    allow(&user, &folder);
    let start = || enter(&user, &folder, &[".", "--", "true"]).spawn().expect("enter starts");
    for mut child in [start(), start(), start()] {
        assert!(child.wait().expect("it ends").success());
    }
    assert_eq!(user.run(["ls", "-q"]).success(), "web\n");
    assert_eq!(std::fs::read_to_string(user.home().join("once")).unwrap(), "x\n");
}

/// An image whose package manager notes what it is asked for.
fn with_package_manager(user: &User) {
    let script = "printf '#!/bin/sh\\n[ $1 = info ] && exit 1\\necho $(id -u) \"$@\" >>/installed\\n' >/bin/apk; chmod 755 /bin/apk";
    user.run(["run", "--name", "made", "busybox", "sh", "-c", script]).success();
    user.run(["commit", "made", "withapk"]).success();
    user.run(["rm", "made"]).success();
}

#[test]
fn packages_are_installed_once_and_a_failure_is_tried_again() {
    let user = User::new();
    with_package_manager(&user);
    let folder =
        project(&user, "web", "image = 'withapk'\npackages = ['git', 'make']\nhooks = { once = 'cat /installed' }\n");
    allow(&user, &folder);
    let none = project(&user, "none", "image = 'busybox'\npackages = ['git']\n");
    allow(&user, &none);
    run(&user, &none, &[".", "--", "true"]).refused(&[
        "could not be installed",
        "there is none of apt-get",
        "enter none",
        "the box is kept",
    ]);
    run(&user, &none, &[".", "--", "true"]).refused(&["could not be installed"]);
    assert_eq!(user.run(["none", "--", "echo", "in"]).success(), "in\n");
    let outcome = run(&user, &folder, &[".", "--", "cat", "/installed"]);
    assert_eq!(outcome.text(), "0 add git make\n", "{}", outcome.stderr);
    assert!(outcome.stderr.contains("installing in web: git make"), "{}", outcome.stderr);
    project(&user, "web", "image = 'withapk'\npackages = ['git', 'gdb']\n");
    allow(&user, &folder);
    let outcome = run(&user, &folder, &[".", "--", "cat", "/installed"]);
    assert_eq!(outcome.text(), "0 add git make\n0 add gdb\n", "{}", outcome.stderr);
    assert!(outcome.stderr.contains("still installed in web: make"), "{}", outcome.stderr);
}

#[test]
fn one_who_was_killed_while_he_made_the_box_leaves_one_that_is_gone_on_with() {
    let user = User::new();
    let folder = project(
        &user,
        "web",
        "image = 'busybox'\nhooks = { once = '[ -e ~/go ] || { touch ~/begun; while [ ! -e ~/go ]; do sleep 0.1; done; }' }\n",
    );
    allow(&user, &folder);
    let mut child = enter(&user, &folder, &[".", "--", "true"]).spawn().expect("enter starts");
    wait_until("the hook", || user.home().join("begun").exists().then_some(()));
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    std::fs::write(user.home().join("go"), "").unwrap();
    assert_eq!(sh(&user, &folder, "hostname"), "web\n");
    assert_eq!(user.run(["ls", "-q"]).success(), "web\n");
}

#[test]
fn a_project_elsewhere_than_at_home_is_shown_at_its_place() {
    let user = User::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let folder = elsewhere.path().canonicalize().unwrap().join("web");
    std::fs::create_dir_all(folder.join("src")).unwrap();
    std::fs::write(folder.join(".enter.toml"), "image = 'busybox'\n").unwrap();
    std::fs::write(folder.join("src/here"), "").unwrap();
    allow(&user, &folder);
    assert_eq!(sh(&user, &folder.join("src"), "ls; pwd"), format!("here\n{}\n", folder.join("src").display()));
}

#[test]
fn a_project_has_a_home_as_it_wants_it_and_its_folder() {
    let user = User::new();
    std::fs::write(user.home().join("secret"), "").unwrap();
    let folder = project(&user, "web", "image = 'busybox'\nhome = 'none'\n");
    std::fs::write(folder.join("here"), "").unwrap();
    allow(&user, &folder);
    let look = "ls; ls ~/secret 2>/dev/null; echo x >made";
    assert_eq!(sh(&user, &folder, look), "here\n");
    assert!(folder.join("made").exists());
    project(&user, "web", "image = 'busybox'\nhome = 'cow'\n");
    allow(&user, &folder);
    wait_until("the box's end", || (user.run(["ls", "--format", "{{.State}}"]).text() == "stopped\n").then_some(()));
    assert_eq!(sh(&user, &folder, "ls ~/secret; echo x >~/other"), format!("{}/secret\n", user.home().display()));
    assert!(!user.home().join("other").exists());
}

#[test]
fn broken_and_hostile_files_are_told_and_not_followed() {
    let user = User::new();
    let folder = project(&user, "web", "image = 'busybox'\n\nprots = []\n");
    run(&user, &folder, &["allow"]).unable(&[".enter.toml:3:1: unknown key `prots`", "did you mean `ports`?"]);
    run(&user, &folder, &[]).refused(&[".enter.toml:3:1"]);
    project(&user, "web", "image = \"busybox\nmounts = []\n");
    run(&user, &folder, &[]).refused(&[".enter.toml:1:", "not valid TOML"]);
    project(&user, "web", "dockerfile = './Dockerfile'\n");
    run(&user, &folder, &[]).refused(&["there is no `enter build` yet"]);
    let file = folder.join(".enter.toml");
    std::fs::write(&file, vec![b'#'; 10 << 20]).unwrap();
    run(&user, &folder, &[]).refused(&["larger than"]);
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    run(&user, &folder, &["allow"]).unable(&["no project file of yours"]);
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("nowhere", &file).unwrap();
    run(&user, &folder, &[]).refused(&["cannot read the project file"]);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    run(&user, &folder, &[]).refused(&["no regular file"]);
    std::fs::remove_dir(&file).unwrap();
    // No project: as ever, and nothing is made.
    let help = run(&user, &folder, &[]);
    assert!(help.stderr.contains("Usage:"), "{}", help.stderr);
    run(&user, &folder, &[".", "--", "true"]).refused(&["there is no project here", "enter init"]);
    project(&user, "web", "image = 'busybox'\n");
    run(&user, &folder, &["-v", "/etc:/x", "."]).refused(&["--volume"]);
    run(&user, &folder, &["-n", "name", "."]).refused(&["--name"]);
}

#[test]
fn a_first_file_is_written_and_none_is_overwritten() {
    let user = User::new();
    let folder = user.home().join("fresh");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("package.json"), "{}").unwrap();
    let file = folder.join(".enter.toml");
    let outcome = run(&user, &folder, &["init"]);
    assert_eq!(outcome.text(), format!("{}\n", file.display()), "{}", outcome.stderr);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("image = \"node:lts\"") && outcome.stderr.contains("guessed from package.json"), "{text}");
    run(&user, &folder, &["init", "--image", "busybox"]).unable(&["exists"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    std::fs::remove_file(&file).unwrap();
    run(&user, &folder, &["init", "--image", "busybox"]).success();
    assert_eq!(sh(&user, &folder, "hostname"), "fresh\n", "what one has written oneself is allowed");
    std::fs::remove_file(&file).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    run(&user, &folder, &["init"]).unable(&["cannot write .enter.toml"]);
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink(user.home().join("target"), &file).unwrap();
    run(&user, &folder, &["init"]).unable(&["exists"]);
    assert!(!user.home().join("target").exists());
}
