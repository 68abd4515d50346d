//! What a tar's entries become in an index, and what layers become in a tree.

mod common;

use common::{Head, Tar};
use cowfs::Error;
use cowfs::layer::{Body, LayerIndex, Limits, Room, Segment, Time, index_tar};
use cowfs::tree::{Data, Inode, Kind, Tree, merge};

fn index(tar: &[u8]) -> Result<LayerIndex, Error> {
    let index = index_tar(tar, &Limits::default())?;
    let mut bytes = Vec::new();
    index.write_to(&mut bytes).unwrap();
    assert_eq!(LayerIndex::parse(bytes).unwrap(), index, "what was written is read again");
    Ok(index)
}

fn layer(fill: impl FnOnce(&mut Tar) -> &mut Tar) -> LayerIndex {
    let mut tar = Tar::default();
    fill(&mut tar);
    index(&tar.end()).unwrap()
}

fn tree(layers: &[LayerIndex]) -> Tree {
    Tree::from_bytes(merge(layers).unwrap()).unwrap()
}

fn at(tree: &Tree, path: &str) -> Option<Inode> {
    tree.lookup(path.as_bytes())
}

fn names(tree: &Tree, dir: &str) -> Vec<String> {
    let dir = at(tree, dir).unwrap();
    tree.entries(&dir).map(|e| String::from_utf8_lossy(e.name).into_owned()).collect()
}

fn error(tar: &[u8]) -> String {
    index(tar).unwrap_err().to_string()
}

#[test]
fn a_file_is_found_where_it_lies_in_the_tar() {
    let mut tar = Tar::default();
    tar.dir("d/").file("d/f", "content");
    let bytes = tar.end();
    let tree = tree(&[index(&bytes).unwrap()]);
    let file = at(&tree, "/d/f").unwrap();
    let Data::Whole(offset) = file.data() else { panic!("in one piece") };
    assert_eq!(&bytes[offset as usize..][..7], b"content");
    assert_eq!((file.kind, file.mode, file.size, file.nlink), (Kind::File, 0o644, 7, 1));
    assert_eq!(at(&tree, "d").unwrap().nlink, 2);
    assert_eq!(tree.root().unwrap().nlink, 3);
}

#[test]
fn a_tree_knows_whether_any_file_has_holes() {
    let plain = layer(|tar| tar.file("plain", "content").file("empty", "").dir("d/"));
    assert!(!tree(std::slice::from_ref(&plain)).has_holes());
    // Of this one nothing is in the tar.
    let hole = [("GNU.sparse.major", &b"1"[..]), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"4096")];
    let mut body = b"0\n".to_vec();
    body.resize(512, 0);
    let tree = tree(&[plain, layer(|tar| tar.pax(&hole).file("hole", body))]);
    assert_eq!((at(&tree, "hole").unwrap().size, at(&tree, "hole").unwrap().blocks()), (4096, 0));
    assert!(tree.has_holes());
}

#[test]
fn the_reader_is_read_to_its_end() {
    let bytes = [Tar::default().file("f", "x").end(), vec![7; 10_000]].concat();
    let mut rest = &bytes[..];
    let index = index_tar(&mut rest, &Limits::default()).unwrap();
    assert!(rest.is_empty());
    assert_eq!(index.tar_bytes(), bytes.len() as u64);
}

#[test]
fn extended_headers_win_over_the_header() {
    let index = layer(|tar| {
        tar.pax(&[
            ("path", b"new\nline/\xff\xfe"),
            ("uid", b"4294967294"),
            ("gid", b"3000000"),
            ("mtime", b"-1.5"),
            ("SCHILY.xattr.user.a", b"1"),
            ("SCHILY.xattr.user.overlay.whiteout", b"y"),
        ]);
        tar.head(&Head { name: b"short", mtime: 9, ..Head::default() });
        tar.file("next", "")
    });
    let entries: Vec<_> = index.entries().collect();
    assert_eq!(entries[0].path, b"new\nline/\xff\xfe");
    assert_eq!((entries[0].meta.uid, entries[0].meta.gid), (4_294_967_294, 3_000_000));
    assert_eq!(entries[0].meta.mtime, Time { secs: -2, nanos: 500_000_000 });
    assert_eq!(entries[0].xattrs, [(&b"user.a"[..], &b"1"[..])]);
    assert_eq!((entries[1].path, entries[1].meta.uid), (&b"next"[..], 0), "they are for one entry only");
}

