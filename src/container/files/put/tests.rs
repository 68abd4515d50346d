use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use proptest::prelude::*;

use super::super::copy;
use super::super::{Copied, Into, Whose};
use super::*;
use crate::archive::{Entry, Kind, Writer};

const FILE: Entry<'_> =
    Entry { path: b"file", kind: Kind::File(0), mode: 0o644, uid: 7, gid: 8, mtime: (1_000, 5), xattrs: &[] };

struct Fixture {
    dir: tempfile::TempDir,
}

/// A directory to unpack in, beside one that nothing may come to.
fn fixture() -> Fixture {
    let dir = tempfile::tempdir_in("/var/tmp").unwrap();
    fs::create_dir(dir.path().join("in")).unwrap();
    fs::create_dir(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/precious"), "kept").unwrap();
    Fixture { dir }
}

impl Fixture {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn unpack(&self, tar: &[u8]) -> Result<Unpacked, Told> {
        copy::unpack(&View::of_host().unwrap(), tar, &Into::Path(self.path("in"), Whose::Root))
    }

    fn outside_is_as_it_was(&self) -> bool {
        let names: Vec<_> =
            fs::read_dir(self.path("outside")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names == ["precious"]
            && fs::read_to_string(self.path("outside/precious")).unwrap() == "kept"
            && fs::metadata(self.path("outside/precious")).unwrap().nlink() == 1
            && fs::read_dir(self.dir.path()).unwrap().count() == 2
    }
}

fn tar_of(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for entry in entries {
        let size = if let Kind::File(size) = entry.kind { size } else { 0 };
        writer.file(entry, &mut io::repeat(b'x').take(size)).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn files_come_with_times_and_attributes_and_without_set_id_bits() {
    let there = fixture();
    let xattrs = [(b"user.note".to_vec(), b"1".to_vec()), (b"user.overlay.opaque".to_vec(), b"y".to_vec())];
    let tar = tar_of(&[
        Entry { path: b"d", kind: Kind::Directory, mode: 0o500, ..FILE },
        Entry { path: b"d/f", kind: Kind::File(3), mode: 0o4755, xattrs: &xattrs, ..FILE },
        Entry { path: b"d/g", kind: Kind::HardLink(b"d/f"), ..FILE },
        Entry { path: b"d/l", kind: Kind::Symlink(b"/nowhere"), ..FILE },
        Entry { path: b"d/null", kind: Kind::CharDevice(1, 3), ..FILE },
    ]);
    assert_eq!(there.unpack(&tar).unwrap().devices, 1);
    let file = fs::metadata(there.path("in/d/f")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.mtime(), file.mtime_nsec(), file.nlink()), (0o755, 1_000, 5, 2));
    assert_eq!(sys::xattr::get(&there.path("in/d/f"), c"user.note").unwrap(), b"1");
    assert!(!sys::xattr::has(&there.path("in/d/f"), c"user.overlay.opaque"));
    assert_eq!(fs::read_link(there.path("in/d/l")).unwrap(), PathBuf::from("/nowhere"));
    assert!(!there.path("in/d/null").exists());
    assert_eq!(fs::metadata(there.path("in/d")).unwrap().mode() & 0o7777, 0o500);
    fs::set_permissions(there.path("in/d"), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn no_entry_leads_out() {
    let outside = "../outside";
    for entries in [
        vec![Entry { path: b"../outside/new", ..FILE }],
        vec![Entry { path: b"a/../../outside/new", ..FILE }],
        vec![Entry { kind: Kind::Symlink(outside.as_bytes()), ..FILE }, Entry { path: b"file/new", ..FILE }],
        vec![Entry { kind: Kind::Symlink(outside.as_bytes()), ..FILE }, Entry { path: b"file/precious", ..FILE }],
        vec![
            Entry { kind: Kind::Symlink(b"../outside"), ..FILE },
            Entry { path: b"h", kind: Kind::HardLink(b"file/precious"), ..FILE },
        ],
        vec![Entry { path: b"h", kind: Kind::HardLink(b"../outside/precious"), ..FILE }],
        vec![
            Entry { kind: Kind::Symlink(b"../outside"), ..FILE },
            Entry { path: b"file", kind: Kind::Directory, mode: 0o777, ..FILE },
        ],
    ] {
        let there = fixture();
        assert!(there.unpack(&tar_of(&entries)).is_err(), "{entries:?}");
        assert!(there.outside_is_as_it_was(), "{entries:?}");
    }
}

#[test]
fn a_link_in_the_place_of_a_file_is_replaced_and_not_written_through() {
    let there = fixture();
    symlink("../outside/precious", there.path("in/file")).unwrap();
    there.unpack(&tar_of(&[Entry { kind: Kind::File(3), ..FILE }])).unwrap();
    assert_eq!(fs::read_to_string(there.path("in/file")).unwrap(), "xxx");
    assert!(there.outside_is_as_it_was());
}

#[test]
fn what_is_packed_is_unpacked_the_same_with_its_holes() {
    let there = fixture();
    let from = there.path("in/tree");
    fs::create_dir_all(from.join("deep/er")).unwrap();
    let file = File::create(from.join("deep/sparse")).unwrap();
    file.set_len(20 << 20).unwrap();
    std::os::unix::fs::FileExt::write_at(&file, b"middle", 10 << 20).unwrap();
    symlink("sparse", from.join("deep/link")).unwrap();
    let tar = File::from(OwnedFd::from(tempfile::tempfile().unwrap()));
    let view = View::of_host().unwrap();
    let copied = Copied { path: from.join("."), follow: false, whose: Whose::Root };
    copy::pack(&view, &copied, tar.try_clone().unwrap()).unwrap();
    // As zeroes, which every reader takes.
    assert!(tar.metadata().unwrap().len() > 20 << 20);
    (&tar).seek(SeekFrom::Start(0)).unwrap();
    copy::unpack(&view, tar, &Into::Path(there.path("in/copy"), Whose::Root)).unwrap();
    let copy = fs::metadata(there.path("in/copy/deep/sparse")).unwrap();
    assert!((copy.len(), copy.blocks() < 4096) == (20 << 20, true));
    assert_eq!(fs::read(from.join("deep/sparse")).unwrap(), fs::read(there.path("in/copy/deep/sparse")).unwrap());
    assert_eq!(fs::read_link(there.path("in/copy/deep/link")).unwrap(), PathBuf::from("sparse"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_archive_changes_what_is_outside(
        entries in proptest::collection::vec(
            ("(a|b|c|\\.\\.|\\.|/)(/(a|b|c|\\.\\.)){0,3}", 0..6, "(\\.\\./)?(a|b|\\.\\./outside|\\.\\./outside/precious|/|\\.)(/(a|precious))?"),
            1..12,
        )
    ) {
        let there = fixture();
        let entries: Vec<Entry<'_>> = entries
            .iter()
            .map(|(path, kind, link)| Entry {
                path: path.as_bytes(),
                kind: match kind {
                    0 | 1 => Kind::File(5),
                    2 => Kind::Directory,
                    3 => Kind::HardLink(link.as_bytes()),
                    4 => Kind::Symlink(link.as_bytes()),
                    _ => Kind::Fifo,
                },
                ..FILE
            })
            .collect();
        let _ = there.unpack(&tar_of(&entries));
        prop_assert!(there.outside_is_as_it_was());
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let there = fixture();
        let _ = there.unpack(&bytes);
        prop_assert!(there.outside_is_as_it_was());
    }
}

#[test]
fn an_attribute_or_a_name_with_a_newline_is_as_good_as_any() {
    let there = fixture();
    let xattrs = [(b"user.note".to_vec(), b"a\n29 path=elsewhere/authorized\n".to_vec())];
    let name = "d/größe\nx\u{9b}2J";
    let tar = tar_of(&[
        Entry { path: b"d", kind: Kind::Directory, mode: 0o755, ..FILE },
        Entry { path: b"d/plain", kind: Kind::File(3), xattrs: &xattrs, ..FILE },
        Entry { path: name.as_bytes(), kind: Kind::File(2), ..FILE },
    ]);
    there.unpack(&tar).unwrap();
    assert_eq!(fs::read_to_string(there.path("in").join("d/plain")).unwrap(), "xxx");
    assert_eq!(fs::read_to_string(there.path("in").join(name)).unwrap(), "xx");
    let made: Vec<_> = fs::read_dir(there.path("in")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made, ["d"]);
}

#[test]
fn a_hole_as_large_as_can_be_takes_no_time() {
    let there = fixture();
    let size = 1 << 43;
    let mut writer = Writer::new(Vec::new());
    writer.entry(&Entry { path: b"file", kind: Kind::Sparse(size, &[(0, 512)]), ..FILE }).unwrap();
    writer.content(512, &mut io::repeat(b'x').take(512)).unwrap();
    there.unpack(&writer.finish().unwrap()).unwrap();
    assert_eq!(fs::metadata(there.path("in/file")).unwrap().len(), size);
}
