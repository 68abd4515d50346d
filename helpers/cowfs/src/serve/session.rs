//! The conversation with the kernel: requests are taken from the device, and their answers given.
//!
//! Most requests are answered from memory within a microsecond; what costs is waking the thread that is to
//! answer, up to 50 µs where its CPU sleeps. So one thread at a time reads the device, the *leader*, and after
//! each request stays awake for a moment to see whether there is another. Before anything that may have to
//! wait for a disk it passes the lead to the next thread, which is started if there is none.
//!
//! On two CPUs a request costs 20 to 25 µs, nearly all of it for waking the asking process's CPU, which has gone idle. A leader
//! that moves to that CPU answers in 5 µs; but the scheduler then moves the asking process to the CPU that is idle now, and the
//! two chase each other. So nothing is pinned, and what counts is the number of requests.
//!
//! fuser's types and constants are used as they are, but not its `Session`: its threads can neither stay awake nor
//! pass a lead on, and no other loop can be put under it. Time to touch a whole Debian image for the first time,
//! under overlayfs, as a multiple of what the kernel takes where the same files lie unpacked:
//!
//! | | `find` | `ls -lR` | `tar` | `cp -a` |
//! |---|---|---|---|---|
//! | fuser's loop | 4.95 | 6.4 | 3.1 | 2.4 |
//! | this one | 1.85 | 1.06 | 0.61 | 0.82 |

use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use fuser::{FileHandle, FopenFlags, INodeNo, InitFlags, Version, consts};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::uio::writev;

use super::change::{self, Change};
use super::manner::Manner;
use super::passthrough::{self, Passthrough};
use super::view::{Answer, Attr, Reading, View};
use super::wire::{self, PROTOCOL, Request, opcode};
use crate::layer::may_be_shown;

/// The oldest protocol that is understood: Linux 5.4.
const OLDEST: Version = Version(PROTOCOL.0, 31);

/// How long the leader stays awake after a request.
const AWAKE: Duration = Duration::from_micros(50);

/// A yield that takes this long has let another program run, and not only the asking process.
const AWAY: Duration = Duration::from_micros(500);

/// How long the leader does not stay awake after that.
const CROWDED: Duration = Duration::from_millis(100);

/// The longest requests to what is read-only are those that forget many inodes: as many as there is room for.
const REQUEST_MAX: usize = 2 * consts::FUSE_MIN_READ_BUFFER;

/// The most that is written by one request.
const WRITE_MAX: usize = 1 << 20;

/// Threads at most. Only as many are started as wait for disks or servers at the same time; 15 requests to a server
/// that does not answer leave one for everybody else.
const THREADS: usize = 16;

/// What both sides have agreed on.
pub struct Session<V> {
    device: File,
    view: V,
    manner: Manner,
    /// The kernel can do without opening what needs no opening.
    skips_open: bool,
    skips_opendir: bool,
    /// Files that the kernel reads and writes itself, where that is allowed.
    passthrough: Option<Passthrough>,
    /// See [`change::XATTR_HEAD`].
    xattr_head: usize,
    lead: Mutex<Lead>,
    /// Threads that wait for the lead.
    waiting: AtomicUsize,
    awake: Duration,
}

/// What belongs to the thread that leads.
struct Lead {
    /// The number of threads, the one that called among them.
    threads: usize,
    /// Why the first of them gave up.
    failed: Option<Errno>,
    /// See [`CROWDED`].
    crowded_until: Instant,
    /// Whether a read of the device sleeps until there is a request. Then it needs no poll before it.
    reads_sleep: bool,
}

/// What became of a request.
enum Outcome {
    /// A reply, in the buffer.
    Reply,
    /// The kernel expects none.
    Silence,
    /// Answering it may have to wait for a disk.
    WouldWait,
}

/// A step of the conversation, or why there is no next one.
type Continue<T> = std::result::Result<T, Stop>;

enum Stop {
    Unmounted,
    Failed(Errno),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Stop {
        match errno {
            Errno::ENODEV => Stop::Unmounted,
            other => Stop::Failed(other),
        }
    }
}

