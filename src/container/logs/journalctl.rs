//! Reading back what went to systemd's journal: through journalctl(1), which knows where it is and who may read it.

use std::borrow::Cow;
use std::process::{Command, Stdio};

use jiff::Timestamp;
use serde::Deserialize;

use super::Stream;
use super::entry::Entry;
use super::form::rfc3339;
use super::reader::Query;

/// A record as `journalctl --output=json` prints it.
#[derive(Deserialize)]
struct Printed<'a> {
    #[serde(rename = "MESSAGE")]
    message: Message,
    #[serde(rename = "PRIORITY", default)]
    priority: Cow<'a, str>,
    /// Microseconds since 1970.
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    time: Cow<'a, str>,
    #[serde(rename = "CONTAINER_PARTIAL_MESSAGE", default)]
    partial: Cow<'a, str>,
}

/// Text, or bytes that are none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
}

/// What prints the records of the container with this id, one a line.
pub fn command(id: &str, query: &Query) -> Command {
    let mut command = Command::new("journalctl");
    command.args(["--quiet", "--no-pager", "--all", "--output=json", &format!("CONTAINER_ID_FULL={id}")]);
    command.arg(format!("--lines={}", query.tail.map_or("all".into(), |count| count.to_string())));
    for (flag, time) in [("since", query.since), ("until", query.until)] {
        command.args(time.map(|time| format!("--{flag}=@{}.{:06}", time.as_second(), time.subsec_microsecond())));
    }
    if query.follow {
        command.arg("--follow");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Reads one line of it; `None` for what is none of ours.
pub fn parse(line: &[u8]) -> Option<Entry<'static>> {
    let printed: Printed = serde_json::from_slice(line).ok()?;
    let time = Timestamp::from_microsecond(printed.time.parse().ok()?).ok()?;
    let stream = if printed.priority == "3" { Stream::Error } else { Stream::Output };
    let text = match printed.message {
        Message::Text(text) => text.into_bytes(),
        Message::Bytes(bytes) => bytes,
    };
    Some(Entry { time: rfc3339(time).into(), stream, text: text.into(), whole: printed.partial != "true" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes() {
        let line = br#"{"MESSAGE":"a\tb","PRIORITY":"3","__REALTIME_TIMESTAMP":"1795323059880325","_PID":"1"}"#;
        let entry = parse(line).unwrap();
        assert_eq!((entry.stream, &*entry.text, entry.whole), (Stream::Error, &b"a\tb"[..], true));
        assert_eq!(entry.time, "2026-11-22T04:50:59.880325000Z");
        let line = br#"{"MESSAGE":[255,97],"CONTAINER_PARTIAL_MESSAGE":"true","__REALTIME_TIMESTAMP":"1"}"#;
        let entry = parse(line).unwrap();
        assert_eq!((entry.stream, &*entry.text, entry.whole), (Stream::Output, &b"\xffa"[..], false));
        for line in ["", "{}", r#"{"MESSAGE":null,"__REALTIME_TIMESTAMP":"1"}"#] {
            assert_eq!(parse(line.as_bytes()), None);
        }
    }

    #[test]
    fn the_query_becomes_flags() {
        let query =
            Query { since: Some("2026-11-22T04:50:59.5Z".parse().unwrap()), tail: Some(3), follow: true, until: None };
        let command = command("0123", &query);
        let arguments: Vec<_> = command.get_args().map(|argument| argument.to_str().unwrap()).collect();
        assert_eq!(arguments[4..], ["CONTAINER_ID_FULL=0123", "--lines=3", "--since=@1795323059.500000", "--follow"]);
    }
}
