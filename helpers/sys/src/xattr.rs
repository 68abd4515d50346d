//! Extended attributes (xattr(7)), as far as std and nix have none.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::{Errno, Result};

/// Whether the file at `path` has the attribute `name`. A file or an attribute that cannot be looked at counts as without.
pub fn has(path: &Path, name: &CStr) -> bool {
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: both strings end in NUL and live for the call; with size 0 the kernel writes nothing.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) };
    length >= 0
}

/// Sets an attribute of the file at `path`, following symlinks.
///
/// `EOPNOTSUPP`: the filesystem has no such attributes.
pub fn set(path: &Path, name: &CStr, value: &[u8]) -> Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: both strings end in NUL, `value` is as long as said, and all live for the call.
    let status = unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Errno::result(status).map(drop)
}

/// As [`set`], of a symlink at the end of the path itself.
pub fn set_itself(path: &Path, name: &CStr, value: &[u8]) -> Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: both strings end in NUL, `value` is as long as said, and all live for the call.
    let status = unsafe { libc::lsetxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Errno::result(status).map(drop)
}

/// Removes an attribute of the file at `path`, following symlinks.
///
/// `ENODATA`: the file has no such attribute.
pub fn remove(path: &Path, name: &CStr) -> Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: both strings end in NUL and live for the call.
    Errno::result(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) }).map(drop)
}

/// As [`remove`], of a symlink at the end of the path itself.
pub fn remove_itself(path: &Path, name: &CStr) -> Result<()> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: both strings end in NUL and live for the call.
    Errno::result(unsafe { libc::lremovexattr(path.as_ptr(), name.as_ptr()) }).map(drop)
}

/// As [`get`], following symlinks.
pub fn get_following(path: &Path, name: &CStr) -> Result<Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    growing(|buffer| {
        // SAFETY: both strings end in NUL, the buffer is as long as said, and all live for the call.
        unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) }
    })
}

/// As [`names`], following symlinks.
pub fn names_following(path: &Path) -> Result<Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    growing(|buffer| {
        // SAFETY: the string ends in NUL, the buffer is as long as said, and both live for the call.
        unsafe { libc::listxattr(path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) }
    })
}

/// The value of an attribute of the file at `path`; a symlink at its end is not followed.
///
/// `ENODATA`: the file has no such attribute.
pub fn get(path: &Path, name: &CStr) -> Result<Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    growing(|buffer| {
        // SAFETY: both strings end in NUL, the buffer is as long as said, and all live for the call.
        unsafe { libc::lgetxattr(path.as_ptr(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) }
    })
}

/// The names of all attributes of the file at `path`, each ended by a NUL; a symlink at its end is not followed.
pub fn names(path: &Path) -> Result<Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)?;
    growing(|buffer| {
        // SAFETY: the string ends in NUL, the buffer is as long as said, and both live for the call.
        unsafe { libc::llistxattr(path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) }
    })
}

/// As [`get`], of an open file.
pub fn get_of(file: impl AsFd, name: &CStr) -> Result<Vec<u8>> {
    let file = file.as_fd().as_raw_fd();
    growing(|buffer| {
        // SAFETY: the name ends in NUL, the buffer is as long as said, and both live for the call.
        unsafe { libc::fgetxattr(file, name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) }
    })
}

/// As [`names`], of an open file.
pub fn names_of(file: impl AsFd) -> Result<Vec<u8>> {
    let file = file.as_fd().as_raw_fd();
    growing(|buffer| {
        // SAFETY: the buffer is as long as said, and lives for the call.
        unsafe { libc::flistxattr(file, buffer.as_mut_ptr().cast(), buffer.len()) }
    })
}

/// As [`set`], of an open file.
pub fn set_of(file: impl AsFd, name: &CStr, value: &[u8]) -> Result<()> {
    let file = file.as_fd().as_raw_fd();
    // SAFETY: the name ends in NUL, `value` is as long as said, and both live for the call.
    let status = unsafe { libc::fsetxattr(file, name.as_ptr(), value.as_ptr().cast(), value.len(), 0) };
    Errno::result(status).map(drop)
}

/// As [`remove`], of an open file.
pub fn remove_of(file: impl AsFd, name: &CStr) -> Result<()> {
    // SAFETY: the name ends in NUL and lives for the call.
    Errno::result(unsafe { libc::fremovexattr(file.as_fd().as_raw_fd(), name.as_ptr()) }).map(drop)
}

/// Asks with a small buffer first, which is nearly always enough, and then with the largest there can be.
fn growing(mut ask: impl FnMut(&mut [u8]) -> isize) -> Result<Vec<u8>> {
    /// The kernel's `XATTR_SIZE_MAX` and `XATTR_LIST_MAX`.
    const LARGEST: usize = 65536;
    let mut buffer = vec![0; 256];
    loop {
        match Errno::result(ask(&mut buffer)) {
            Ok(length) => {
                buffer.truncate(length as usize);
                return Ok(buffer);
            }
            Err(Errno::ERANGE) if buffer.len() < LARGEST => buffer.resize(LARGEST, 0),
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back_as_they_were_set() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let large = vec![7; 1000];
        set(dir.path(), c"user.small", b"1").unwrap();
        set(dir.path(), c"user.large", &large).unwrap();
        assert!(has(dir.path(), c"user.small"));
        assert_eq!(get(dir.path(), c"user.large").unwrap(), large);
        let listed = names(dir.path()).unwrap();
        assert!(listed.split(|&b| b == 0).any(|name| name == b"user.small"));
        assert_eq!(get(dir.path(), c"user.none"), Err(Errno::ENODATA));
        let open = std::fs::File::open(dir.path()).unwrap();
        set_of(&open, c"user.open", b"2").unwrap();
        assert_eq!(get_of(&open, c"user.open").unwrap(), b"2");
        assert!(names_of(&open).unwrap().split(|&b| b == 0).any(|name| name == b"user.open"));
    }
}
