//! Times: Go's for health checks, seconds for the rest.

use std::time::Duration;

use enter::duration;

use super::Parsed;

/// Reads a time as Go writes it: `30s`, `1m30s`, `500ms`, `0`.
pub fn duration(text: &str) -> Parsed<Duration> {
    let time = duration::parse(text).and_then(|time| Duration::try_from(time).ok());
    time.ok_or_else(|| "expected a time such as 30s, 500ms or 1m30s".to_owned())
}

/// Reads whole seconds, from 1 on.
pub fn seconds(text: &str) -> Parsed<Duration> {
    let number = text.parse::<u32>().ok().filter(|number| *number > 0 && !text.starts_with('+'));
    number
        .map(|number| Duration::from_secs(number.into()))
        .ok_or_else(|| "expected a number of seconds from 1 on".into())
}

/// Reads `--stop-timeout`: whole seconds; -1 for no end.
pub fn stop_timeout(text: &str) -> Parsed<Duration> {
    if text == "-1" {
        // More than a century, and yet a time that can be added to now.
        return Ok(Duration::from_secs(u32::MAX.into()));
    }
    let number: Option<u32> = text.parse().ok();
    number
        .map(|number| Duration::from_secs(number.into()))
        .ok_or_else(|| "expected a number of seconds, or -1 for no end".into())
}
