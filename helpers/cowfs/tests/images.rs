//! Images, mounted for real: what is seen is what umoci unpacks, and what the layers say.

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::view::{Place, expect, require};
use common::{Head, Tar};
use sha2::{Digest, Sha256};

/// Layers with all that is awkward, and yet can be unpacked by others.
fn awkward() -> Vec<Vec<u8>> {
    let mut base = Tar::default();
    base.head(&Head { name: b"./", kind: b'5', mode: 0o755, mtime: 1_000_000_000, ..Head::default() });
    for dir in ["a", "a/deep", "b", "gone", "opaque", "opaque/sub", "usr", "usr/lib", "becomes-file"] {
        base.head(&Head { name: dir.as_bytes(), kind: b'5', mode: 0o755, mtime: 1_111_111_111, ..Head::default() });
    }
    base.file("a/file", "linked content").hard_link("b/link", "a/file").hard_link("a/deep/third", "b/link");
    base.file("opaque/old", "old").file("opaque/sub/old", "old").file("gone/x", "x").file("becomes-file/x", "x");
    base.file("becomes-dir", "a file first").symlink("lib", "usr/lib").file("lib/through-a-link", "1");
    base.file("name\nwith\nnewlines", "1").file(b"not utf-8 \xff\xfe", "2").file("n".repeat(255), "3");
    base.symlink("dangling", "../../outside").symlink("loop", "loop").symlink(b"bytes", b"\xff/\n");
    let long = vec!["l".repeat(200); 8].join("/");
    base.file(format!("long/{long}/file"), "far away");
    for (name, mode) in [("setuid", 0o4755), ("setgid", 0o2755), ("sticky", 0o1644), ("none", 0)] {
        base.head(&Head { name: name.as_bytes(), mode, uid: 33, gid: 44, ..Head::default() });
    }
    base.head(&Head { name: b"fifo", kind: b'6', mode: 0o600, ..Head::default() });
    base.pax(&[("mtime", b"1234567890.123456789"), ("SCHILY.xattr.user.mime", b"text/\x00plain"), ("uid", b"1234")]);
    base.file("pax", "with attributes");
    base.pax(&[("SCHILY.xattr.security.capability", CAPABILITY)]);
    base.head(&Head { name: b"capable", mode: 0o755, ..Head::default() });
    sparse(&mut base, "sparse");
    base.file("/../../clamped", "inside").file("duplicate", "first").file("duplicate", "second, longer");

    let mut top = Tar::default();
    top.file(".wh.gone", "").file("a/deep/.wh.third", "").file("opaque/new", "new").file("opaque/.wh..wh..opq", "");
    top.file("becomes-file", "now a file");
    top.head(&Head { name: b"becomes-dir/", kind: b'5', mode: 0o1777, mtime: 1_222_222_222, ..Head::default() });
    top.file("becomes-dir/x", "x").hard_link("fourth", "a/file").file("a/new", "in an old directory");
    top.head(&Head { name: b"a/", kind: b'5', mode: 0o700, uid: 7, gid: 8, mtime: 1_333_333_333, ..Head::default() });
    top.head(&Head { name: b"becomes-dir/", kind: b'5', mode: 0o1777, mtime: 1_222_222_222, ..Head::default() });

    let mut third = Tar::default();
    third.file("duplicate", "third").file(".wh.nothing-here", "").file("lib/in-usr-lib", "2");
    vec![base.end(), top.end(), third.end()]
}

/// `cap_net_raw+ep` (capabilities(7), version 2).
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// 8 MiB with 4096 bytes in the middle and 5 at the end, as GNU tar's format 1.0 has it.
fn sparse(tar: &mut Tar, name: &str) {
    const SIZE: usize = 8 << 20;
    let size = SIZE.to_string();
    tar.pax(&[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", name.as_bytes()),
        ("GNU.sparse.realsize", size.as_bytes()),
    ]);
    let mut body = format!("2\n{}\n4096\n{}\n5\n", SIZE / 2, SIZE - 5).into_bytes();
    body.resize(512, 0);
    body.extend([b'm'; 4096]);
    body.extend(b"at.end"[..5].iter());
    tar.file(format!("GNUSparseFile.0/{name}"), body);
}

