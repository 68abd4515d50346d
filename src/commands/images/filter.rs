//! `--filter`: docker's keys. An image must fit every filter, but of several references one is enough.

use std::time::SystemTime;

use enter::image::{Platform, Reference};
use enter::store::{Image, Store};

use super::pattern::{Pattern, WrongPattern};
use super::row::repository;
use crate::commands::filter::{self, Label, bad};
use crate::failure::Failure;

/// The filters of one command line.
#[derive(Debug, Default)]
pub struct Filters {
    dangling: Option<bool>,
    pinned: Option<bool>,
    labels: Vec<Label>,
    patterns: Vec<Pattern>,
    before: Option<SystemTime>,
    since: Option<SystemTime>,
}

impl Filters {
    /// Reads `KEY=VALUE` texts, and the name that the command line may have without a key.
    pub fn parse(texts: &[String], name: Option<&str>, store: &Store, platform: &Platform) -> Result<Self, Failure> {
        let mut filters = Self::default();
        for text in texts {
            let (key, value) = filter::pair(text)?;
            match key {
                "dangling" => {
                    filters.dangling = Some(filter::boolean(value).ok_or_else(|| bad(text, "it wants true or false"))?)
                }
                "pinned" => {
                    filters.pinned = Some(filter::boolean(value).ok_or_else(|| bad(text, "it wants true or false"))?)
                }
                "label" => filters.labels.push(Label::parse(value)),
                "reference" => filters.patterns.push(pattern(value)?),
                "before" => filters.before = Some(created(value, store, platform)?),
                // podman has both words.
                "since" | "after" => filters.since = Some(created(value, store, platform)?),
                _ => return Err(filter::unknown(key, "before, dangling, label, pinned, reference, since")),
            }
        }
        if let Some(name) = name {
            filters.patterns.push(pattern(name)?);
        }
        Ok(filters)
    }

    /// Whether the image fits.
    pub fn take(&self, image: &Image) -> bool {
        let labels = &image.config.execution.labels;
        let created = image.created.unwrap_or(SystemTime::UNIX_EPOCH);
        self.dangling.is_none_or(|dangling| dangling == image.names.is_empty())
            && self.pinned.is_none_or(|pinned| pinned == image.pinned)
            && self.labels.iter().all(|label| label.is_in(labels))
            && self.before.is_none_or(|limit| created < limit)
            && self.since.is_none_or(|limit| created > limit)
    }

    /// Whether the name, or the want of one, fits.
    pub fn take_name(&self, name: Option<&Reference>) -> bool {
        let fits = |pattern: &Pattern| {
            name.is_some_and(|name| pattern.matches(&name.familiar()) || pattern.matches(&repository(name)))
        };
        self.patterns.is_empty() || self.patterns.iter().any(fits)
    }
}

fn pattern(text: &str) -> Result<Pattern, Failure> {
    Pattern::parse(text).map_err(|WrongPattern| Failure::new(format!("invalid pattern `{text}`")))
}

fn created(image: &str, store: &Store, platform: &Platform) -> Result<SystemTime, Failure> {
    let found = store.find(image, platform)?;
    let found = found.ok_or_else(|| Failure::from(enter::store::Error::NoSuchImage(image.to_owned())))?;
    Ok(found.created.unwrap_or(SystemTime::UNIX_EPOCH))
}
