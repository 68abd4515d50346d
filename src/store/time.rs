//! RFC 3339 times, as image configurations have them.

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Parses `2024-01-02T03:04:05.678+01:00`; `None` for anything else, and for times before 1970, which stand for "unknown".
pub fn parse(text: &str) -> Option<SystemTime> {
    let time: Timestamp = text.parse().ok()?;
    Some(SystemTime::from(time)).filter(|time| *time >= UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seconds(text: &str) -> Option<u64> {
        Some(parse(text)?.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn known_times() {
        for (text, wanted) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2024-01-02T03:04:05.678901234Z", 1_704_164_645),
            ("2024-01-02T03:04:05+01:30", 1_704_164_645 - 5400),
            ("2024-12-31T23:59:59-00:01", 1_735_689_599 + 60),
        ] {
            assert_eq!(seconds(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn no_time() {
        for text in [
            "",
            "2024",
            "2024-13-01T00:00:00Z",
            "2024-01-01T00:00:00",
            "0001-01-01T00:00:00Z",
            "2024-01-01T00:00:00+1:00",
            "2024-01-01Tää:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "\\PC{0,40}", shaped in "[0-9TZ:.+ -]{0,35}") {
            let _ = (parse(&text), parse(&shaped));
        }
    }
}