/// Writes layers as an OCI image layout.
fn oci_layout(dir: &Path, layers: &[Vec<u8>]) {
    fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    let blob = |bytes: &[u8]| {
        let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        fs::write(dir.join("blobs/sha256").join(&digest), bytes).unwrap();
        (format!("sha256:{digest}"), bytes.len())
    };
    let descriptor = |kind: &str, (digest, size): (String, usize)| {
        format!(r#"{{"mediaType":"application/vnd.oci.image.{kind}","digest":"{digest}","size":{size}}}"#)
    };
    let layers: Vec<_> = layers.iter().map(|layer| blob(layer)).collect();
    let ids: Vec<_> = layers.iter().map(|(digest, _)| format!("{digest:?}")).collect();
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        ids.join(",")
    );
    let config = descriptor("config.v1+json", blob(config.as_bytes()));
    let layers: Vec<_> = layers.into_iter().map(|layer| descriptor("layer.v1.tar", layer)).collect();
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{config},"layers":[{}]}}"#,
        layers.join(",")
    );
    let manifest = descriptor("manifest.v1+json", blob(manifest.as_bytes()));
    let named = manifest.replacen('{', r#"{"annotations":{"org.opencontainers.image.ref.name":"t"},"#, 1);
    fs::write(dir.join("index.json"), format!(r#"{{"schemaVersion":2,"manifests":[{named}]}}"#)).unwrap();
    fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// The lines of a listing that name a path with these beginnings left out.
fn without(listing: &str, paths: &[&str]) -> Vec<String> {
    let left_out = |line: &&str| paths.iter().any(|path| line.split(' ').next() == Some(path));
    listing.lines().filter(|line| !left_out(line)).map(str::to_owned).collect()
}

#[test]
fn an_image_is_what_umoci_unpacks() {
    require("umoci");
    let place = Place::new();
    let tars = awkward();
    oci_layout(&place.path("oci"), &tars);
    let options = place.layers(&tars);
    let listings = place.output(
        &options,
        "umoci --log error unpack --image $PLACE/oci:t $PLACE/bundle; $PLACE/view dump $PLACE/bundle/rootfs > $PLACE/theirs
         $PLACE/view dump $VIEW > $PLACE/ours
         chmod -R u+rwX $PLACE/bundle; rm -r $PLACE/bundle",
    );
    assert_eq!(listings, "");
    let read = |name| fs::read_to_string(place.path(name)).unwrap();
    // The time of a directory that no entry describes, and that of the root, is the time of unpacking there.
    let mut implied = vec![".".to_owned(), "./long".to_owned()];
    for _ in 0..8 {
        implied.push(format!("{}/{}", implied.last().unwrap(), "l".repeat(200)));
    }
    let left_out: Vec<&str> = implied.iter().map(String::as_str).collect();
    let (theirs, ours) = (without(&read("theirs"), &left_out), without(&read("ours"), &left_out));
    for (theirs, ours) in theirs.iter().zip(&ours) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(ours.len(), theirs.len());
    assert!(ours.len() > 30, "the listing is complete: {} files", ours.len());
}

#[test]
fn owners_and_capabilities_follow_the_mapping() {
    let place = Place::new();
    let mut tar = Tar::default();
    for (name, id) in [("root", 0), ("user", 1000), ("other", 1001), ("far", 3_000_000)] {
        tar.head(&Head { name: name.as_bytes(), uid: id, gid: id, ..Head::default() });
    }
    tar.pax(&[("SCHILY.xattr.security.capability", CAPABILITY)]).file("ping", "");
    let mut options = place.layers(&[tar.end()]);
    let script =
        "cd $VIEW; stat -c '%n %u %g' root user other far; $PLACE/view dump . | grep -o 'security.capability=.*'";
    let plain = place.output(&options, script);
    let v2 = CAPABILITY.escape_ascii().to_string();
    assert_eq!(
        plain,
        format!("root 0 0\nuser 1000 1000\nother 1001 1001\nfar 65534 65534\nsecurity.capability={v2}\n")
    );

    options.push("--keep-id".to_owned());
    let mut v3 = CAPABILITY.to_vec();
    v3[3] = 3;
    v3.extend([1, 0, 0, 0]);
    let kept = place.output(&options, script);
    let v3 = v3.escape_ascii();
    assert_eq!(kept, format!("root 1 1\nuser 0 0\nother 1001 1001\nfar 65534 65534\nsecurity.capability={v3}\n"));
}

/// A program's capabilities count where the container's processes run: in a child of the mount's user namespace,
/// whose root is another user than the mount's.
#[test]
fn capabilities_count_in_the_containers_namespace() {
    require("setpriv");
    let place = Place::new();
    let busybox = fs::read("/bin/busybox").expect("this test needs busybox-static at /bin/busybox");
    let mut tar = Tar::default();
    tar.pax(&[("SCHILY.xattr.security.capability", CAPABILITY)]);
    tar.head(&Head { name: b"busybox", mode: 0o755, size: busybox.len() as u64, ..Head::default() }).body(&busybox);
    let overlay = place.path("overlay").display().to_string();
    let above = ["--keep-id".to_owned(), "--overlay".to_owned(), overlay];
    let script = "mkfifo $PLACE/ready
         unshare -U sh -euc 'echo $$ > $PLACE/ready; exec sleep 60' & read pid < $PLACE/ready; rm $PLACE/ready
         for map in uid_map gid_map; do printf '0 1 1000\\n1000 0 1\\n1001 1001 64535\\n' > /proc/$pid/$map; done
         nsenter -U -t $pid setpriv --reuid 1000 --regid 1000 --clear-groups $VIEW/busybox grep CapEff /proc/self/status
         kill $pid";
    let lower = place.layers(&[tar.end()]);
    for options in [[&lower[..], &above[..1]].concat(), [&lower[..], &above[..]].concat()] {
        assert_eq!(place.output(&options, script), "CapEff:\t0000000000002000\n");
    }
}

#[test]
fn with_one_id_everything_is_the_users() {
    let place = Place::new();
    let mut tar = Tar::default();
    tar.head(&Head { name: b"f", uid: 33, gid: 44, ..Head::default() });
    let options = [place.layers(&[tar.end()]), vec!["--one-id".to_owned()]].concat();
    let mut command = common::view::as_ordinary_user(place.command(&options, "stat -c '%u %g' $VIEW $VIEW/f"));
    assert_eq!(expect(command.output().unwrap()), "0 0\n0 0\n");
}

#[test]
fn sparse_files_are_read_and_seeked() {
    require("python3");
    let place = Place::new();
    let mut tar = Tar::default();
    sparse(&mut tar, "f");
    tar.file("plain", "12345");
    let script = "cd $VIEW; stat -c '%s %b' f; python3 -c \"
import os
f = os.open('f', os.O_RDONLY)
print(os.lseek(f, 0, os.SEEK_DATA), os.lseek(f, 4194304, os.SEEK_HOLE), os.lseek(f, 4198400, os.SEEK_DATA))
data = open('f', 'rb').read()
print(len(data), data.count(b'm'), data[4194304:4198400] == b'm' * 4096, data[-5:], data.count(0))
p = os.open('plain', os.O_RDONLY)
print(os.lseek(p, 2, os.SEEK_DATA), os.lseek(p, 0, os.SEEK_HOLE))
\"";
    let expected = "8388608 16\n4194304 4198400 8388603\n8388608 4096 True b'at.en' 8384507\n2 5\n";
    assert_eq!(place.output(&place.layers(&[tar.end()]), script), expected);
}

#[test]
fn holes_are_sought_right_where_no_file_has_any() {
    require("python3");
    let place = Place::new();
    let mut tar = Tar::default();
    tar.file("plain", "12345").file("empty", "");
    // The second time the kernel knows the answer by itself.
    let script = "cd $VIEW; python3 -c \"
import errno, os
for name in ['plain', 'empty', 'plain']:
    file = os.open(name, os.O_RDONLY)
    for offset in range(6):
        for whence in [os.SEEK_DATA, os.SEEK_HOLE]:
            try:
                print(os.lseek(file, offset, whence), end=' ')
            except OSError as error:
                print(errno.errorcode[error.errno], end=' ')
    print()
\"";
    let plain = "0 5 1 5 2 5 3 5 4 5 ENXIO ENXIO \n";
    let expected = format!("{plain}{}\n{plain}", "ENXIO ENXIO ".repeat(6));
    assert_eq!(place.output(&place.layers(&[tar.end()]), script), expected);
}

#[test]
fn devices_sockets_and_long_paths_are_shown() {
    let place = Place::new();
    let long = vec!["x".repeat(100); 39].join("/");
    assert_eq!(long.len(), 3938);
    let mut tar = Tar::default();
    tar.head(&Head { name: b"null", kind: b'3', mode: 0o666, device: (1, 3), ..Head::default() });
    tar.head(&Head { name: b"disk", kind: b'4', mode: 0o660, device: (259, 70000), ..Head::default() });
    tar.file(format!("{long}/{}", "y".repeat(60)), "at the end");
    let script = "cd $VIEW; stat -c '%n %F %t %T' null disk; if cat null 2> $PLACE/error; then exit 1; fi; \
                  find . -type f -exec cat {} +";
    let seen = place.output(&place.layers(&[tar.end()]), script);
    let expected = "null character special file 1 3\ndisk block special file 103 11170\nat the end";
    assert_eq!(seen, expected, "and a device cannot be opened");
}

#[test]
fn sixty_layers_are_one_tree() {
    let place = Place::new();
    let layer = |i: usize| {
        let mut tar = Tar::default();
        tar.dir("d").file(format!("d/{i}"), i.to_string()).file("top", i.to_string());
        if i % 2 == 1 {
            tar.file(format!("d/.wh.{}", i - 1), "");
        }
        tar.end()
    };
    let tars: Vec<_> = (0..60).map(layer).collect();
    let seen =
        place.output(&place.layers(&tars), "cat $VIEW/top; ls $VIEW/d | wc -l; cat $VIEW/d/59; ls $VIEW/d/58 || :");
    assert_eq!(seen, "5930\n59");
}

#[test]
fn many_read_at_once() {
    let place = Place::new();
    let mut tar = Tar::default();
    for i in 0..300u32 {
        tar.file(format!("d{}/f{i}", i % 7), i.to_le_bytes().repeat(i as usize * 50));
    }
    let options = place.layers(&[tar.end()]);
    let seen = place.output(
        &options,
        "for i in 1 2 3 4 5 6 7 8; do $PLACE/view dump $VIEW > $PLACE/out$i & done; wait
         for i in 2 3 4 5 6 7 8; do cmp $PLACE/out1 $PLACE/out$i; done; wc -l < $PLACE/out1",
    );
    assert_eq!(seen, "308\n");
}

/// The kernel's overlayfs above: every way in which it reads a lower.
#[test]
fn overlayfs_above_it() {
    let place = Place::new();
    let mut tar = Tar::default();
    tar.head(&Head { name: b"sh", mode: 0o755, size: 0, ..Head::default() });
    let busybox = fs::read("/bin/busybox").expect("this test needs busybox-static at /bin/busybox");
    tar.head(&Head { name: b"busybox", mode: 0o755, size: busybox.len() as u64, ..Head::default() });
    tar.body(&busybox);
    tar.dir("dir").file("dir/one", "1").file("dir/two", "2").file("linked", "l").hard_link("dir/linked", "linked");
    tar.symlink("link", "dir/one").pax(&[("SCHILY.xattr.user.note", b"kept")]).file("noted", "n");
    let upper = place.path("overlay").display().to_string();
    let options = [place.layers(&[tar.end()]), vec!["--overlay".to_owned(), upper]].concat();
    let seen = place.output(
        &options,
        "cd $VIEW
         ./busybox echo executed
         echo changed >> dir/one; ./busybox cat dir/one
         chmod 600 noted; chown 5:6 noted; stat -c '%a %u %g' noted
         rm dir/two; ls dir
         rm -r dir; mkdir dir; ls -A dir; echo new > dir/new
         mv linked moved; cat moved
         ln moved again; stat -c %h moved
         rm link; ln -s elsewhere link; readlink link
         test ! -e dir/one
         chroot . /busybox ls dir",
    );
    assert_eq!(seen, "executed\n1changed\n600 5 6\nlinked\none\nl2\nelsewhere\nnew\n");
    let again = place.output(&options, "cd $VIEW; ls dir; cat moved; $PLACE/view dump . | grep -o 'user.note=kept'");
    assert_eq!(again, "new\nluser.note=kept\n", "the upper side was kept, the lower never changed");
}

/// A server that dies leaves errors behind, and nothing that hangs; a mount that goes ends its server.
#[test]
fn it_ends_cleanly() {
    let place = Place::new();
    let options = place.layers(&[Tar::default().file("f", "x").end()]);
    assert_eq!(place.run(&options, "exit 7").status.code(), Some(7), "the server ends with its last user");
    assert_eq!(place.run(&options, "cat $VIEW/f; umount $VIEW").status.code(), Some(0));
    let killed = place.path("killed");
    let script = "kill -9 $PPID; while kill -0 $PPID 2> /dev/null; do sleep 0.01; done
                  if cat $VIEW/f 2> $PLACE/killed; then exit 1; fi; echo done >> $PLACE/killed";
    // Waited for at once: as long as its parent is a zombie, the script takes it for alive.
    let status = place.command(&options, script).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    // The script outlives the server that was killed; wait for its last word.
    for _ in 0..1000 {
        if fs::read_to_string(&killed).is_ok_and(|text| text.ends_with("done\n")) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let text = fs::read_to_string(&killed).unwrap();
    assert!(text.contains("not connected") || text.contains("abort"), "{text}");
}

#[test]
fn a_large_tree_is_what_tar_unpacks() {
    let place = Place::new();
    let tar = place.path("host.tar");
    let made = Command::new("tar")
        .arg("-cf")
        .arg(&tar)
        .args(["--format=posix", "--sparse", "-C", "/", "usr/sbin", "usr/share/doc", "etc/alternatives"])
        .status();
    assert!(made.unwrap().success());
    let options = ["--tar".to_owned(), tar.display().to_string()];
    let differences = place.output(
        &options,
        "mkdir $PLACE/unpacked; tar -xpf $PLACE/host.tar -C $PLACE/unpacked --numeric-owner
         # What no entry describes: the directories above.
         $PLACE/view dump $PLACE/unpacked | grep -Ev '^(.|./usr|./etc|./usr/share) ' > $PLACE/theirs
         $PLACE/view dump $VIEW | grep -Ev '^(.|./usr|./etc|./usr/share) ' > $PLACE/ours
         rm -r $PLACE/unpacked; cmp $PLACE/theirs $PLACE/ours; test $(wc -l < $PLACE/ours) -gt 200",
    );
    assert_eq!(differences, "");
}
