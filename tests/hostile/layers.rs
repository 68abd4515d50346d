//! Layers with every trick that a tar can play. Where a trick has a harmless meaning it gets that; nothing is written anywhere but below the
//! container's own root.

use std::io::Write as _;

use crate::blobs::layers;
use crate::registry::gzip;
use crate::tars::{Head, Tar, pax_record};
use crate::victim::Victim;

/// A registry whose image `a:1` has this layer, whose digests are right.
fn layer(tar: Vec<u8>) -> Victim {
    let (victim, _) = Victim::new();
    let blob = gzip(&tar);
    victim.registry.push_as("a:1", "amd64", &[tar], &[blob], |_| {});
    victim
}

fn with(fill: impl FnOnce(&mut Tar) -> &mut Tar) -> Victim {
    let mut tar = Tar::default();
    fill(&mut tar);
    layer(tar.end())
}

/// Entries that lead out of the root by their names, and through links.
fn leaving(tar: &mut Tar) -> &mut Tar {
    tar.file("../../../../../../../../tmp/enter-hostile", "x")
        .file("/etc/enter-hostile", "x")
        .symlink("out", "/")
        .file("out/tmp/enter-hostile", "x")
        .symlink("up", "../../../../..")
        .file("up/canary", "x")
        .hard_link("shadow", "out/tmp/enter-hostile")
}

#[test]
fn names_that_would_leave_the_root() {
    let victim = with(|tar| {
        leaving(tar)
            .symlink("loop", "loop")
            .file("a/../../../../canary", "x")
            .file(".wh..wh..opq", "")
            .file("..", "")
            .dir("../..")
    });
    // The last two entries name the root.
    victim.refuses(&["the root can only be a directory"]);
    let victim = with(|tar| leaving(tar).dir("../.."));
    victim.pull("a:1").success();
    assert!(!std::path::Path::new("/tmp/enter-hostile").exists());
}

#[test]
fn links_to_nothing_to_directories_and_in_circles() {
    with(|tar| tar.hard_link("a", "nothing")).refuses_together(&["hard link"]);
    with(|tar| tar.dir("d").hard_link("a", "d")).refuses_together(&["hard link"]);
    with(|tar| tar.hard_link("a", "b").hard_link("b", "a")).refuses_together(&["hard link"]);
    with(|tar| tar.hard_link("a", "../../../../etc/passwd")).refuses_together(&["hard link"]);
    with(|tar| tar.symlink("a", "b").symlink("b", "a").file("a/f", "")).refuses_together(&["symbolic links"]);
    with(|tar| tar.symlink("a", "")).refuses(&["without a target"]);
    with(|tar| tar.hard_link("a", "")).refuses_together(&["hard link"]);
}

#[test]
fn more_than_a_name_a_path_or_a_header_may_have() {
    with(|tar| tar.file("x".repeat(256), "")).refuses(&["bytes in a name"]);
    with(|tar| tar.file(vec!["x"; 3000].join("/"), "")).refuses(&["depth"]);
    with(|tar| tar.file(vec!["x".repeat(200); 21].join("/"), "")).refuses(&["bytes in a path"]);
    with(|tar| tar.symlink("a", "y".repeat(5000))).refuses(&["bytes in a link target"]);
    with(|tar| tar.head(&Head { name: b"pax", kind: b'x', size: 9 << 20, ..Head::default() }))
        .refuses(&["extended header"]);
    with(|tar| tar.head(&Head { name: b"pax", kind: b'L', size: u64::MAX, ..Head::default() })).refuses(&[]);
    with(|tar| tar.head(&Head { name: b"f", size: u64::MAX >> 1, ..Head::default() })).refuses(&[]);
    with(|tar| tar.head(&Head { name: b"f", size: 1 << 62, ..Head::default() })).refuses(&["content of `f`"]);
    with(|tar| tar.file("a\0b", "").pax(&[("path", b"a\0b")]).file("c", "")).refuses(&["NUL"]);
}

