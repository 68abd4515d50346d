use std::io::Read;

use super::super::{Slot, Store};
use super::*;

fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
        }
        builder.append_data(&mut header, name, &content[..]).unwrap();
    }
    builder.into_inner().unwrap()
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * at / 7 % 31) as u8 + 48).collect()
}

struct Fixture {
    _dir: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { store: Store::open(&dir.path().join("v1")).unwrap(), _dir: dir }
    }

    fn layer(&self, tar: &[u8]) -> Layer {
        match self.store.layer(&Digest::of(tar), &|| ()).unwrap() {
            Slot::Ready(layer) => layer,
            Slot::Absent(pending) => {
                drop(pending);
                self.store.draft("it", &mut &*tar).unwrap().publish().unwrap()
            }
        }
    }
}

fn bytes(encoded: &mut Encoded) -> Vec<u8> {
    let mut bytes = Vec::new();
    encoded.file.read_to_end(&mut bytes).unwrap();
    assert_eq!(Descriptor { digest: Digest::of(&bytes), size: bytes.len() as u64 }, encoded.blob);
    bytes
}

fn decoded(bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    super::super::decode::Decoder::new(bytes).unwrap().read_to_end(&mut all).unwrap();
    all
}

fn all() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("empty", tar(&[])),
        ("nothing at all", Vec::new()),
        ("small", tar(&[("etc/", Vec::new()), ("etc/a", b"a".to_vec()), ("etc/none", Vec::new())])),
        ("large", tar(&[("a", text(5 << 20)), ("b", text(100)), ("c", text((512 << 10) * 2))])),
        ("long name", tar(&[(&"d/".repeat(120), Vec::new()), (&"x".repeat(180), text(10))])),
    ]
}

#[test]
fn what_is_compressed_comes_back_and_is_the_same_each_time() {
    for how in [Compression::Gzip, Compression::Zstd, Compression::ZstdChunked] {
        for level in [None, Some(1), Some(9)] {
            for (name, tar) in all().into_iter().filter(|(name, _)| *name != "nothing at all") {
                let (one, two) = (Fixture::new(), Fixture::new());
                let first = bytes(&mut one.layer(&tar).encode(how, level, true).unwrap());
                assert!(decoded(&first) == tar, "{} of {name}", how.name());
                let second = bytes(&mut two.layer(&tar).encode(how, level, false).unwrap());
                assert!(first == second, "{} of {name}", how.name());
                assert!(two.layer(&tar).forms().unwrap().is_empty());
                let again = one.layer(&tar);
                assert_eq!(again.forms().unwrap().len(), 1);
                assert!(bytes(&mut again.encode(how, level, true).unwrap()) == first);
            }
        }
    }
}

#[test]
fn a_damaged_layer_is_not_compressed() {
    let fixture = Fixture::new();
    let layer = fixture.layer(&tar(&[("a", text(5000))]));
    let mut damaged = std::fs::read(layer.tar()).unwrap();
    damaged[600] ^= 1;
    std::fs::write(layer.tar(), damaged).unwrap();
    for how in [Compression::Gzip, Compression::Zstd, Compression::ZstdChunked] {
        assert!(matches!(layer.encode(how, None, true), Err(Error::Digest { .. })));
    }
    assert!(layer.forms().unwrap().is_empty());
    assert_eq!(std::fs::read_dir(layer.dir()).unwrap().count(), 2);
}

/// Reads a table of contents as a stranger would: by the annotations alone.
fn part(bytes: &[u8], annotations: &BTreeMap<String, String>, key: &str) -> Vec<u8> {
    let position = &annotations[&format!("io.github.containers.zstd-chunked.{key}-position")];
    let numbers: Vec<usize> = position.split(':').map(|number| number.parse().unwrap()).collect();
    let raw = &bytes[numbers[0]..numbers[0] + numbers[1]];
    let all = decoded(raw);
    assert_eq!(all.len(), numbers[2]);
    all
}

