//! What stands where in a layer's tar, for a table of contents: every byte of it is a part of a header or of a file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// An entry as tools written in Go read it, since it is they who compare a table of contents with the tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: &'static str,
    pub name: String,
    pub link: String,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub modified: Option<String>,
    pub accessed: Option<String>,
    pub changed: Option<String>,
    pub major: u32,
    pub minor: u32,
    pub xattrs: BTreeMap<String, String>,
    /// Where its data begins, and how long it is; 0 for everything but files.
    pub at: u64,
    pub size: u64,
}

/// Reads the entries of a tar; `None` where there is something among them that a table of contents has no words for.
pub fn scan(tar: &File) -> io::Result<Option<Vec<Entry>>> {
    // Go's zstd wants a frame that is not skipped, also where there is nothing.
    if tar.metadata()?.len() == 0 {
        return Ok(None);
    }
    let mut archive = tar::Archive::new(tar);
    let mut entries = Vec::new();
    for entry in archive.entries_with_seek()? {
        // An attribute with a newline in it, say, is more than this reader of tars knows.
        let Ok(mut entry) = entry else { return Ok(None) };
        let Some(entry) = read(&mut entry)? else { return Ok(None) };
        entries.push(entry);
    }
    Ok(Some(entries))
}

fn read(entry: &mut tar::Entry<'_, &File>) -> io::Result<Option<Entry>> {
    let records = entry.pax_extensions()?.into_iter().flatten();
    let pax = records.map(|record| record.map(|record| (record.key_bytes().to_vec(), record.value_bytes().to_vec())));
    let Ok(pax) = pax.collect::<io::Result<BTreeMap<_, _>>>() else { return Ok(None) };
    let text = |key: &str| pax.get(key.as_bytes()).and_then(|value| String::from_utf8(value.clone()).ok());
    // Sparse files and comments for the whole archive have no place in the table.
    if pax.keys().any(|key| key.starts_with(b"GNU.sparse")) {
        return Ok(None);
    }
    let Ok(name) = String::from_utf8(entry.path_bytes().into_owned()) else { return Ok(None) };
    let link = entry.link_name_bytes().map(|link| String::from_utf8(link.into_owned()));
    let Ok(link) = link.unwrap_or_else(|| Ok(String::new())) else { return Ok(None) };
    let header = entry.header();
    let kind = match header.entry_type() {
        tar::EntryType::Regular if header.as_bytes()[156] == 0 && name.ends_with('/') => "dir",
        tar::EntryType::Regular => "reg",
        tar::EntryType::Link => "hardlink",
        tar::EntryType::Symlink => "symlink",
        tar::EntryType::Char => "char",
        tar::EntryType::Block => "block",
        tar::EntryType::Directory => "dir",
        tar::EntryType::Fifo => "fifo",
        _ => return Ok(None),
    };
    let number = |key: &str| text(key).and_then(|text| text.parse::<u64>().ok());
    let mut xattrs = BTreeMap::new();
    for (key, value) in &pax {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            let Ok(name) = std::str::from_utf8(name) else { return Ok(None) };
            xattrs.insert(name.to_owned(), STANDARD.encode(value));
        }
    }
    let is_file = kind == "reg";
    // GNU's own header has more times in the place of a prefix.
    let gnu = header.as_gnu();
    let old = |time: Option<io::Result<u64>>| match time {
        Some(Ok(seconds)) if seconds > 0 => moment(&seconds.to_string()),
        _ => None,
    };
    // Fields that are empty, as some tools leave them, are zeros.
    let uid = number("uid").unwrap_or_else(|| header.uid().unwrap_or(0));
    let gid = number("gid").unwrap_or_else(|| header.gid().unwrap_or(0));
    let modified = text("mtime").unwrap_or_else(|| header.mtime().unwrap_or(0).to_string());
    Ok(Some(Entry {
        kind,
        link: if matches!(kind, "hardlink" | "symlink") { link } else { String::new() },
        mode: header.mode().unwrap_or(0),
        uid,
        gid,
        modified: moment(&modified),
        accessed: text("atime").map_or_else(|| old(gnu.map(tar::GnuHeader::atime)), |text| moment(&text)),
        changed: text("ctime").map_or_else(|| old(gnu.map(tar::GnuHeader::ctime)), |text| moment(&text)),
        major: header.device_major().ok().flatten().unwrap_or(0),
        minor: header.device_minor().ok().flatten().unwrap_or(0),
        xattrs,
        at: entry.raw_file_position(),
        size: if is_file { entry.size() } else { 0 },
        name,
    }))
}

/// Seconds since 1970, perhaps with a fraction, as RFC 3339 has it.
fn moment(text: &str) -> Option<String> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().ok()?;
    let digits: String = fraction.chars().chain(std::iter::repeat('0')).take(9).collect();
    let nanoseconds: i32 = digits.parse().ok()?;
    let moment = jiff::Timestamp::new(seconds, if is_negative { -nanoseconds } else { nanoseconds }).ok()?;
    Some(moment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_go_tells_them() {
        for (text, expected) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("1700000000", "2023-11-14T22:13:20Z"),
            ("1700000000.5", "2023-11-14T22:13:20.5Z"),
            ("1700000000.123456789", "2023-11-14T22:13:20.123456789Z"),
        ] {
            assert_eq!(moment(text).as_deref(), Some(expected));
        }
        assert_eq!(moment("soon"), None);
    }
}
