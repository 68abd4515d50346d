//! How the caller becomes root in a shell or a box, and anybody else: `sudo` and `su` of ours, which need neither a password nor anything of
//! the image's; and where the image has a sudo of its own, a line by which that one needs no password either.

use std::ffi::OsStr;
use std::path::Path;

use plan::{Step, Text};

use super::caller::Caller;
use super::view::{self, View};

/// Where they lie: a filesystem of its own, so that no package ever finds them in its way.
const FOLDER: &str = "/run/enter-root";

/// What they are called, the program itself first.
const NAMES: [&str; 3] = ["sudo", "sudoedit", "su"];

/// Where they are found before those of the image: no package has anything there, and every PATH begins with it.
const FIRST: &str = "/usr/local/bin";

/// The steps that make them. `host_root`: the root is this machine's, whose own ask for passwords that nobody can check there.
pub(super) fn steps(view: &dyn View, caller: &Caller, host_root: bool) -> Vec<Step> {
    let mut steps =
        vec![Step::Programs { target: FOLDER.into(), names: NAMES.map(Text::from).to_vec(), group: caller.gid }];
    for name in NAMES {
        let first = Path::new(FIRST).join(name);
        // An image's sudo knows what it is to do; its su knows no user who may do without a password.
        let gives_way = name != "su" && !host_root && view::find_program(view, OsStr::new("sudo")).is_some();
        if !gives_way && !view.is_program(&first) {
            steps.push(Step::Link { target: first.into(), points_to: format!("{FOLDER}/{name}").into() });
        }
    }
    if !host_root && view.exists(Path::new("/etc/sudoers")) {
        // By number, as a name may have what would mean something in that file.
        let line = format!("#{} ALL=(ALL:ALL) NOPASSWD: ALL\n", caller.uid);
        steps.push(Step::Write { target: "/etc/sudoers.d/enter".into(), content: line.into(), mode: 0o440 });
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::super::view::fake::Files;
    use super::*;

    fn caller() -> Caller {
        Caller {
            uid: 1000,
            gid: 100,
            name: "dana".into(),
            group: "users".into(),
            gecos: String::new(),
            home: "/home/dana".into(),
            shell: "/bin/sh".into(),
            directory: None,
            umask: 0o22,
        }
    }

    fn links(files: &Files, host_root: bool) -> Vec<String> {
        let link = |step: &Step| match step {
            Step::Link { target, .. } => Some(target.as_path().display().to_string()),
            _ => None,
        };
        steps(files, &caller(), host_root).iter().filter_map(link).collect()
    }

    #[test]
    fn an_image_without_sudo_gets_one_and_another_keeps_its_own() {
        let all = ["/usr/local/bin/sudo", "/usr/local/bin/sudoedit", "/usr/local/bin/su"];
        assert_eq!(links(&Files([("/bin/su", "")].into()), false), all);
        let has_sudo = || Files([("/usr/bin/sudo", ""), ("/bin/su", ""), ("/etc/sudoers", "")].into());
        assert_eq!(links(&has_sudo(), false), all[2..]);
        assert_eq!(links(&has_sudo(), true), all);
        let written = steps(&has_sudo(), &caller(), false).into_iter().find_map(|step| match step {
            Step::Write { target, content, mode: 0o440 } => Some((target, content.as_bytes().to_vec())),
            _ => None,
        });
        let expected = (Text::from("/etc/sudoers.d/enter"), b"#1000 ALL=(ALL:ALL) NOPASSWD: ALL\n".to_vec());
        assert_eq!(written, Some(expected));
        assert_eq!(links(&Files([("/usr/local/bin/su", ""), ("/usr/local/bin/sudo", "")].into()), false), [""; 0]);
    }
}
