//! An event as docker prints it: a line, its JSON, or a template.

use std::collections::BTreeMap;

use enter::container::events::{Event, Kind};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::failure::{Failure, VERB_FAILED};
use crate::template::Template;

/// How events are printed.
#[derive(Debug)]
pub struct Form {
    style: Style,
    truncate: bool,
    zone: TimeZone,
}

#[derive(Debug)]
enum Style {
    Line,
    Json,
    Template(Template),
}

impl Form {
    /// Reads `--format`.
    pub fn parse(format: Option<&str>, truncate: bool) -> Result<Self, Failure> {
        let style = match format {
            None | Some("") => Style::Line,
            Some("json" | "{{json .}}" | "{{ json . }}") => Style::Json,
            Some(text) => {
                let failed = |error: crate::template::Error| Failure::from(error).with_code(VERB_FAILED);
                let template = Template::parse(&text.replace("\\t", "\t").replace("\\n", "\n")).map_err(failed)?;
                // A wrong field is to be told before something happens.
                template.render(&fields(&Event::of_image("", "", ""), false)).map_err(failed)?;
                Style::Template(template)
            }
        };
        Ok(Self { style, truncate, zone: TimeZone::system() })
    }

    /// One event, without the newline.
    pub fn show(&self, event: &Event) -> Result<String, Failure> {
        match &self.style {
            Style::Line => Ok(self.line(event)),
            Style::Json => Ok(json(event, self.truncate).to_string()),
            Style::Template(template) => Ok(template.render(&fields(event, self.truncate))?),
        }
    }

    /// `TIME TYPE ACTION ID (KEY=VALUE, …)`, with the time in the local zone.
    fn line(&self, event: &Event) -> String {
        let pairs = attributes(event).into_iter().map(|(key, value)| format!("{key}={value}"));
        let pairs: Vec<String> = pairs.collect();
        let pairs = if pairs.is_empty() { String::new() } else { format!(" ({})", pairs.join(", ")) };
        // RFC 3339 with the offset, which is Z where there is none.
        let zoned = event.time.to_zoned(self.zone.clone());
        let mut time = format!("{:.9}", event.time.display_with_offset(zoned.offset()));
        if zoned.offset().seconds() == 0 {
            time = format!("{:.9}", event.time);
        }
        let (kind, action, id) = (event.kind.name(), &event.action, id(event, self.truncate));
        // A line for each, whatever a label says.
        format!("{time} {kind} {action} {id}{pairs}").replace('\n', "\\n")
    }
}

fn id(event: &Event, truncate: bool) -> &str {
    let bare = event.id.strip_prefix("sha256:").unwrap_or(&event.id);
    if truncate { bare.get(..12).unwrap_or(&event.id) } else { &event.id }
}

/// Docker's attributes: what the event has of its own, labels, image and name.
fn attributes(event: &Event) -> BTreeMap<&str, &str> {
    let mut attributes: BTreeMap<&str, &str> =
        event.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    if event.kind == Kind::Container {
        attributes.insert("image", &event.image);
    }
    if !event.name.is_empty() {
        attributes.insert("name", &event.name);
    }
    attributes
}

/// Docker's JSON of an event.
fn json(event: &Event, truncate: bool) -> Value {
    let id = id(event, truncate);
    let mut json = json!({ "status": event.action, "id": id });
    if !event.image.is_empty() {
        json["from"] = event.image.as_str().into();
    }
    json["Type"] = event.kind.name().into();
    json["Action"] = event.action.as_str().into();
    json["Actor"] = json!({ "ID": id, "Attributes": attributes(event) });
    json["scope"] = "local".into();
    json["time"] = event.time.as_second().into();
    json["timeNano"] = nanoseconds(event).into();
    json
}

fn nanoseconds(event: &Event) -> i64 {
    i64::try_from(event.time.as_nanosecond()).unwrap_or_default()
}

/// What a template can name: docker's fields, and podman's where they are others.
fn fields(event: &Event, truncate: bool) -> Value {
    let id = id(event, truncate);
    let attributes = attributes(event);
    json!({
        "Type": event.kind.name(),
        "Action": event.action,
        "Actor": { "ID": id, "Attributes": attributes },
        "Scope": "local",
        "Time": event.time.as_second(),
        "TimeNano": nanoseconds(event),
        "Status": event.action,
        "ID": id,
        "From": event.image,
        "Name": event.name,
        "Image": event.image,
        "Attributes": attributes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let mut event = Event::of_image("0123456789abcdef", "web", "die").with("exitCode", 3);
        (event.kind, event.image) = (Kind::Container, "busybox".into());
        event.time = "2026-11-22T04:50:59.88Z".parse().unwrap();
        event
    }

    fn shown(format: Option<&str>, zone: i8, truncate: bool) -> String {
        let mut form = Form::parse(format, truncate).unwrap();
        form.zone = TimeZone::fixed(jiff::tz::offset(zone));
        form.show(&event()).unwrap()
    }

    #[test]
    fn lines_are_dockers() {
        assert_eq!(
            shown(None, 0, false),
            "2026-11-22T04:50:59.880000000Z container die 0123456789abcdef (exitCode=3, image=busybox, name=web)"
        );
        assert_eq!(
            shown(None, 1, true),
            "2026-11-22T05:50:59.880000000+01:00 container die 0123456789ab (exitCode=3, image=busybox, name=web)"
        );
    }

    #[test]
    fn a_label_with_a_newline_does_not_make_up_an_event() {
        let form = Form::parse(None, false).unwrap();
        let shown = form.show(&event().with("forged", "x)\n2026-11-22T04:50:59Z container die")).unwrap();
        assert_eq!(shown.lines().count(), 1);
        assert!(shown.contains(r"forged=x)\n2026"), "{shown}");
    }

    #[test]
    fn templates_and_json() {
        assert_eq!(
            shown(Some("{{.Status}} {{.Actor.ID}} {{.Actor.Attributes.exitCode}}"), 0, true),
            "die 0123456789ab 3"
        );
        let json: Value = serde_json::from_str(&shown(Some("json"), 0, false)).unwrap();
        assert_eq!(json["Actor"]["Attributes"], json!({"exitCode": "3", "image": "busybox", "name": "web"}));
        assert_eq!((&json["from"], &json["time"]), (&json!("busybox"), &json!(1_795_323_059)));
        assert_eq!(Form::parse(Some("{{.Nope}}"), false).unwrap_err().code(), 1);
    }
}