impl<V: View> Session<V> {
    /// Waits for the kernel's first words and answers them. `None` where it is unmounted before.
    pub fn begin(device: OwnedFd, view: V, manner: Manner) -> Answer<Option<Session<V>>> {
        // On a single CPU to stay awake is to keep the asking process from running.
        let several = thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1);
        let mut session = Session {
            device: device.into(),
            view,
            manner,
            skips_open: false,
            skips_opendir: false,
            passthrough: None,
            xattr_head: change::XATTR_HEAD,
            lead: Mutex::new(Lead { threads: 1, failed: None, crowded_until: Instant::now(), reads_sleep: false }),
            waiting: AtomicUsize::new(0),
            awake: if several { AWAKE } else { Duration::ZERO },
        };
        let mut buffer = session.request_buffer();
        loop {
            let length = match nix::unistd::read(&session.device, &mut buffer) {
                Ok(length) => length,
                Err(Errno::EINTR | Errno::ENOENT | Errno::EAGAIN) => continue,
                Err(Errno::ENODEV) => return Ok(None),
                Err(errno) => return Err(errno),
            };
            let request = Request::parse(&buffer[..length]).ok_or(Errno::EPROTO)?;
            let (Version(major, minor), read_ahead, offered) = wire::hello(request.body).ok_or(Errno::EPROTO)?;
            if request.opcode != opcode::INIT || Version(major, minor) < OLDEST {
                session.send(request.unique, Errno::EPROTO as i32, &[]);
                return Err(Errno::EPROTO);
            }
            let mut out = Vec::new();
            if major == PROTOCOL.0 {
                let max_write = if session.view.writing().is_some() { WRITE_MAX as u32 } else { 4096 };
                wire::put_hello(&mut out, read_ahead, session.agree(offered), max_write);
                session.send(request.unique, 0, &out);
                return Ok(Some(session));
            }
            // A kernel of a later age: it is told which protocol we speak, and begins again.
            wire::put_hello(&mut out, 0, InitFlags::empty(), 4096);
            session.send(request.unique, 0, &out);
        }
    }

    /// Of what the kernel offers, what is wanted.
    fn agree(&mut self, offered: InitFlags) -> InitFlags {
        let mut wanted = InitFlags::FUSE_ASYNC_READ
            | InitFlags::FUSE_EXPORT_SUPPORT
            | InitFlags::FUSE_DO_READDIRPLUS
            | InitFlags::FUSE_READDIRPLUS_AUTO
            | InitFlags::FUSE_ASYNC_DIO
            | InitFlags::FUSE_PARALLEL_DIROPS
            | InitFlags::FUSE_MAX_PAGES
            | InitFlags::FUSE_CACHE_SYMLINKS;
        if self.view.needs_open() {
            wanted |= InitFlags::FUSE_AUTO_INVAL_DATA;
        } else {
            wanted |= InitFlags::FUSE_NO_OPEN_SUPPORT | InitFlags::FUSE_NO_OPENDIR_SUPPORT;
        }
        if let Some(writing) = self.view.writing() {
            wanted |= InitFlags::FUSE_BIG_WRITES
                | InitFlags::FUSE_DONT_MASK
                | InitFlags::FUSE_POSIX_ACL
                | InitFlags::FUSE_HANDLE_KILLPRIV_V2
                | InitFlags::FUSE_SETXATTR_EXT;
            if self.manner.no_acls {
                wanted -= InitFlags::FUSE_POSIX_ACL;
            }
            if writing.writeback {
                wanted |= InitFlags::FUSE_WRITEBACK_CACHE;
            }
        }
        // What is collected cannot be passed through; and both words of flags must be understood.
        let both = InitFlags::FUSE_PASSTHROUGH | InitFlags::FUSE_INIT_EXT;
        let collects = self.view.writing().is_none_or(|writing| writing.writeback);
        if !collects && offered.contains(both) && passthrough::is_allowed() {
            wanted = wanted.difference(InitFlags::FUSE_NO_OPEN_SUPPORT) | both;
            self.passthrough = Some(Passthrough::default());
        }
        self.skips_open = (wanted & offered).contains(InitFlags::FUSE_NO_OPEN_SUPPORT);
        self.skips_opendir = (wanted & offered).contains(InitFlags::FUSE_NO_OPENDIR_SUPPORT);
        if (wanted & offered).contains(InitFlags::FUSE_SETXATTR_EXT) {
            self.xattr_head = change::XATTR_HEAD_LONG;
        }
        wanted & offered
    }

    /// Room for any request. What of it is never used takes no memory.
    fn request_buffer(&self) -> Vec<u8> {
        vec![0; if self.view.writing().is_some() { WRITE_MAX + REQUEST_MAX } else { REQUEST_MAX }]
    }

    /// Answers until the filesystem is unmounted.
    pub fn run(&self) -> Answer<()> {
        self.let_reads_sleep(&mut self.lead(), self.awake.is_zero())?;
        thread::scope(|threads| self.work(threads));
        self.lead().failed.map_or(Ok(()), Err)
    }

    /// Answers in this thread, until nothing more is to be answered.
    fn work<'scope>(&'scope self, threads: &'scope Scope<'scope, '_>) {
        let mut worker = Worker { session: self, request: self.request_buffer(), reply: Vec::new() };
        loop {
            match worker.lead(threads) {
                Ok(()) => {}
                Err(Stop::Unmounted) => return,
                Err(Stop::Failed(errno)) => {
                    self.lead().failed.get_or_insert(errno);
                    return;
                }
            }
        }
    }

    fn let_reads_sleep(&self, lead: &mut Lead, sleep: bool) -> Answer<()> {
        let mut flags = OFlag::from_bits_retain(fcntl(&self.device, FcntlArg::F_GETFL)?);
        flags.set(OFlag::O_NONBLOCK, !sleep);
        fcntl(&self.device, FcntlArg::F_SETFL(flags))?;
        lead.reads_sleep = sleep;
        Ok(())
    }

    /// Waits until this thread leads.
    fn lead(&self) -> MutexGuard<'_, Lead> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let lead = self.lead.lock().unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        lead
    }

    /// Passes the lead to the next thread.
    fn pass_on<'scope>(&'scope self, mut lead: MutexGuard<'_, Lead>, threads: &'scope Scope<'scope, '_>) {
        if self.waiting.load(Ordering::Relaxed) > 0 || lead.threads >= THREADS {
            return;
        }
        // A small stack is enough: nothing here recurses.
        let named = thread::Builder::new().name(format!("cowfs-{}", lead.threads)).stack_size(256 << 10);
        // Where it cannot be started there is one less to answer, and that is all.
        if named.spawn_scoped(threads, || self.work(threads)).is_ok() {
            lead.threads += 1;
        }
    }

    /// Sends a reply. Where the asking process was interrupted, or all was unmounted, nobody waits for it.
    fn send(&self, unique: u64, error: i32, body: &[u8]) {
        let header = wire::out_header(unique, error, body.len());
        // ENOENT and ENODEV say just that. Any other error would be a malformed reply: the kernel drops it, and
        // this is all that can be done about it.
        let _ = writev(&self.device, &[IoSlice::new(&header), IoSlice::new(body)]);
    }
}

