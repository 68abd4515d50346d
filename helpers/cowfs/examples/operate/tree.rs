//! What a file, and a whole tree, looks like: all that two equal trees have in common.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::ffi::CStr;
use std::fs::{self, Metadata};
use std::hash::Hasher;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// Times later than this (September 2020) are those of the test itself.
const NOW: i64 = 1_600_000_000;

/// What stat(2) says.
pub fn status(status: &Metadata) -> String {
    let kind = status.file_type();
    let when =
        if status.mtime() > NOW { "now".to_owned() } else { format!("{}.{:09}", status.mtime(), status.mtime_nsec()) };
    let mut text = format!("{:o} {}:{} {when} links={}", status.mode(), status.uid(), status.gid(), status.nlink());
    if !kind.is_dir() {
        text += &format!(" size={}", status.size());
    }
    if kind.is_char_device() || kind.is_block_device() {
        text += &format!(" device={:x}", status.rdev());
    }
    text
}

/// Bytes, as one word; where they are many by their length, both ends and a hash.
pub fn summary(bytes: &[u8]) -> String {
    let quoted = |bytes: &[u8]| bytes.escape_ascii().to_string().replace(' ', "\\x20");
    if bytes.len() <= 40 {
        return format!("`{}`", quoted(bytes));
    }
    let (first, last) = (&bytes[..8], &bytes[bytes.len() - 8..]);
    format!("{}:`{}`…`{}`{:x}", bytes.len(), quoted(first), quoted(last), hash(bytes))
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// The extended attributes of a file, with their values.
pub fn attributes(path: &Path) -> Result<Vec<String>, Errno> {
    let names = match sys::xattr::names(path) {
        Err(Errno::EOPNOTSUPP) => Vec::new(),
        names => names?,
    };
    let value = |name: &[u8]| {
        let name = CStr::from_bytes_with_nul(name).map_err(|_| Errno::EINVAL)?;
        Ok(format!("{}={}", name.to_bytes().escape_ascii(), summary(&sys::xattr::get(path, name)?)))
    };
    let mut values = names.split_inclusive(|&b| b == 0).map(value).collect::<Result<Vec<_>, Errno>>()?;
    values.sort();
    Ok(values)
}

/// Every file below `dir`, each after a `|`, sorted by path.
pub fn dump(dir: &Path) -> io::Result<String> {
    let mut text = String::new();
    let mut first_names = HashMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = path.symlink_metadata()?;
        text += &format!("| {} {}", path.as_os_str().as_bytes().escape_ascii(), status(&meta));
        if meta.is_dir() {
            let names = fs::read_dir(&path)?.map(|entry| entry.map(|entry| entry.path()));
            let mut names = names.collect::<io::Result<Vec<PathBuf>>>()?;
            names.sort_by(|a, b| b.cmp(a));
            todo.extend(names);
        } else {
            let first = first_names.entry((meta.dev(), meta.ino())).or_insert_with(|| path.clone());
            text += &format!(" first={}", first.as_os_str().as_bytes().escape_ascii());
        }
        if meta.is_symlink() {
            text += &format!(" target={}", fs::read_link(&path)?.as_os_str().as_bytes().escape_ascii());
        } else if meta.is_file() {
            text += &format!(" content={}", summary(&fs::read(&path)?));
        }
        for attribute in attributes(&path)? {
            text += &format!(" {attribute}");
        }
        text.push(' ');
    }
    Ok(text)
}
