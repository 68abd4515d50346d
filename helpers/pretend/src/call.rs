//! The system calls that are answered here, decoded from numbers to what is meant.

use libc as c;
use nix::fcntl::AtFlags;
use sys::notify::Notification;

use crate::credentials::Change;

/// A file as a call names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The directory that a relative path begins in, or the file itself: a descriptor, or `AT_FDCWD`.
    pub at: i32,
    /// Where the path is in the caller's memory; `None`: the descriptor's file is meant.
    pub path: Option<u64>,
    /// A symbolic link at the end is followed.
    pub follow: bool,
    /// An empty path means the descriptor's file.
    pub may_be_empty: bool,
}

/// One of the ids that a process can ask for by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// getuid(2), getgid(2).
    Real,
    /// geteuid(2), getegid(2).
    Effective,
}

/// Users or groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Users.
    User,
    /// Groups.
    Group,
}

/// A system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// chown(2) and its kin; [`crate::credentials::SAME`] leaves an owner as it is.
    Own { place: Place, uid: u32, gid: u32 },
    /// stat(2) and its kin, into a `struct stat`.
    Status { place: Place, buffer: u64 },
    /// statx(2).
    LongStatus { place: Place, flags: i32, mask: u32, buffer: u64 },
    /// An id is asked for.
    Tell(Kind, Which),
    /// All three ids are asked for, at these addresses.
    TellThree(Kind, [u64; 3]),
    /// getgroups(2).
    TellGroups { room: i32, buffer: u64 },
    /// Ids are changed.
    Change(Kind, Change),
    /// setgroups(2).
    ChangeGroups { count: i32, buffer: u64 },
    /// open(2) and its kin, which may make a file.
    Open { place: Place, flags: i32, mode: u32 },
    /// mkdir(2).
    MakeDirectory { place: Place, mode: u32 },
    /// mknod(2).
    MakeNode { place: Place, mode: u32, device: u64 },
    /// symlink(2); where the target is.
    MakeLink { place: Place, target: u64 },
    /// prctl(2) for PR_SET_KEEPCAPS.
    KeepCapabilities(bool),
    /// execve(2).
    Execute { place: Place },
    /// getsockopt(2) for SO_PEERCRED.
    Peer { socket: i32, buffer: u64, length: u64 },
}

/// A test on an argument: its number, the bits that are looked at, and what they are to be.
pub type Test = (u8, u64, u64);

/// Which calls are to arrive here: the number, and the alternatives of tests of which one holds; none: always.
pub fn wanted() -> Vec<(i64, &'static [&'static [Test]])> {
    const TMPFILE: u64 = (c::O_TMPFILE & !c::O_DIRECTORY) as u64;
    const CREATE: u64 = c::O_CREAT as u64;
    const OPENS_AT: &[&[Test]] = &[&[(2, CREATE, CREATE)], &[(2, TMPFILE, TMPFILE)]];
    const PEER: &[&[Test]] = &[&[(1, 0xffff_ffff, c::SOL_SOCKET as u64), (2, 0xffff_ffff, c::SO_PEERCRED as u64)]];
    const KEEP: &[&[Test]] = &[&[(0, 0xffff_ffff, c::PR_SET_KEEPCAPS as u64)]];
    let mut wanted: Vec<_> = ALWAYS.iter().chain(ALWAYS_HERE).map(|call| (*call, &[][..])).collect();
    wanted.push((c::SYS_openat, OPENS_AT));
    wanted.push((c::SYS_getsockopt, PEER));
    wanted.push((c::SYS_prctl, KEEP));
    #[cfg(target_arch = "x86_64")]
    {
        const OPENS: &[&[Test]] = &[&[(1, CREATE, CREATE)], &[(1, TMPFILE, TMPFILE)]];
        wanted.push((c::SYS_open, OPENS));
    }
    wanted
}

#[rustfmt::skip]
const ALWAYS: &[c::c_long] = &[
    c::SYS_fchown, c::SYS_fchownat,
    c::SYS_fstat, c::SYS_newfstatat, c::SYS_statx,
    c::SYS_getuid, c::SYS_geteuid, c::SYS_getgid, c::SYS_getegid, c::SYS_getresuid, c::SYS_getresgid, c::SYS_getgroups,
    c::SYS_setuid, c::SYS_setgid, c::SYS_setreuid, c::SYS_setregid, c::SYS_setresuid, c::SYS_setresgid,
    c::SYS_setfsuid, c::SYS_setfsgid, c::SYS_setgroups,
    c::SYS_mkdirat, c::SYS_mknodat, c::SYS_symlinkat,
    c::SYS_execve, c::SYS_execveat,
];

