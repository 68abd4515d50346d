//! Host directories, mounted for real, as an ordinary user.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use common::view::{Place, as_ordinary_user, expect, give};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// A place with a host directory `host`, and the options that show it.
fn place() -> (Place, Vec<String>) {
    let place = Place::new();
    let host = place.path("host");
    fs::create_dir_all(host.join("dir")).unwrap();
    fs::write(host.join("dir/file"), "content").unwrap();
    let options = ["--one-id", "--host"].map(str::to_owned).to_vec();
    (place, [options, vec![host.display().to_string()]].concat())
}

fn seen(place: &Place, options: &[String], script: &str) -> String {
    expect(as_ordinary_user(place.command(options, script)).output().unwrap())
}

#[test]
fn what_may_not_be_read_stays_unreadable() {
    let (place, options) = place();
    let host = place.path("host");
    for (name, content) in [("secret", "secret"), ("empty", "")] {
        fs::write(host.join(name), content).unwrap();
        mode(&host.join(name), 0o200);
    }
    for (dir, bits) in [("closed", 0), ("unlisted", 0o311), ("unsearchable", 0o644)] {
        fs::create_dir(host.join(dir)).unwrap();
        fs::write(host.join(dir).join("inside"), "inside").unwrap();
        mode(&host.join(dir), bits);
    }
    give(&host);
    let script = "cd $VIEW; cat empty; if cat secret; then exit 1; fi; stat -c '%a %s' secret empty closed
                  for d in closed unlisted unsearchable; do echo $d: $(ls $d); done
                  for d in closed unsearchable; do if test -e $d/inside; then exit 1; fi; done; cat unlisted/inside";
    let output = as_ordinary_user(place.command(&options, script)).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    // Sizes of directories are the host filesystem's affair.
    let text = expect(output);
    assert!(text.starts_with("200 6\n200 0\n0 "), "{text}");
    assert!(text.ends_with("closed:\nunlisted:\nunsearchable:\ninside"), "{text}");
    assert!(errors.contains("secret: Permission denied"), "{errors}");
    for dir in ["closed", "unlisted", "unsearchable"] {
        mode(&host.join(dir), 0o755);
    }
}

#[test]
fn changes_outside_are_seen_after_a_moment() {
    let (place, options) = place();
    let host = place.path("host");
    give(&host);
    mode(&host, 0o777);
    mode(&host.join("dir"), 0o777);
    let script = "cd $VIEW; cat dir/file; test ! -e new
         cd $PLACE/host; rm -f dir/file; echo replaced by more > dir/file; echo new > new; mkdir later; mv dir moved
         cd $VIEW
         until test -e new && test -e moved && test ! -e dir; do sleep 0.05; done
         cat new moved/file; ls
         echo longer >> $PLACE/host/new; until test $(stat -c %s new) = 11; do sleep 0.05; done; cat new";
    let expected = "contentnew\nreplaced by more\nlater\nmoved\nnew\nnew\nlonger\n";
    assert_eq!(seen(&place, &options, script), expected);
}

#[test]
fn numbers_are_stable_and_hard_links_are_one_file() {
    let (place, options) = place();
    let host = place.path("host");
    fs::hard_link(host.join("dir/file"), host.join("other")).unwrap();
    symlink("dir/file", host.join("link")).unwrap();
    give(&host);
    let script = "cd $VIEW; test dir/file -ef other; stat -c '%h %F' other link; cat link
         before=$(stat -c '%n %i' . dir dir/file link); sleep 1.1; echo 2 > /proc/sys/vm/drop_caches 2> /dev/null || :
         test \"$before\" = \"$(stat -c '%n %i' . dir dir/file link)\"; ls -i dir | grep -q $(stat -c %i other)";
    assert_eq!(seen(&place, &options, script), "2 regular file\n1 symbolic link\ncontent");
}

#[test]
fn excluded_directories_are_empty() {
    let (place, mut options) = place();
    let host = place.path("host");
    fs::create_dir(host.join("store")).unwrap();
    fs::write(host.join("store/blob"), "x").unwrap();
    options.extend(["--exclude".to_owned(), host.join("store").display().to_string()]);
    let text = seen(&place, &options, "cd $VIEW; ls -A store; test ! -e store/blob; ls");
    assert_eq!(text, "dir\nstore\n");
}

#[test]
fn the_kernels_own_filesystems_are_empty_directories() {
    let place = Place::new();
    let options = ["--one-id", "--host", "/"].map(str::to_owned);
    let text = seen(&place, &options, "cd $VIEW; ls -A proc sys; test -d dev; cmp bin/sh /bin/sh; stat -c %a tmp");
    assert_eq!(text, "proc:\n\nsys:\n1777\n");
}

/// A view of a directory in which another view is mounted must not ask that one's server: it might be itself.
#[test]
fn a_mounted_view_is_not_asked() {
    let place = Place::new();
    let tar = common::Tar::default().file("inside", "").end();
    let options = [place.layers(&[tar]), vec!["--one-id".to_owned()]].concat();
    give(&place.path("."));
    let script = "kill -STOP $PPID; trap 'kill -CONT $PPID' EXIT; lower=${VIEW#$PLACE/}
         timeout 60 $PLACE/view --one-id --host $PLACE -- sh -euc \"
            find \\$VIEW/$lower; ls \\$VIEW/$lower/inside || stat -c %F \\$VIEW/layer0.tar\"";
    let text = seen(&place, &options, script);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, "regular file"), "{text}");
}

#[test]
fn attributes_are_shown_but_not_those_of_overlayfs() {
    let (place, options) = place();
    let host = place.path("host");
    sys::xattr::set(&host.join("dir"), c"user.note", b"kept").unwrap();
    sys::xattr::set(&host.join("dir"), c"user.overlay.opaque", b"y").unwrap();
    give(&host);
    let text = seen(&place, &options, "$PLACE/view dump $VIEW | grep -o 'user.*'");
    assert_eq!(text, "user.note=kept\n");
}

#[test]
fn overlayfs_above_it() {
    let (place, mut options) = place();
    let host = place.path("host");
    fs::write(host.join("dir/second"), "2").unwrap();
    fs::copy("/bin/busybox", host.join("busybox")).expect("this test needs busybox-static at /bin/busybox");
    give(&host);
    let overlay = place.path("overlay");
    fs::create_dir(&overlay).unwrap();
    give(&overlay);
    options.extend(["--overlay".to_owned(), overlay.display().to_string()]);
    let script = "cd $VIEW; ./busybox echo executed; echo more >> dir/file; cat dir/file; rm dir/second; ls dir
         mv busybox true; ./true; rm -r dir; mkdir dir; ls -A dir; test -e $PLACE/host/dir/second";
    assert_eq!(seen(&place, &options, script), "executed\ncontentmore\nfile\n");
    assert_eq!(fs::read_to_string(host.join("dir/file")).unwrap(), "content", "nothing changes outside");
}
