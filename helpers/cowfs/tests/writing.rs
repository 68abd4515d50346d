//! What a root filesystem has to be able to do besides what random operations try: ways in which several programs use one file,
//! what a copy keeps, and what must never be seen or reached.

mod common;

use common::union::Place;
use common::{Head, Tar};

/// Every way of writing, the kernel's overlayfs too.
const DRIVERS: [&str; 4] = ["overlay", "fuse", "writeback", "native"];

fn place() -> Place {
    let mut tar = Tar::default();
    tar.dir(".").dir("dir").file("dir/file", "content\n").symlink("link", "dir/file");
    tar.file("dir/other", "other\n");
    // A file of the host, by its path: nobody in there may reach it so.
    tar.symlink("out", "/var/tmp");
    tar.head(&Head { name: b"script", mode: 0o755, size: 17, ..Head::default() });
    tar.body(b"#!/bin/sh\necho 1\n");
    Place::new(&[tar.end()])
}

/// Runs a script that must succeed on all drivers, each above the same layer, and print the same.
#[track_caller]
fn on(drivers: &[&str], script: &str, expected: &str) {
    let place = place();
    for driver in drivers {
        let text = place.output(driver, &format!("sides/{driver}"), &format!("cd $VIEW; {script}"));
        assert_eq!(text, expected, "{driver}");
    }
}

#[test]
fn what_is_sparse_below_is_sparse_above() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::File::create(dir.path().join("sparse")).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"middle", 4 << 20).unwrap();
    file.set_len(8 << 20).unwrap();
    let tar = std::process::Command::new("tar").args(["-cS", "-C"]).arg(dir.path()).arg(".").output().unwrap();
    let place = Place::new(&[tar.stdout]);
    for driver in ["fuse", "writeback", "native"] {
        let script = "cd $VIEW; printf x | dd of=sparse bs=1 seek=9 conv=notrunc,fsync 2>/dev/null; stat -c %s sparse
            test $(du -k sparse | cut -f1) -lt 64; tr -d '\\0' < sparse; cp sparse copy; cmp sparse copy";
        assert_eq!(place.output(driver, &format!("sides/{driver}"), script), "8388608\nxmiddle", "{driver}");
    }
}

#[test]
fn an_owner_who_is_the_owner_already_changes_nothing_behind_a_symbolic_link() {
    let place = place();
    for driver in DRIVERS {
        let script = "echo outside > $PLACE/sides/outside; chmod 600 $PLACE/sides/outside; cd $VIEW
            ln -s $PLACE/sides/outside new; for name in new out link; do chown -h 0:0 $name; chown -h 7:8 $name; chown -h 0:0 $name; done
            stat -c %a $PLACE/sides/outside dir/file; stat -c '%u %g %F' new out link; stat -c '%u %g' dir/file";
        let text = place.output(driver, &format!("sides/{driver}"), script);
        let expected = "600\n644\n0 0 symbolic link\n0 0 symbolic link\n0 0 symbolic link\n0 0\n";
        assert_eq!(text, expected, "{driver}");
    }
}

#[test]
fn a_program_that_runs_can_be_replaced() {
    // As package managers do it: a new file, and a rename over the old one.
    let script = "cp /bin/sleep program; ./program 30 & sleep 0.2; cp /bin/sleep program 2>/dev/null && exit 1
        cp /bin/true new; mv new program; ./program; kill $!; wait $! || :
        ./script; sed -i s/1/2/ script; ./script; printf 'echo 3\\n' >> script; ./script";
    on(&DRIVERS, script, "1\n2\n2\n3\n");
}

