//! FUSE messages as bytes (include/uapi/linux/fuse.h, protocol 7.36): requests are cut up, replies put
//! together. What fuser keeps to itself is here: its structures, and the numbers of requests. The numbers are in the machine's own byte order; only little-endian machines are served.

use std::time::Duration;

use fuser::{FileHandle, FopenFlags, Generation, INodeNo, InitFlags, Version};

use super::change::Caller;
use super::view::{Attr, Reading, Sizes};
use crate::bytes::{Put, u32_at, u64_at};

#[cfg(target_endian = "big")]
compile_error!("FUSE messages are put together for little-endian machines only");

/// The protocol that is spoken. A newer kernel speaks it too; what it has that is newer is not used.
pub const PROTOCOL: Version = Version(7, 36);

const IN_HEADER: usize = 40;
/// The length of a reply's header.
pub const OUT_HEADER: usize = 16;

/// Kinds of requests.
pub mod opcode {
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const SETATTR: u32 = 4;
    pub const READLINK: u32 = 5;
    pub const SYMLINK: u32 = 6;
    pub const MKNOD: u32 = 8;
    pub const MKDIR: u32 = 9;
    pub const UNLINK: u32 = 10;
    pub const RMDIR: u32 = 11;
    pub const RENAME: u32 = 12;
    pub const LINK: u32 = 13;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const WRITE: u32 = 16;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const FSYNC: u32 = 20;
    pub const SETXATTR: u32 = 21;
    pub const GETXATTR: u32 = 22;
    pub const LISTXATTR: u32 = 23;
    pub const REMOVEXATTR: u32 = 24;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const FSYNCDIR: u32 = 30;
    pub const INTERRUPT: u32 = 36;
    pub const DESTROY: u32 = 38;
    pub const BATCH_FORGET: u32 = 42;
    pub const FALLOCATE: u32 = 43;
    pub const READDIRPLUS: u32 = 44;
    pub const RENAME2: u32 = 45;
    pub const LSEEK: u32 = 46;
    pub const COPY_FILE_RANGE: u32 = 47;
    pub const TMPFILE: u32 = 51;
}

/// A request, cut up as far as all are alike.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub opcode: u32,
    pub unique: u64,
    pub inode: INodeNo,
    pub caller: Caller,
    /// What follows the header.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// `None` where the message is not as long as it says.
    pub fn parse(bytes: &'a [u8]) -> Option<Request<'a>> {
        if u32_at(bytes, 0)? as usize != bytes.len() {
            return None;
        }
        Some(Request {
            opcode: u32_at(bytes, 4)?,
            unique: u64_at(bytes, 8)?,
            inode: INodeNo(u64_at(bytes, 16)?),
            caller: Caller { uid: u32_at(bytes, 24)?, gid: u32_at(bytes, 28)? },
            body: bytes.get(IN_HEADER..)?,
        })
    }

    /// The body of a lookup, or what follows `skip` bytes of it: a name, ended by a NUL.
    pub fn name(&self, skip: usize) -> Option<&'a [u8]> {
        self.body.get(skip..)?.split(|&b| b == 0).next()
    }
}

impl Reading {
    /// The body of READ, READDIR and READDIRPLUS; LSEEK has its direction where these have a size.
    pub fn parse(body: &[u8]) -> Option<Reading> {
        Some(Reading {
            handle: FileHandle(u64_at(body, 0)?),
            offset: u64_at(body, 8)?,
            size: u32_at(body, 16)? as usize,
        })
    }
}

/// The kernel's first words: its protocol, its read-ahead in bytes, and what it offers.
pub fn hello(body: &[u8]) -> Option<(Version, u32, InitFlags)> {
    let version = Version(u32_at(body, 0)?, u32_at(body, 4)?);
    let first = InitFlags::from_bits_retain(u32_at(body, 12)?.into());
    // The second word is there only where the first says so (protocol 7.36).
    let second = if first.contains(InitFlags::FUSE_INIT_EXT) { u32_at(body, 16)? } else { 0 };
    Some((version, u32_at(body, 8)?, first | InitFlags::from_bits_retain(u64::from(second) << 32)))
}