/// Those that only this architecture has.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const ALWAYS_HERE: &[c::c_long] = &[
    c::SYS_chown, c::SYS_lchown, c::SYS_stat, c::SYS_lstat,
    c::SYS_creat, c::SYS_mkdir, c::SYS_mknod, c::SYS_symlink,
];

/// Those that only this architecture has.
#[cfg(not(target_arch = "x86_64"))]
const ALWAYS_HERE: &[c::c_long] = &[];

/// What a call means; `None` for one that is not answered here.
pub fn decode(notification: &Notification) -> Option<Call> {
    let [a, b, d, e, f, _] = notification.arguments;
    let number = c::c_long::try_from(notification.call).ok()?;
    // The kernel looks at the lower half of what is an `int` to it.
    let (at, id) = (|value: u64| value as i32, |value: u64| value as u32);
    let named = |directory: u64, path: u64, flags: u64| {
        let flags = AtFlags::from_bits_retain(flags as i32);
        Place {
            at: directory as i32,
            path: Some(path),
            follow: !flags.contains(AtFlags::AT_SYMLINK_NOFOLLOW),
            may_be_empty: flags.contains(AtFlags::AT_EMPTY_PATH),
        }
    };
    let open_file = |descriptor: u64| Place { at: descriptor as i32, path: None, follow: true, may_be_empty: false };
    let new = |directory: u64, path: u64| named(directory, path, c::AT_SYMLINK_NOFOLLOW as u64);
    Some(match number {
        c::SYS_fchown => Call::Own { place: open_file(a), uid: id(b), gid: id(d) },
        c::SYS_fchownat => Call::Own { place: named(a, b, f), uid: id(d), gid: id(e) },
        c::SYS_fstat => Call::Status { place: open_file(a), buffer: b },
        c::SYS_newfstatat => Call::Status { place: named(a, b, e), buffer: d },
        c::SYS_statx => Call::LongStatus { place: named(a, b, d), flags: at(d), mask: id(e), buffer: f },
        c::SYS_getuid => Call::Tell(Kind::User, Which::Real),
        c::SYS_geteuid => Call::Tell(Kind::User, Which::Effective),
        c::SYS_getgid => Call::Tell(Kind::Group, Which::Real),
        c::SYS_getegid => Call::Tell(Kind::Group, Which::Effective),
        c::SYS_getresuid => Call::TellThree(Kind::User, [a, b, d]),
        c::SYS_getresgid => Call::TellThree(Kind::Group, [a, b, d]),
        c::SYS_getgroups => Call::TellGroups { room: at(a), buffer: b },
        c::SYS_setuid => Call::Change(Kind::User, Change::All(id(a))),
        c::SYS_setgid => Call::Change(Kind::Group, Change::All(id(a))),
        c::SYS_setreuid => Call::Change(Kind::User, Change::RealEffective(id(a), id(b))),
        c::SYS_setregid => Call::Change(Kind::Group, Change::RealEffective(id(a), id(b))),
        c::SYS_setresuid => Call::Change(Kind::User, Change::Three(id(a), id(b), id(d))),
        c::SYS_setresgid => Call::Change(Kind::Group, Change::Three(id(a), id(b), id(d))),
        c::SYS_setfsuid => Call::Change(Kind::User, Change::Files(id(a))),
        c::SYS_setfsgid => Call::Change(Kind::Group, Change::Files(id(a))),
        c::SYS_setgroups => Call::ChangeGroups { count: at(a), buffer: b },
        c::SYS_openat => open(a, b, d, e),
        c::SYS_mkdirat => Call::MakeDirectory { place: new(a, b), mode: id(d) },
        c::SYS_mknodat => Call::MakeNode { place: new(a, b), mode: id(d), device: e },
        c::SYS_symlinkat => Call::MakeLink { place: new(b, d), target: a },
        c::SYS_prctl => Call::KeepCapabilities(b != 0),
        c::SYS_execve => Call::Execute { place: named(HERE, a, 0) },
        c::SYS_execveat => Call::Execute { place: named(a, b, f) },
        c::SYS_getsockopt => Call::Peer { socket: at(a), buffer: e, length: f },
        other => return decode_here(other, notification.arguments),
    })
}

