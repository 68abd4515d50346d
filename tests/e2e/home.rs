//! The home, four ways: what is seen of it, where what is written goes, and that nothing ever removes it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use crate::support::{User, wait_until};

/// A box `work` with a home whose changes are set aside.
fn cow(user: &User, script: &str) -> String {
    user.run(["-n", "work", "--home", "cow", "busybox", "--", "sh", "-ec", script]).success()
}

fn again(user: &User, script: &str) -> String {
    user.run(["work", "--", "sh", "-ec", script]).success()
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).expect("a file of the home")
}

/// The lines of `enter diff`, with `~` for the home.
fn diff(user: &User, args: &[&str]) -> String {
    let all: Vec<&str> = ["diff", "--home", "work"].iter().chain(args).copied().collect();
    user.run(all).success().replace(user.home().to_str().expect("a path that is text"), "~")
}

fn what_is_written_is_set_aside_and_can_be_taken_over(user: &User) {
    let home = user.home();
    fs::create_dir_all(home.join("docs/old")).unwrap();
    for (name, text) in [("docs/a", "one\ntwo\n"), ("docs/b", "b\n"), ("docs/old/c", "c\n")] {
        fs::write(home.join(name), text).unwrap();
    }
    let script = "cat docs/a; echo three >>docs/a; rm -r docs/old; mkdir docs/new; echo n >docs/new/n; chmod 755 docs/new/n; \
                  ln docs/new/n docs/new/m; ln -s ../a docs/new/l; mkfifo docs/new/f; cat docs/a";
    assert_eq!(cow(user, script), "one\ntwo\none\ntwo\nthree\n");
    assert_eq!((read(home.join("docs/a")), read(home.join("docs/old/c"))), ("one\ntwo\n".into(), "c\n".into()));
    let all = "C ~/docs\nC ~/docs/a\nA ~/docs/new\nA ~/docs/new/f\nA ~/docs/new/l\nA ~/docs/new/m\nA ~/docs/new/n\nD ~/docs/old\n";
    assert_eq!(diff(user, &[]), all);
    let both = user.run(["diff", "work"]).success();
    assert!(both.contains(&format!("C {}/docs/a\n", home.display())), "{both}");
    assert!(diff(user, &["--patch"]).contains("--- a/docs/a\n+++ b/docs/a\n@@ -1,2 +1,3 @@\n one\n two\n+three\n"));
    // It is there the next time.
    assert_eq!(again(user, "tail -n 1 docs/a; ls docs"), "three\na\nb\nnew\n");

    user.run(["apply", "work", "docs/new", "docs/a"]).success();
    assert_eq!(read(home.join("docs/a")), "one\ntwo\nthree\n");
    let status = |name: &str| home.join(name).symlink_metadata().unwrap();
    assert_eq!((status("docs/new/n").ino(), status("docs/new/n").mode() & 0o777), (status("docs/new/m").ino(), 0o755));
    assert_eq!(fs::read_link(home.join("docs/new/l")).unwrap(), Path::new("../a"));
    assert_eq!(status("docs/new/n").uid(), nix::unistd::getuid().as_raw());
    assert_eq!(diff(user, &[]), "C ~/docs\nD ~/docs/old\n");
    user.run(["discard", "work", "docs/old"]).success();
    assert_eq!((diff(user, &[]), again(user, "cat docs/old/c")), (String::new(), "c\n".into()));
    user.run(["apply", "work", "docs/b"]).unable(&["docs/b", "nothing was set aside"]);
    user.run(["discard", "work", "/etc/passwd"]).unable(&["/etc/passwd", "not in your home"]);
}

fn what_has_changed_outside_is_a_conflict_and_is_not_overwritten(user: &User) {
    let home = user.home();
    for name in ["changed", "deleted", "gone", "same"] {
        fs::write(home.join(name), "before\n").unwrap();
    }
    fs::create_dir(home.join("folder")).unwrap();
    fs::write(home.join("folder/inner"), "before\n").unwrap();
    cow(user, "for f in changed deleted same made; do echo box >$f; done; rm -r gone folder");
    for name in ["changed", "made", "gone"] {
        fs::write(home.join(name), "user\n").unwrap();
    }
    fs::remove_file(home.join("deleted")).unwrap();
    fs::write(home.join("folder/new"), "user\n").unwrap();
    let told = user.run(["diff", "--home", "work"]);
    for name in ["changed", "deleted", "made", "gone", "folder"] {
        assert!(told.stderr.contains(&format!("conflict: {}/{name}:", home.display())), "{name}: {}", told.stderr);
    }
    assert!(!told.stderr.contains("/same:"), "{}", told.stderr);
    user.run(["apply", "work"]).unable(&["5", "conflict", "--force"]);
    assert_eq!(read(home.join("same")), "box\n");
    for name in ["changed", "made", "gone", "folder/new"] {
        assert_eq!(read(home.join(name)), "user\n", "{name}");
    }
    assert!(!home.join("deleted").exists());
    assert_eq!(read(home.join("folder/inner")), "before\n");

    user.run(["apply", "--force", "work"]).success();
    for name in ["changed", "deleted", "made"] {
        assert_eq!(read(home.join(name)), "box\n", "{name}");
    }
    for name in ["changed.kept", "made.kept", "gone.kept", "folder.kept/new"] {
        assert_eq!(read(home.join(name)), "user\n", "{name}");
    }
    assert!(!home.join("gone").exists() && !home.join("folder").exists());
    assert_eq!(diff(user, &[]), "");
}

