//! Sizes and times as docker prints them, since scripts and eyes are used to that.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Bytes with three significant digits and decimal units: `0B`, `1.99MB`, `117MB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let (mut number, mut unit) = (bytes as f64, 0);
    // 999.5 would be shown as 1000.
    while number >= 999.5 && unit + 1 < UNITS.len() {
        number /= 1000.0;
        unit += 1;
    }
    let decimals = if number < 9.995 { 2 } else { usize::from(number < 99.95) };
    let digits = format!("{number:.decimals$}");
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    format!("{digits}{}", UNITS[unit])
}

/// Bytes with up to four significant digits and binary units: `1.5MiB`, `7.629GiB`.
pub fn binary_size(bytes: u64) -> String {
    four_digits(bytes, 1024.0, ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
}

/// Bytes with up to four significant digits and decimal units: `2.048kB`, `194.9MB`.
pub fn long_size(bytes: u64) -> String {
    four_digits(bytes, 1000.0, ["B", "kB", "MB", "GB", "TB", "PB", "EB"])
}

fn four_digits(bytes: u64, base: f64, units: [&str; 7]) -> String {
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let (mut number, mut unit) = (bytes as f64, 0);
    while number >= base && unit + 1 < units.len() {
        number /= base;
        unit += 1;
    }
    let decimals = match number {
        ..9.9995 => 3,
        ..99.995 => 2,
        ..999.95 => 1,
        _ => 0,
    };
    let digits = format!("{number:.decimals$}");
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    format!("{digits}{}", units[unit])
}

/// How long ago `then` was: `3 days ago`. A time to come counts as now.
pub fn ago(then: SystemTime, now: SystemTime) -> String {
    format!("{} ago", duration(now.duration_since(then).unwrap_or_default()))
}

/// A duration in its largest unit.
pub fn duration(time: Duration) -> String {
    let (seconds, minutes) = (time.as_secs(), time.as_secs() / 60);
    let hours = (time.as_secs() + 1800) / 3600;
    match () {
        () if seconds == 0 => "Less than a second".into(),
        () if seconds == 1 => "1 second".into(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".into(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".into(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", seconds / 3600 / 24 / 365),
    }
}

/// A point in time in the zone of this machine or of the variable TZ, or in UTC where neither says, as docker prints it:
/// `2026-11-22 06:15:40 +0100 CET`.
pub fn local(time: SystemTime) -> String {
    moment(time, &TimeZone::try_system().unwrap_or(TimeZone::UTC))
}

/// A point in time as Go prints it.
fn moment(time: SystemTime, zone: &TimeZone) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    time.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, expected) in [
            (0, "0B"),
            (7, "7B"),
            (999, "999B"),
            (1_000, "1kB"),
            (1_234, "1.23kB"),
            (12_345, "12.3kB"),
            (999_499, "999kB"),
            (999_500, "1MB"),
            (1_990_000, "1.99MB"),
            (9_995_000, "10MB"),
            (116_500_000, "116MB"),
            (1_000_000_000, "1GB"),
            (u64::MAX, "18.4EB"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn binary_sizes_have_four_digits() {
        for (bytes, expected) in [
            (0, "0B"),
            (1023, "1023B"),
            (1536, "1.5KiB"),
            (8_191_651_840, "7.629GiB"),
            (1_000_000, "976.6KiB"),
            (10 << 20, "10MiB"),
            (u64::MAX, "16EiB"),
        ] {
            assert_eq!(binary_size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn durations_are_dockers() {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        for (seconds, expected) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (MINUTE, "About a minute"),
            (59 * MINUTE, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 1800, "2 hours"),
            (47 * HOUR, "47 hours"),
            (2 * DAY, "2 days"),
            (13 * DAY, "13 days"),
            (14 * DAY, "2 weeks"),
            (60 * DAY, "2 months"),
            (729 * DAY, "24 months"),
            (730 * DAY, "2 years"),
        ] {
            assert_eq!(duration(Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn moments_are_gos() {
        let berlin = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        for (seconds, utc, local) in [
            (0, "1970-01-01 00:00:00 +0000 UTC", "1970-01-01 01:00:00 +0100 CET"),
            (951_782_399, "2000-02-28 23:59:59 +0000 UTC", "2000-02-29 00:59:59 +0100 CET"),
            (951_782_400, "2000-02-29 00:00:00 +0000 UTC", "2000-02-29 01:00:00 +0100 CET"),
            (1_751_328_000, "2025-07-01 00:00:00 +0000 UTC", "2025-07-01 02:00:00 +0200 CEST"),
        ] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(moment(time, &TimeZone::UTC), utc);
            assert_eq!(moment(time, &berlin), local);
        }
        let beyond = UNIX_EPOCH + Duration::from_secs(1 << 50);
        assert!(moment(beyond, &TimeZone::UTC).starts_with("9999-12-30 "));
    }
}