#[test]
fn a_table_of_contents_leads_to_each_file() {
    for (name, tar) in all().into_iter().filter(|(name, _)| *name != "nothing at all") {
        let fixture = Fixture::new();
        let mut encoded = fixture.layer(&tar).encode(Compression::ZstdChunked, None, true).unwrap();
        assert_eq!(encoded.compression, Compression::ZstdChunked, "{name}");
        let annotations = encoded.annotations.clone();
        let bytes = bytes(&mut encoded);
        let table: serde_json::Value = serde_json::from_slice(&part(&bytes, &annotations, "manifest")).unwrap();
        let mut contents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for row in table["entries"].as_array().unwrap() {
            let number = |key: &str| row[key].as_u64().unwrap_or(0);
            let at = usize::try_from(number("offset")).unwrap();
            let content = contents.entry(row["name"].as_str().unwrap().to_owned()).or_default();
            if at > 0 {
                let frame = zstd::zstd_safe::find_frame_compressed_size(&bytes[at..]).unwrap();
                let part = decoded(&bytes[at..at + frame]);
                if let Some(digest) = row["chunkDigest"].as_str() {
                    assert_eq!(Digest::of(&part).to_string(), digest);
                    assert_eq!((number("chunkOffset"), number("chunkSize")), (content.len() as u64, part.len() as u64));
                }
                content.extend_from_slice(&part);
            }
        }
        // The tar again, of nothing but files and what stands between them.
        let mut again = Vec::new();
        for line in part(&bytes, &annotations, "tarsplit").split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
        {
            let line: serde_json::Value = serde_json::from_slice(line).unwrap();
            if line["type"] == 2 {
                use base64::Engine;
                let payload = line["payload"].as_str().unwrap();
                again.extend(base64::engine::general_purpose::STANDARD.decode(payload).unwrap());
            } else {
                let content = &contents[line["name"].as_str().unwrap()];
                assert_eq!(line["size"].as_u64().unwrap_or(0), content.len() as u64);
                again.extend_from_slice(content);
            }
        }
        assert!(again == tar, "{name}");
        let footer = &bytes[bytes.len() - 64..];
        assert_eq!(&footer[56..], b"GNUlInUx");
        for row in table["entries"].as_array().unwrap().iter().filter(|row| row["type"] == "reg") {
            let content = &contents[row["name"].as_str().unwrap()];
            assert_eq!(row["size"].as_u64().unwrap_or(0), content.len() as u64);
            if !content.is_empty() {
                assert_eq!(row["digest"].as_str().unwrap(), Digest::of(content).to_string());
            }
            assert_eq!(row["modtime"], "2023-11-14T22:13:20Z");
        }
    }
}

#[test]
fn what_a_table_has_no_words_for_is_plain_zstd() {
    let entry = |kind, name: &[u8], content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name);
        header.set_cksum();
        (header, content.to_vec())
    };
    let tar = |entries: &[(tar::Header, Vec<u8>)]| {
        let mut builder = tar::Builder::new(Vec::new());
        entries.iter().for_each(|(header, content)| builder.append(header, &content[..]).unwrap());
        builder.into_inner().unwrap()
    };
    let strange = tar(&[entry(tar::EntryType::Regular, b"\xff\xfe", b"abc")]);
    // The value of an attribute that looks like records of its own.
    let lines = b"SCHILY.xattr.user.lines=a\n19 path=etc/shadow\n\n";
    let lines = [format!("{} ", lines.len() + 3).as_bytes(), lines].concat();
    let smuggled =
        tar(&[entry(tar::EntryType::XHeader, b"x", &lines), entry(tar::EntryType::Regular, b"plain", b"abc")]);
    for tar in [strange, smuggled, Vec::new()] {
        let fixture = Fixture::new();
        let mut encoded = fixture.layer(&tar).encode(Compression::ZstdChunked, None, true).unwrap();
        assert_eq!((encoded.compression, encoded.annotations.len()), (Compression::Zstd, 0));
        let bytes = bytes(&mut encoded);
        assert!(!bytes.is_empty() && decoded(&bytes) == tar);
    }
}
