//! A line of `ls -l`, which clients show as it comes.

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;

/// The line of one file. Owners are numbers: the names that they have are the client's to know. Times are in UTC.
pub fn line(name: &OsStr, data: &Metadata) -> Vec<u8> {
    let (mode, time) = (mode(data.mode()), time(data.mtime()));
    let front = format!("{mode} {:>4} {:<8} {:<8} {:>8} {time} ", data.nlink(), data.uid(), data.gid(), data.size());
    [front.as_bytes(), name.as_bytes()].concat()
}

/// `drwxr-xr-t`.
fn mode(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o020_000 => 'c',
        0o060_000 => 'b',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let special = |set: u32, with: char, without: char, shift: u32| match (mode & set != 0, mode >> shift & 1 == 1) {
        (true, true) => with,
        (true, false) => without,
        (false, true) => 'x',
        (false, false) => '-',
    };
    let bit = |shift: u32, letter: char| if mode >> shift & 1 == 1 { letter } else { '-' };
    [
        kind,
        bit(8, 'r'),
        bit(7, 'w'),
        special(0o4000, 's', 'S', 6),
        bit(5, 'r'),
        bit(4, 'w'),
        special(0o2000, 's', 'S', 3),
        bit(2, 'r'),
        bit(1, 'w'),
        special(0o1000, 't', 'T', 0),
    ]
    .iter()
    .collect()
}

/// `2026-02-28 23:59`, by the usual reckoning of days from 1 March of the year 0.
fn time(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", rest / 3600, rest / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_and_times_are_those_of_ls() {
        assert_eq!(mode(0o041_777), "drwxrwxrwt");
        assert_eq!(mode(0o104_644), "-rwSr--r--");
        assert_eq!(mode(0o120_777), "lrwxrwxrwx");
        assert_eq!(time(0), "1970-01-01 00:00");
        assert_eq!(time(951_868_799), "2000-02-29 23:59");
        assert_eq!(time(-1), "1969-12-31 23:59");
        assert_eq!(time(1_772_323_140), "2026-02-28 23:59");
    }
}