#[test]
fn two_readers_that_would_see_two_archives() {
    with(|tar| tar.pax(&[("size", b"3")]).file("f", "four")).refuses(&["two sizes disagree"]);
    with(|tar| tar.pax(&[("size", b"-3")]).file("f", "four")).refuses(&["malformed"]);
    with(|tar| tar.pax(&[("size", b"99999999999999999999999")]).file("f", "four")).refuses(&["malformed"]);
    with(|tar| tar.pax(&[("path", b"a")]).pax(&[("path", b"b")]).file("f", "")).refuses(&["two extended headers"]);
    with(|tar| tar.pax(&[("uid", b"4294967295")]).file("f", "")).refuses(&["owner"]);
    with(|tar| tar.head(&Head { name: b"odd", kind: b'Z', ..Head::default() })).refuses(&["its type `Z` is unknown"]);
    let garbage = [Tar::default().file("a", "a").end(), b"something behind the end".repeat(100)].concat();
    layer(garbage).pull("a:1").success();
}

#[test]
fn words_of_a_layer_that_would_move_the_cursor() {
    let name = b"\x1b]0;owned\x07\x1b[2J\n\xff\xe2\x80\xae";
    with(|tar| tar.hard_link(name, "nothing")).refuses_together(&["hard link"]);
    with(|tar| tar.hard_link("a", name)).refuses_together(&["hard link"]);
    with(|tar| tar.head(&Head { name, size: 1 << 40, ..Head::default() })).refuses(&["content of"]);
    with(|tar| tar.head(&Head { name: b"a", kind: 0x1b, ..Head::default() })).refuses(&["type"]);
}

