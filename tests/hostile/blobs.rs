//! Layers' bytes as they come: of another length, another content, without end, or that unpack to more than there is room for.

use std::io::Write as _;

use enter::image::Digest;
use serde_json::json;

use crate::registry::{Lie, Pushed, gzip, noise, tar};
use crate::victim::Victim;

/// An honest layer of some size, whose blob `lie` is told about.
fn told(lie: impl FnOnce(&[u8]) -> Lie) -> Victim {
    let (victim, pushed, blob) = honest();
    victim.registry.lie(&pushed.blobs[0].to_string(), usize::MAX, lie(&blob));
    victim
}

fn honest() -> (Victim, Pushed, Vec<u8>) {
    let (victim, _) = Victim::new();
    let tars = [tar("noise", &noise(1, 3 << 20))];
    let pushed = victim.registry.push("a", "1", &tars);
    (victim, pushed, gzip(&tars[0]))
}

/// A registry whose image has these blobs as layers. What they unpack to is not what it says.
pub fn layers(blobs: &[Vec<u8>]) -> Victim {
    let (victim, _) = Victim::new();
    let tars: Vec<Vec<u8>> = (0..blobs.len()).map(|at| at.to_le_bytes().to_vec()).collect();
    victim.registry.push_as("a:1", "amd64", &tars, blobs, |_| {});
    victim
}

fn endless(head: &'static str, chunked: bool) -> Lie {
    let chunk = if chunked { [&b"10000\r\n"[..], &[7; 0x10000], b"\r\n"].concat() } else { vec![7; 0x10000] };
    Lie::act(move |_, out| {
        write!(out, "HTTP/1.1 200 OK\r\n{head}\r\n")?;
        loop {
            out.write_all(&chunk)?;
        }
    })
}

#[test]
fn bodies_without_end() {
    told(|_| endless("", false)).refuses(&["longer than"]);
    told(|_| endless("Transfer-Encoding: chunked\r\n", true)).refuses(&["longer than"]);
    told(|_| endless("Content-Length: 18446744073709551615\r\n", false)).refuses(&["127.0.0.1"]);
    told(|_| endless("Content-Length: 9000000000000000000\r\n", false)).refuses(&["announces"]);
}

#[test]
fn bodies_of_another_length() {
    told(|blob| Lie::Body([blob, b"x"].concat())).refuses(&["announces"]);
    told(|blob| Lie::Chunked([blob, b"x"].concat())).refuses(&["longer than"]);
    told(|blob| Lie::Body(blob[..blob.len() - 1].to_vec())).refuses(&["announces"]);
    told(|_| Lie::Body(Vec::new())).refuses(&["announces"]);
    // These are what a broken connection looks like: what came is kept for the next attempt.
    for lie in [told(|blob| Lie::Chunked(blob[..2 << 20].to_vec())), told(|_| Lie::Cut(2 << 20))] {
        lie.pull("a:1").refused(&["connection broke"]);
        assert_eq!(lie.files("layers").len(), 1);
        lie.registry.repent();
        lie.pull("a:1").success();
    }
}

#[test]
fn bodies_of_another_content() {
    told(|blob| Lie::Body(noise(7, blob.len()))).refuses(&["should have the digest"]);
    told(|blob| Lie::Body(vec![0; blob.len()])).refuses(&["should have the digest"]);
    told(|blob| {
        let mut other = blob.to_vec();
        *other.last_mut().unwrap() ^= 1;
        Lie::Body(other)
    })
    .refuses(&["should have the digest"]);
}

#[test]
fn ranges_that_were_not_asked_for() {
    let part = |head: &'static str, skip: usize| {
        told(move |blob| {
            let body = blob[skip..].to_vec();
            Lie::act(move |_, out| {
                write!(out, "HTTP/1.1 206 Partial Content\r\n{head}Content-Length: {}\r\n\r\n", body.len())?;
                out.write_all(&body)
            })
        })
    };
    for (head, skip) in [
        ("", 0),
        ("Content-Range: bytes 5-9/10\r\n", 0),
        ("Content-Range: bytes 100-3147000/3147100\r\n", 100),
        ("Content-Range: bytes 18446744073709551615-18446744073709551615/*\r\n", 0),
        ("Content-Range: bytes -1-5/*\r\n", 0),
        ("Content-Range: \u{1b}[31m\r\n", 0),
        ("Content-Type: multipart/byteranges; boundary=x\r\n", 0),
    ] {
        let outcome = part(head, skip).refuses(&["127.0.0.1"]);
        let words = ["bytes from 0 on", "announces", "no HTTP"];
        assert!(words.iter().any(|words| outcome.stderr.contains(words)), "{}", outcome.stderr);
    }
}

#[test]
fn other_answers_to_a_range() {
    for lie in [
        Lie::Answer(416, vec![("Content-Range", "bytes */1".into())], Vec::new()),
        Lie::Answer(416, Vec::new(), Vec::new()),
        Lie::Answer(404, Vec::new(), Vec::new()),
        Lie::ContentRange("bytes 0-1/2"),
        Lie::ContentRange("bytes 1000000-1000001/*"),
        Lie::Answer(206, Vec::new(), Vec::new()),
        Lie::Answer(204, Vec::new(), Vec::new()),
        Lie::Stall(0),
        Lie::raw("HTTP/1.1 206 OK\r\nContent-Range: bytes 0-18446744073709551614/18446744073709551615\r\n\r\nx"),
    ] {
        let (victim, pushed, _) = honest();
        let blob = pushed.blobs[0].to_string();
        victim.registry.lie(&blob, 1, Lie::Cut(2 << 20));
        victim.pull("a:1").refused(&["connection broke"]);
        victim.registry.lie(&blob, usize::MAX, lie.clone());
        victim.pull("a:1").refused(&["127.0.0.1"]);
        victim.registry.repent();
        victim.pull("a:1").success();
    }
}

