//! `--since` and `--until`: a moment as docker reads it.
//!
//! Source: <https://docs.docker.com/reference/cli/docker/container/logs/#since>.

use std::str::FromStr;

use enter::duration;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::failure::{Failure, VERB_FAILED};

/// The value of a flag, now and in this place.
pub fn of_flag(flag: &str, text: Option<&str>) -> Result<Option<Timestamp>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let moment = parse(text, Timestamp::now(), &TimeZone::system());
    let wrong = || Failure::new(format!("invalid value `{text}` for `{flag}`: it is no time"));
    let hint = "a time is how long ago (10m, 1h30m), a date (2026-11-22, 2026-11-22T04:50, 2026-11-22T04:50:59Z), or seconds since 1970";
    moment.map(Some).ok_or_else(|| wrong().with_hint(hint).with_code(VERB_FAILED))
}

/// How long ago, a date, or seconds since 1970; a date without an offset is one of `zone`.
pub fn parse(text: &str, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    if let Some(seconds) = seconds(text) {
        return Timestamp::from_duration(seconds).ok();
    }
    if let Some(ago) = duration::parse(text) {
        return now.checked_sub(ago).ok();
    }
    date(text, zone)
}

/// `1136073600` or `1136073600.000000001`.
fn seconds(text: &str) -> Option<SignedDuration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    digits(whole)?;
    Some(SignedDuration::new(whole.parse().ok()?, i32::try_from(nanoseconds(fraction)?).ok()?))
}

/// RFC 3339, and what is left of it where the offset, or the end of the time, or the time is left out.
fn date(text: &str, zone: &TimeZone) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked("2006-01-02".len())?;
    let [year, month, day] = date.split('-').collect::<Vec<_>>()[..] else { return None };
    let date = Date::new(number(year, 4)?, number(month, 2)?, number(day, 2)?).ok()?;
    let offset_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
    let (time, offset) = rest.split_at(offset_at);
    let time = if time.is_empty() { Time::midnight() } else { clock(time.strip_prefix(['T', 't', ' '])?)? };
    let zone = match offset {
        "" => zone.clone(),
        "Z" | "z" => TimeZone::UTC,
        _ => {
            let (hours, minutes) = offset[1..].split_once(':')?;
            let seconds = number::<i32>(hours, 2)? * 3600 + number::<i32>(minutes, 2)? * 60;
            TimeZone::fixed(Offset::from_seconds(if offset.starts_with('-') { -seconds } else { seconds }).ok()?)
        }
    };
    Some(DateTime::from_parts(date, time).to_zoned(zone).ok()?.timestamp())
}

/// `15`, `15:04`, `15:04:05` or `15:04:05.999999999`.
fn clock(text: &str) -> Option<Time> {
    let (text, fraction) = text.split_once('.').unwrap_or((text, ""));
    let parts: Option<Vec<i8>> = text.split(':').map(|part| number(part, 2)).collect();
    let (hour, minute, second) = match parts?[..] {
        [hour] if fraction.is_empty() => (hour, 0, 0),
        [hour, minute] if fraction.is_empty() => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    Time::new(hour, minute, second, i32::try_from(nanoseconds(fraction)?).ok()?).ok()
}

/// What stands after the point of a second, which may be nothing.
fn nanoseconds(fraction: &str) -> Option<u32> {
    if fraction.is_empty() {
        return Some(0);
    }
    digits(fraction)?;
    format!("{:0<9.9}", fraction).parse().ok()
}

fn number<N: FromStr>(text: &str, length: usize) -> Option<N> {
    digits(text).filter(|text| text.len() == length)?.parse().ok()
}

fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Option<String> {
        let now = "2026-11-22T12:00:00Z".parse().unwrap();
        parse(text, now, &TimeZone::fixed(Offset::from_hours(1).unwrap())).map(|moment| moment.to_string())
    }

    #[test]
    fn every_form() {
        for (text, wanted) in [
            ("10m", "2026-11-22T11:50:00Z"),
            ("1h30m", "2026-11-22T10:30:00Z"),
            ("1.5h", "2026-11-22T10:30:00Z"),
            ("-1h", "2026-11-22T13:00:00Z"),
            ("250ms", "2026-11-22T11:59:59.75Z"),
            ("1µs", "2026-11-22T11:59:59.999999Z"),
            ("0s", "2026-11-22T12:00:00Z"),
            ("0", "1970-01-01T00:00:00Z"),
            ("1795323059", "2026-11-22T04:50:59Z"),
            ("1795323059.88", "2026-11-22T04:50:59.88Z"),
            ("1795323059.000000001", "2026-11-22T04:50:59.000000001Z"),
            ("2026-11-22", "2026-11-21T23:00:00Z"),
            ("2026-11-22Z", "2026-11-22T00:00:00Z"),
            ("2026-11-22T04", "2026-11-22T03:00:00Z"),
            ("2026-11-22T04:50", "2026-11-22T03:50:00Z"),
            ("2026-11-22T04:50:59", "2026-11-22T03:50:59Z"),
            ("2026-11-22T04:50:59.5", "2026-11-22T03:50:59.5Z"),
            ("2026-11-22T04:50:59.880325591Z", "2026-11-22T04:50:59.880325591Z"),
            ("2026-11-22T04:50:59-07:30", "2026-11-22T12:20:59Z"),
            ("2026-11-22T04:50+01:00", "2026-11-22T03:50:00Z"),
            ("2026-11-22 04:50:59", "2026-11-22T03:50:59Z"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(wanted), "{text}");
        }
        for text in [
            "",
            "-",
            "m",
            "10x",
            "1h 30m",
            "1..5h",
            ".h",
            "2026-1-2",
            "2026-13-01",
            "2026-11-22T",
            "2026-11-22T4:50",
            "2026-11-22T04:50:59+1",
            "2026-11-22X04",
            "bogus",
            "yesterday",
            "9999999999999999999",
            "99999999h",
            "1.1.1",
            "2026-11-22T04.5",
            "ä026-11-22",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "\\PC{0,40}", shaped in "[0-9TZ:.+ -]{0,35}", long in "[0-9.]{1,30}(ns|h|m|s)") {
            let _ = (parsed(&text), parsed(&shaped), parsed(&long));
        }
    }
}
