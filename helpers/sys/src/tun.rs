//! Taps: Ethernet interfaces whose other end is a program (Documentation/networking/tuntap.rst).

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::{Errno, Result};

/// Makes a tap called `name` in the network namespace in which `tun`, an opened `/dev/net/tun`, was opened, and lets it live on
/// when `tun` is closed. Whoever opens `/dev/net/tun` there later attaches to it by its name.
///
/// Needs CAP_NET_ADMIN in the user namespace that owns the network namespace (`EPERM`). `EBUSY`: `tun` or the
/// name is taken. `EINVAL`: no name for an interface.
pub fn make_persistent_tap(tun: BorrowedFd, name: &str) -> Result<()> {
    make(tun, name, 0)?;
    // SAFETY: TUNSETPERSIST takes its argument by value.
    let status = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETPERSIST as _, 1 as libc::c_ulong) };
    Errno::result(status).map(drop)
}

/// Makes a tap that goes when `tun` is closed, and whose frames are read and written whole, with what is still to be done to them in
/// front (`struct virtio_net_hdr`): a packet of TCP may have 64 KiB, and its checksum may be missing. Two such taps can be joined by
/// handing the frames of each to the other.
///
/// Fails as [`make_persistent_tap`] does.
pub fn make_offloading_tap(tun: BorrowedFd, name: &str) -> Result<()> {
    const CSUM: libc::c_ulong = 1;
    const TSO4: libc::c_ulong = 2;
    const TSO6: libc::c_ulong = 4;
    const TSO_ECN: libc::c_ulong = 8;
    make(tun, name, libc::IFF_VNET_HDR)?;
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    let status = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD as _, CSUM | TSO4 | TSO6 | TSO_ECN) };
    Errno::result(status).map(drop)
}

fn make(tun: BorrowedFd, name: &str, flags: libc::c_int) -> Result<()> {
    // One byte must stay for the NUL.
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || name.bytes().any(|byte| byte == 0) {
        return Err(Errno::EINVAL);
    }
    // SAFETY: all zeroes is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | flags) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one ifreq, which lives for the call.
    let status = unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) };
    Errno::result(status).map(drop)
}

#[cfg(test)]
mod tests {
    use super::{make_offloading_tap, make_persistent_tap};
    use crate::Errno;
    use std::os::fd::AsFd;

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        let null = std::fs::File::open("/dev/null").unwrap();
        for name in ["", "a-name-of-16-byte", "nul\0"] {
            assert_eq!(make_persistent_tap(null.as_fd(), name), Err(Errno::EINVAL), "{name:?}");
            assert_eq!(make_offloading_tap(null.as_fd(), name), Err(Errno::EINVAL), "{name:?}");
        }
        assert_eq!(make_persistent_tap(null.as_fd(), "eth0"), Err(Errno::ENOTTY));
    }
}
