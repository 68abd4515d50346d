//! Several host directories over each other, mounted for real.

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::view::{Place, as_ordinary_user, expect, give};
use nix::sys::stat::{Mode, SFlag, mknod};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

fn whiteout(path: &Path) {
    mknod(path, SFlag::S_IFCHR, Mode::from_bits_retain(0o600), 0).unwrap();
}

fn opaque(path: &Path, name: &std::ffi::CStr) {
    sys::xattr::set(path, name, b"y").unwrap();
}

/// A file with its directories, in a layer.
fn write(layer: &Path, name: &str, content: &str) -> PathBuf {
    let path = layer.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, content).unwrap();
    path
}

fn layers(place: &Place, count: usize) -> (Vec<PathBuf>, Vec<String>) {
    let layers: Vec<PathBuf> = (0..count).map(|layer| place.path(&format!("layer{layer}"))).collect();
    let mut options = vec!["--one-id".to_owned()];
    for layer in &layers {
        fs::create_dir(layer).unwrap();
        options.extend(["--dir".to_owned(), layer.display().to_string()]);
    }
    (layers, options)
}

fn seen(place: &Place, options: &[String], script: &str) -> String {
    give(&place.path("."));
    expect(as_ordinary_user(place.command(options, script)).output().unwrap())
}

#[test]
fn every_form_of_whiteout_and_opaque_directory() {
    let place = Place::new();
    let (layers, options) = layers(&place, 3);
    for name in
        ["device", "attribute", "by-name", "kept", "opaque/a/b", "fuse/a", "aufs/a", "own/a", "replaced/a", "file"]
    {
        write(&layers[2], name, "lowest");
    }
    whiteout(&layers[1].join("device"));
    let empty = write(&layers[1], "attribute", "");
    sys::xattr::set(&empty, c"user.overlay.whiteout", b"").unwrap();
    write(&layers[1], ".wh.by-name", "");
    for (dir, mark) in [("opaque", c"user.overlay.opaque"), ("fuse", c"user.fuseoverlayfs.opaque")] {
        write(&layers[1], &format!("{dir}/new"), "middle");
        opaque(&layers[1].join(dir), mark);
        write(&layers[0], &format!("{dir}/newer"), "top");
    }
    write(&layers[1], "aufs/.wh..wh..opq", "");
    write(&layers[0], "aufs/new", "top");
    write(&layers[0], "replaced", "now a file");
    write(&layers[0], "file/inside", "now a directory");
    write(&layers[0], "own/a", "beside its own whiteout");
    write(&layers[0], "own/.wh.a", "");
    let text = seen(
        &place,
        &options,
        "cd $VIEW; find . -type f -print -exec cat {} \\; -exec echo \\; | LC_ALL=C sort -s -k1,1 | head -40; ls opaque",
    );
    for expected in [
        "./kept\n",
        "./opaque/new\n",
        "./opaque/newer\n",
        "./fuse/new\n",
        "./aufs/new\n",
        "./replaced\n",
        "./file/inside\n",
        "./own/a\n",
    ] {
        assert!(text.contains(expected), "{expected} is missing in {text}");
    }
    for gone in ["device", "attribute", "by-name", "opaque/a", "fuse/a", "aufs/a", ".wh."] {
        assert!(!text.contains(gone), "{gone} is in {text}");
    }
}

#[test]
fn numbers_and_counts_are_right() {
    let place = Place::new();
    let (layers, options) = layers(&place, 2);
    let file = write(&layers[1], "dir/file", "content");
    fs::hard_link(&file, layers[1].join("other")).unwrap();
    write(&layers[0], "dir/sub/x", "");
    write(&layers[1], "dir/sub2/y", "");
    write(&layers[1], "dir/sub/z", "");
    symlink("dir/file", layers[1].join("link")).unwrap();
    let script = "cd $VIEW; test dir/file -ef other; stat -c '%n %h %F' other dir dir/sub . link; cat link; echo
         before=$(find . -printf '%i %p\\n'); echo 2 > /proc/sys/vm/drop_caches 2> /dev/null || :
         test \"$before\" = \"$(find . -printf '%i %p\\n')\"; ls -i dir | grep -q $(stat -c %i other)
         find . -printf '%i\\n' | sort | uniq -d | wc -l; cd dir/sub; ls ../..";
    let expected = "other 2 regular file\ndir 4 directory\ndir/sub 2 directory\n. 3 directory\nlink 1 symbolic link\ncontent\n1\n\
        dir\nlink\nother\n";
    assert_eq!(seen(&place, &options, script), expected);
}

