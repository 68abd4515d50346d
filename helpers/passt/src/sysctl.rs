//! Settings of a network namespace that only /proc/sys has.

use std::fs;
use std::io;

use crate::error::Error;

/// Writes a setting of the calling thread's network namespace. `name` is a path below /proc/sys.
pub(crate) fn set(name: &str, value: &str) -> Result<(), Error> {
    fs::write(format!("/proc/sys/{name}"), value)
        .map_err(|source| Error::Setting { name: name.replace('/', "."), source })
}

/// Writes a setting that is a comfort. Where /proc/sys is read-only, as inside most containers, there is no way
/// to have it, and a container without it is better than none.
pub(crate) fn set_if_writable(name: &str, value: &str) -> Result<(), Error> {
    match set(name, value) {
        Err(Error::Setting { source, .. })
            if matches!(
                source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

/// The widest range of group ids that `net.ipv4.ping_group_range` takes in a user namespace with this gid map.
///
/// Both ends must be mapped, and the kernel compares groups as the initial namespace numbers them (ping_group_range_v in
/// net/ipv4/sysctl_net_ipv4.c): so the ends are the ids that are lowest and highest outside.
pub(crate) fn ping_groups(gid_map: &str) -> (u32, u32) {
    let extents: Vec<[u32; 3]> = gid_map
        .lines()
        .filter_map(|line| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse);
            Some([numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?])
        })
        .filter(|[_, _, count]| *count > 0)
        .collect();
    let lowest = extents.iter().min_by_key(|[_, outside, _]| *outside).map(|[inside, ..]| *inside);
    let highest = extents
        .iter()
        .max_by_key(|[_, outside, count]| u64::from(*outside) + u64::from(*count))
        .map(|[inside, _, count]| inside + (count - 1));
    match (lowest, highest) {
        // The setting is a signed number at its upper end.
        (Some(low), Some(high)) if low <= high => (low, high.min(0x7fff_ffff)),
        _ => (0, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::{ping_groups, set_if_writable};

    #[test]
    fn every_mapped_group_may_ping() {
        assert_eq!(ping_groups("0 1001 1\n1 100000 65536\n"), (0, 65536));
        assert_eq!(ping_groups("         0       1001          1\n"), (0, 0));
        assert_eq!(ping_groups("0 0 4294967295"), (0, 0x7fff_ffff));
    }

    #[test]
    fn where_the_order_outside_is_another_one_the_first_group_may_ping() {
        assert_eq!(ping_groups("0 900000 1\n1 100000 65536\n"), (0, 0));
        assert_eq!(ping_groups(""), (0, 0));
        assert_eq!(ping_groups("x y z\n"), (0, 0));
    }

    #[test]
    fn a_comfort_that_does_not_exist_here_is_no_error() {
        set_if_writable("net/there/is/no/such/setting", "1").unwrap();
    }
}
