//! Limits of control groups.

use std::path::PathBuf;

use super::{Parsed, bytes};

/// Reads a number of bytes, or -1 for any.
pub fn bytes_or_any(text: &str) -> Parsed<i64> {
    if text == "-1" {
        return Ok(-1);
    }
    i64::try_from(bytes(text)?).map_err(|_| "there is no such amount of memory".into())
}

/// Reads a number of processors, in billionths of one.
pub fn processors(text: &str) -> Parsed<u64> {
    let wrong = || "expected a number of processors such as 1.5".to_owned();
    let number: f64 = text.parse().map_err(|_| wrong())?;
    if number == 0.0 {
        return Ok(0);
    }
    // docker's least, and more than any machine has.
    if !(0.01..1e6).contains(&number) {
        return Err("expected a number of processors from 0.01 on".into());
    }
    Ok((number * 1e9).round() as u64)
}

/// Reads microseconds of a period, or -1.
pub fn quota(text: &str) -> Parsed<i64> {
    match text.parse::<i64>() {
        Ok(number) if number == 0 || number == -1 || number >= 1000 => Ok(number),
        _ => Err("expected 1000 microseconds or more, or -1 for any".into()),
    }
}

/// Reads a list of processors or nodes.
pub fn numbers(text: &str) -> Parsed<String> {
    let number = |text: &str| text.parse::<u32>().ok();
    let is_range = |part: &str| match part.split_once('-') {
        Some((first, last)) => matches!((number(first), number(last)), (Some(first), Some(last)) if first <= last),
        None => number(part).is_some(),
    };
    match text {
        "" => Ok(String::new()),
        text if text.split(',').all(is_range) => Ok(text.to_owned()),
        _ => Err("expected numbers and ranges such as 0-2,5".into()),
    }
}

/// Reads the name of a slice, systemd.slice(5).
pub fn slice(text: &str) -> Parsed<String> {
    let name = text.strip_suffix(".slice").unwrap_or_default();
    let allowed = |char: char| char.is_ascii_alphanumeric() || "-_.:\\".contains(char);
    if name.is_empty()
        || name.starts_with('-')
        || name.ends_with('-')
        || name.contains("--")
        || !name.chars().all(allowed)
    {
        return Err("expected the name of a slice of your systemd, such as work.slice".into());
    }
    Ok(text.to_owned())
}

/// Reads a weight of disks.
pub fn weight(text: &str) -> Parsed<u64> {
    match text.parse() {
        Ok(weight) if weight == 0 || (10..=1000).contains(&weight) => Ok(weight),
        _ => Err("expected a weight from 10 to 1000, or 0 for none".into()),
    }
}

/// Reads `DEVICE:WEIGHT`.
pub fn device_weight(text: &str) -> Parsed<(PathBuf, u64)> {
    of_device(text, weight)
}

/// Reads `DEVICE:BYTES`.
pub fn device_bytes(text: &str) -> Parsed<(PathBuf, u64)> {
    of_device(text, bytes)
}

/// Reads `DEVICE:NUMBER`.
pub fn device_number(text: &str) -> Parsed<(PathBuf, u64)> {
    of_device(text, |text| text.parse().map_err(|_| "expected a number a second".into()))
}

fn of_device(text: &str, value: impl Fn(&str) -> Parsed<u64>) -> Parsed<(PathBuf, u64)> {
    let (path, most) = text.rsplit_once(':').ok_or("expected the file of a disk, a colon and a number")?;
    if !path.starts_with("/dev/") {
        return Err("expected the file of a disk, such as /dev/sda".into());
    }
    let most = value(most)?;
    if most == 0 { Err("0 is no limit: leave it away".into()) } else { Ok((path.into(), most)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_in_dockers_forms() {
        assert_eq!(bytes_or_any("-1"), Ok(-1));
        assert_eq!(bytes_or_any("1g"), Ok(1 << 30));
        assert_eq!(processors("1.5"), Ok(1_500_000_000));
        assert_eq!(processors("0"), Ok(0));
        for good in ["0", "0-2,5", ""] {
            assert_eq!(numbers(good).as_deref(), Ok(good));
        }
        assert_eq!(device_bytes("/dev/sda:1mb"), Ok(("/dev/sda".into(), 1 << 20)));
        assert_eq!(device_weight("/dev/disk/by-id/a:b:200"), Ok(("/dev/disk/by-id/a:b".into(), 200)));
        for bad in ["-2", "x", "1x"] {
            assert!(bytes_or_any(bad).is_err() && processors(bad).is_err(), "{bad}");
        }
        assert!(numbers("2-0").is_err() && numbers("a").is_err() && numbers("1,").is_err());
        assert!(processors("0.001").is_err() && processors("nan").is_err());
        assert_eq!(slice("work.slice").as_deref(), Ok("work.slice"));
        for bad in ["", ".slice", "/work", "a b.slice", "-a.slice", "work"] {
            assert!(slice(bad).is_err(), "{bad}");
        }
        assert!(quota("5").is_err() && weight("5").is_err() && weight("1001").is_err());
        for bad in ["sda:1", "/dev/sda", "/dev/sda:0", "/dev/sda:x"] {
            assert!(device_number(bad).is_err(), "{bad}");
        }
    }
}