#[test]
fn a_part_that_was_kept_of_something_else() {
    let (victim, pushed, blob) = honest();
    let other = noise(9, blob.len());
    victim.registry.lie(
        &pushed.blobs[0].to_string(),
        1,
        Lie::act(move |_, out| {
            write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", other.len())?;
            out.write_all(&other[..2 << 20])
        }),
    );
    victim.pull("a:1").refused(&[]);
    victim.pull("a:1").success();
}

/// The start of a layer and then zeros, as gzip makes them small.
fn gzip_bomb(megabytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut header = tar::Header::new_gnu();
    header.set_path("zeros").unwrap();
    header.set_size(1 << 50);
    header.set_cksum();
    encoder.write_all(header.as_bytes()).unwrap();
    for _ in 0..megabytes {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn bombs() {
    layers(&[gzip_bomb(300)]).refuses(&["inside the content of `zeros`"]);
    // Zeros behind the end of the archive belong to the layer, and are no entries.
    let mut zeros = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    (0..300).for_each(|_| zeros.write_all(&[0; 1 << 20]).unwrap());
    layers(&[zeros.finish().unwrap()]).refuses(&["should have the digest"]);
    // A bomb in a bomb is no tar.
    layers(&[gzip(&gzip_bomb(50))]).refuses(&["cannot be used"]);
    // Empty members without end.
    layers(&[gzip(b"").repeat(200_000)]).refuses(&["should have the digest"]);
}

/// Bytes whose decompression needs a window of this many.
fn with_window(log: u32, seed: u64) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(log).unwrap();
    encoder.long_distance_matching(true).unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_path(format!("f{seed}")).unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    encoder.write_all(header.as_bytes()).unwrap();
    let block = noise(seed, 1 << 20);
    for _ in 0..((1_u64 << log) >> 20) + 2 {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn windows_of_zstd_that_do_not_fit_into_memory_together() {
    layers(&(0..6).map(|at| with_window(27, at)).collect::<Vec<_>>()).refuses(&["content of `f"]);
    layers(&[with_window(30, 1)]).refuses(&["cannot be decompressed"]);
    // A frame that asks for the largest window that there is.
    layers(&[[&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xff][..], &[0; 100]].concat()]).refuses(&["cannot be decompressed"]);
    // Frames to be skipped, of any size.
    layers(&[[&[0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff][..], &[0; 1000]].concat()])
        .refuses(&["127.0.0.1", "cannot be decompressed"][1..]);
}

#[test]
fn streams_that_are_damaged() {
    let whole = gzip(&tar("a", &noise(1, 100_000)));
    let zstd = zstd::encode_all(&tar("a", &noise(1, 100_000))[..], 3).unwrap();
    for blob in [
        whole[..whole.len() - 1].to_vec(),
        whole[..12].to_vec(),
        [&whole[..], b"garbage behind the end"].concat(),
        [&whole[..], &[0; 512]].concat(),
        zstd[..zstd.len() - 1].to_vec(),
        [&zstd[..], b"garbage behind the end"].concat(),
        vec![0x1f, 0x8b],
        vec![0x1f, 0x8b, 8, 0xff, 0, 0, 0, 0, 0, 0],
    ] {
        let outcome = layers(&[blob]).refuses(&[]);
        assert!(
            outcome.stderr.contains("decompressed")
                || outcome.stderr.contains("digest")
                || outcome.stderr.contains("cannot be used"),
            "{}",
            outcome.stderr
        );
    }
    // bzip2 and xz are no layers that anybody makes.
    layers(&[[&b"BZh9"[..], &noise(1, 1000)].concat()]).refuses(&["cannot be used"]);
    layers(&[[&b"\xfd7zXZ\0"[..], &noise(1, 1000)].concat()]).refuses(&["cannot be used"]);
}

#[test]
fn a_layer_with_no_bytes_at_all() {
    let (victim, _) = Victim::new();
    victim.registry.push_as("a:1", "amd64", &[Vec::new()], &[Vec::new()], |_| {});
    victim.pull("a:1").success();
}

#[test]
fn one_blob_for_all_layers() {
    let (victim, pushed) = Victim::new();
    let config =
        json!({"rootfs": {"diff_ids": (0..400).map(|at: i32| Digest::of(&at.to_le_bytes())).collect::<Vec<_>>()}})
            .to_string();
    let id = victim.registry.put_blob("a", config.as_bytes());
    let size = victim.registry.size(&format!("/v2/a/blobs/{}", pushed.blobs[0]));
    let layer =
        json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": pushed.blobs[0], "size": size});
    let manifest =
        json!({"schemaVersion": 2, "config": {"digest": id, "size": config.len()}, "layers": vec![layer; 400]});
    victim.registry.put_manifest("a", "1", crate::registry::OCI_MANIFEST, manifest.to_string().as_bytes());
    victim.refuses(&["should have the digest"]);
    assert!(victim.registry.count(&pushed.blobs[0].to_string()) < 20);
}

#[test]
fn connections_that_are_reset_anywhere() {
    let (victim, pushed, blob) = honest();
    let mut user = victim;
    user.user.set("ENTER_RETRIES", "1");
    for at in [0, 1, 100, 65_536, 1 << 20, blob.len() - 1] {
        user.registry.lie(&pushed.blobs[0].to_string(), 1, Lie::Cut(at));
        user.pull("a:1").success();
        user.enter(&["rmi", &format!("{}/a:1", user.registry.host())]).success();
    }
}
