//! Tests of frames of zstd.

use std::io::Write;

use proptest::prelude::*;

use super::*;

fn compress(bytes: &[u8], log: Option<u32>, pledged: bool) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    if let Some(log) = log {
        encoder.window_log(log).unwrap();
    }
    if pledged {
        encoder.set_pledged_src_size(Some(bytes.len() as u64)).unwrap();
    }
    encoder.include_checksum(bytes.len().is_multiple_of(2)).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn read(bytes: &[u8], at_once: usize, threads: usize) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut frames = Frames::with(io::BufReader::with_capacity(at_once, bytes), threads);
    let mut buffer = vec![0; at_once];
    loop {
        match frames.read(&mut buffer)? {
            0 => return Ok(all),
            got => all.extend_from_slice(&buffer[..got]),
        }
    }
}

fn noise(seed: usize, length: usize) -> Vec<u8> {
    let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1;
    let next = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(next).collect()
}

fn window(bytes: &[u8]) -> Option<u64> {
    header(bytes).map(|about| about.window)
}

#[test]
fn headers_are_read() {
    for log in [10, 17, 23, 27] {
        let about = header(&compress(&[1; 100], Some(log), false)).unwrap();
        assert_eq!((about.window, about.content, about.length), (1 << log, None, 6));
    }
    for (size, length) in [(0, 6), (200, 6), (300, 7), (70_000, 9)] {
        let about = header(&compress(&vec![1; size], None, true)).unwrap();
        assert_eq!((about.window, about.content, about.length), (size as u64, Some(size as u64), length));
    }
    assert_eq!(window(&[0x28, 0xb5, 0x2f, 0xfd, 0, 0xff]), Some((1 << 41) + 7 * (1 << 38)));
    assert_eq!(window(b"(\xb5/\xfd"), None);
}

#[test]
fn frames_of_all_sizes_follow_each_other() {
    let parts = [
        compress(b"one ", None, true),
        compress(&[7; 100_000], Some(25), false),
        compress(b"", None, false),
        compress(b"end", Some(24), false),
    ];
    let skipped = [&[0x5f, 0x2a, 0x4d, 0x18, 40, 0, 0, 0][..], &[1; 40]].concat();
    let bytes = [&skipped[..], &parts[0], &skipped, &parts[1], &parts[2], &parts[3], &skipped].concat();
    let whole = [&b"one "[..], &[7; 100_000], b"end"].concat();
    for threads in [1, 3] {
        for at_once in [1, 7, 1000, 1 << 20] {
            assert!(read(&bytes, at_once, threads).unwrap() == whole, "{at_once} {threads}");
        }
        for cut in [1, 10, bytes.len() - 1, bytes.len() - 45, bytes.len() - 50] {
            assert!(read(&bytes[..cut], 100, threads).is_err(), "{cut} {threads}");
        }
    }
}

#[test]
fn small_frames_are_decompressed_ahead_and_others_as_they_come() {
    // Tiny ones, some that fill a piece, one that compresses hardly, ones that become too much (which one says, and one does not), one with a large
    // window, and what is skipped.
    let parts: Vec<(Vec<u8>, Option<u32>, bool)> = (0..400)
        .map(|at| match at {
            50 => (noise(at, 9 << 20), None, true),
            100 => (vec![1; 30 << 20], None, false),
            150 => (vec![2; 30 << 20], None, true),
            200 => (noise(at, 100_000), Some(25), false),
            250 => (Vec::new(), None, true),
            _ if at % 40 == 0 => (noise(at, 3 << 20), Some(21), false),
            _ => (noise(at, at * 37), None, at % 3 == 0),
        })
        .collect();
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0][..], &[1; 4]].concat();
    let frame = |(bytes, log, pledged): &(Vec<u8>, Option<u32>, bool)| {
        [&skipped[..], &compress(bytes, *log, *pledged)].concat()
    };
    let stream: Vec<u8> = parts.iter().flat_map(frame).collect();
    let content: Vec<u8> = parts.iter().flat_map(|(bytes, ..)| bytes.iter().copied()).collect();
    for threads in [1, 2, 4] {
        assert!(read(&stream, 100_000, threads).unwrap() == content, "{threads}");
    }
    for cut in [1, 9, 100_000, stream.len() / 2] {
        assert!(read(&stream[..stream.len() - cut], 100_000, 3).is_err(), "{cut}");
    }
    assert!(read(&[&stream[..], b"something else"].concat(), 100_000, 3).is_err());
}

#[test]
fn what_is_cut_says_how_much_it_becomes() {
    for (bytes, log, pledged) in [
        (vec![5; 1 << 20], None, true),
        (vec![5; 1 << 20], Some(20), false),
        (noise(1, 300_000), Some(17), false),
        (noise(2, 300), None, false),
    ] {
        let frame = compress(&bytes, log, pledged);
        let mut source = Look::new(&frame[..]);
        let Cut::Frames(cut, becomes, _) = cut(&mut source).unwrap() else { panic!("not cut") };
        assert_eq!(cut, frame);
        assert!(becomes >= bytes.len() && becomes <= bytes.len() + (256 << 10), "{becomes}");
        assert!(source.is_bare());
    }
    for (bytes, log, pledged) in
        [(vec![5; 20 << 20], None, true), (vec![5; 20 << 20], None, false), (vec![5; 10], Some(24), false)]
    {
        let frame = compress(&bytes, log, pledged);
        assert!(matches!(cut(&mut Look::new(&frame[..])).unwrap(), Cut::Nothing(_)), "{log:?} {pledged}");
    }
}

#[test]
fn large_windows_wait_for_each_other_and_for_what_is_ahead() {
    let (large, small) = (compress(&[1; 1000], Some(26), false), compress(&[2; 1000], Some(20), false));
    let frames = [small.repeat(3), large, small.repeat(3)].concat();
    let content = [&[2; 3000][..], &[1; 1000], &[2; 3000]].concat();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert!(read(&frames.repeat(20), 50, 3).unwrap() == content.repeat(20)));
        }
    });
}

proptest! {
    #[test]
    fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), start in 0_usize..3) {
        let start: &[u8] = [&MAGIC[..], &[0x50, 0x2a, 0x4d, 0x18], b""][start];
        let bytes = [start, &bytes].concat();
        match (read(&bytes, 64, 1), read(&bytes, 64, 3)) {
            (Ok(one), Ok(three)) => prop_assert!(one == three),
            (one, three) => prop_assert_eq!(one.is_err(), three.is_err()),
        }
    }

    #[test]
    fn several_threads_read_what_one_reads(
        sizes in proptest::collection::vec((0_usize..90_000, 10_u32..26, any::<bool>()), 1..20),
        broken in proptest::option::of((any::<prop::sample::Index>(), 0_u8..8)),
    ) {
        let frame = |&(size, log, pledged): &(usize, u32, bool)| compress(&noise(size, size), Some(log), pledged);
        let mut stream: Vec<u8> = sizes.iter().flat_map(frame).collect();
        if let Some((at, bit)) = broken {
            let at = at.index(stream.len());
            stream[at] ^= 1 << bit;
        }
        match (read(&stream, 10_000, 3), read(&stream, 10_000, 1)) {
            (Ok(three), Ok(one)) => prop_assert!(three == one),
            (three, one) => prop_assert_eq!(three.is_err(), one.is_err()),
        }
    }
}
