//! `enter cowfs`, called as `enter-cowfs` by users, by mount(8)'s conventions, and by podman.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::support::user::{ENTER, finish};
use crate::support::{Outcome, User, wait_until};

/// Runs a shell script in which the helper is `$HELPER`, in an empty directory.
#[track_caller]
fn script(user: &User, text: &str) -> Outcome {
    let helper: PathBuf = user.home().join("enter-cowfs");
    if !helper.exists() {
        symlink(ENTER, &helper).unwrap();
    }
    let mut shell = user.command("sh");
    shell.args(["-euc", text]).env("HELPER", &helper);
    finish(shell, b"")
}

/// Directories to mount: `top` above `low`, with `upper` and `work` above them, and `mnt`.
const SIDES: &str =
    "mkdir top low upper work mnt low/dir top/dir; echo low >low/dir/file; echo low >low/both; echo top >top/both
    echo top >top/dir/other; ";

#[test]
fn a_user_mounts_directories_over_each_other() {
    let user = User::without_registry();
    let done = script(
        &user,
        &format!(
            "{SIDES}
             $HELPER -o lowerdir=top:low,upperdir=upper,workdir=work mnt
             cd mnt; cat both dir/file; ls dir; echo new >dir/new; rm both; echo more >>dir/file; cd ..
             fusermount3 -u mnt
             ls upper upper/dir; cat upper/dir/file low/dir/file; ls -A mnt"
        ),
    );
    let expected = "top\nlow\nfile\nother\nboth\ndir\n\nupper/dir:\nfile\nnew\nlow\nmore\nlow\n";
    assert_eq!(done.success().replace("upper:\n", ""), expected);
}

#[test]
fn root_of_a_user_namespace_mounts_without_help() {
    let user = User::without_registry();
    let inside = "$HELPER -o lowerdir=top:low mnt; cat mnt/both; if touch mnt/new; then exit 1; fi
        umount mnt; $HELPER -o lowerdir=low,upperdir=upper,workdir=work,volatile,squash_to_root none mnt
        grep ' none \\|^none ' /proc/self/mounts; mkdir mnt/dir/deep; mv mnt/dir mnt/moved; find mnt/moved | sort";
    let done = script(&user, &format!("{SIDES} unshare --user --map-root-user --mount sh -euc \"{inside}\""));
    let told = done.success();
    assert!(told.starts_with("top\nnone "), "{told}");
    assert!(told.ends_with("mnt/moved\nmnt/moved/deep\nmnt/moved/file\n"), "{told}");
}

#[test]
fn what_fuse_overlayfs_has_left_is_gone_on_with() {
    let user = User::without_registry();
    let inside = "fuse-overlayfs -o $SIDES mnt 2>log; rm -r mnt/dir; mkdir mnt/dir; echo new >mnt/dir/new; rm mnt/both; umount mnt
        $HELPER -o $SIDES mnt; ls -A mnt mnt/dir; rm -r mnt/dir; mkdir mnt/dir; ls -A mnt/dir; umount mnt
        fuse-overlayfs -o $SIDES mnt 2>log; ls -A mnt mnt/dir";
    let sides = "SIDES=lowerdir=top:low,upperdir=upper,workdir=work";
    let done = script(&user, &format!("{SIDES} {sides} unshare --user --map-root-user --mount sh -euc '{inside}'"));
    assert_eq!(done.success(), "mnt:\ndir\n\nmnt/dir:\nnew\nmnt:\ndir\n\nmnt/dir:\n");
}

#[test]
fn one_upper_directory_is_served_twice_without_harm_to_the_first() {
    let user = User::without_registry();
    let inside = "mkdir second; $HELPER -o $SIDES mnt; $HELPER -o $SIDES second; echo more >>mnt/dir/file; umount second
        echo more >>mnt/both; mkdir mnt/new; rm mnt/dir/other; cat mnt/both upper/both upper/dir/file; ls upper; umount mnt";
    let sides = "SIDES=lowerdir=top:low,upperdir=upper,workdir=work";
    let done = script(&user, &format!("{SIDES} {sides} unshare --user --map-root-user --mount sh -euc '{inside}'"));
    assert_eq!(done.success(), "top\nmore\ntop\nmore\nlow\nmore\nboth\ndir\nnew\n");
}

#[test]
fn what_cannot_be_served_does_not_stay_mounted() {
    let user = User::without_registry();
    let inside = "mkdir work/cowfs; mount -t tmpfs none work/cowfs; if $HELPER -o $SIDES mnt; then exit 1; fi; grep -c $PWD/mnt /proc/self/mounts";
    let sides = "SIDES=lowerdir=top:low,upperdir=upper,workdir=work";
    let done = script(&user, &format!("{SIDES} {sides} unshare --user --map-root-user --mount sh -uc '{inside}'"));
    assert_eq!(done.text(), "0\n", "{}", done.stderr);
    assert!(
        done.stderr.contains("caused by: cannot use") || done.stderr.contains("as the upper side"),
        "{}",
        done.stderr
    );
}

