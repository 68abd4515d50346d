//! `--filter` of every prune: `until`, `label` and `label!`.

use std::collections::BTreeMap;
use std::time::SystemTime;

use enter::container::Container;
use enter::store::Image;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::commands::filter::{self, Label, bad};
use crate::commands::moment;
use crate::failure::Failure;

/// The filters of one command line.
#[derive(Debug, Default)]
pub struct Filters {
    until: Option<Timestamp>,
    with: Vec<Label>,
    without: Vec<Label>,
    dangling: Option<bool>,
}

impl Filters {
    /// Reads `KEY=VALUE` texts; images may be asked whether they have a name.
    pub fn parse(texts: &[String], images: bool) -> Result<Self, Failure> {
        let mut filters = Self::default();
        for text in texts {
            match filter::pair(text)? {
                ("until", value) => {
                    let until = moment::parse(value, Timestamp::now(), &TimeZone::system());
                    filters.until =
                        Some(until.ok_or_else(|| bad(text, "it wants a time, such as 24h or 2026-11-22T04:50:59Z"))?);
                }
                ("label", value) => filters.with.push(Label::parse(value)),
                ("label!", value) => filters.without.push(Label::parse(value)),
                ("dangling", value) if images => {
                    let dangling = filter::boolean(value).ok_or_else(|| bad(text, "it wants true or false"))?;
                    filters.dangling = Some(dangling);
                }
                (key, _) if images => return Err(filter::unknown(key, "dangling, label, label!, until")),
                (key, _) => return Err(filter::unknown(key, "label, label!, until")),
            }
        }
        Ok(filters)
    }

    /// Whether a container fits.
    pub fn take_container(&self, container: &Container) -> bool {
        self.take(container.record.created.into(), &container.record.spec.labels)
    }

    /// Whether an image fits.
    pub fn take_image(&self, image: &Image) -> bool {
        self.take(image.created.unwrap_or(SystemTime::UNIX_EPOCH), &image.config.execution.labels)
    }

    /// Whether only images without a name are meant, where that is said: docker's other word for `--all`.
    pub fn dangling(&self) -> Option<bool> {
        self.dangling
    }

    /// Whether everything fits.
    pub fn is_empty(&self) -> bool {
        self.until.is_none() && self.with.is_empty() && self.without.is_empty()
    }

    /// Whether what was made then, and has these labels, fits.
    pub fn take(&self, created: SystemTime, labels: &BTreeMap<String, String>) -> bool {
        self.until.is_none_or(|until| created < SystemTime::from(until))
            && self.with.iter().all(|label| label.is_in(labels))
            && !self.without.iter().any(|label| label.is_in(labels))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(texts: &[&str]) -> Result<Filters, Failure> {
        Filters::parse(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>(), true)
    }

    #[test]
    fn what_is_old_and_labelled_so_goes() {
        let labels = [("a".to_owned(), "1".to_owned())].into();
        let hour_ago = SystemTime::now() - std::time::Duration::from_secs(3600);
        for (texts, expected) in [
            (&[][..], true),
            (&["until=30m"], true),
            (&["until=24h"], false),
            (&["label=a"], true),
            (&["label=a=2"], false),
            (&["label!=a"], false),
            (&["label!=a=2", "label=a=1"], true),
        ] {
            assert_eq!(filters(texts).unwrap().take(hour_ago, &labels), expected, "{texts:?}");
        }
        for text in ["until=soon", "nope=1", "label", "dangling=x"] {
            assert_eq!(filters(&[text]).unwrap_err().code(), 1, "{text}");
        }
    }
}
