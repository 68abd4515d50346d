//! Options as they are typed, and as podman and mount(8) say them.

use proptest::prelude::*;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::*;

fn parse(text: &str) -> Result<Options> {
    Options::parse(&[text.as_bytes().to_vec()])
}

#[track_caller]
fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn what_podman_says() {
    let text = "lowerdir=/s/l/A:/s/l/B,upperdir=/s/c/diff,workdir=/s/c/work,nodev,,volatile,\
        uidmapping=:0:1000:1:1:100000:65536,context=\"system_u:object_r:container_file_t:s0:c1,c2\"";
    let options = parse(text).unwrap();
    assert_eq!(options.lower, [PathBuf::from("/s/l/A"), PathBuf::from("/s/l/B")]);
    assert_eq!(options.upper, Some(("/s/c/diff".into(), "/s/c/work".into())));
    assert!(options.volatile && options.mount.no_dev && !options.mount.read_only);
    assert_eq!(options.mount.context.as_deref(), Some("system_u:object_r:container_file_t:s0:c1,c2"));
    let owners = options.owners();
    assert_eq!(
        (owners.uid(0), owners.uid(2), owners.uid(70_000)),
        (1000, 100_001, 165_533),
        "the last is nobody, 65534"
    );
    assert_eq!(owners.gid(5), 5, "no mapping is no change");
}

#[test]
fn where_mounts_below_are_seen() {
    let said = |text: &str| parse(&format!("lowerdir=/l,{text}")).unwrap().mount.propagation;
    assert_eq!(said("ro"), MsFlags::empty());
    assert_eq!(said("private"), MsFlags::MS_PRIVATE);
    assert_eq!(said("rslave"), MsFlags::MS_SLAVE | MsFlags::MS_REC);
    assert_eq!(said("rslave,shared"), MsFlags::MS_SHARED, "the last counts");
    assert!(refused("lowerdir=/l,private=1").contains("private"));
}

#[test]
fn names_with_separators_in_them() {
    let options = parse(r"lowerdir=/a\:b:/c\,d:/e\\f,ro").unwrap();
    assert_eq!(options.lower, [PathBuf::from("/a:b"), PathBuf::from("/c,d"), PathBuf::from(r"/e\f")]);
    let options = parse(r"lowerdir=/a\\,upperdir=/u\,v,workdir=/w\:x").unwrap();
    assert_eq!(options.upper, Some(("/u,v".into(), "/w:x".into())));
}

#[test]
fn squashing() {
    let owners = |text: &str| parse(&format!("lowerdir=/l,{text}")).unwrap().owners();
    assert_eq!((owners("squash_to_root").uid(7), owners("squash_to_root").gid(7)), (0, 0));
    let one = owners("squash_to_uid=5,squash_to_root");
    assert_eq!((one.uid(7), one.gid(7)), (5, 0));
    assert_eq!((owners("squash_to_gid=5").uid(7), owners("squash_to_gid=5").gid(7)), (7, 5));
}

#[test]
fn without_an_upper_directory_it_is_read_only() {
    assert!(parse("lowerdir=/l,rw").unwrap().mount.read_only);
    assert!(parse("lowerdir=/l,upperdir=/u,workdir=/w,ro").unwrap().mount.read_only);
    assert_eq!(refused("lowerdir=/l,upperdir=/u"), "mount option `workdir`: upperdir needs it");
    assert_eq!(refused("upperdir=/u,workdir=/w"), "mount option `lowerdir`: it is missing");
}

#[test]
fn what_cannot_be_done_is_refused() {
    assert_eq!(refused("lowerdir=/l,colour=red"), "there is no mount option `colour`");
    assert_eq!(refused("lowerdir=/l,plugins=/x.so"), "mount option `plugins=/x.so`: there are no plugins");
    assert_eq!(
        refused("lowerdir=/l,metacopy=on"),
        "mount option `metacopy=on`: it is on with xattr_permissions, and off without".replace("=on`", "`")
    );
    for text in [
        "lowerdir=/a::/b",
        "threaded=0",
        "redirect_dir=on",
        "fsync=2",
        "fsync",
        "volatile=1",
        "uidmapping=0:0",
        "uidmapping=0:0:0",
        "gidmapping=0:4294967295:2",
        "squash_to_uid=-1",
        "timeout=-1",
        "timeout=soon",
        "fsname=",
        "max_idle_threads=3",
    ] {
        assert!(refused(&format!("lowerdir=/l,{text}")).contains(text), "{text}");
    }
}

#[test]
fn what_is_so_anyway_may_be_said() {
    let plain = parse("lowerdir=/l").unwrap();
    let said = "lowerdir=/l,defaults,default_permissions,lazytime,threaded=1,fast_ino=1,fsync=1,writeback=0,noxattrs=0,\
        xattr_permissions=0,metacopy=off,redirect_dir=off,rw,suid,nodev,exec,noatime,diratime,async,fsname=cowfs";
    assert_eq!(parse(said).unwrap(), plain);
}

#[test]
fn every_option_of_the_manual_is_known() {
    for name in KNOWN.iter().flat_map(|(names, _)| names.split(", ")) {
        let name = name
            .replace("DIR[:DIR]...", "/l")
            .replace("UID:SHOWN:COUNT[:...]", "0:0:1")
            .replace("GID:SHOWN:COUNT[:...]", "0:0:1");
        let name = ["UID", "GID", "SECONDS"].iter().fold(name, |name, word| name.replace(&format!("={word}"), "=7"));
        let name = name.split(['|', '[']).next().unwrap().to_owned();
        if let Err(error) = parse(&format!("lowerdir=/l,upperdir=/u,workdir=/w,{name}")) {
            assert!(name == "metacopy=on", "{error}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_options_or_an_error(text in prop::collection::vec(
        prop::sample::select(vec!["lowerdir=", "upperdir=", "workdir=/w", "uidmapping=", ",", ":", "\\", "\"", "0", "7", "/a", "timeout=", "e9"]), 0..20)
    ) {
        let _ = parse(&text.concat());
    }

    #[test]
    fn every_path_can_be_said(paths in prop::collection::vec(prop::collection::vec(1..=255_u8, 1..12), 1..4)) {
        let escape = |path: &Vec<u8>| {
            path.iter().flat_map(|&b| if b"\\:,\"".contains(&b) { vec![b'\\', b] } else { vec![b] }).collect::<Vec<u8>>()
        };
        let text = [b"lowerdir=".to_vec(), paths.iter().map(escape).collect::<Vec<_>>().join(&b':')].concat();
        let expected: Vec<PathBuf> = paths.iter().map(|path| OsString::from_vec(path.clone()).into()).collect();
        prop_assert_eq!(Options::parse(&[text]).unwrap().lower, expected);
    }
}
