//! Capability sets of this process (capabilities(7)).

use crate::{Errno, Result};

/// A set of capabilities: bit N is the capability numbered N in `linux/capability.h`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Set(pub u64);

const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Makes the permitted and effective sets exactly `set`, the inheritable one empty (capset(2)), and so the ambient one.
pub fn set_permitted(set: Set) -> Result<()> {
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |bits: u64| Data { effective: bits as u32, permitted: bits as u32, inheritable: 0 };
    let data = [half(set.0 & 0xffff_ffff), half(set.0 >> 32)];
    // SAFETY: version 3 reads one header and two data elements, both of which are valid for the call.
    let status = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    Errno::result(status).map(drop)
}

/// Removes everything that is not in `set` from the bounding set (PR_CAPBSET_DROP in prctl(2)).
pub fn limit_bounding(set: Set) -> Result<()> {
    for capability in 0..64 {
        // SAFETY: prctl with integer arguments only.
        let present = unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) };
        match Errno::result(present) {
            Ok(0) => continue,
            Ok(_) => {}
            Err(Errno::EINVAL) => return Ok(()), // past the last one that this kernel knows
            Err(errno) => return Err(errno),
        }
        if set.0 & (1 << capability) == 0 {
            // SAFETY: prctl with integer arguments only.
            Errno::result(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) })?;
        }
    }
    Ok(())
}

/// Empties the ambient set (PR_CAP_AMBIENT in prctl(2), Linux 4.3).
pub fn clear_ambient() -> Result<()> {
    // SAFETY: prctl with integer arguments only.
    let status = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    Errno::result(status).map(drop)
}

/// Whether a change of user ids leaves the permitted set as it is (PR_SET_KEEPCAPS in prctl(2)).
pub fn keep_over_setuid(keep: bool) -> Result<()> {
    // SAFETY: prctl with integer arguments only.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, libc::c_ulong::from(keep), 0, 0, 0) }).map(drop)
}
