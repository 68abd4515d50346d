//! System call filters (seccomp(2)).

use crate::{Errno, Result};

/// Installs a filter for this process and its children, made of `sock_filter` instructions of eight bytes each,
/// in this machine's byte order.
///
/// Needs no_new_privs or CAP_SYS_ADMIN in the process's user namespace (`EACCES`). `EINVAL`: not a valid filter.
pub fn install(filter: &[u64]) -> Result<()> {
    let length = u16::try_from(filter.len()).map_err(|_| Errno::EINVAL)?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr() as *mut libc::sock_filter };
    const SET_MODE_FILTER: libc::c_uint = 1;
    // SAFETY: `program` names `length` instructions of eight bytes, suitably aligned, alive for the call; the
    // kernel copies and verifies them, and does not write to them.
    let status = unsafe { libc::syscall(libc::SYS_seccomp, SET_MODE_FILTER, 0, &raw const program) };
    Errno::result(status).map(drop)
}
