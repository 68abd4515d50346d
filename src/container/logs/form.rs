//! One record of a log file, in the two forms that there are.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Stream;

/// How a record is written.
#[derive(Debug)]
pub enum Form {
    /// `TIME stdout|stderr F|P TEXT`, as the kubelet and podman have it. Any bytes but a newline.
    K8s,
    /// Docker's JSON object; what is no UTF-8 becomes U+FFFD, as docker does.
    Json {
        /// `,"attrs":{…}`, or nothing.
        attributes: Vec<u8>,
    },
}

impl Form {
    /// Docker's form, with `details` in each record.
    pub fn json(details: &BTreeMap<String, String>) -> Self {
        let mut attributes = Vec::new();
        if !details.is_empty() {
            attributes.extend_from_slice(b",\"attrs\":");
            // A map of strings is always JSON.
            attributes.extend(serde_json::to_vec(details).unwrap_or_default());
        }
        Self::Json { attributes }
    }

    /// What the records of one read have in common.
    pub fn header(&self, stream: Stream, now: Timestamp) -> Vec<u8> {
        let (stream, time) = (stream.name(), rfc3339(now));
        match self {
            Self::K8s => format!("{time} {stream} ").into_bytes(),
            Self::Json { attributes } => {
                let head = format!("\",\"stream\":\"{stream}\"");
                [head.as_bytes(), attributes, format!(",\"time\":\"{time}\"}}\n").as_bytes()].concat()
            }
        }
    }

    /// Adds one record to `batch`.
    #[inline]
    pub fn encode(&self, batch: &mut Vec<u8>, header: &[u8], text: &[u8], whole: bool) {
        match self {
            Self::K8s => {
                batch.reserve(header.len() + text.len() + 3);
                batch.extend_from_slice(header);
                batch.extend_from_slice(if whole { b"F " } else { b"P " });
                batch.extend_from_slice(text);
                batch.push(b'\n');
            }
            Self::Json { .. } => {
                batch.extend_from_slice(b"{\"log\":\"");
                escape(batch, text);
                if whole {
                    batch.extend_from_slice(b"\\n");
                }
                batch.extend_from_slice(header);
            }
        }
    }
}

/// A time as logs have it: always nine digits after the point, so that lines stand below each other.
pub fn rfc3339(time: Timestamp) -> String {
    format!("{time:.9}")
}

/// Adds `text` to a JSON string.
fn escape(batch: &mut Vec<u8>, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        let valid = chunk.valid().as_bytes();
        let mut from = 0;
        for (at, byte) in valid.iter().enumerate() {
            if *byte >= b' ' && !matches!(byte, b'"' | b'\\') {
                continue;
            }
            batch.extend_from_slice(&valid[from..at]);
            from = at + 1;
            match byte {
                b'"' | b'\\' => batch.extend([b'\\', *byte]),
                b'\t' => batch.extend(b"\\t"),
                b'\r' => batch.extend(b"\\r"),
                _ => {
                    let digit = |value: u8| b"0123456789abcdef"[usize::from(value)];
                    batch.extend(b"\\u00");
                    batch.extend([digit(byte >> 4), digit(byte & 15)]);
                }
            }
        }
        batch.extend_from_slice(&valid[from..]);
        if !chunk.invalid().is_empty() {
            batch.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(form: &Form, text: &[u8], whole: bool) -> Vec<u8> {
        let now = "2026-11-22T04:50:59.880325591Z".parse().unwrap();
        let mut batch = Vec::new();
        form.encode(&mut batch, &form.header(Stream::Error, now), text, whole);
        batch
    }

    #[test]
    fn the_form_of_kubernetes() {
        assert_eq!(encoded(&Form::K8s, b"a\xff\r", true), b"2026-11-22T04:50:59.880325591Z stderr F a\xff\r\n");
        assert_eq!(encoded(&Form::K8s, b"", false), b"2026-11-22T04:50:59.880325591Z stderr P \n");
    }

    #[test]
    fn the_form_of_docker() {
        let record = |form: &Form, text: &[u8], whole| String::from_utf8(encoded(form, text, whole)).unwrap();
        let plain = Form::json(&BTreeMap::new());
        assert_eq!(
            record(&plain, "a\"\\\t\r\x1b[0mü".as_bytes(), true),
            "{\"log\":\"a\\\"\\\\\\t\\r\\u001b[0mü\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-22T04:50:59.880325591Z\"}\n"
        );
        let value: serde_json::Value = serde_json::from_slice(&encoded(&plain, b"a\xffb\0", false)).unwrap();
        assert_eq!(value["log"], "a\u{fffd}b\0");
        let tagged = Form::json(&BTreeMap::from([("tag".into(), "a\"b".into())]));
        let value: serde_json::Value = serde_json::from_slice(&encoded(&tagged, b"x", true)).unwrap();
        assert_eq!((&value["log"], &value["attrs"]["tag"]), (&"x\n".into(), &"a\"b".into()));
    }

    #[test]
    fn a_full_second_has_nine_digits_too() {
        assert_eq!(rfc3339("2026-11-22T04:50:59Z".parse().unwrap()), "2026-11-22T04:50:59.000000000Z");
    }
}
