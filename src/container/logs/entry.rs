//! One record of a log, as it is read back.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;

use super::Stream;

/// A line of output, or a piece of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// When it was read from the payload, as RFC 3339 in UTC with nine digits after the point: earlier times sort first.
    pub time: Cow<'a, str>,
    /// Where it was written to.
    pub stream: Stream,
    /// Without the newline.
    pub text: Cow<'a, [u8]>,
    /// Whether a newline followed. What follows a piece belongs to the same line.
    pub whole: bool,
}

/// Docker's form.
#[derive(Deserialize)]
struct Json<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

impl<'a> Entry<'a> {
    /// Reads `TIME stdout|stderr F|P TEXT`; `None` for what a killed writer left.
    pub fn of_k8s(line: &'a [u8]) -> Option<Self> {
        let (time, rest) = line.split_at_checked(memchr::memchr(b' ', line)?)?;
        let (stream, rest) = rest[1..].split_at_checked(6)?;
        let whole = match rest.get(..3)? {
            b" F " => true,
            b" P " => false,
            _ => return None,
        };
        let time = std::str::from_utf8(time).ok().filter(|time| is_time(time))?;
        Some(Self { time: time.into(), stream: stream_of(stream)?, text: Cow::Borrowed(&rest[3..]), whole })
    }

    /// Reads docker's JSON; `None` for what a killed writer left.
    pub fn of_json(line: &'a [u8]) -> Option<Self> {
        let Json { log, stream, time } = serde_json::from_slice(line).ok()?;
        let (text, whole) = match log {
            Cow::Borrowed(log) => match log.strip_suffix('\n') {
                Some(text) => (Cow::Borrowed(text.as_bytes()), true),
                None => (Cow::Borrowed(log.as_bytes()), false),
            },
            Cow::Owned(mut log) => {
                let whole = log.ends_with('\n');
                log.truncate(log.len() - usize::from(whole));
                (Cow::Owned(log.into_bytes()), whole)
            }
        };
        is_time(&time).then_some(())?;
        Some(Self { time, stream: stream_of(stream.as_bytes())?, text, whole })
    }
}

/// Whether it may be a time as this program writes it; that of another program is told by its own clock and zone.
fn is_time(text: &str) -> bool {
    text.len() == "2026-11-22T04:50:59.880325591Z".len() && text.ends_with('Z')
}

fn stream_of(name: &[u8]) -> Option<Stream> {
    [Stream::Output, Stream::Error].into_iter().find(|stream| stream.name().as_bytes() == name)
}

/// The part of time that is asked for.
#[derive(Clone, Debug, Default)]
pub struct Window {
    since: Option<String>,
    until: Option<String>,
}

impl Window {
    /// From one moment to the other, both included.
    pub fn new(since: Option<Timestamp>, until: Option<Timestamp>) -> Self {
        Self { since: since.map(super::form::rfc3339), until: until.map(super::form::rfc3339) }
    }

    /// Whether it is too early.
    pub fn begins_after(&self, entry: &Entry) -> bool {
        self.since.as_deref().is_some_and(|since| *entry.time < *since)
    }

    /// Whether it is too late.
    pub fn ends_before(&self, entry: &Entry) -> bool {
        self.until.as_deref().is_some_and(|until| *entry.time > *until)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::form::Form;
    use super::*;

    const TIME: &str = "2026-11-22T04:50:59.880325591Z";

    #[test]
    fn torn_and_foreign_lines_are_none() {
        let whole = format!("{TIME} stdout F text");
        for length in 0..TIME.len() + 10 {
            assert_eq!(Entry::of_k8s(&whole.as_bytes()[..length]), None, "{length}");
        }
        for line in ["", "text", "2026 stdout F x", &format!("{TIME} stdwhat F x"), &format!("{TIME} stdout X x")] {
            assert_eq!(Entry::of_k8s(line.as_bytes()), None, "{line}");
            assert_eq!(Entry::of_json(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_window_includes_its_edges() {
        let line = format!("{TIME} stdout F text");
        let entry = Entry::of_k8s(line.as_bytes()).unwrap();
        let at = |text: &str| Some(text.parse().unwrap());
        let exact = Window::new(at(TIME), at(TIME));
        assert!(!exact.begins_after(&entry) && !exact.ends_before(&entry));
        assert!(Window::new(at("2026-11-22T04:50:59.9Z"), None).begins_after(&entry));
        assert!(Window::new(None, at("2026-11-22T04:50:59Z")).ends_before(&entry));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(text in prop::collection::vec(any::<u8>(), 0..200), error: bool, whole: bool) {
            let text: Vec<u8> = text.into_iter().filter(|byte| *byte != b'\n').collect();
            let stream = if error { Stream::Error } else { Stream::Output };
            for form in [Form::K8s, Form::json(&[("a".into(), "b".into())].into())] {
                let mut line = Vec::new();
                form.encode(&mut line, &form.header(stream, TIME.parse().unwrap()), &text, whole);
                prop_assert_eq!(line.pop(), Some(b'\n'));
                prop_assert!(!line.contains(&b'\n'));
                let (entry, wanted) = match form {
                    Form::K8s => (Entry::of_k8s(&line), text.clone()),
                    Form::Json { .. } => (Entry::of_json(&line), String::from_utf8_lossy(&text).into_owned().into_bytes()),
                };
                prop_assert_eq!(entry, Some(Entry { time: TIME.into(), stream, text: wanted.into(), whole }));
            }
        }

        #[test]
        fn any_bytes_are_no_panic(line in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = (Entry::of_k8s(&line), Entry::of_json(&line));
        }
    }
}
