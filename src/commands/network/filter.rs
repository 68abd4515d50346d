//! `--filter` of `enter network ls`: docker's keys and podman's.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex_lite::Regex;

use super::ls::Row;
use crate::commands::filter::{self, Label, bad};
use crate::commands::moment;
use crate::failure::Failure;

const KEYS: &str = "dangling, driver, id, label, label!, name, scope, type, until";

/// The filters of one command line. An empty list lets everything pass.
#[derive(Debug, Default)]
pub struct Filters {
    names: Vec<Regex>,
    ids: Vec<Regex>,
    drivers: Vec<String>,
    scopes: Vec<String>,
    types: Vec<String>,
    with: Vec<Label>,
    without: Vec<Label>,
    dangling: Option<bool>,
    until: Option<Timestamp>,
}

impl Filters {
    /// Reads `KEY=VALUE` texts.
    pub fn parse(texts: &[String]) -> Result<Self, Failure> {
        let mut filters = Self::default();
        for text in texts {
            let expression = |value: &str| Regex::new(value).map_err(|_| bad(text, "it is no regular expression"));
            let (key, value) = match filter::pair(text)? {
                ("label", value) if text.starts_with("label!=") => ("label!", value),
                pair => pair,
            };
            match key {
                "name" => filters.names.push(expression(value)?),
                "id" => filters.ids.push(expression(value)?),
                "driver" => filters.drivers.push(value.to_owned()),
                "scope" => filters.scopes.push(value.to_owned()),
                "type" if matches!(value, "custom" | "builtin") => filters.types.push(value.to_owned()),
                "type" => return Err(bad(text, "it wants custom or builtin")),
                "label" => filters.with.push(Label::parse(value)),
                "label!" => filters.without.push(Label::parse(value)),
                "dangling" => {
                    filters.dangling = Some(filter::boolean(value).ok_or_else(|| bad(text, "it wants true or false"))?);
                }
                "until" => {
                    let until = moment::parse(value, Timestamp::now(), &TimeZone::system());
                    filters.until =
                        Some(until.ok_or_else(|| bad(text, "it wants a time, such as 24h or 2026-11-22T04:50:59Z"))?);
                }
                _ => return Err(filter::unknown(key, KEYS)),
            }
        }
        Ok(filters)
    }

    /// Whether a network fits.
    pub fn take(&self, row: &Row) -> bool {
        let any = |words: &[String], word: &str| words.is_empty() || words.iter().any(|wanted| wanted == word);
        let matches = |words: &[Regex], text: &str| words.is_empty() || words.iter().any(|word| word.is_match(text));
        matches(&self.names, row.name())
            && matches(&self.ids, row.id())
            && any(&self.drivers, row.driver())
            && any(&self.scopes, "local")
            && any(&self.types, if row.network.is_some() { "custom" } else { "builtin" })
            && self.with.iter().all(|label| label.is_in(row.labels()))
            && !self.without.iter().any(|label| label.is_in(row.labels()))
            && self.dangling.is_none_or(|dangling| dangling == (row.network.is_some() && !row.is_used))
            && self.until.is_none_or(|until| row.network.as_ref().is_some_and(|network| network.created < until))
    }
}