/// `AT_FDCWD`, as an argument.
const HERE: u64 = c::AT_FDCWD as u64;

fn open(directory: u64, path: u64, flags: u64, mode: u64) -> Call {
    let flags = flags as i32;
    let follow = flags & c::O_NOFOLLOW == 0;
    let place = Place { at: directory as i32, path: Some(path), follow, may_be_empty: false };
    Call::Open { place, flags, mode: mode as u32 }
}

#[cfg(target_arch = "x86_64")]
fn decode_here(number: c::c_long, [a, b, d, ..]: [u64; 6]) -> Option<Call> {
    let here = |follow: bool| Place { at: c::AT_FDCWD, path: Some(a), follow, may_be_empty: false };
    Some(match number {
        c::SYS_chown => Call::Own { place: here(true), uid: b as u32, gid: d as u32 },
        c::SYS_lchown => Call::Own { place: here(false), uid: b as u32, gid: d as u32 },
        c::SYS_stat => Call::Status { place: here(true), buffer: b },
        c::SYS_lstat => Call::Status { place: here(false), buffer: b },
        c::SYS_open => open(HERE, a, b, d),
        c::SYS_creat => open(HERE, a, (c::O_CREAT | c::O_WRONLY | c::O_TRUNC) as u64, b),
        c::SYS_mkdir => Call::MakeDirectory { place: here(false), mode: b as u32 },
        c::SYS_mknod => Call::MakeNode { place: here(false), mode: b as u32, device: d },
        c::SYS_symlink => Call::MakeLink { place: Place { path: Some(b), ..here(false) }, target: a },
        _ => return None,
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn decode_here(_: c::c_long, _: [u64; 6]) -> Option<Call> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::SAME;

    fn decoded(call: c::c_long, arguments: [u64; 6]) -> Option<Call> {
        decode(&Notification { id: 1, thread: 1, call, arguments })
    }

    #[test]
    fn arguments_are_read_as_the_kernel_reads_them() {
        // Only the lower half of an int counts.
        let junk = 0xdead_0000_0000_0000;
        let call = decoded(c::SYS_fchownat, [junk | 3, 0x1000, junk | 5, 0xffff_ffff, 0x1100, 0]);
        let place = Place { at: 3, path: Some(0x1000), follow: false, may_be_empty: true };
        assert_eq!(call, Some(Call::Own { place, uid: 5, gid: SAME }));
        let call = decoded(c::SYS_newfstatat, [c::AT_FDCWD as u64 & 0xffff_ffff, 8, 16, 0, 0, 0]);
        let place = Place { at: c::AT_FDCWD, path: Some(8), follow: true, may_be_empty: false };
        assert_eq!(call, Some(Call::Status { place, buffer: 16 }));
        let call = decoded(c::SYS_symlinkat, [1, 2, 3, 0, 0, 0]);
        let place = Place { at: 2, path: Some(3), follow: false, may_be_empty: false };
        assert_eq!(call, Some(Call::MakeLink { place, target: 1 }));
        let call = decoded(c::SYS_setresuid, [1, u64::MAX, 3, 0, 0, 0]);
        assert_eq!(call, Some(Call::Change(Kind::User, Change::Three(1, SAME, 3))));
        assert_eq!(decoded(c::SYS_read, [0; 6]), None);
    }

    #[test]
    fn every_call_that_is_wanted_is_understood() {
        let wanted = wanted();
        for (call, _) in &wanted {
            assert!(decoded(*call as c::c_long, [1; 6]).is_some(), "call {call}");
        }
        let mut numbers: Vec<_> = wanted.iter().map(|(call, _)| call).collect();
        numbers.dedup();
        numbers.sort_unstable();
        let before = numbers.len();
        numbers.dedup();
        assert_eq!(numbers.len(), before, "a call stands twice");
    }

    #[test]
    fn whatever_is_asked_is_decoded_without_a_panic() {
        use proptest::prelude::*;
        proptest!(|(call in 0i64..500, arguments in prop::array::uniform6(any::<u64>()))| {
            let _ = decoded(call as c::c_long, arguments);
        });
    }
}
