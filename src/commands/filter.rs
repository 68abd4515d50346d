//! What the `--filter` of every list has in common: `KEY=VALUE`, truth, labels.

use std::collections::BTreeMap;

use crate::failure::{Failure, VERB_FAILED};

/// Splits `KEY=VALUE`.
pub fn pair(text: &str) -> Result<(&str, &str), Failure> {
    text.split_once('=').ok_or_else(|| bad(text, "it is no KEY=VALUE"))
}

/// A filter that cannot be.
pub fn bad(text: &str, why: &str) -> Failure {
    Failure::new(format!("invalid filter `{text}`: {why}"))
        .with_hint("--filter takes KEY=VALUE, for instance --filter label=tier=web")
        .with_code(VERB_FAILED)
}

/// A key that no filter of this list has.
pub fn unknown(key: &str, keys: &str) -> Failure {
    Failure::new(format!("invalid filter `{key}`")).with_hint(format!("the keys are: {keys}")).with_code(VERB_FAILED)
}

/// Go's `strconv.ParseBool`, which docker reads them by.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A label that is asked for, with any value or with this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    key: String,
    value: Option<String>,
}

impl Label {
    /// Reads `KEY` or `KEY=VALUE`.
    pub fn parse(text: &str) -> Self {
        match text.split_once('=') {
            Some((key, value)) => Self { key: key.to_owned(), value: Some(value.to_owned()) },
            None => Self { key: text.to_owned(), value: None },
        }
    }

    /// Whether it is among these.
    pub fn is_in(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(&self.key).is_some_and(|value| self.value.as_ref().is_none_or(|wanted| wanted == value))
    }
}
