//! Durations as Go writes them, which is how docker and podman take them: `1h30m`, `1.5h`, `250ms`.
//!
//! Source: <https://pkg.go.dev/time#ParseDuration>.

use jiff::SignedDuration;

/// Reads a duration. A number without a unit is none, but for `0`.
pub fn parse(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = SignedDuration::ZERO;
    while !rest.is_empty() {
        let number_length = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, after) = rest.split_at(number_length);
        let unit_length = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_length);
        total = total.checked_add(part(number, nanoseconds(unit)?)?)?;
        rest = next;
    }
    Some(if negative { -total } else { total })
}

/// What a unit is in nanoseconds.
fn nanoseconds(unit: &str) -> Option<i64> {
    match unit {
        "ns" => Some(1),
        "us" | "µs" | "μs" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    }
}

/// So many units, which may have a point. Exact, unlike a product of floating-point numbers.
fn part(number: &str, unit: i64) -> Option<SignedDuration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let billionths: i64 = format!("{fraction:0<9.9}").parse().ok()?;
    let rest = i128::from(billionths) * i128::from(unit) / 1_000_000_000;
    let total = i128::from(whole) * i128::from(unit) + rest;
    Some(SignedDuration::from_nanos(i64::try_from(total).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            (".5s", 500),
            ("250ms", 250),
            ("1000µs", 1),
            ("1000000ns", 1),
            ("+1s", 1_000),
            ("-1s", -1_000),
        ] {
            assert_eq!(parse(text), Some(SignedDuration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn no_duration() {
        for text in ["", "-", "+", "1", "m", ".h", "10x", "1h 30m", "1..5h", "1.1.1s", "99999999h99999999h", "soon"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "\\PC{0,40}", long in "[0-9.]{1,30}(ns|h|m|s)") {
            let _ = (parse(&text), parse(&long));
        }
    }
}
