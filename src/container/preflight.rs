//! Why the kernel refuses a user namespace, and how that is mended: asked only after it has.

use std::fs;

use nix::errno::Errno;

/// What the user can do where `unshare(CLONE_NEWUSER)` failed with `errno`.
pub fn user_namespaces(errno: Errno) -> Option<String> {
    let number = |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok());
    mend(errno, number)
}

const MAX: &str = "/proc/sys/user/max_user_namespaces";
const DEBIAN: &str = "/proc/sys/kernel/unprivileged_userns_clone";
const APPARMOR: &str = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";

fn mend(errno: Errno, sysctl: impl Fn(&str) -> Option<u64>) -> Option<String> {
    let set = |name: &str, value: u64| {
        format!(
            "sudo sysctl -w {name}={value}; to keep it so: echo {name}={value} | sudo tee /etc/sysctl.d/90-enter.conf"
        )
    };
    Some(match errno {
        Errno::ENOSPC if sysctl(MAX) == Some(0) => {
            format!("user namespaces are switched off: {}", set("user.max_user_namespaces", 15_000))
        }
        Errno::ENOSPC => {
            format!("too many user namespaces, or too deeply nested: {}", set("user.max_user_namespaces", 60_000))
        }
        _ if sysctl(DEBIAN) == Some(0) => {
            format!("only root may make them: {}", set("kernel.unprivileged_userns_clone", 1))
        }
        _ if sysctl(APPARMOR).is_some_and(|value| value > 0) => {
            "AppArmor keeps them from programs without a profile: `enter doctor` shows the profile to install".into()
        }
        Errno::EPERM => "a container or sandbox around this shell forbids it; `enter doctor` finds out more".into(),
        _ => "`enter doctor` finds out what this machine lacks, and how to mend it".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_own_mend() {
        let hint = |errno, path: &'static str, value| mend(errno, |asked| (asked == path).then_some(value)).unwrap();
        assert!(hint(Errno::ENOSPC, MAX, 0).contains("user.max_user_namespaces=15000"));
        assert!(hint(Errno::ENOSPC, MAX, 100).contains("nested"));
        assert!(hint(Errno::EPERM, DEBIAN, 0).contains("kernel.unprivileged_userns_clone=1"));
        assert!(hint(Errno::EACCES, APPARMOR, 1).contains("AppArmor"));
        assert!(hint(Errno::EPERM, DEBIAN, 1).contains("sandbox around"));
    }
}
