//! A record of a log as a line: what stands before it, and whether it ends.

use std::fmt::Write as _;

use enter::container::logs::{About, Entry, Stream};
use enter::container::record::Record;

use crate::cli::LogsArgs;
use crate::failure::Failure;
use crate::ui::Feed;

/// Prints records.
#[derive(Debug)]
pub struct Printer {
    feed: Feed,
    timestamps: bool,
    /// What stands before each line, after its time.
    prefix: String,
    /// Whether a line was begun, of stdout and stderr.
    within: [bool; 2],
}

impl Printer {
    /// Prints records of this container's log, in the manner that was asked for.
    pub fn new(feed: Feed, args: &LogsArgs, record: &Record) -> Self {
        let mut prefix = String::new();
        if args.details {
            let details: Vec<String> = About::of(record)
                .details
                .iter()
                .map(|(key, value)| format!("{}={}", quoted(key), quoted(value)))
                .collect();
            // Docker has the space also where there is nothing before it.
            prefix = details.join(",") + " ";
        }
        if args.names {
            prefix = format!("{} {prefix}", record.name);
        }
        Self { feed, timestamps: args.timestamps, prefix, within: [false; 2] }
    }

    /// Prints one.
    pub fn print(&mut self, entry: &Entry) -> Result<(), Failure> {
        let error = entry.stream == Stream::Error;
        let within = std::mem::replace(&mut self.within[usize::from(error)], !entry.whole);
        if !within && self.timestamps {
            self.feed.own(error, &entry.time)?;
            self.feed.own(error, " ")?;
        }
        if !within && !self.prefix.is_empty() {
            self.feed.own(error, &self.prefix)?;
        }
        self.feed.foreign(error, &entry.text)?;
        if entry.whole { self.feed.own(error, "\n") } else { Ok(()) }
    }

    /// Lets go what was gathered.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.feed.flush()
    }
}

/// As docker has it: what a detail may not have as it is, in the manner of URLs.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => quoted.push(byte.into()),
            b' ' => quoted.push('+'),
            _ => {
                // Writing to a String cannot fail.
                let _ = write!(quoted, "%{byte:02X}");
            }
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_quoted() {
        assert_eq!(quoted("a b=c,\u{1b}ä~"), "a+b%3Dc%2C%1B%C3%A4~");
    }
}