#[test]
fn long_names_long_links_and_large_numbers() {
    let long = vec!["x".repeat(255); 15].join("/");
    assert_eq!(long.len(), 3839);
    let index = layer(|tar| {
        tar.symlink(&long, "y".repeat(4000));
        tar.head(&Head { name: b"big", uid: 0o7777777, gid: 1 << 31, mtime: 1 << 40, ..Head::default() })
    });
    let entries: Vec<_> = index.entries().collect();
    assert_eq!(entries[0].path, long.as_bytes());
    assert_eq!(entries[0].body, Body::Symlink("y".repeat(4000).as_bytes()));
    assert_eq!((entries[1].meta.uid, entries[1].meta.gid), (0o7777777, 1 << 31));
    assert_eq!(entries[1].meta.mtime.secs, 1 << 40);
}

#[test]
fn ustar_prefixes_are_joined() {
    let mut block = [0; 512];
    block[..4].copy_from_slice(b"file");
    block[156] = b'0';
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[345..353].copy_from_slice(b"some/dir");
    let mut tar = Tar::default();
    tar.raw(block);
    assert_eq!(index(&tar.end()).unwrap().entries().next().unwrap().path, b"some/dir/file");
}

/// The same file, 1 MiB with `abc` at 4096 and `de` at its end, in each of GNU tar's formats.
#[test]
fn sparse_files_of_all_four_formats() {
    const SIZE: u64 = 1 << 20;
    let size = SIZE.to_string();
    let map = format!("4096,3,{},2", SIZE - 2);
    let (end, last) = (SIZE - 2, (SIZE - 2).to_string());
    let data = b"abcde";

    let mut old = Tar::default();
    let mut block = [0; 512];
    block[..1].copy_from_slice(b"f");
    block[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    block[156] = b'S';
    block[257..265].copy_from_slice(b"ustar  \0");
    for (slot, (start, len)) in [(4096, 3), (end, 2)].into_iter().enumerate() {
        let at = 386 + slot * 24;
        block[at..at + 11].copy_from_slice(format!("{start:011o}").as_bytes());
        block[at + 12..at + 23].copy_from_slice(format!("{len:011o}").as_bytes());
    }
    block[483..494].copy_from_slice(format!("{SIZE:011o}").as_bytes());
    old.raw(block).body(data);

    let mut pax00 = Tar::default();
    pax00.pax(&[
        ("GNU.sparse.size", size.as_bytes()),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.offset", b"4096"),
        ("GNU.sparse.numbytes", b"3"),
        ("GNU.sparse.offset", last.as_bytes()),
        ("GNU.sparse.numbytes", b"2"),
    ]);
    pax00.file("f", data);

    let mut pax01 = Tar::default();
    pax01.pax(&[
        ("GNU.sparse.size", size.as_bytes()),
        ("GNU.sparse.numblocks", b"2"),
        ("GNU.sparse.map", map.as_bytes()),
        ("GNU.sparse.name", b"f"),
    ]);
    pax01.file("GNUSparseFile.1/f", data);

    let mut pax10 = Tar::default();
    pax10.pax(&[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"f"),
        ("GNU.sparse.realsize", size.as_bytes()),
    ]);
    let mut body = format!("2\n4096\n3\n{last}\n2\n").into_bytes();
    body.resize(512, 0);
    body.extend_from_slice(data);
    pax10.file("GNUSparseFile.1/f", &body);

    for (format, mut tar) in [("old", old), ("0.0", pax00), ("0.1", pax01), ("1.0", pax10)] {
        tar.file("after", "x");
        let bytes = tar.end();
        let index = index(&bytes).unwrap_or_else(|error| panic!("{format}: {error}"));
        let entries: Vec<_> = index.entries().collect();
        let Body::File { size, segments } = &entries[0].body else { panic!("{format}: a file") };
        assert_eq!((entries[0].path, *size), (&b"f"[..], SIZE), "{format}");
        let [Segment { start: 4096, len: 3, tar: a }, Segment { start, len: 2, tar: b }] = segments[..] else {
            panic!("{format}: {segments:?}")
        };
        assert_eq!((start, b), (end, a + 3), "{format}");
        assert_eq!(&bytes[a as usize..][..5], data, "{format}");
        assert_eq!(entries[1].path, b"after", "{format}");
    }
}

