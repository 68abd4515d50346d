//! The conversation, with a socket for a device and a filesystem that can be made to wait.

use std::borrow::Cow;
use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::unistd::{read, write};

use super::*;
use crate::bytes::{Put, u32_at, u64_at};
use crate::serve::view::{Fill, Sizes};

/// All that is asked about `SLOW` waits until the gate is open.
struct Slow {
    open: Mutex<bool>,
    changed: Condvar,
}

const SLOW: INodeNo = INodeNo(2);

impl Slow {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }
}

impl View for &'static Slow {
    fn lifetime(&self) -> Duration {
        Duration::ZERO
    }
    fn needs_open(&self) -> bool {
        true
    }
    fn has_xattrs(&self) -> bool {
        false
    }
    fn may_wait(&self, inode: INodeNo) -> bool {
        inode == SLOW
    }
    fn target(&self, inode: INodeNo) -> Answer<Cow<'_, [u8]>> {
        let _open = self.changed.wait_while(self.open.lock().unwrap(), |open| inode == SLOW && !*open).unwrap();
        Ok(Cow::Borrowed(b"target"))
    }
    fn lookup(&self, _: INodeNo, _: &[u8]) -> Answer<Attr> {
        Err(Errno::ENOENT)
    }
    fn forget(&self, _: INodeNo, _: u64) {}
    fn names(&self, _: INodeNo) -> Answer<Vec<(INodeNo, Vec<u8>)>> {
        Err(Errno::EIO)
    }
    fn hold(&self, _: INodeNo) {}
    fn attributes(&self, _: INodeNo) -> Answer<Attr> {
        Err(Errno::EIO)
    }
    fn open(&self, _: INodeNo) -> Answer<FileHandle> {
        Ok(FileHandle(0))
    }
    fn close(&self, _: FileHandle) {}
    fn read(&self, _: INodeNo, _: Reading, _: bool, _: &mut Vec<u8>) -> Answer<()> {
        Ok(())
    }
    fn open_directory(&self, _: INodeNo) -> Answer<FileHandle> {
        Ok(FileHandle(0))
    }
    fn close_directory(&self, _: FileHandle) {}
    fn list(&self, _: INodeNo, _: FileHandle, _: u64, _: bool, _: Fill<'_>) -> Answer<()> {
        Ok(())
    }
    fn xattr(&self, _: INodeNo, _: &[u8]) -> Answer<Cow<'_, [u8]>> {
        Err(Errno::ENODATA)
    }
    fn xattr_names(&self, _: INodeNo) -> Answer<Vec<u8>> {
        Ok(Vec::new())
    }
    fn seek(&self, _: INodeNo, _: FileHandle, _: u64, _: bool) -> Answer<u64> {
        Err(Errno::ENXIO)
    }
    fn sizes(&self) -> Sizes {
        Sizes::default()
    }
}

fn ask(kernel: &OwnedFd, opcode: u32, unique: u64, inode: INodeNo, body: &[u8]) {
    let mut message = Vec::new();
    message.put_u32(40 + body.len() as u32);
    message.put_u32(opcode);
    message.put_u64(unique);
    message.put_u64(inode.0);
    message.resize(40, 0);
    message.put(body);
    write(kernel, &message).unwrap();
}

/// The next reply: to which request, the error, and what it says.
fn reply(kernel: &OwnedFd) -> (u64, u32, Vec<u8>) {
    let mut message = vec![0; REQUEST_MAX];
    let length = read(kernel, &mut message).unwrap();
    message.truncate(length);
    assert_eq!(u32_at(&message, 0).unwrap() as usize, length);
    (u64_at(&message, 8).unwrap(), u32_at(&message, 4).unwrap().wrapping_neg(), message[16..].to_vec())
}

fn hello(major: u32, minor: u32) -> Vec<u8> {
    let mut body = Vec::new();
    for number in [major, minor, 0, InitFlags::FUSE_NO_OPEN_SUPPORT.bits() as u32] {
        body.put_u32(number);
    }
    body
}

fn pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).unwrap()
}

fn view() -> &'static Slow {
    Box::leak(Box::new(Slow { open: Mutex::new(false), changed: Condvar::new() }))
}

#[test]
fn those_who_wait_hold_up_nobody_else() {
    let (kernel, device) = pair();
    let view = view();
    let serving = thread::spawn(move || Session::begin(device, view, Manner::default())?.ok_or(Errno::ENODEV)?.run());
    ask(&kernel, opcode::INIT, 1, INodeNo(0), &hello(7, 40));
    assert_eq!((reply(&kernel).0, view.needs_open()), (1, true));
    let slow = 100..100 + THREADS as u64 - 1;
    for unique in slow.clone() {
        ask(&kernel, opcode::READLINK, unique, SLOW, &[]);
        ask(&kernel, opcode::READLINK, unique + 1000, INodeNo::ROOT, &[]);
        assert_eq!(reply(&kernel), (unique + 1000, 0, b"target".to_vec()));
    }
    // One too many: it keeps everybody waiting, but is answered in its time, and all others too.
    ask(&kernel, opcode::READLINK, 200, SLOW, &[]);
    ask(&kernel, opcode::READLINK, 201, INodeNo::ROOT, &[]);
    view.open();
    let mut answered: Vec<u64> = (0..slow.end - slow.start + 2).map(|_| reply(&kernel).0).collect();
    answered.sort_unstable();
    assert_eq!(answered, slow.chain(200..202).collect::<Vec<_>>());
    drop(kernel);
    // A closed socket is an empty message, which no kernel sends.
    assert_eq!(serving.join().unwrap(), Err(Errno::EPROTO));
}

#[test]
fn protocols_of_other_ages() {
    let (kernel, device) = pair();
    let serving = thread::spawn(move || Session::begin(device, view(), Manner::default()).map(drop));
    ask(&kernel, opcode::INIT, 1, INodeNo(0), &hello(8, 1));
    let (_, error, body) = reply(&kernel);
    assert_eq!((error, u32_at(&body, 0)), (0, Some(7)), "it is told what we speak");
    ask(&kernel, opcode::INIT, 2, INodeNo(0), &hello(7, 30));
    assert_eq!(reply(&kernel).1, Errno::EPROTO as u32);
    assert_eq!(serving.join().unwrap(), Err(Errno::EPROTO));
}
