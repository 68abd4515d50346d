//! Times: Go's for health checks, seconds for the rest.

use std::time::Duration;

use super::Parsed;

/// Reads a time as Go writes it: `30s`, `1m30s`, `500ms`, `0`.
pub fn duration(text: &str) -> Parsed<Duration> {
    let wrong = || "expected a time such as 30s, 500ms or 1m30s".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = 0.0;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit() && char != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let end = rest.find(|char: char| char.is_ascii_digit() || char == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return Err(wrong()),
        };
        total += number * unit;
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(total).map_err(|_| wrong())
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