#[test]
fn tars_that_are_none() {
    let good = Tar::default().file("some/file", vec![b'x'; 2000]).end();
    assert!(error(&good[..300]).contains("ends at byte 300, inside a header"));
    assert!(error(&good[..1000]).contains("inside the content of `some/file`"));
    assert!(error(&b"<html>".repeat(200)).contains("not a tar archive: wrong header checksum at byte 0"));
    let mut broken = good.clone();
    broken[0] = b'S';
    assert!(error(&broken).contains("checksum"));
    let sizes = Tar::default().pax(&[("size", b"3")]).file("f", "four").end();
    assert!(error(&sizes).contains("`f`: its two sizes disagree: 4 and 3"));
    let dangling = Tar::default().pax(&[("path", b"x")]).end();
    assert!(error(&dangling).contains("extended header"));
    let kind = Tar::default().head(&Head { name: b"odd", kind: b'Z', ..Head::default() }).end();
    assert!(error(&kind).contains("`odd`: its type `Z` is unknown"));
    assert!(index(b"").unwrap().is_empty(), "nothing at all is an empty layer");
    assert!(index(&good[..512 + 2048]).is_ok(), "a tar may lack its trailer");
}

#[test]
fn limits_are_named() {
    let limits = Limits { entries: 1, tar_bytes: 4096, xattr_bytes: 10, file_bytes: 3, ..Limits::default() };
    let fails = |tar: &mut Tar| index_tar(&tar.end()[..], &limits).unwrap_err().to_string();
    let two = fails(Tar::default().file("a", "").file("b", ""));
    assert_eq!(two, "tar entry `b`: entries in a layer exceeds the limit of 1");
    assert!(fails(Tar::default().file("a", "four")).contains("bytes in a file exceeds the limit of 3"));
    let whole = Limits { tar_bytes: 4096, ..Limits::default() };
    let long = Tar::default().file("a", vec![0; 4096]).end();
    let error = index_tar(&long[..], &whole).unwrap_err().to_string();
    assert!(error.contains("bytes in a tar exceeds the limit of 4096"), "{error}");
    let xattr = Tar::default().pax(&[("SCHILY.xattr.user.a", b"12345")]).file("a", "").end();
    let error = index_tar(&xattr[..], &limits).unwrap_err().to_string();
    assert!(error.contains("extended attributes exceeds the limit of 10"), "{error}");
}

#[test]
fn files_without_holes_are_no_pieces_of_sparse_ones() {
    let limits = Limits { segments: 2, ..Limits::default() };
    let tar = (0..5).fold(&mut Tar::default(), |tar, n| tar.file(format!("f{n}"), "content")).end();
    assert_eq!(index_tar(&tar[..], &limits).unwrap().len(), 5);
}