#[test]
fn locks_are_seen_by_others() {
    let script = "exec 9>> dir/file; flock 9; flock -n dir/file true && exit 1; flock -u 9; flock -n dir/file echo free
        python3 -c '
import fcntl, os
f = open(\"dir/file\", \"r+\"); fcntl.lockf(f, fcntl.LOCK_EX, 3, 2)
if os.fork() == 0:
    g = open(\"dir/file\", \"r+\"); fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 2, 0); print(\"beside\", flush=True)
    try: fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 4)
    except BlockingIOError: print(\"locked\", flush=True)
    os._exit(0)
os.wait()'";
    on(&DRIVERS, script, "free\nbeside\nlocked\n");
}

#[test]
fn a_shared_mapping_is_one_memory() {
    let script = "python3 -c '
import mmap, os
f = open(\"dir/file\", \"r+b\"); m = mmap.mmap(f.fileno(), 0)
if os.fork() == 0:
    m[0:3] = b\"CON\"; os._exit(0)
os.wait(); print(m[:7].decode(), open(\"dir/file\").read(), end=\"\")
p = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE); p[0:3] = b\"xyz\"; print(open(\"dir/file\").read(), end=\"\")'; cat dir/file";
    on(&DRIVERS, script, "CONtent CONtent\nCONtent\nCONtent\n");
}

#[test]
fn a_file_that_is_copied_up_keeps_its_number_and_its_readers() {
    let script = "exec 8< dir/file; before=$(stat -c %i dir/file); dir=$(stat -c %i dir); echo more >> dir/file
        test $before = $(stat -c %i dir/file); test $dir = $(stat -c %i dir); ln dir/file linked; mv dir/file moved
        test $before = $(stat -c %i moved); test $before = $(stat -L -c %i /proc/self/fd/8); cat <&8; rm moved linked
        test $(stat -L -c %h /proc/self/fd/8) = 0; cat /proc/self/fd/8";
    on(&["fuse", "writeback", "native"], script, "content\nmore\ncontent\nmore\n");
}

#[test]
fn attributes_of_the_form_itself_are_neither_shown_nor_taken() {
    let script = "python3 -c '
import os
def refused(call, *arguments):
    try: call(*arguments)
    except OSError: return
    raise SystemExit(f\"{arguments} was done\")
os.chown(\"dir/file\", 5, 6); os.chmod(\"dir/file\", 0o4711); os.unlink(\"dir/other\"); os.rename(\"dir\", \"moved\")
for name in [\".\", \"moved\", \"moved/file\"]:
    print(name, os.listxattr(name))
    for key in [\"user.cowfs.stat\", \"user.overlay.opaque\", \"user.overlay.whiteout\"]:
        refused(os.getxattr, name, key); refused(os.setxattr, name, key, b\"0 0 100777\")
os.setxattr(\"moved/file\", \"user.mine\", b\"1\"); print(os.listxattr(\"moved/file\"))'
        stat -c '%u %g %a' moved/file; ls -A moved";
    let expected = ". []\nmoved []\nmoved/file []\n['user.mine']\n5 6 4711\nfile\n";
    on(&["fuse", "native"], script, expected);
}

/// As `setfacl` writes it: the owner rwx, user 7 r, the group r, a mask of rw, others nothing.
const ACL: &str = "struct.pack(\"<I\", 2) + b\"\".join(struct.pack(\"<HHI\", *e) for e in \
     [(1, 7, 0xffffffff), (2, 4, 7), (4, 4, 0xffffffff), (16, 6, 0xffffffff), (32, 0, 0xffffffff)])";

#[test]
fn access_lists_are_kept_given_on_and_obeyed() {
    let script = format!(
        "python3 -c '
import os, struct
acl = {ACL}
os.setxattr(\"dir/file\", \"system.posix_acl_access\", acl)
os.setxattr(\"dir\", \"system.posix_acl_default\", acl)
assert os.getxattr(\"dir/file\", \"system.posix_acl_access\") == acl
print(oct(os.stat(\"dir/file\").st_mode))
os.close(os.open(\"dir/new\", os.O_CREAT, 0o666)); os.mkdir(\"dir/below\")
print(oct(os.stat(\"dir/new\").st_mode), oct(os.stat(\"dir/below\").st_mode))
print(os.getxattr(\"dir/below\", \"system.posix_acl_default\") == acl, len(os.getxattr(\"dir/new\", \"system.posix_acl_access\")))
os.chmod(\"dir/file\", 0o600); os.chmod(\"dir\", 0o755)
for uid in 7, 8:
    if os.fork() == 0:
        os.setgid(uid); os.setuid(uid)
        print(uid, os.access(\"dir/file\", os.R_OK), os.access(\"dir/new\", os.R_OK), os.access(\"dir/new\", os.W_OK), flush=True)
        os._exit(0)
    os.wait()'"
    );
    let expected = "0o100760\n0o100660 0o40760\nTrue 44\n7 False True False\n8 False False False\n";
    on(&DRIVERS, &script, expected);
}

#[test]
fn what_cannot_be_made_on_the_host_is_recorded() {
    // The kernel lets nobody make another device in a user namespace.
    let script = "mkfifo fifo; (echo through > fifo &) ; cat fifo; python3 -c '
import os, socket, stat
s = socket.socket(socket.AF_UNIX); s.bind(\"socket\"); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect(\"socket\")
os.mknod(\"null\", 0o644 | stat.S_IFCHR, 0); os.chown(\"null\", 3, 4)
os.symlink(\"anywhere\", \"owned\"); os.chown(\"owned\", 3, 4, follow_symlinks=False)'
        stat -c '%F %u %g %t:%T %s' fifo socket null owned; readlink owned";
    let kinds =
        "fifo 0 0 0:0 0\nsocket 0 0 0:0 0\ncharacter special file 3 4 0:0 0\nsymbolic link 3 4 0:0 8\nanywhere\n";
    let place = place();
    for driver in ["fuse", "native"] {
        let sides = format!("sides/{driver}");
        let text = place.output(driver, &sides, &format!("cd $VIEW; {script}"));
        assert_eq!(text, format!("through\n{kinds}"), "{driver}");
        let again = "cd $VIEW; stat -c '%F %u %g %t:%T %s' fifo socket null owned; readlink owned";
        assert_eq!(place.output(driver, &sides, again), kinds, "{driver}, mounted again");
    }
}
