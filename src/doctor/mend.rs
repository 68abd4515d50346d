//! The commands that mend what is closed to the user. Texts only: the user runs them.

use nix::errno::Errno;

pub use crate::container::preflight::namespaces;

/// What to do where a device of the kernel's cannot be opened.
pub fn device(path: &str, module: &str, errno: Errno) -> String {
    match errno {
        Errno::EACCES | Errno::EPERM => format!("sudo chmod 0666 {path}"),
        _ => format!("sudo modprobe {module}"),
    }
}

#[cfg(test)]
mod tests {
    use super::device;
    use nix::errno::Errno;

    #[test]
    fn a_device_is_given_rights_or_made() {
        assert_eq!(device("/dev/fuse", "fuse", Errno::EACCES), "sudo chmod 0666 /dev/fuse");
        assert_eq!(device("/dev/fuse", "fuse", Errno::ENOENT), "sudo modprobe fuse");
    }
}
