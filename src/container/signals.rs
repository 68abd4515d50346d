//! Names and numbers of signals, as docker and kill(1) read them.

/// The first and the last real-time signal that programs get to see (signal(7)): the C library keeps two below.
const REAL_TIME: (i32, i32) = (34, 64);

/// Those with a name, by their numbers on every architecture that containers run on here.
const NAMES: [(&str, i32); 34] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("POLL", 29),
    ("PWR", 30),
    ("SYS", 31),
];

/// Text that is no signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no signal: write a name such as TERM, SIGHUP or RTMIN+3, or a number from 1 to 64")]
pub struct NoSignal(String);

/// Reads `TERM`, `SIGTERM`, `sigterm`, `15`, `RTMIN+3`, `RTMAX-1`.
///
/// # Errors
/// [`NoSignal`].
pub fn parse(text: &str) -> Result<i32, NoSignal> {
    let wrong = || NoSignal(text.to_owned());
    if text.bytes().next().is_some_and(|byte| byte.is_ascii_digit()) {
        return text.parse().ok().filter(|number| (1..=REAL_TIME.1).contains(number)).ok_or_else(wrong);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    let distance = |text: &str| match text {
        "" => Some(0),
        text => text[1..].parse::<u8>().ok().filter(|_| text[1..].bytes().all(|byte| byte.is_ascii_digit())),
    };
    let number = match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(rest), _) if rest.is_empty() || rest.starts_with('+') => {
            distance(rest).map(|more| REAL_TIME.0 + i32::from(more))
        }
        (_, Some(rest)) if rest.is_empty() || rest.starts_with('-') => {
            distance(rest).map(|less| REAL_TIME.1 - i32::from(less))
        }
        _ => None,
    };
    number.filter(|number| (REAL_TIME.0..=REAL_TIME.1).contains(number)).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_numbers() {
        for (text, number) in [
            ("TERM", 15),
            ("SIGTERM", 15),
            ("sigkill", 9),
            ("9", 9),
            ("64", 64),
            ("RTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("rtmax-1", 63),
            ("RTMAX", 64),
            ("IOT", 6),
        ] {
            assert_eq!(parse(text), Ok(number), "{text}");
        }
        for text in [
            "",
            "0",
            "65",
            "-9",
            "TERMINATE",
            "SIG",
            "RTMIN-1",
            "RTMIN+31",
            "RTMAX-31",
            "RTMAX+1",
            "RTMIN++1",
            "RTMIN+",
            "9x",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_signal_or_none(text in "\\PC{0,12}") {
            if let Ok(number) = parse(&text) {
                prop_assert!((1..=64).contains(&number));
            }
        }

        #[test]
        fn real_time_signals_never_overflow(text in "(SIG)?RT(MIN|MAX)[+-]?[0-9]{0,4}") {
            let _ = parse(&text);
        }
    }
}
