//! A tar whose entries are known by name.

use std::collections::HashMap;
use std::fs::File;

use cowfs::layer::{Kind, Limits, Stream};

use super::{Held, Part, shown, wrong};
use crate::store::{Error, file};

/// How many entries an archive may have.
const MAX_ENTRIES: usize = 100_000;
/// How long the names of all entries and links together may be, in bytes: those of honest archives have some hundred each.
const MAX_NAMES: usize = 32 << 20;
/// Through how many links a name may lead.
const MAX_LINKS: usize = 8;
/// A longer file's content is jumped over, in bytes; of a shorter one it is read, with what comes behind it.
const WORTH_A_JUMP: u64 = 1 << 20;

/// A tar in a file.
#[derive(Debug)]
pub struct Archive {
    file: File,
    entries: HashMap<String, Entry>,
}

#[derive(Debug)]
enum Entry {
    /// Where its content lies, and how long it is.
    File(u64, u64),
    /// What it leads to: another entry.
    Link(String),
    /// A file with holes, which no tool writes here.
    Sparse,
}

impl Archive {
    /// Finds what is in a tar.
    pub fn read(file: File) -> Result<Self, Error> {
        let broken = |error: cowfs::Error| {
            // The reader quotes what it could not read, which may be anything.
            let reason = error.to_string();
            wrong(format!("it is no tar, or a damaged one: {}", shown(reason.lines().next().unwrap_or_default())))
        };
        let length = file.metadata().map_err(|error| broken(cowfs::Error::Read(error)))?.len();
        let limits = Limits { header_bytes: 64 << 10, segments: 10_000, ..Limits::default() };
        let (mut entries, mut base, mut jump, mut names) = (HashMap::new(), 0, true, 0);
        let mut tar = Stream::new(file::From { file: &file, at: 0 }, limits.clone());
        while jump {
            jump = false;
            while let Some(member) = tar.next_member().map_err(broken)? {
                let at = base + tar.position();
                names += member.path.len() + member.link.len();
                if names > MAX_NAMES {
                    return Err(wrong(format!("the names in it are longer than {MAX_NAMES} bytes")));
                }
                let Ok(path) = String::from_utf8(member.path) else { continue };
                let link = String::from_utf8(member.link).ok();
                let whole = member.size == 0 || member.pieces == [(0, member.size)];
                let entry = match (member.kind, link) {
                    (Kind::File, _) if !whole => Entry::Sparse,
                    (Kind::File, _) => {
                        if at.checked_add(member.size).is_none_or(|end| end > length) {
                            return Err(wrong(format!("it ends within {}", shown(&path))));
                        }
                        Entry::File(at, member.size)
                    }
                    (Kind::HardLink, Some(link)) => Entry::Link(clean("", &link)),
                    (Kind::Symlink, Some(link)) => Entry::Link(clean(&path, &link)),
                    _ => continue,
                };
                if entries.len() >= MAX_ENTRIES {
                    return Err(wrong(format!("it has more than {MAX_ENTRIES} entries")));
                }
                jump = matches!(entry, Entry::File(_, size) if size >= WORTH_A_JUMP);
                entries.insert(clean("", &path), entry);
                if jump {
                    base = at + member.size.next_multiple_of(512);
                    tar = Stream::new(file::From { file: &file, at: base }, limits.clone());
                    break;
                }
            }
        }
        drop(tar);
        Ok(Self { file, entries })
    }

    /// Whether there is a file of that name.
    pub fn has(&self, path: &str) -> bool {
        self.reader(path).is_ok()
    }

    /// An entry's content.
    pub fn reader(&self, path: &str) -> Result<Part<'_>, Error> {
        let mut path = clean("", path);
        for _ in 0..MAX_LINKS {
            match self.entries.get(&path) {
                Some(Entry::File(at, size)) => {
                    return Ok(Part { file: Held::Borrowed(&self.file), at: *at, left: *size });
                }
                Some(Entry::Link(to)) => path.clone_from(to),
                Some(Entry::Sparse) => {
                    return Err(wrong(format!("{} is stored with holes, as no file of an image is", shown(&path))));
                }
                None => return Err(wrong(format!("{} is not in it", shown(&path)))),
            }
        }
        Err(wrong(format!("{} leads through too many links", shown(&path))))
    }
}