#[test]
fn it_stays_in_the_foreground_and_unmounts_when_it_is_told_to_end() {
    let user = User::without_registry();
    script(&user, SIDES).success();
    let mut helper = user.enter(["cowfs", "-d", "-o", "lowerdir=top:low", "mnt"]);
    let mut helper = helper.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let file = user.home().join("mnt/dir/other");
    wait_until("the mount", || std::fs::read_to_string(&file).ok());
    let pid = nix::unistd::Pid::from_raw(helper.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert!(helper.wait().unwrap().success());
    let told = std::io::read_to_string(helper.stderr.take().unwrap()).unwrap();
    assert!(told.lines().any(|line| line.contains("lookup 1 `dir`: ")), "{told}");
    assert!(!file.exists());
}

#[test]
fn a_mount_in_its_own_lower_directory_does_not_show_itself() {
    let user = User::without_registry();
    let inside = "mkdir low/mnt; $HELPER -o lowerdir=low,upperdir=upper,workdir=work low/mnt; cd low/mnt; ls; mkdir mnt; ls; cd ../..
        umount low/mnt; ls upper";
    let done = script(&user, &format!("{SIDES} unshare --user --map-root-user --mount sh -euc '{inside}'"));
    assert_eq!(done.success(), "both\ndir\nboth\ndir\nmnt\nmnt\n");
}

#[test]
fn what_cannot_be_mounted_is_said_with_exit_code_1() {
    let user = User::without_registry();
    script(&user, SIDES).success();
    for (options, reason) in [
        ("lowerdir=nothing", "cannot open the directory nothing"),
        ("lowerdir=low,colour=red", "there is no mount option `colour`"),
        ("lowerdir=low,upperdir=upper", "mount option `workdir`: upperdir needs it"),
        ("lowerdir=low,plugins=x", "there are no plugins"),
        ("lowerdir=low,upperdir=nothing,workdir=work", "hint: make the directory first"),
        ("lowerdir=low,upperdir=upper,workdir=upper", "it lies in upperdir, and would be seen"),
        ("lowerdir=low,upperdir=low,workdir=work", "which nobody may change"),
        ("lowerdir=low,upperdir=upper,workdir=/dev/shm", "it is on another filesystem than upperdir"),
        ("lowerdir=low,upperdir=mnt,workdir=work", "would show itself"),
    ] {
        let refused = user.run(["cowfs", "-o", options, "mnt"]);
        assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains(reason), "{}", refused.stderr);
    }
    let refused = user.run(["cowfs", "-o", "lowerdir=low", "top/both"]);
    assert_eq!(refused.code(), Some(1), "{}", refused.stderr);
    assert!(refused.stderr.contains("top/both") && refused.stderr.contains("Not a directory"), "{}", refused.stderr);
    assert_eq!(user.run(["cowfs", "--colour"]).code(), Some(125));
    assert!(script(&user, "$HELPER --version").success().starts_with("enter-cowfs "));
}

/// What podman is to be called with; the runtime is the one that runs where there is no systemd.
const PODMAN: &str = r#"
    p() {
        podman --root "$HOME/root" --runroot "$HOME/run" --storage-driver overlay \
            --storage-opt "overlay.mount_program=$HELPER" --runtime runc --cgroup-manager cgroupfs --events-backend file "$@"
    }
    finish() {
        p rm --force --all --time 0 >/dev/null
        podman system migrate
        p unshare rm -rf "$HOME/root" "$HOME/run" || :
        podman system migrate
    }
    trap finish EXIT
"#;

#[test]
fn podman_builds_runs_and_commits_with_it() {
    let user = User::new();
    user.run(["create", "--name", "base", "--network", "none", "busybox", "true"]).success();
    user.run(["export", "--output", "base.tar", "base"]).success();
    let text = r#"
        p import --quiet base.tar base >/dev/null
        mkdir -p context/sub; echo data >context/sub/file; ln -s sub/file context/link
        cat >context/Dockerfile <<'END'
FROM localhost/base
RUN mkdir -p /opt/a/b && echo one >/opt/a/b/f && ln /opt/a/b/f /opt/a/hard && chown 1000:7 /opt/a/b/f
COPY . /context/
RUN rm -r /opt/a/b && mkdir /opt/a/b && touch /opt/a/b/only && rm /etc/group && mv /context /moved && chmod 4755 /moved/sub/file
RUN test "$(ls /opt/a/b)" = only && test ! -e /etc/group && test ! -e /context && echo two >>/opt/a/hard
END
        p build --quiet --network none --tag built context >/dev/null
        p run --rm --network none built sh -c 'cat /opt/a/hard /moved/link; stat -c "%u:%g %a" /opt/a/hard /moved/sub/file'
        p run --name one --network none built sh -c 'echo changed >/opt/a/hard; rm -r /moved; mkdir /moved; touch /moved/new'
        p diff one | grep -E '/(moved|opt)' | sort
        p commit --quiet one committed >/dev/null
        p run --rm --network none committed sh -c 'cat /opt/a/hard; ls /moved'
        p run --rm --network none --uidmap 0:1:1000 --uidmap 1000:0:1 --uidmap 1001:1001:60000 \
            --gidmap 0:1:1000 --gidmap 1000:0:1 --gidmap 1001:1001:60000 built stat -c '%u:%g' /opt/a/hard /bin
    "#;
    let done = script(&user, &format!("{PODMAN}{text}")).success();
    assert!(done.contains("one\ntwo\ndata\n1000:7 644\n0:0 4755\n"), "{done}");
    assert!(
        done.contains("A /moved/new\n") && done.contains("D /moved/sub\n") && done.contains("C /opt/a/hard\n"),
        "{done}"
    );
    assert!(done.ends_with("changed\nnew\n1000:7\n0:0\n"), "{done}");
}