#[test]
fn who_has_sent_much_may_have_many_files() {
    let names: Vec<String> = (0..3000).map(|n| format!("{}{n}", "long".repeat(50))).collect();
    let tar = names.iter().fold(&mut Tar::default(), |tar, name| tar.file(name, "")).end();
    let limits = Limits { room: Room::new(1 << 16), ..Limits::default() };
    let error = index_tar(&tar[..], &limits).unwrap_err();
    assert!(error.is_too_many_files(), "{error}");
    limits.room.earn(4 << 20);
    let index = index_tar(&tar[..], &limits).unwrap();
    assert!(cowfs::tree::merge_within(std::slice::from_ref(&index), 1 << 16).unwrap_err().is_too_many_files());
    assert!(cowfs::tree::merge_within(&[index], 4 << 20).is_ok());
}

#[test]
fn whiteouts_hide_what_is_below_wherever_they_stand() {
    let base =
        layer(|tar| tar.dir("d").file("d/a", "1").file("d/b", "2").file("gone", "3").dir("o").file("o/old", "4"));
    let above: Vec<fn(&mut Tar) -> &mut Tar> = vec![
        |tar| {
            tar.file("d/.wh.a", "").file("d/a", "new").file(".wh.gone", "").file("o/.wh..wh..opq", "").file("o/new", "")
        },
        |tar| {
            tar.file("o/new", "").file("o/.wh..wh..opq", "").file("d/a", "new").file("d/.wh.a", "").file(".wh.gone", "")
        },
    ];
    for fill in above {
        let tree = tree(&[base.clone(), layer(fill)]);
        assert_eq!(names(&tree, "/"), ["d", "o"]);
        assert_eq!(names(&tree, "d"), ["a", "b"]);
        assert_eq!(at(&tree, "d/a").unwrap().layer(), 1);
        assert_eq!(names(&tree, "o"), ["new"]);
    }
}

#[test]
fn a_whiteout_of_what_is_not_there_makes_nothing() {
    let tree = tree(&[layer(|tar| tar.file("x/y/.wh.z", "").file("a/.wh..wh..opq", ""))]);
    assert!(names(&tree, "/").is_empty());
}

#[test]
fn types_are_replaced_and_the_last_wins() {
    let base = layer(|tar| tar.dir("a").file("a/x", "").file("b", "").symlink("c", "a").file("e", ""));
    let top = layer(|tar| {
        tar.file("a", "now a file").dir("b").file("b/y", "").dir("c").file("c/z", "");
        tar.dir("d").file("d/1", "").file("d", "").dir("d").file("e", "22").file("e", "333")
    });
    let tree = tree(&[base, top]);
    assert_eq!(at(&tree, "a").unwrap().kind, Kind::File);
    assert_eq!(names(&tree, "b"), ["y"]);
    assert_eq!(names(&tree, "c"), ["z"], "a directory replaces a link, and is not entered through it");
    assert!(names(&tree, "d").is_empty());
    assert_eq!(at(&tree, "e").unwrap().size, 3);
}

#[test]
fn a_directory_over_a_directory_keeps_its_content() {
    let base = layer(|tar| tar.dir("d").file("d/a", ""));
    let top =
        layer(|tar| tar.head(&Head { name: b"d/", kind: b'5', mode: 0o1700, uid: 5, mtime: 77, ..Head::default() }));
    let other = layer(|tar| tar.file("d/b/c", ""));
    let tree = tree(&[base, top, other]);
    let dir = at(&tree, "d").unwrap();
    assert_eq!((dir.mode, dir.uid, dir.mtime.secs), (0o1700, 5, 77), "an implied parent changes nothing");
    assert_eq!(names(&tree, "d"), ["a", "b"]);
    assert_eq!(at(&tree, "d/b").unwrap().mode, 0o755);
    assert_eq!(dir.nlink, 3);
}