/// The answer to the first words.
pub fn put_hello(out: &mut Vec<u8>, read_ahead: u32, flags: InitFlags, max_write: u32) {
    /// Requests that the kernel makes ahead of need, at once, and where it holds back more.
    const BACKGROUND: (u16, u16) = (64, 48);
    /// 1 MiB in one request, where the kernel has reason to ask for as much.
    const MAX_PAGES: u16 = 256;
    out.put_u32(PROTOCOL.0);
    out.put_u32(PROTOCOL.1);
    out.put_u32(read_ahead);
    out.put_u32(flags.bits() as u32);
    out.put_u16(BACKGROUND.0);
    out.put_u16(BACKGROUND.1);
    out.put_u32(max_write);
    // Times are good to the nanosecond.
    out.put_u32(1);
    out.put_u16(MAX_PAGES);
    out.put_u16(0);
    out.put_u32((flags.bits() >> 32) as u32);
    // How many filesystems may lie under one whose files the kernel reads itself, this one among them.
    out.put_u32(u32::from(flags.contains(InitFlags::FUSE_PASSTHROUGH)));
    out.resize(out.len() + 24, 0);
}

/// The length of `fuse_attr`.
const ATTRIBUTES: usize = 88;

/// `fuse_attr`
fn put_attributes(out: &mut Vec<u8>, attr: &Attr) {
    out.put_u64(attr.inode.0);
    out.put_u64(attr.size);
    out.put_u64(attr.blocks);
    for time in [attr.atime, attr.mtime, attr.ctime] {
        out.put_i64(time.secs);
    }
    for time in [attr.atime, attr.mtime, attr.ctime] {
        out.put_u32(time.nanos);
    }
    out.put_u32(attr.mode);
    out.put_u32(attr.nlink);
    out.put_u32(attr.uid);
    out.put_u32(attr.gid);
    out.put_u32(attr.device);
    out.put_u32(BLOCK);
    out.put_u32(0);
}

const BLOCK: u32 = 4096;

/// `fuse_attr_out`
pub fn put_attr(out: &mut Vec<u8>, attr: &Attr, lifetime: Duration) {
    out.put_u64(lifetime.as_secs());
    out.put_u64(0);
    put_attributes(out, attr);
}

/// Numbers are never used again for another file, so there is one generation of each.
const GENERATION: Generation = Generation(0);

/// `fuse_entry_out`
pub fn put_entry(out: &mut Vec<u8>, attr: &Attr, lifetime: Duration) {
    put_entry_head(out, attr.inode, lifetime);
    put_attributes(out, attr);
}

/// `fuse_entry_out` for a name that is not there. That may be remembered, too.
pub fn put_absence(out: &mut Vec<u8>, lifetime: Duration) {
    put_entry_head(out, INodeNo(0), lifetime);
    out.resize(out.len() + ATTRIBUTES, 0);
}

fn put_entry_head(out: &mut Vec<u8>, inode: INodeNo, lifetime: Duration) {
    out.put_u64(inode.0);
    out.put_u64(GENERATION.0);
    out.put_u64(lifetime.as_secs());
    out.put_u64(lifetime.as_secs());
    out.put_u64(0);
}

/// Appends `fuse_dirent` or, with a lifetime, `fuse_direntplus`; `false` where `room` bytes are not enough.
pub fn put_name(
    out: &mut Vec<u8>,
    room: usize,
    next: u64,
    name: &[u8],
    attr: &Attr,
    lifetime: Option<Duration>,
) -> bool {
    let length = (24 + name.len()).next_multiple_of(8) + if lifetime.is_some() { 128 } else { 0 };
    if out.len() + length > room {
        return false;
    }
    if let Some(lifetime) = lifetime {
        put_entry(out, attr, lifetime);
    }
    out.put_u64(attr.inode.0);
    out.put_u64(next);
    out.put_u32(name.len() as u32);
    out.put_u32((attr.mode & libc::S_IFMT) >> 12);
    out.put(name);
    out.resize(out.len().next_multiple_of(8), 0);
    true
}

