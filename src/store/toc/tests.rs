use std::io::Write;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The end of an eStargz: the table's member, and the footer. `at`: how long the blob is in front of it.
fn tail(table: &[u8], name: &str, at: u64) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(table.len() as u64);
    tar.append_data(&mut header, name, table).unwrap();
    let mut tail = gzip(&tar.into_inner().unwrap());
    tail.extend([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, b'S', b'G', 22, 0]);
    tail.extend(format!("{at:016x}STARGZ").bytes());
    tail.extend([1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    tail
}

fn read(entries: &Value) -> Result<Toc, Unfit> {
    let table = json!({"version": 1, "entries": entries}).to_string();
    Toc::parse(table.as_bytes(), &Digest::of(table.as_bytes()), 1000, &Limits::default())
}

#[test]
fn a_table_is_found_by_the_footer() {
    let table = json!({"version": 1, "entries": [{"name": "a/", "type": "dir", "mode": 0o755}]}).to_string();
    let digest = Digest::of(table.as_bytes());
    let limits = Limits::default();
    let from = |tail: &[u8], size: u64, digest: &Digest| Toc::from_tail(tail, size, digest, &limits);
    let tail_of = |at| tail(table.as_bytes(), "stargz.index.json", at);
    let end = tail_of(500);
    let size = 500 + end.len() as u64;
    assert_eq!(from(&end, size, &digest).unwrap().unwrap().index.len(), 1);
    assert_eq!(from(&end[end.len() - 60..], size, &digest).unwrap().unwrap_err(), 500, "its beginning is asked for");
    assert!(matches!(from(&end, size, &Digest::of(b"other")), Err(Unfit::Digest { .. })));
    assert!(matches!(from(&end[..end.len() - 1], size, &digest), Err(Unfit::Wrong(_))));
    assert!(from(&tail_of(size), size, &digest).is_err(), "behind the end");
    assert!(from(&tail_of(501), size, &digest).is_err(), "in the middle of a member");
    let other = tail(table.as_bytes(), "etc/passwd", 500);
    assert!(from(&other, 500 + other.len() as u64, &digest).is_err(), "another file");
    let long = MAX_TABLE + 100;
    assert!(matches!(from(&tail_of(0), long, &digest), Err(Unfit::Long)));
}

#[test]
fn a_table_that_unfolds_without_end_is_refused() {
    let bomb = vec![b' '; usize::try_from(MAX_TABLE).unwrap() + 1];
    let compressed = zstd::encode_all(&bomb[..], 1).unwrap();
    let unfit = Toc::from_chunked(&compressed, 0, &Digest::of(&compressed), &Limits::default()).unwrap_err();
    assert!(matches!(unfit, Unfit::Long), "{unfit}");
    let end = tail(&bomb, "stargz.index.json", 0);
    assert!(matches!(Toc::from_tail(&end, end.len() as u64, &Digest::of(&bomb), &Limits::default()), Err(Unfit::Long)));
}

#[test]
fn pieces_have_ends_and_places() {
    let digest = Digest::of(b"x");
    let toc = read(&json!([
        {"name": "one", "type": "reg", "size": 10, "offset": 100, "chunkSize": 4, "chunkDigest": digest},
        {"name": "one", "type": "chunk", "offset": 200, "chunkOffset": 4, "chunkDigest": digest},
        {"name": "two", "type": "reg", "size": 3, "offset": 200, "innerOffset": 6, "digest": digest},
        {"name": "zeros", "type": "reg", "size": 5, "chunkType": "zeros"},
        {"name": "last", "type": "reg", "size": 1, "offset": 999},
    ]))
    .unwrap();
    let seen: Vec<_> =
        toc.chunks.iter().map(|chunk| (chunk.listed, chunk.len, chunk.blob, chunk.end, chunk.inner)).collect();
    assert_eq!(
        seen,
        [(0, 4, 100, 200, 0), (4, 6, 200, 999, 0), (10, 3, 200, 999, 6), (13, 5, 0, 0, 0), (18, 1, 999, 1000, 0)]
    );
    assert_eq!(
        toc.chunks.iter().map(|chunk| chunk.digest.is_some()).collect::<Vec<_>>(),
        [true, true, true, false, false]
    );
    assert_eq!([3, 4, 17, 18, 19].map(|at| toc.chunk_at(at)), [Some(0), Some(1), Some(3), Some(4), None]);
    assert!(toc.index.tar_bytes() >= cowfs::arriving::ARRIVING);
}

#[test]
fn what_cannot_be_is_refused() {
    let file = |change: Value| {
        let mut entry = json!({"name": "a", "type": "reg", "size": 10, "offset": 1});
        entry.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        entry
    };
    assert!(read(&json!([file(json!({}))])).is_ok());
    for change in [
        json!({"offset": 1000}),
        json!({"offset": -1}),
        json!({"size": -1}),
        json!({"size": u64::MAX}),
        json!({"chunkSize": 11}),
        json!({"chunkSize": 9}),
        json!({"chunkOffset": 1}),
        json!({"chunkDigest": "sha512:00"}),
        json!({"chunkType": "holes"}),
        json!({"type": "socket"}),
        json!({"name": "a\u{0}b"}),
        json!({"name": "x".repeat(300)}),
        json!({"name": "\u{fffd}"}),
        json!({"uid": -1}),
        json!({"uid": u32::MAX}),
        json!({"xattrs": {"user.a": "no base64"}}),
        json!({"type": "symlink"}),
        json!({"type": "char", "devMajor": -1}),
    ] {
        assert!(read(&json!([file(change.clone())])).is_err(), "{change}");
    }
    let stray = json!({"name": "b", "type": "chunk", "offset": 2, "chunkOffset": 10});
    assert!(read(&json!([file(json!({})), stray])).is_err());
    let digest = Digest::of(b"");
    for table in
        [r#"{"entries": [], "entries": []}"#, r#"{"version": 2, "entries": []}"#, "{}", "[]", r#"{"entries": []} x"#]
    {
        assert!(Toc::parse(table.as_bytes(), &digest, 9, &Limits::default()).is_err(), "{table}");
    }
}

proptest! {
    #[test]
    fn any_end_of_a_blob_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<u64>(), size in any::<u64>()) {
        let digest = Digest::of(b"");
        let _ = Toc::from_tail(&bytes, size, &digest, &Limits::default());
        let mut footed = bytes.clone();
        footed.extend(&tail(b"", "x", at)[..]);
        let _ = Toc::from_tail(&footed, size, &digest, &Limits::default());
        let _ = Toc::from_chunked(&bytes, at, &Digest::of(&bytes), &Limits::default());
    }

    #[test]
    fn any_table_is_read_or_refused_and_its_pieces_lie_inside(
        entries in proptest::collection::vec((0_usize..5, "[a./]{0,4}", any::<u16>(), 0_u64..2000, 0_u64..20, 0_u64..20), 0..12)
    ) {
        let entry = |(kind, name, size, offset, chunk, chunk_offset): &(usize, String, u16, u64, u64, u64)| {
            let kind = ["reg", "reg", "chunk", "dir", "hardlink"][*kind];
            json!({"name": name, "type": kind, "size": size % 30, "offset": offset, "chunkSize": chunk, "chunkOffset": chunk_offset, "linkName": name})
        };
        if let Ok(toc) = read(&json!(entries.iter().map(entry).collect::<Vec<_>>())) {
            let mut listed = 0;
            for chunk in &toc.chunks {
                prop_assert!(chunk.listed >= listed && chunk.len > 0 && chunk.blob < chunk.end && chunk.end <= 1000);
                listed = chunk.listed + chunk.len;
            }
        }
    }
}
