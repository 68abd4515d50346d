//! Which subordinate ids a user has: `/etc/subuid`, `/etc/subgid`, or whatever nsswitch.conf names instead.
//!
//! [`parse`], [`nsswitch_source`] and [`parse_getsubids`] take bytes; [`SubIds::of`] does the reading.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::Tool;
use crate::error::{Error, User};
use crate::write::find_tool;

/// `count` ids from `start` on. Never empty, and never past 4294967294.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The first id.
    pub start: u32,
    /// How many.
    pub count: u32,
}

impl Range {
    /// `count` ids from `start` on.
    pub const fn new(start: u32, count: u32) -> Range {
        Range { start, count }
    }

    fn end(&self) -> u32 {
        self.start + self.count
    }

    /// What of this range `other` does not have: none, one or two pieces.
    pub(crate) fn without(&self, other: &Range) -> Vec<Range> {
        let below = (self.start, self.end().min(other.start));
        let above = (self.start.max(other.end()), self.end());
        [below, above]
            .into_iter()
            .filter(|(start, end)| start < end)
            .map(|(start, end)| Range::new(start, end - start))
            .collect()
    }
}

/// A line of a subid file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not three fields.
    #[error("line {line}: expected \"user:start:count\"")]
    Fields {
        /// The line's number, from 1.
        line: usize,
    },
    /// A field that should be a number is none, or is greater than 4294967295.
    #[error("line {line}: \"{text}\" is not a number from 0 to 4294967295")]
    Number {
        /// The line's number, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// The range is empty or runs past the last id.
    #[error("line {line}: {count} ids from {start} on do not lie between 0 and 4294967294")]
    Range {
        /// The line's number, from 1.
        line: usize,
        /// The first id.
        start: u32,
        /// How many.
        count: u32,
    },
}

/// The ranges of one user in the text of `/etc/subuid` or `/etc/subgid` (subuid(5)), in the order of the file. A line is the
/// user's if its first field is the name or the uid. Empty lines and lines that begin with `#` are none.
///
/// A malformed line of *another* user is not this user's trouble and is passed over, as shadow does.
pub fn parse(text: &[u8], name: &str, uid: u32) -> Result<Vec<Range>, ParseError> {
    let mut ranges = Vec::new();
    for (index, raw) in text.split(|byte| *byte == b'\n').enumerate() {
        let content = raw.trim_ascii();
        if content.is_empty() || content.starts_with(b"#") {
            continue;
        }
        let line = index + 1;
        let fields: Vec<&[u8]> = content.split(|byte| *byte == b':').collect();
        if !owned_by(fields[0], name, uid) {
            continue;
        }
        let [_, start, count] = fields[..] else { return Err(ParseError::Fields { line }) };
        ranges.push(range(start, count, line)?);
    }
    Ok(ranges)
}

fn owned_by(field: &[u8], name: &str, uid: u32) -> bool {
    field == name.as_bytes() || number(field) == Some(uid)
}

fn range(start: &[u8], count: &[u8], line: usize) -> Result<Range, ParseError> {
    let field = |bytes: &[u8]| {
        number(bytes)
            .ok_or_else(|| ParseError::Number { line, text: String::from_utf8_lossy(bytes).escape_debug().to_string() })
    };
    let (start, count) = (field(start)?, field(count)?);
    match start.checked_add(count) {
        Some(_) if count > 0 => Ok(Range::new(start, count)),
        _ => Err(ParseError::Range { line, start, count }),
    }
}

/// Digits alone: Rust's own parser would take a sign too.
fn number(bytes: &[u8]) -> Option<u32> {
    if !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// The first source of the `subid` database in the text of nsswitch.conf, if that is not `files`. shadow
/// looks at no second one.
pub fn nsswitch_source(text: &[u8]) -> Option<String> {
    String::from_utf8_lossy(text)
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .filter_map(|line| line.trim().strip_prefix("subid"))
        .filter_map(|rest| rest.trim_start().strip_prefix(':'))
        .filter_map(|sources| sources.split_ascii_whitespace().next())
        .map(str::to_owned)
        .next()
        .filter(|source| source != "files")
}

/// The ranges in what `getsubids USER` prints: lines like `0: user 100000 65536`.
pub fn parse_getsubids(text: &[u8]) -> Result<Vec<Range>, ParseError> {
    let mut ranges = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let fields: Vec<&[u8]> =
            line.split(|byte| byte.is_ascii_whitespace()).filter(|field| !field.is_empty()).collect();
        match fields[..] {
            [] => {}
            [_, _, start, count] => ranges.push(range(start, count, index + 1)?),
            _ => return Err(ParseError::Fields { line: index + 1 }),
        }
    }
    Ok(ranges)
}

/// The subordinate ids of one user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubIds {
    /// The uids.
    pub uids: Vec<Range>,
    /// The gids.
    pub gids: Vec<Range>,
}

impl SubIds {
    /// The subordinate ids of `user` on this machine. A file that does not exist gives none. Where nsswitch.conf names another
    /// source than the files, getsubids(1) is asked.
    pub fn of(user: &User) -> Result<SubIds, Error> {
        match nsswitch_source(&read(Path::new("/etc/nsswitch.conf"))?) {
            Some(source) => {
                Ok(SubIds { uids: getsubids(user, &[], &source)?, gids: getsubids(user, &["-g"], &source)? })
            }
            None => SubIds::from_files(user, Path::new("/etc/subuid"), Path::new("/etc/subgid")),
        }
    }