#[test]
fn what_is_recorded_is_shown_and_its_record_is_not() {
    let place = Place::new();
    let (layers, mut options) = layers(&place, 1);
    options.remove(0);
    let records = [
        ("device", c"user.cowfs.stat", "0 6 60660 8:1", ""),
        ("owned", c"user.cowfs.stat", "0 42 102755", "content"),
        ("link", c"user.cowfs.stat", "5 5 120777", "target"),
        ("theirs", c"user.fuseoverlayfs.override_stat", "7:8:0640", "content"),
        ("fifo", c"user.containers.override_stat", "1:1:0600:pipe", ""),
    ];
    for (name, mark, value, content) in records {
        let path = write(&layers[0], name, content);
        sys::xattr::set(&path, mark, value.as_bytes()).unwrap();
        sys::xattr::set(&path, c"user.note", b"kept").unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    let script =
        "cd $VIEW; stat -c '%n %u %g %a %F %s %t:%T' device owned link theirs fifo; readlink link; cat theirs; echo
         $PLACE/view dump $VIEW | grep -o 'user.*'";
    let expected = "device 0 6 660 block special file 0 8:1\nowned 0 42 2755 regular file 7 0:0\n\
        link 5 5 777 symbolic link 6 0:0\ntheirs 7 8 640 regular file 7 0:0\nfifo 1 1 600 fifo 0 0:0\ntarget\ncontent\n\
        user.note=kept\nuser.note=kept\n";
    assert_eq!(expect(place.command(&options, script).output().unwrap()), expected);
}

#[test]
fn large_and_sparse_files_and_directories() {
    let place = Place::new();
    let (layers, options) = layers(&place, 2);
    let mut content = Vec::new();
    for number in 0..400_000_u32 {
        content.extend(number.to_le_bytes());
    }
    fs::write(layers[1].join("large"), &content).unwrap();
    let sparse = fs::File::create(layers[0].join("sparse")).unwrap();
    sparse.set_len(1 << 30).unwrap();
    std::os::unix::fs::FileExt::write_at(&sparse, b"end", (1 << 30) - 3).unwrap();
    for number in 0..3000 {
        write(&layers[number % 2], &format!("many/{number}"), "");
    }
    let script = "cd $VIEW; cmp large $PLACE/layer1/large; cmp sparse $PLACE/layer0/sparse; tail -c 3 sparse; echo
         test $(stat -c %b sparse) -lt 1000; ls many | wc -l; cp --sparse=auto sparse $PLACE/copy; test $(stat -c %b $PLACE/copy) -lt 1000";
    assert_eq!(seen(&place, &options, script), "end\n3000\n");
}

/// One thing that a layer may have under a name.
#[derive(Clone, Debug)]
enum Thing {
    File,
    Directory { opaque: bool },
    Link,
    Whiteout,
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        4 => any::<bool>().prop_map(|opaque| Thing::Directory { opaque }),
        3 => Just(Thing::File),
        1 => Just(Thing::Link),
        1 => Just(Thing::Whiteout),
    ]
}

/// Names are short, so that they meet.
fn tree() -> impl Strategy<Value = Vec<(Vec<u8>, Thing)>> {
    prop::collection::vec((prop::collection::vec(0..3_u8, 1..4), thing()), 0..25)
}

/// Makes what can be made of it in a layer above another. (A whiteout in a directory that is not merged with another is listed
/// by the kernel, which makes none there, but cannot be looked at.)
fn build(layer: &Path, below: Option<&Path>, things: &[(Vec<u8>, Thing)]) {
    let is_merged = |dir: &Path| {
        let hidden = |dir: &Path| sys::xattr::has(dir, c"user.overlay.opaque");
        let inner = dir.strip_prefix(layer).unwrap();
        below.is_some_and(|below| below.join(inner).is_dir())
            && !inner.ancestors().any(|above| hidden(&layer.join(above)))
    };
    for (number, (names, thing)) in things.iter().enumerate() {
        let path = names.iter().fold(layer.to_owned(), |path, name| path.join(name.to_string()));
        if path.symlink_metadata().is_ok() || !path.parent().unwrap().is_dir() {
            continue;
        }
        match thing {
            Thing::File => fs::write(&path, number.to_string()).unwrap(),
            Thing::Link => symlink(format!("nothing-{number}"), &path).unwrap(),
            Thing::Whiteout if is_merged(path.parent().unwrap()) => whiteout(&path),
            Thing::Whiteout => {}
            Thing::Directory { opaque: hides } => {
                fs::create_dir(&path).unwrap();
                if *hides {
                    opaque(&path, c"user.overlay.opaque");
                }
            }
        }
    }
}

#[test]
fn the_kernels_overlay_sees_the_same() {
    let mut runner = TestRunner::new(Config { cases: 24, ..Config::default() });
    let cases = prop::collection::vec(tree(), 4);
    let done = runner.run(&cases, |trees| {
        let place = Place::new();
        let (layers, options) = layers(&place, trees.len());
        for (index, things) in trees.iter().enumerate().rev() {
            build(&layers[index], layers.get(index + 1).map(PathBuf::as_path), things);
        }
        fs::create_dir(place.path("merged")).unwrap();
        let lower: Vec<String> = layers.iter().map(|layer| layer.display().to_string()).collect();
        let script = format!(
            "mount -t overlay overlay -o userxattr,lowerdir={} $PLACE/merged
             $PLACE/view dump $PLACE/merged > $PLACE/expected; $PLACE/view dump $VIEW > $PLACE/found
             diff $PLACE/expected $PLACE/found",
            lower.join(":")
        );
        prop_assert_eq!(seen(&place, &options, &script), "");
        prop_assert!(place.path("found").metadata().unwrap().size() > 0);
        Ok(())
    });
    done.unwrap();
}