/// A path within the archive: `link` as it stands in the entry `from`. What leads out of the archive ends at its top.
fn clean(from: &str, link: &str) -> String {
    let base = match from.rsplit_once('/') {
        Some((folder, _)) if !link.starts_with('/') => folder,
        _ => "",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(link.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use proptest::prelude::*;

    use super::*;
    use crate::archive::{Entry as Written, Kind as WrittenKind, Writer};

    fn written(path: &str, kind: WrittenKind<'_>, content: &[u8], writer: &mut Writer<Vec<u8>>) {
        let entry = Written { path: path.as_bytes(), kind, mode: 0o644, uid: 0, gid: 0, mtime: (0, 0), xattrs: &[] };
        match kind {
            WrittenKind::File(_) => writer.file(&entry, &mut &content[..]).unwrap(),
            _ => writer.entry(&entry).unwrap(),
        }
    }

    fn read(tar: &[u8]) -> Result<Archive, Error> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(tar).unwrap();
        Archive::read(file)
    }

    fn content(archive: &Archive, path: &str) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        archive.reader(path)?.read_to_end(&mut bytes).unwrap();
        Ok(bytes)
    }

    #[test]
    fn names_stay_in_the_archive() {
        for (from, link, expected) in [
            ("", "./a/layer.tar", "a/layer.tar"),
            ("a/layer.tar", "../b.tar", "b.tar"),
            ("a/layer.tar", "../../../etc/passwd", "etc/passwd"),
            ("a/layer.tar", "/b", "b"),
        ] {
            assert_eq!(clean(from, link), expected);
        }
    }

    #[test]
    fn what_lies_behind_large_files_is_found() {
        let mut writer = Writer::new(Vec::new());
        let large = vec![7; (WORTH_A_JUMP + 5) as usize];
        for name in ["one", "two"] {
            written(name, WrittenKind::File(large.len() as u64), &large, &mut writer);
            written(&format!("{name}.small"), WrittenKind::File(4), name[..2].repeat(2).as_bytes(), &mut writer);
        }
        written("out", WrittenKind::Symlink(b"/etc/passwd"), b"", &mut writer);
        written("in", WrittenKind::Symlink(b"../two.small"), b"", &mut writer);
        written("round", WrittenKind::HardLink(b"round"), b"", &mut writer);
        let archive = read(&writer.finish().unwrap()).unwrap();
        assert_eq!(content(&archive, "two").unwrap(), large);
        assert_eq!(content(&archive, "./in").unwrap(), b"twtw");
        for missing in ["out", "round", "three"] {
            assert!(content(&archive, missing).is_err(), "{missing}");
        }
    }

    #[test]
    fn names_that_would_fill_the_memory_are_refused() {
        let mut writer = Writer::new(Vec::new());
        for number in 0..1100 {
            written(&format!("{number}{}", "x/".repeat(16_000)), WrittenKind::File(0), b"", &mut writer);
        }
        let error = read(&writer.finish().unwrap()).unwrap_err().to_string();
        assert!(error.contains("the names in it"), "{error}");
    }

    #[test]
    fn a_cut_archive_is_refused() {
        let mut writer = Writer::new(Vec::new());
        written("one", WrittenKind::File(3000), &[1; 3000], &mut writer);
        let tar = writer.finish().unwrap();
        for length in [100, 700, 2000] {
            assert!(matches!(read(&tar[..length]), Err(Error::Archive(_))), "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_damaged_header_is_no_panic(at in 0usize..1024, value in any::<u8>()) {
            let mut writer = Writer::new(Vec::new());
            written("a", WrittenKind::File(5), b"hello", &mut writer);
            let mut tar = writer.finish().unwrap();
            tar[at] = value;
            let sum: u32 = tar[..512].iter().enumerate()
                .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
            tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            if let Ok(archive) = read(&tar) {
                let _ = content(&archive, "a");
            }
        }
    }
}