#[test]
fn sparse_files_that_lie() {
    let map = |records: &[(&str, &[u8])], body: &[u8]| with(|tar| tar.pax(records).file("f", body));
    for (records, body) in [
        (vec![("GNU.sparse.size", &b"10"[..]), ("GNU.sparse.map", b"0,5,3,5")], &b"0123456789"[..]),
        (vec![("GNU.sparse.size", b"10"), ("GNU.sparse.map", b"0,18446744073709551615,1,1")], b"x"),
        (vec![("GNU.sparse.size", b"10"), ("GNU.sparse.map", b"0,5")], b""),
        (vec![("GNU.sparse.size", b"18446744073709551615"), ("GNU.sparse.map", b"18446744073709551614,1")], b"x"),
        (vec![("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"5")], b"99999999999\n"),
        (vec![("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"5")], b"x"),
    ] {
        map(&records, body).refuses(&["cannot be used"]);
    }
    // A hole as large as the kernel takes it costs nothing.
    map(&[("GNU.sparse.size", b"9223372036854775807"), ("GNU.sparse.map", b"0,1")], b"x").pull("a:1").success();
}

#[test]
fn devices_set_ids_and_attributes_are_data() {
    let victim = with(|tar| {
        tar.head(&Head { name: b"sda", kind: b'4', device: (8, 0), mode: 0o6777, ..Head::default() })
            .head(&Head { name: b"mem", kind: b'3', device: (1, 1), ..Head::default() })
            .head(&Head { name: b"root", mode: 0o104755, ..Head::default() })
            .head(&Head { name: b"pipe", kind: b'6', ..Head::default() })
            .pax(&[
                ("SCHILY.xattr.user.overlay.opaque", b"y"),
                ("SCHILY.xattr.trusted.overlay.redirect", b"/"),
                ("SCHILY.xattr.security.selinux", b"x"),
                ("SCHILY.xattr.user.cowfs.owner", b"0"),
            ])
            .file("f", "x")
    });
    victim.pull("a:1").success();
    let mut found = std::process::Command::new("find");
    let store = victim.user.store();
    let found = found
        .arg(&store)
        .args([
            "(", "-type", "b", "-o", "-type", "c", "-o", "-type", "p", "-o", "-type", "l", "-o", "-perm", "/6000", ")",
        ])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}

/// Entries without number, compressed as they are made: each writes what `entry` says.
fn many(count: usize, entry: impl Fn(usize, &mut Tar)) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut part = Tar::default();
    for at in 0..count {
        entry(at, &mut part);
        if part.0.len() > 1 << 20 {
            encoder.write_all(&part.0).unwrap();
            part.0.clear();
        }
    }
    encoder.write_all(&part.end()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn names_without_number() {
    let long = vec!["x".repeat(250); 15].join("/");
    layers(&[many(300_000, |at, tar| {
        tar.file(format!("{long}/{at}"), "");
    })])
    .refuses(&["bytes of memory for the list of files"]);
}

#[test]
fn entries_without_number() {
    layers(&[many(1_000_000, |at, tar| {
        tar.head(&Head { name: &at.to_le_bytes().map(|byte| byte | 0x80), ..Head::default() });
    })])
    .refuses(&["bytes of memory for the list of files"]);
}

#[test]
fn attributes_without_number() {
    let value = vec![b'v'; 200_000];
    layers(&[many(5000, |_, tar| {
        tar.pax(&[("SCHILY.xattr.user.a", &value)]).file("f", "");
    })])
    .refuses(&["bytes of memory for the list of files"]);
    let header: Vec<u8> = (0..300_000).flat_map(|at| pax_record(&format!("SCHILY.xattr.user.{at}"), b"")).collect();
    layers(&[many(20, |_, tar| {
        tar.head(&Head { name: b"pax", kind: b'x', size: header.len() as u64, ..Head::default() })
            .body(&header)
            .file("f", "");
    })])
    .refuses(&["bytes in an extended header"]);
    let short: Vec<u8> =
        (0..30_000).flat_map(|at| pax_record(&format!("SCHILY.xattr.user.{}", at % 20_000), b"")).collect();
    layers(&[many(20, |_, tar| {
        tar.head(&Head { name: b"pax", kind: b'x', size: short.len() as u64, ..Head::default() })
            .body(&short)
            .file("f", "");
    })])
    .refuses(&["extended attributes of an entry"]);
}

#[test]
fn pieces_without_number() {
    let map: Vec<String> = (0..500_000).map(|at| format!("{},1", at * 2)).collect();
    let map = map.join(",");
    let content = vec![b'x'; 500_000];
    layers(&[many(30, |_, tar| {
        tar.pax(&[("GNU.sparse.size", b"2000000"), ("GNU.sparse.map", map.as_bytes())]).file("f", &content);
    })])
    .refuses(&["bytes in an extended header"]);
    let map: Vec<String> = (0..80_000).map(|at| format!("{},1", at * 2)).collect();
    let map = map.join(",");
    let content = vec![b'x'; 80_000];
    layers(&[many(10, |_, tar| {
        tar.pax(&[("GNU.sparse.size", b"2000000"), ("GNU.sparse.map", map.as_bytes())]).file("f", &content);
    })])
    .refuses(&["pieces of sparse files"]);
}

#[test]
fn links_that_cost_time() {
    // Each of forty links leads through a path as long as a path may be.
    let deep = vec!["d"; 1000].join("/");
    let victim = with(|tar| {
        tar.dir(&deep);
        for at in 0..39 {
            tar.symlink(format!("l{at}"), format!("{deep}{}/l{}", "/..".repeat(1000), at + 1));
        }
        tar.symlink("l39", "/");
        for at in 0..3000 {
            tar.file(format!("l0/f{at}"), "");
        }
        tar
    });
    let outcome = victim.pull("a:1");
    assert!(outcome.code().is_some(), "{outcome:?}");
}

#[test]
fn a_layer_that_hides_everything_again_and_again() {
    let tars: Vec<Vec<u8>> = (0..40)
        .map(|at| {
            let mut tar = Tar::default();
            for file in 0..500 {
                tar.file(format!("d{}/f{file}", at % 2), "")
                    .file(format!("d{}/.wh..wh..opq", at % 2), "")
                    .file(format!("d{}/.wh.f{file}", at % 2), "");
            }
            tar.file(".wh..wh..opq", "");
            tar.end()
        })
        .collect();
    let (victim, _) = Victim::new();
    let blobs: Vec<Vec<u8>> = tars.iter().map(|tar| gzip(tar)).collect();
    victim.registry.push_as("a:1", "amd64", &tars, &blobs, |_| {});
    victim.pull("a:1").success();
}

#[test]
fn folders_that_no_entry_describes() {
    let deep = vec!["d"; 2000].join("/");
    with(|tar| {
        for at in 0..1000 {
            tar.file(format!("{at}/{deep}/f"), "");
        }
        tar
    })
    .refuses_together(&["bytes of memory for the list of files"]);
}

#[test]
fn layers_that_are_too_much_together() {
    let tars: Vec<Vec<u8>> = (0..12)
        .map(|layer| {
            let mut tar = Tar::default();
            for at in 0..60_000 {
                tar.head(&Head { name: format!("{layer}/{at}").as_bytes(), ..Head::default() });
            }
            tar.end()
        })
        .collect();
    let (victim, _) = Victim::new();
    let blobs: Vec<Vec<u8>> = tars.iter().map(|tar| gzip(tar)).collect();
    victim.registry.push_as("a:1", "amd64", &tars, &blobs, |_| {});
    victim.refuses_together(&["bytes of memory for the list of files"]);
}
