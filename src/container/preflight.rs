//! Why the kernel refuses a user namespace, and the command that mends it: asked only after it has. Texts only; the user runs
//! them. `doctor` shows them too.

use std::fs;
use std::path::Path;

use nix::errno::Errno;

/// What to do where a user namespace cannot be made, or can do nothing once it is made; nothing where no setting explains it.
pub fn namespaces(errno: Errno) -> Option<String> {
    let setting = |name: &str| fs::read_to_string(format!("/proc/sys/{}", name.replace('.', "/"))).ok();
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/local/bin/enter".into());
    namespaces_by(errno, setting, &program)
}

fn namespaces_by(errno: Errno, setting: impl Fn(&str) -> Option<String>, program: &Path) -> Option<String> {
    let is = |name: &str, value: &str| setting(name).is_some_and(|text| text.trim() == value);
    if is("kernel.unprivileged_userns_clone", "0") {
        return Some(set("kernel.unprivileged_userns_clone", "1"));
    }
    if is("user.max_user_namespaces", "0") {
        return Some(set("user.max_user_namespaces", "28633"));
    }
    if is("kernel.apparmor_restrict_unprivileged_userns", "1") {
        return Some(apparmor_profile(program));
    }
    match errno {
        Errno::ENOSPC => Some(format!(
            "{} (or leave some of the {} namespaces that this process is nested in)",
            set("user.max_user_namespaces", "28633"),
            "32 at most",
        )),
        Errno::EPERM => Some(
            "this process is forbidden user namespaces by what it was started in (a container, a service's sandbox, a chroot): \
             run enter outside of that, or start the container with --privileged"
                .into(),
        ),
        Errno::EINVAL | Errno::ENOSYS => Some("boot a kernel with CONFIG_USER_NS=y".into()),
        _ => None,
    }
}

/// A setting, now and after the next boot.
fn set(name: &str, value: &str) -> String {
    format!("echo {name}={value} | sudo tee /etc/sysctl.d/60-enter.conf && sudo sysctl -p /etc/sysctl.d/60-enter.conf")
}

/// Ubuntu, from 23.10 on, lets namespaces be made only by programs that have a profile which says so.
fn apparmor_profile(program: &Path) -> String {
    format!(
        "printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile enter \"%s\" flags=(unconfined) {{\\n  userns,\\n}}\\n' \
         '{}' | sudo tee /etc/apparmor.d/enter && sudo apparmor_parser -r /etc/apparmor.d/enter",
        program.display().to_string().replace('\'', "'\\''")
    )
}

#[cfg(test)]
mod tests {
    use super::namespaces_by;
    use nix::errno::Errno;
    use std::path::Path;

    fn mend(errno: Errno, settings: &[(&str, &str)]) -> Option<String> {
        let setting =
            |name: &str| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| format!("{value}\n"));
        namespaces_by(errno, setting, Path::new("/opt/it's/enter"))
    }

    #[test]
    fn each_setting_that_forbids_namespaces_has_its_own_mend() {
        let debian = mend(Errno::EPERM, &[("kernel.unprivileged_userns_clone", "0")]).unwrap();
        assert!(debian.starts_with("echo kernel.unprivileged_userns_clone=1 | sudo tee "), "{debian}");
        let zero = mend(Errno::ENOSPC, &[("user.max_user_namespaces", "0")]).unwrap();
        assert!(zero.starts_with("echo user.max_user_namespaces=28633 | "), "{zero}");
        let ubuntu = [("kernel.apparmor_restrict_unprivileged_userns", "1"), ("user.max_user_namespaces", "96365")];
        let ubuntu = mend(Errno::EACCES, &ubuntu).unwrap();
        assert!(ubuntu.contains("'/opt/it'\\''s/enter' | sudo tee /etc/apparmor.d/enter"), "{ubuntu}");
        assert!(!ubuntu.contains("sysctl"), "the setting itself stays");
    }

    #[test]
    fn without_such_a_setting_the_errno_says_what_to_do() {
        assert!(mend(Errno::ENOSPC, &[("user.max_user_namespaces", "96365")]).unwrap().contains("nested"));
        assert!(mend(Errno::EPERM, &[]).unwrap().contains("outside"));
        assert!(mend(Errno::EINVAL, &[]).unwrap().contains("CONFIG_USER_NS"));
        assert_eq!(mend(Errno::ENOMEM, &[]), None);
    }
}