#[test]
fn hard_links_are_one_inode() {
    let base = layer(|tar| tar.dir("x").file("x/f", "data").dir("y").hard_link("y/g", "x/f"));
    let top = layer(|tar| tar.hard_link("z/h", "/y/g").file("x/.wh.f", "").hard_link("z/h", "z/h"));
    let tree = tree(&[base.clone(), top]);
    let (g, h) = (at(&tree, "y/g").unwrap(), at(&tree, "z/h").unwrap());
    assert_eq!((g.number, g.nlink, g.size), (h.number, 2, 4));
    assert!(at(&tree, "x/f").is_none());

    for (bad, reason) in [("nowhere", "does not exist"), ("x", "is a directory")] {
        let bad = layer(|tar| tar.hard_link("l", bad));
        let error = merge(&[base.clone(), bad]).unwrap_err().to_string();
        assert!(error.starts_with("cannot merge layer 2: `l`: a hard link to") && error.contains(reason), "{error}");
    }
}

#[test]
fn parents_are_resolved_through_links_and_never_leave_the_root() {
    let base = layer(|tar| tar.dir("usr/lib").symlink("lib", "usr/lib").symlink("up", "../../.."));
    let top = layer(|tar| {
        tar.file("lib/new", "").file("up/etc/x", "").file("../../escape", "").file("/abs", "");
        tar.symlink("dangling", "made/dir").file("dangling/f", "")
    });
    let first = tree(&[base.clone(), top]);
    assert_eq!(names(&first, "usr/lib"), ["new"]);
    assert!(at(&first, "etc/x").is_some() && at(&first, "escape").is_some() && at(&first, "abs").is_some());
    assert!(at(&first, "made/dir/f").is_some());

    let whiteout = layer(|tar| tar.file("lib/.wh.new", ""));
    let own = layer(|tar| tar.dir("lib").file("lib/.wh.new", ""));
    let new = layer(|tar| tar.file("lib/new", ""));
    let second = tree(&[base.clone(), new.clone(), whiteout]);
    assert!(names(&second, "usr/lib").is_empty());
    let third = tree(&[base, new, own]);
    assert_eq!(names(&third, "usr/lib"), ["new"], "a layer that brings its own directory means that one");

    let circle = layer(|tar| tar.symlink("a", "b").symlink("b", "a").file("a/f", ""));
    assert!(merge(&[circle]).unwrap_err().to_string().contains("too many levels of symbolic links"));
}

#[test]
fn the_root_has_an_entry_of_its_own() {
    let tree =
        tree(&[layer(|tar| tar.head(&Head { name: b"./", kind: b'5', mode: 0o700, mtime: 5, ..Head::default() }))]);
    assert_eq!((tree.root().unwrap().mode, tree.root().unwrap().mtime.secs), (0o700, 5));
    assert!(error(&Tar::default().file("/", "").end()).contains("the root can only be a directory"));
}

#[test]
fn devices_and_modes_are_kept_as_data() {
    let tree = tree(&[layer(|tar| {
        tar.head(&Head { name: b"null", kind: b'3', mode: 0o666, device: (1, 3), ..Head::default() });
        tar.head(&Head { name: b"sda", kind: b'4', device: (8, 0), ..Head::default() });
        tar.head(&Head { name: b"pipe", kind: b'6', ..Head::default() });
        tar.head(&Head { name: b"su", mode: 0o104755, ..Head::default() })
    })]);
    assert_eq!((at(&tree, "null").unwrap().kind, at(&tree, "null").unwrap().device()), (Kind::CharDevice, (1, 3)));
    assert_eq!((at(&tree, "sda").unwrap().kind, at(&tree, "sda").unwrap().device()), (Kind::BlockDevice, (8, 0)));
    assert_eq!(at(&tree, "pipe").unwrap().kind, Kind::Fifo);
    assert_eq!(at(&tree, "su").unwrap().mode, 0o4755);
}

#[test]
fn five_hundred_layers_and_not_one_more() {
    let layers: Vec<_> = (0..500).map(|i| layer(|tar| tar.file(format!("f{i}"), ""))).collect();
    assert_eq!(names(&tree(&layers), "/").len(), 500);
    let more = [&layers[..], &layers[..1]].concat();
    assert!(merge(&more).unwrap_err().to_string().contains("more than 500 layers"));
}