    /// The subordinate ids of `user` in two files of the form of subuid(5).
    pub fn from_files(user: &User, subuid: &Path, subgid: &Path) -> Result<SubIds, Error> {
        let load = |path: &Path| {
            parse(&read(path)?, &user.name, user.uid).map_err(|source| Error::SubIdFile { path: path.into(), source })
        };
        Ok(SubIds { uids: load(subuid)?, gids: load(subgid)? })
    }

    /// Whether anything can be mapped beside the user: uids and gids are both needed.
    pub fn is_empty(&self) -> bool {
        self.uids.is_empty() || self.gids.is_empty()
    }
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    match fs::read(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(Error::Read { path: path.into(), source }),
    }
}

fn getsubids(user: &User, options: &[&str], source: &str) -> Result<Vec<Range>, Error> {
    let tool = find_tool(Tool::GetSubIds)?;
    let output = Command::new(&tool)
        .args(options)
        .arg(&user.name)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Start { tool: tool.clone(), source })?;
    // It exits with 1 both for a user without ranges and for an error, and then prints no range.
    if !output.status.success() && output.stdout.is_empty() {
        return Ok(Vec::new());
    }
    parse_getsubids(&output.stdout).map_err(|error| Error::GetSubIds { source_name: source.into(), source: error })
}

#[cfg(test)]
mod tests {
    use super::{ParseError, Range, nsswitch_source, parse, parse_getsubids};
    use proptest::prelude::*;

    #[test]
    fn lines_are_found_by_name_and_by_uid_and_keep_their_order() {
        let text = b"# comment\nroot:1:2\n\n  dev:200000:10  \n1000:100000:65536\r\ndevil:5:5";
        assert_eq!(parse(text, "dev", 1000), Ok(vec![Range::new(200_000, 10), Range::new(100_000, 65536)]));
    }

    #[test]
    fn a_malformed_line_is_named_by_its_number() {
        assert_eq!(parse(b"#\ndev:1", "dev", 1000), Err(ParseError::Fields { line: 2 }));
        assert_eq!(parse(b"dev:1:2:3", "dev", 1000), Err(ParseError::Fields { line: 1 }));
        for text in ["", "+1", "-1", "0x10", "4294967296", "99999999999999999999", "1 "] {
            let line = format!("dev:{text}:5");
            assert!(matches!(parse(line.as_bytes(), "dev", 1), Err(ParseError::Number { line: 1, .. })), "{line}");
        }
    }

    #[test]
    fn an_empty_range_or_one_past_the_last_id_is_refused() {
        assert!(matches!(parse(b"dev:1:0", "dev", 1), Err(ParseError::Range { .. })));
        assert!(matches!(parse(b"dev:4294967295:1", "dev", 1), Err(ParseError::Range { .. })));
        assert!(matches!(parse(b"dev:4294967294:2", "dev", 1), Err(ParseError::Range { .. })));
        assert_eq!(parse(b"dev:4294967294:1", "dev", 1), Ok(vec![Range::new(4_294_967_294, 1)]));
    }

    #[test]
    fn another_users_malformed_line_is_passed_over() {
        assert_eq!(parse(b"other:x\n\xff\xff:1:1\ndev:1:1\n", "dev", 7), Ok(vec![Range::new(1, 1)]));
    }

    #[test]
    fn an_empty_first_field_is_nobodys() {
        assert_eq!(parse(b":1:1\n", "dev", 0), Ok(vec![]));
    }

    #[test]
    fn nsswitch_names_another_source_only_where_it_is_first() {
        assert_eq!(nsswitch_source(b"passwd: files\n"), None);
        assert_eq!(nsswitch_source(b"subid: files sss\n"), None);
        assert_eq!(nsswitch_source(b" subid : sss # files\n"), Some("sss".into()));
        assert_eq!(nsswitch_source(b"#subid: sss\nsubids: x\n"), None);
    }

    #[test]
    fn the_output_of_getsubids_is_read() {
        assert_eq!(parse_getsubids(b"0: dev 100000 65536\n1: dev 5 6\n").unwrap().len(), 2);
        assert_eq!(parse_getsubids(b""), Ok(vec![]));
        assert!(parse_getsubids(b"Error fetching ranges").is_err());
    }

    #[test]
    fn what_a_range_lacks_of_another_is_none_one_or_two_pieces() {
        let range = Range::new(10, 10);
        assert_eq!(range.without(&Range::new(0, 100)), vec![]);
        assert_eq!(range.without(&Range::new(0, 10)), vec![range]);
        assert_eq!(range.without(&Range::new(20, 1)), vec![range]);
        assert_eq!(range.without(&Range::new(12, 3)), vec![Range::new(10, 2), Range::new(15, 5)]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_and_every_range_it_gives_is_valid(text: Vec<u8>) {
            if let Ok(ranges) = parse(&text, "dev", 0) {
                for range in ranges {
                    prop_assert!(range.count > 0 && range.start.checked_add(range.count).is_some());
                }
            }
            let _ = parse_getsubids(&text).map(|ranges| ranges.len());
            let _ = nsswitch_source(&text);
        }

        #[test]
        fn what_is_written_is_read_back(ranges in prop::collection::vec((0u32..u32::MAX / 2, 1u32..u32::MAX / 2), 0..20)) {
            let text: String = ranges.iter().map(|(s, c)| format!("dev:{s}:{c}\nother:{c}:1\n")).collect();
            let expected: Vec<Range> = ranges.iter().map(|(s, c)| Range::new(*s, *c)).collect();
            prop_assert_eq!(parse(text.as_bytes(), "dev", 3_000_000_000), Ok(expected));
        }
    }
}