/// `fuse_open_out`
pub fn put_opened(out: &mut Vec<u8>, handle: FileHandle, flags: FopenFlags) {
    put_opened_with(out, handle, flags, 0);
}

/// `fuse_open_out`, with the number of the file that the kernel is to read and write itself.
pub fn put_opened_with(out: &mut Vec<u8>, handle: FileHandle, flags: FopenFlags, backing: i32) {
    out.put_u64(handle.0);
    out.put_u32(flags.bits());
    out.put(&backing.to_le_bytes());
}

/// `fuse_write_out`
pub fn put_written(out: &mut Vec<u8>, bytes: u32) {
    out.put_u32(bytes);
    out.put_u32(0);
}

/// `fuse_kstatfs`
pub fn put_sizes(out: &mut Vec<u8>, sizes: &Sizes) {
    let blocks = |bytes: u64| bytes / u64::from(BLOCK);
    out.put_u64(sizes.bytes.div_ceil(u64::from(BLOCK)));
    out.put_u64(blocks(sizes.free));
    out.put_u64(blocks(sizes.available));
    out.put_u64(sizes.files);
    out.put_u64(sizes.free_files);
    out.put_u32(BLOCK);
    out.put_u32(crate::layer::NAME_MAX as u32);
    out.put_u32(BLOCK);
    out.resize(out.len() + 28, 0);
}

/// The header of a reply to request `unique`, with `length` bytes to follow; `error` is 0 or an errno.
pub fn out_header(unique: u64, error: i32, length: usize) -> [u8; OUT_HEADER] {
    let mut header = [0; OUT_HEADER];
    header[..4].copy_from_slice(&((OUT_HEADER + length) as u32).to_le_bytes());
    header[4..8].copy_from_slice(&(-error).to_le_bytes());
    header[8..].copy_from_slice(&unique.to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Time;

    #[test]
    fn structures_are_as_long_as_the_kernels() {
        let length = |put: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            put(&mut out);
            out.len()
        };
        let time = Time::default();
        let attr = Attr {
            inode: INodeNo::ROOT,
            size: 0,
            blocks: 0,
            atime: time,
            mtime: time,
            ctime: time,
            mode: libc::S_IFDIR,
            nlink: 1,
            uid: 0,
            gid: 0,
            device: 0,
        };
        let second = Duration::from_secs(1);
        assert_eq!(length(&|out| put_hello(out, 0, InitFlags::empty(), 4096)), 64);
        assert_eq!(length(&|out| put_attr(out, &attr, second)), 104);
        assert_eq!(length(&|out| put_entry(out, &attr, second)), 128);
        assert_eq!(length(&|out| put_absence(out, second)), 128);
        assert_eq!(length(&|out| put_opened(out, FileHandle(0), FopenFlags::empty())), 16);
        assert_eq!(length(&|out| put_sizes(out, &Sizes::default())), 80);
        assert_eq!(length(&|out| assert!(put_name(out, 200, 1, b"a", &attr, Some(second)))), 160);
        assert_eq!(length(&|out| assert!(put_name(out, 32, 1, b"12345678", &attr, None))), 32);
        assert_eq!(length(&|out| assert!(!put_name(out, 31, 1, b"12345678", &attr, None))), 0);
    }

    #[test]
    fn requests_that_lie_about_their_length_are_none() {
        let mut bytes = vec![0; 44];
        bytes[0] = 44;
        bytes[40..].copy_from_slice(b"abc\0");
        assert_eq!(Request::parse(&bytes).unwrap().name(0), Some(&b"abc"[..]));
        assert!(Request::parse(&bytes[..43]).is_none());
        bytes[0] = 10;
        assert!(Request::parse(&bytes[..10]).is_none());
        assert!(Reading::parse(&[0; 19]).is_none());
    }
}