struct Worker<'s, V> {
    session: &'s Session<V>,
    request: Vec<u8>,
    reply: Vec<u8>,
}

impl<'s, V: View> Worker<'s, V> {
    /// Takes the lead, and answers requests until one may have to wait; that one is answered after the lead
    /// has been passed on.
    fn lead(&mut self, threads: &'s Scope<'s, '_>) -> Continue<()> {
        let session = self.session;
        let mut lead = session.lead();
        loop {
            let length = self.next(&mut lead)?;
            if matches!(self.answer(length, false)?, Outcome::WouldWait) {
                session.pass_on(lead, threads);
                self.answer(length, true)?;
                return Ok(());
            }
        }
    }

    /// The next request: awake for a moment, then asleep.
    fn next(&mut self, lead: &mut Lead) -> Continue<usize> {
        let session = self.session;
        if lead.reads_sleep && !session.awake.is_zero() && Instant::now() >= lead.crowded_until {
            session.let_reads_sleep(lead, false)?;
        }
        let mut since = None;
        loop {
            match nix::unistd::read(&session.device, &mut self.request) {
                Ok(length) => return Ok(length),
                Err(Errno::EINTR | Errno::ENOENT) => {}
                Err(Errno::EAGAIN) => {
                    let now = Instant::now();
                    if now < lead.crowded_until {
                        session.let_reads_sleep(lead, true)?;
                    } else if now.duration_since(*since.get_or_insert(now)) >= session.awake {
                        let mut polled = [PollFd::new(session.device.as_fd(), PollFlags::POLLIN)];
                        match poll(&mut polled, PollTimeout::NONE) {
                            Ok(_) | Err(Errno::EINTR) => {}
                            Err(errno) => return Err(errno.into()),
                        }
                    } else {
                        thread::yield_now();
                        // Others want this CPU: who yields then loses a turn each time, who sleeps is woken ahead of them.
                        if now.elapsed() > AWAY {
                            lead.crowded_until = now + CROWDED;
                        }
                    }
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Answers the request in the buffer. Only with `wait` is a reply sent that had to be waited for.
    fn answer(&mut self, length: usize, wait: bool) -> Continue<Outcome> {
        let request = Request::parse(&self.request[..length]).ok_or(Stop::Failed(Errno::EPROTO))?;
        self.reply.clear();
        let answer = self.session.dispatch(&request, wait, &mut self.reply);
        let manner = &self.session.manner;
        match answer {
            Ok(Outcome::Reply) => {
                manner.tell(&request, Ok(self.reply.len()));
                self.session.send(request.unique, 0, &self.reply);
            }
            Ok(Outcome::WouldWait) => return Ok(Outcome::WouldWait),
            Err(Errno::EAGAIN) if !wait => return Ok(Outcome::WouldWait),
            Ok(Outcome::Silence) => {
                manner.tell(&request, Ok(0));
                return Ok(Outcome::Silence);
            }
            Err(errno) => {
                manner.tell(&request, Err(errno));
                self.session.send(request.unique, errno as i32, &[]);
            }
        }
        Ok(Outcome::Reply)
    }
}

impl<V: View> Session<V> {
    /// Answers one request into `out`. `EAGAIN` says that it may have to wait, and is to be asked again.
    fn dispatch(&self, request: &Request<'_>, wait: bool, out: &mut Vec<u8>) -> Answer<Outcome> {
        let view = &self.view;
        let Request { inode, body, .. } = *request;
        let name = |skip| request.name(skip).ok_or(Errno::EPROTO);
        let reading = || Reading::parse(body).ok_or(Errno::EPROTO);
        let first = || crate::bytes::u64_at(body, 0).ok_or(Errno::EPROTO);
        let handle = || first().map(FileHandle);
        let forgets = matches!(request.opcode, opcode::FORGET | opcode::BATCH_FORGET | opcode::INTERRUPT);
        if !wait && !forgets && view.may_wait(inode) {
            return Ok(Outcome::WouldWait);
        }
        if let Some(errno) = self.manner.refusal(request, self.xattr_head) {
            return Err(errno);
        }
        if let Some(change) = Change::parse(request, self.xattr_head) {
            view.change(request.caller, &change.ok_or(Errno::EPROTO)?, wait, out)?;
            return Ok(Outcome::Reply);
        }
        match request.opcode {
            opcode::LOOKUP => match view.lookup(inode, name(0)?) {
                Err(Errno::ENOENT) => wire::put_absence(out, view.lifetime()),
                found => wire::put_entry(out, &found?, view.lifetime()),
            },
            opcode::GETATTR => wire::put_attr(out, &view.attributes(inode)?, view.lifetime()),
            opcode::READLINK => out.extend_from_slice(&view.target(inode)?),
            opcode::OPEN if self.skips_open => return Err(Errno::ENOSYS),
            opcode::OPEN => {
                let handle = view.open(inode)?;
                let Some(passthrough) = &self.passthrough else {
                    wire::put_opened(out, handle, FopenFlags::FOPEN_KEEP_CACHE);
                    return Ok(Outcome::Reply);
                };
                let opened = passthrough.open(&self.device, inode, handle, view.backing(inode));
                wire::put_opened_with(out, opened.handle, opened.flags, opened.backing);
            }
            opcode::READ => view.read(inode, reading()?, wait, out)?,
            opcode::RELEASE => match &self.passthrough {
                Some(passthrough) => view.close(passthrough.close(&self.device, inode, handle()?)),
                None => view.close(handle()?),
            },
            opcode::OPENDIR if self.skips_opendir => return Err(Errno::ENOSYS),
            opcode::OPENDIR => {
                let kept = FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR;
                let flags = if view.needs_open() { FopenFlags::empty() } else { kept };
                wire::put_opened(out, view.open_directory(inode)?, flags);
            }
            opcode::READDIR => self.list(inode, reading()?, None, out)?,
            opcode::READDIRPLUS => self.list(inode, reading()?, Some(view.lifetime()), out)?,
            opcode::RELEASEDIR => view.close_directory(handle()?),
            opcode::STATFS => wire::put_sizes(out, &view.sizes()),
            // Where no file has any, the kernel is told once, and asks no more. Lists are asked for by few, who take that for an
            // error (Python's os.listxattr does): they get an empty one.
            opcode::GETXATTR if view.writing().is_none() && !view.has_xattrs() => return Err(Errno::ENOSYS),
            opcode::GETXATTR => {
                let name = name(8)?;
                // `ls -l` asks every file for its SELinux label, unless the first one says that there are none.
                if view.writing().is_none() && !may_be_shown(name) {
                    return Err(Errno::EOPNOTSUPP);
                }
                put_sized(out, body, &view.xattr(inode, name)?)?;
            }
            opcode::LISTXATTR => put_sized(out, body, &self.manner.shown(view.xattr_names(inode)?))?,
            // The kernel's overlay asks for each file that it copies up. Told once that nobody knows of holes, the kernel takes all for data.
            opcode::LSEEK if !view.has_holes() => return Err(Errno::ENOSYS),
            opcode::LSEEK => {
                let Reading { handle, offset, size: whence } = reading()?;
                let hole = match whence as i32 {
                    libc::SEEK_DATA => false,
                    libc::SEEK_HOLE => true,
                    _ => return Err(Errno::EINVAL),
                };
                out.extend_from_slice(&view.seek(inode, handle, offset, hole)?.to_le_bytes());
            }
            opcode::FORGET => {
                view.forget(inode, first()?);
                self.passthrough.iter().for_each(|passthrough| passthrough.forget(inode));
                return Ok(Outcome::Silence);
            }
            opcode::BATCH_FORGET => {
                for one in body.get(8..).unwrap_or_default().chunks_exact(16) {
                    let number = |at| crate::bytes::u64_at(one, at).ok_or(Errno::EPROTO);
                    let inode = INodeNo(number(0)?);
                    view.forget(inode, number(8)?);
                    self.passthrough.iter().for_each(|passthrough| passthrough.forget(inode));
                }
                return Ok(Outcome::Silence);
            }
            // Nothing takes long enough to be worth interrupting.
            opcode::INTERRUPT => return Ok(Outcome::Silence),
            opcode::DESTROY => {}
            // Among them all that would write, and FLUSH: once told, the kernel asks no more.
            _ => return Err(Errno::ENOSYS),
        }
        Ok(Outcome::Reply)
    }

    fn list(&self, inode: INodeNo, reading: Reading, lifetime: Option<Duration>, out: &mut Vec<u8>) -> Answer<()> {
        let Reading { handle, offset, size } = reading;
        let mut fill = |next, name: &[u8], attr: &Attr| !wire::put_name(out, size, next, name, attr, lifetime);
        self.view.list(inode, handle, offset, lifetime.is_some(), &mut fill)
    }
}

/// A value as xattr requests want it: for size 0 only its length, and not at all if it is longer than asked.
fn put_sized(out: &mut Vec<u8>, body: &[u8], value: &[u8]) -> Answer<()> {
    match crate::bytes::u32_at(body, 0).ok_or(Errno::EPROTO)? as usize {
        0 => out.extend_from_slice(&(value.len() as u64).to_le_bytes()),
        size if value.len() > size => return Err(Errno::ERANGE),
        _ => out.extend_from_slice(value),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