fn a_directory_in_the_place_of_a_file_and_the_reverse(user: &User) {
    let home = user.home();
    fs::create_dir_all(home.join("dir/sub")).unwrap();
    fs::write(home.join("dir/sub/x"), "x\n").unwrap();
    fs::write(home.join("file"), "f\n").unwrap();
    fs::create_dir(home.join("kept")).unwrap();
    fs::write(home.join("kept/old"), "old\n").unwrap();
    cow(
        user,
        "rm -r dir; echo now >dir; rm file; mkdir file; echo i >file/in; rm -r kept; mkdir kept; echo n >kept/new",
    );
    assert_eq!(diff(user, &[]), "C ~/dir\nC ~/file\nA ~/file/in\nC ~/kept\nA ~/kept/new\nD ~/kept/old\n");
    // Of a directory that was made anew, one file alone: the rest goes on to be hidden.
    user.run(["apply", "work", "kept/new"]).success();
    assert_eq!(again(user, "ls kept; cat kept/new"), "new\nn\n");
    assert_eq!(diff(user, &[]), "C ~/dir\nC ~/file\nA ~/file/in\nC ~/kept\nD ~/kept/old\n");
    user.run(["apply", "work"]).success();
    assert_eq!((read(home.join("dir")), read(home.join("file/in"))), ("now\n".into(), "i\n".into()));
    assert_eq!((home.join("kept/old").exists(), read(home.join("kept/new"))), (false, "n\n".into()));
    assert_eq!(diff(user, &[]), "");
}

fn a_home_of_its_own_and_none_at_all(user: &User) {
    fs::write(user.home().join("mine"), "mine\n").unwrap();
    let own =
        ["-n", "work", "--home", "own", "busybox", "--", "sh", "-c", "ls -A; echo own >of-box; stat -c '%u %a' ."];
    let uid = nix::unistd::getuid();
    assert_eq!(user.run(own).success(), format!("{uid} 700\n"));
    assert_eq!(again(user, "pwd; cat of-box"), format!("{}\nown\n", user.home().display()));
    assert_eq!(user.sh(&["--home", "none"], "busybox", "ls -A; echo x >lost; ls"), "lost\n");
    assert_eq!(fs::read_dir(user.home()).unwrap().count(), 1, "nothing came into the home");
    // What is switched away from comes back.
    user.run(["set", "work", "--home", "share"]).success();
    assert_eq!(again(user, "ls"), "mine\n");
    user.run(["set", "work", "--home", "own"]).success();
    assert_eq!(again(user, "ls"), "of-box\n");
    user.run(["clone", "work", "copy"]).success();
    assert_eq!(user.run(["copy", "--", "cat", "of-box"]).success(), "own\n");
    user.run(["rm", "work", "copy"]).success();
    assert_eq!(read(user.home().join("mine")), "mine\n");
}

on_both_drivers! {
    what_is_written_is_set_aside_and_can_be_taken_over,
    what_has_changed_outside_is_a_conflict_and_is_not_overwritten,
    a_directory_in_the_place_of_a_file_and_the_reverse,
    a_home_of_its_own_and_none_at_all,
}

