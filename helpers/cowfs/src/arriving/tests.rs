use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::*;

const IDENTITY: u64 = ARRIVING | 7;

/// Gives what is asked for from a file, ten bytes at most; nothing behind byte 50.
struct Slice(Arc<File>);

impl Provider for Slice {
    fn identity(&self) -> u64 {
        IDENTITY
    }

    fn provide(&self, position: u64, length: u64) -> Result<Here, String> {
        match position {
            ..50 => Ok(Here { file: Arc::clone(&self.0), begin: position, length: length.min(10) }),
            _ => Err(format!("{position} is lost")),
        }
    }
}

fn content() -> Vec<u8> {
    (0..100).collect()
}

/// Answers so many clients, and is gone.
fn serve(path: &Path, clients: usize) -> thread::JoinHandle<()> {
    let listener = listen(path).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content()).unwrap();
    thread::spawn(move || {
        let provider = Slice(Arc::new(file));
        for _ in 0..clients {
            let client = accept(&listener).unwrap();
            answer(&client, &provider);
        }
    })
}

#[test]
fn what_is_asked_for_is_read_and_what_is_lost_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer.tar");
    let server = serve(&path, 1);
    let arriving = Arriving::open(&path, IDENTITY).unwrap();
    let mut buffer = [0; 35];
    assert_eq!(arriving.read_cached(&mut buffer, 3).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    arriving.read(&mut buffer, 3).unwrap();
    assert_eq!(buffer[..], content()[3..38]);
    let (told, listener) = sys::socket::pair().unwrap();
    arriving.tell(listener);
    for position in [60, 60, 61] {
        assert_eq!(arriving.read(&mut buffer, position).unwrap_err().raw_os_error(), Some(libc::EIO));
    }
    arriving.read(&mut buffer, 3).unwrap();
    // The one client that it answers goes.
    arriving.idle.lock().unwrap().clear();
    server.join().unwrap();
    assert_eq!(arriving.read(&mut buffer, 3).unwrap_err().raw_os_error(), Some(libc::EIO));
    drop(arriving);
    let heard = |_| {
        let mut text = [0; 100];
        let length = sys::socket::receive(&told, &mut text).unwrap().0;
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    assert_eq!([0; 4].map(heard), ["60 is lost", "61 is lost", "nobody fetches the rest of the image any more", ""]);
}

#[test]
fn a_layer_that_has_come_is_read_where_it_lies() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("layer.tar");
    let server = serve(&path, 1);
    let arriving = Arriving::open(&path, IDENTITY).unwrap();
    let mut buffer = [0; 5];
    arriving.read(&mut buffer, 0).unwrap();
    // The server goes, and the tar with its table takes the place of its socket.
    arriving.idle.lock().unwrap().clear();
    server.join().unwrap();
    let pieces = vec![Piece { listed: 0, len: 10, tar: 20 }, Piece { listed: 12, len: 4, tar: 90 }];
    let moved = Moved::new(IDENTITY, pieces).unwrap();
    fs::write(moved_beside(&path), moved.to_bytes()).unwrap();
    fs::write(folder.path().join("new"), content()).unwrap();
    fs::rename(folder.path().join("new"), &path).unwrap();
    let mut buffer = [9; 10];
    arriving.read(&mut buffer, 8).unwrap();
    assert_eq!(buffer, [28, 29, 0, 0, 90, 91, 92, 93, 0, 0]);
    assert!(Arriving::open(&path, IDENTITY + 1).is_err(), "by another listing it would be read wrongly");
    let mut again = [9; 10];
    Arriving::open(&path, IDENTITY).unwrap().read(&mut again, 8).unwrap();
    assert_eq!(again, buffer);
}

#[test]
fn a_socket_that_nobody_listens_at_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a".repeat(200)).join("layer.tar");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let server = serve(&path, 1);
    assert!(Arriving::open(&path, IDENTITY + 1).is_err(), "another layer");
    server.join().unwrap();
    let error = Arriving::open(&path, IDENTITY).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused, "{error}");
}

proptest! {
    #[test]
    fn any_table_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100), honest in any::<bool>()) {
        let mut bytes = bytes;
        if honest && bytes.len() >= 24 {
            bytes[..8].copy_from_slice(b"cowfsmov");
            bytes[8..16].copy_from_slice(&IDENTITY.to_le_bytes());
            let count = (bytes.len() as u64 - 24) / 24;
            bytes[16..24].copy_from_slice(&count.to_le_bytes());
        }
        if let Ok(moved) = Moved::parse(&bytes) {
            let mut buffer = [0; 50];
            moved.read(&mut buffer, 5, |_, _| Ok::<(), ()>(())).unwrap();
        }
    }

    #[test]
    fn what_a_table_says_is_what_is_read(
        gaps in proptest::collection::vec((0_u64..5, 1_u64..9, 0_u64..100), 0..10), position in 0_u64..40, length in 0_usize..60
    ) {
        let mut end = 0;
        let mut pieces = Vec::new();
        let mut space = vec![0_u8; 300];
        for (gap, len, tar) in gaps {
            let listed = end + gap;
            end = listed + len;
            for at in 0..len {
                space[usize::try_from(listed + at).unwrap()] = u8::try_from((tar + at) % 251 + 1).unwrap();
            }
            pieces.push(Piece { listed, len, tar });
        }
        let moved = Moved::parse(&Moved::new(IDENTITY, pieces).unwrap().to_bytes()).unwrap();
        let mut buffer = vec![7; length];
        moved.read(&mut buffer, position, |into, from| {
            for (at, byte) in (from..).zip(into) {
                *byte = u8::try_from(at % 251 + 1).unwrap();
            }
            Ok::<(), ()>(())
        }).unwrap();
        let position = usize::try_from(position).unwrap();
        prop_assert_eq!(&buffer[..], &space[position..position + length]);
    }
}
