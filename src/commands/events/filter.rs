//! `--filter` of `enter events`: docker's keys.

use enter::container::events::{Event, Kind};

use crate::commands::filter::{Label, bad, pair, unknown};
use crate::failure::Failure;

const KEYS: &str = "container, event, image, label, name, network, scope, type, volume";

/// The filters of one command line.
#[derive(Debug, Default)]
pub struct Filters {
    subjects: Vec<(Subject, Vec<String>)>,
    labels: Vec<Label>,
    kinds: Vec<Kind>,
    actions: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Of(Kind),
    Named,
}

impl Filters {
    /// Reads `KEY=VALUE` texts.
    pub fn parse(texts: &[String]) -> Result<Self, Failure> {
        let mut filters = Self::default();
        for text in texts {
            let (key, value) = pair(text)?;
            match key {
                "container" => filters.add(Subject::Of(Kind::Container), value),
                "image" => filters.add(Subject::Of(Kind::Image), value),
                "network" => filters.add(Subject::Of(Kind::Network), value),
                "volume" => filters.add(Subject::Of(Kind::Volume), value),
                "name" => filters.add(Subject::Named, value),
                // podman calls it so, too.
                "event" | "status" => filters.actions.push(value.to_owned()),
                "label" => filters.labels.push(Label::parse(value)),
                "scope" if value == "local" => {}
                "scope" => return Err(bad(text, "everything that happens here is of the scope local")),
                "type" => filters
                    .kinds
                    .push(kind(value).ok_or_else(|| bad(text, "the types are container, image, network and volume"))?),
                _ => return Err(unknown(key, KEYS)),
            }
        }
        Ok(filters)
    }

    fn add(&mut self, subject: Subject, value: &str) {
        match self.subjects.iter_mut().find(|(other, _)| *other == subject) {
            Some((_, values)) => values.push(value.to_owned()),
            None => self.subjects.push((subject, vec![value.to_owned()])),
        }
    }

    /// Whether the event fits.
    pub fn take(&self, event: &Event) -> bool {
        // `exec_create: ls -l` is an exec_create too.
        let word = event.action.split(':').next().unwrap_or_default();
        let acts =
            |action: &String| *action == event.action || action == word || podmans(event.kind, word) == action.as_str();
        (self.kinds.is_empty() || self.kinds.contains(&event.kind))
            && (self.actions.is_empty() || self.actions.iter().any(acts))
            && self.labels.iter().all(|label| label.is_in(&event.attributes))
            && self.subjects.iter().all(|(subject, values)| values.iter().any(|value| concerns(event, *subject, value)))
    }
}

/// What podman calls that which docker calls `word`.
fn podmans(kind: Kind, word: &str) -> &str {
    match (kind, word) {
        (_, "die") => "died",
        (_, "exec_die") => "exec_died",
        (_, "exec_start") => "exec",
        (Kind::Container, "destroy") | (Kind::Image, "delete") => "remove",
        (_, word) => word,
    }
}

fn concerns(event: &Event, subject: Subject, value: &str) -> bool {
    let called = event.name == value || is_id(event, value);
    match subject {
        Subject::Named => event.name == value,
        // What happens to a container happens to one of an image.
        Subject::Of(Kind::Image) if event.kind == Kind::Container => same_image(&event.image, value),
        Subject::Of(Kind::Image) => event.kind == Kind::Image && (called || same_image(&event.name, value)),
        Subject::Of(kind) => event.kind == kind && called,
    }
}

fn is_id(event: &Event, value: &str) -> bool {
    let bare = event.id.strip_prefix("sha256:").unwrap_or(&event.id);
    !value.is_empty() && (event.id.starts_with(value) || bare.starts_with(value))
}

/// Whether the names are the same, or are so without the tag of one.
fn same_image(name: &str, value: &str) -> bool {
    let bare = |name: &str| match name.rsplit_once(':') {
        Some((bare, tag)) if !tag.contains('/') => bare.to_owned(),
        _ => name.to_owned(),
    };
    !name.is_empty() && (name == value || bare(name) == value || name == bare(value))
}

fn kind(name: &str) -> Option<Kind> {
    [Kind::Container, Kind::Image, Kind::Volume, Kind::Network].into_iter().find(|kind| kind.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(event: &Event, filters: &[&str]) -> bool {
        let filters: Vec<String> = filters.iter().map(|filter| (*filter).to_owned()).collect();
        Filters::parse(&filters).unwrap().take(event)
    }

    #[test]
    fn every_key() {
        let mut event = Event::of_image("0123456789abcdef", "web", "exec_create: ls -l").with("job", "a");
        (event.kind, event.image) = (Kind::Container, "quay.io/busybox:1".into());
        for fits in [
            &["container=web"][..],
            &["container=0123"],
            &["container=other", "container=web"],
            &["image=quay.io/busybox"],
            &["image=quay.io/busybox:1", "type=container", "event=exec_create"],
            &["event=exec_create: ls -l"],
            &["label=job", "label=job=a"],
            &["name=web", "scope=local"],
        ] {
            assert!(taken(&event, fits), "{fits:?}");
        }
        for other in [
            &["container=we"][..],
            &["container="],
            &["container=web", "event=start"],
            &["image=busybox"],
            &["type=image"],
            &["label=job", "label=job=b"],
            &["volume=web"],
        ] {
            assert!(!taken(&event, other), "{other:?}");
        }
        event.action = "die".into();
        assert!(taken(&event, &["event=died"]) && taken(&event, &["event=die"]) && !taken(&event, &["event=remove"]));
        event.action = "destroy".into();
        assert!(taken(&event, &["event=remove"]), "podman's word for it");
        let image = Event::of_image("sha256:89ab", "busybox:latest", "pull");
        assert!(
            taken(&image, &["image=busybox"]) && taken(&image, &["image=89ab"]) && !taken(&image, &["container=89ab"])
        );
    }

    #[test]
    fn what_is_no_filter_is_told() {
        for (filter, told) in [
            ("web", "no KEY=VALUE"),
            ("colour=red", "invalid filter `colour`"),
            ("type=node", "types are"),
            ("scope=swarm", "local"),
        ] {
            let failure = Filters::parse(&[filter.to_owned()]).unwrap_err();
            assert!(failure.chain().concat().contains(told), "{failure:?}");
            assert_eq!(failure.code(), 1);
        }
    }
}
