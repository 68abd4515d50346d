//! Sockets between our own processes: whole messages, with descriptors on board (unix(7), SOCK_SEQPACKET).

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};

use crate::{Errno, Result};

/// Two connected ends, close-on-exec, that keep the borders of messages.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// The most descriptors that come with one message: the kernel's own limit (SCM_MAX_FD in unix(7)).
const MOST: usize = 253;

/// Sends one message, with at most one descriptor. Never raises SIGPIPE: a peer that is gone is `EPIPE`.
pub fn send(socket: impl AsFd, message: &[u8], descriptor: Option<RawFd>) -> Result<()> {
    send_raw(socket, message, descriptor.as_slice())
}

/// Sends one message with any number of descriptors.
pub fn send_with(socket: impl AsFd, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    send_raw(socket, message, &descriptors.iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>())
}

fn send_raw(socket: impl AsFd, message: &[u8], descriptors: &[RawFd]) -> Result<()> {
    let data = [IoSlice::new(message)];
    let control = [ControlMessage::ScmRights(descriptors)];
    let control = if descriptors.is_empty() { &control[..0] } else { &control[..] };
    loop {
        match sendmsg::<()>(socket.as_fd().as_raw_fd(), &data, control, MsgFlags::MSG_NOSIGNAL, None) {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Receives one message into `buffer`: its length, and the descriptor that came with it; the first of several.
///
/// Length 0: the other side has closed. `EMSGSIZE`: the message was larger than the buffer.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>)> {
    receive_raw(socket, buffer, &mut nix::cmsg_space!([RawFd; 1]))
        .map(|(length, descriptors)| (length, descriptors.into_iter().next()))
}

/// Receives one message as [`receive`] does, with all descriptors that came with it.
pub fn receive_with(socket: impl AsFd, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    receive_raw(socket, buffer, &mut nix::cmsg_space!([RawFd; MOST]))
}

fn receive_raw(socket: impl AsFd, buffer: &mut [u8], control: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    let mut data = [IoSliceMut::new(buffer)];
    let raw = socket.as_fd().as_raw_fd();
    let message = loop {
        match recvmsg::<()>(raw, &mut data, Some(control), MsgFlags::MSG_CMSG_CLOEXEC) {
            // unix(7): the other side has closed without reading all that it was sent. That is told once, and ahead of what it had sent
            // itself before, which is still to be read: its reason to close, for example.
            Err(Errno::EINTR | Errno::ECONNRESET) => {}
            other => break other?,
        }
    };
    let mut descriptors = Vec::new();
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = part {
            // SAFETY: the kernel has just put these descriptors into our table, for us alone.
            descriptors.extend(fds.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    if message.flags.contains(MsgFlags::MSG_TRUNC) {
        return Err(Errno::EMSGSIZE);
    }
    Ok((message.bytes, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_keeps_its_borders_and_carries_a_descriptor() {
        let (left, right) = pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        send(&left, b"one", Some(file.as_raw_fd())).unwrap();
        send(&left, b"two", None).unwrap();
        let mut buffer = [0; 16];
        let (length, fd) = receive(&right, &mut buffer).unwrap();
        assert_eq!((&buffer[..length], fd.is_some()), (&b"one"[..], true));
        let (length, fd) = receive(&right, &mut buffer).unwrap();
        assert_eq!((&buffer[..length], fd.is_none()), (&b"two"[..], true));
        drop(left);
        assert_eq!(receive(&right, &mut buffer).unwrap().0, 0);
        assert_eq!(send(&right, b"x", None), Err(Errno::EPIPE));
    }

    #[test]
    fn the_last_words_of_one_who_did_not_listen_are_read() {
        let (left, right) = pair().unwrap();
        send(&right, b"not read", None).unwrap();
        send(&left, b"why", None).unwrap();
        drop(left);
        let mut buffer = [0; 16];
        assert_eq!(receive(&right, &mut buffer).unwrap().0, 3);
        assert_eq!(receive(&right, &mut buffer).unwrap().0, 0);
    }

    #[test]
    fn several_descriptors_come_in_their_order() {
        let (left, right) = pair().unwrap();
        let (file, null) = (tempfile::tempfile().unwrap(), std::fs::File::open("/dev/null").unwrap());
        send_with(&left, b"two", &[file.as_fd(), null.as_fd()]).unwrap();
        let (length, descriptors) = receive_with(&right, &mut [0; 16]).unwrap();
        let node = |fd: BorrowedFd| nix::sys::stat::fstat(fd).unwrap().st_ino;
        let nodes: Vec<_> = descriptors.iter().map(|fd| node(fd.as_fd())).collect();
        assert_eq!((length, nodes), (3, vec![node(file.as_fd()), node(null.as_fd())]));
    }

    #[test]
    fn a_message_too_large_is_an_error_and_not_a_part() {
        let (left, right) = pair().unwrap();
        send(&left, &[7; 100], None).unwrap();
        assert_eq!(receive(&right, &mut [0; 10]).unwrap_err(), Errno::EMSGSIZE);
    }
}
