//! Extended attributes (xattr(7)), as far as std and nix have none.

use std::ffi::{CStr, CString};
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