#[test]
fn a_project_is_all_that_is_shown_of_the_home() {
    let user = User::new();
    let project = user.home().join("src/tool");
    fs::create_dir_all(project.join("deep")).unwrap();
    fs::create_dir(project.join(".git")).unwrap();
    fs::write(user.home().join("secret"), "").unwrap();
    let mut command = user.enter(["--project", "busybox", "--", "sh", "-ec", "pwd; ls -A ~ ..; touch made"]);
    let output = command.current_dir(project.join("deep")).output().unwrap();
    let (text, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let (home, folder) = (user.home().display().to_string(), project.display());
    assert_eq!(text, format!("{folder}/deep\n..:\n.git\ndeep\n\n{home}:\nsrc\n"), "{told}");
    assert!(told.contains(&format!("only {folder} is shown")), "{told}");
    assert!(project.join("deep/made").exists());
    user.run(["--project", "busybox"]).refused(&["all of your home"]);
    user.run(["--project", "--home", "cow", "busybox"]).refused(&["--project", "exclude"]);
}

#[test]
fn what_changes_outside_shows_unless_it_was_changed_in_the_box() {
    let user = User::new();
    fs::write(user.home().join("changed"), "before\n").unwrap();
    let wait = "echo box >changed; touch ready; until [ -e go ]; do sleep 0.1; done; cat changed late; ls";
    let child = user.enter(["-n", "work", "--home", "cow", "busybox", "--", "sh", "-ec", wait]);
    let child = { child }.stdout(std::process::Stdio::piped()).spawn().unwrap();
    wait_until("the box", || user.run(["diff", "--home", "work"]).text().contains("/ready").then_some(()));
    user.run(["apply", "work"]).unable(&["running", "enter stop"]);
    user.run(["discard", "work"]).unable(&["running", "enter stop"]);
    for (name, text) in [("changed", "user\n"), ("late", "late\n"), ("go", "")] {
        fs::write(user.home().join(name), text).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "box\nlate\nchanged\ngo\nlate\nready\n");
}

#[test]
fn nothing_that_is_removed_takes_anything_of_the_home_along() {
    let mut user = User::new();
    // As it mostly is: the store lies in the home.
    let data = user.home().join(".local/share");
    fs::create_dir_all(&data).unwrap();
    user.set("XDG_DATA_HOME", &data);
    let home = user.home();
    fs::create_dir(home.join("precious")).unwrap();
    fs::set_permissions(home.join("precious"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::write(home.join("precious/file"), "kept\n").unwrap();
    for (name, mode) in [("a", "share"), ("b", "cow"), ("c", "own"), ("d", "none")] {
        user.run([
            "-n",
            name,
            "--home",
            mode,
            "busybox",
            "--",
            "sh",
            "-c",
            "ln -s ~/precious link; ls -A .local/share/enter/v1 | wc -l",
        ])
        .success();
    }
    // What ran in a box with the home in it can have done this.
    let folders = fs::read_dir(data.join("enter/v1/containers")).unwrap().map(|entry| entry.unwrap().path());
    for folder in folders.filter(|path| path.is_dir()) {
        symlink(home.join("precious"), folder.join("views")).unwrap();
        let _ = symlink(home.join("precious"), folder.join("home/more"));
        if !folder.join("home").exists() {
            symlink(home.join("precious"), folder.join("home")).unwrap();
        }
    }
    let sees = "ls -A .local/share/enter/v1 | wc -l; echo x >.local/share/enter/v1/evil";
    assert_eq!(user.run(["b", "--", "sh", "-ec", sees]).success(), "0\n", "the store is not seen in it");
    user.run(["apply", "b"]).unable(&["enter's own files"]);
    user.run(["apply", "--force", "b"]).unable(&["enter's own files"]);
    assert!(!data.join("enter/v1/evil").exists());
    user.run(["--home", "cow", "busybox", "--", "rm", "-rf", "precious"]).success();
    user.run(["rm", "a", "b", "c", "d"]).success();
    user.run(["system", "prune", "-f"]).success();
    let status = fs::metadata(home.join("precious")).unwrap();
    assert_eq!((status.uid(), status.mode() & 0o777), (nix::unistd::getuid().as_raw(), 0o750));
    assert_eq!(read(home.join("precious/file")), "kept\n");
}

#[test]
fn what_a_throwaway_shell_has_set_aside_can_be_taken_over_after_it() {
    let user = User::new();
    fs::write(user.home().join("notes"), "mine\n").unwrap();
    user.run(["--home", "cow", "busybox", "--", "sh", "-ec", "echo box >>notes; echo new >made"]).success();
    assert_eq!(read(user.home().join("notes")), "mine\n");
    let home = user.home().display().to_string();
    assert_eq!(user.run(["diff", "--home"]).success(), format!("A {home}/made\nC {home}/notes\n"));
    user.run(["apply", "./notes"]).success();
    assert_eq!((read(user.home().join("notes")), user.home().join("made").exists()), ("mine\nbox\n".into(), false));
    user.run(["discard"]).success();
    assert_eq!(user.run(["diff", "--home"]).success(), "");
}
