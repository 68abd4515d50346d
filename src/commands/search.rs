//! `enter search TERM`: images in registries, and the tags that an image has there.

use std::process::ExitCode;

use enter::image::Reference;
use enter::registry::{self, Found, MAX_FOUND, SearchOptions};
use serde_json::{Value, json};

use super::format::{Format, Heading};
use super::{filter, reach, resolve};
use crate::cli::SearchArgs;
use crate::failure::{ENTER_FAILED, Failure};
use crate::settings::Settings;
use crate::ui::Ui;

/// What a template may name: docker's fields, and podman's for the same.
const HEADINGS: &[Heading] = &[
    ("Index", "INDEX"),
    ("Name", "NAME"),
    ("Description", "DESCRIPTION"),
    ("Stars", "STARS"),
    ("StarCount", "STARS"),
    ("Official", "OFFICIAL"),
    ("IsOfficial", "OFFICIAL"),
    ("Automated", "AUTOMATED"),
    ("IsAutomated", "AUTOMATED"),
    ("Tag", "TAG"),
];
const TABLE: &str = "table {{.Name}}\t{{.Description}}\t{{.Stars}}\t{{.Official}}";
const TAGS: &str = "table {{.Name}}\t{{.Tag}}";
/// So many characters of a description fit into a table.
const SHORT: usize = 44;

/// Lists what is found in each registry. One that cannot be asked is told of, and the others are shown.
pub fn run(ui: &Ui, settings: &Settings, args: &SearchArgs) -> Result<ExitCode, Failure> {
    let options = resolve::options(settings);
    let options = SearchOptions {
        transfer: options.transfer,
        environment: reach::environment(options.environment, &args.reach)?,
        limit: usize::try_from(args.limit).unwrap_or(usize::MAX),
    };
    if args.list_tags {
        return list_tags(ui, args, &options);
    }
    if options.limit > MAX_FOUND {
        return Err(Failure::new(format!(
            "cannot look for {} images: registries give {MAX_FOUND} at most",
            args.limit
        ))
        .with_hint("look for something more particular, with a smaller --limit"));
    }
    let filters = Filters::parse(&args.filter).map_err(|failure| failure.with_code(ENTER_FAILED))?;
    let format = Format::parse(table(args.format.as_deref(), TABLE), HEADINGS)?;
    let (registries, term) = match split(&args.term) {
        Some((registry, term)) => (vec![registry.to_owned()], term),
        None => (registry::registries(&options.environment)?, args.term.as_str()),
    };
    let answers = ask(&registries, term, &options);
    let failures = answers.iter().filter(|answer| answer.is_err()).count();
    let mut rows = Vec::new();
    for answer in answers {
        match answer {
            Ok(found) => {
                rows.extend(found.iter().filter(|found| filters.take(found)).map(|one| row(one, args.no_trunc)))
            }
            Err(error) if failures == registries.len() && failures == 1 => return Err(error.into()),
            Err(error) => ui.failure(&error.into()),
        }
    }
    let mut output = ui.output();
    output.text(format.render(&rows)?);
    output.finish()?;
    Ok(if failures == registries.len() { ExitCode::from(ENTER_FAILED) } else { ExitCode::SUCCESS })
}

/// Asks all registries at once.
fn ask(registries: &[String], term: &str, options: &SearchOptions) -> Vec<Result<Vec<Found>, registry::Error>> {
    std::thread::scope(|scope| {
        let asked: Vec<_> =
            registries.iter().map(|registry| scope.spawn(move || registry::search(registry, term, options))).collect();
        // A thread that has panicked has said so.
        asked.into_iter().map(|thread| thread.join().unwrap_or(Err(registry::Error::GivenUp))).collect()
    })
}

fn list_tags(ui: &Ui, args: &SearchArgs, options: &SearchOptions) -> Result<ExitCode, Failure> {
    let reference = Reference::parse(&args.term)?;
    let last = args.term.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) {
        return Err(Failure::new(format!("cannot list the tags of {}: it has one already", args.term))
            .with_hint("leave out what stands behind the name"));
    }
    let as_json = args.format.as_deref() == Some("json");
    let format = Format::parse(table(args.format.as_deref(), TAGS), HEADINGS)?;
    let tags = registry::tags(&reference, options)?;
    let name = reference.repository();
    let mut output = ui.output();
    if as_json {
        // As podman writes it.
        let all = json!([{ "Name": name, "Tags": tags.names }]);
        output.line(serde_json::to_string_pretty(&all).unwrap_or_default());
    } else {
        let rows: Vec<Value> = tags.names.iter().map(|tag| json!({"Name": name, "Tag": tag})).collect();
        output.text(format.render(&rows)?);
    }
    output.finish()?;
    if tags.more {
        ui.note(&format!("there are more tags than {}: show them with --limit", tags.names.len()));
    }
    Ok(ExitCode::SUCCESS)
}

fn table<'a>(asked: Option<&'a str>, table: &'static str) -> &'a str {
    match asked {
        None | Some("table") => table,
        Some(asked) => asked,
    }
}

/// The registry that a term begins with, if it can be none but one.
fn split(term: &str) -> Option<(&str, &str)> {
    let (first, rest) = term.split_once('/')?;
    (first.contains(['.', ':']) || first == "localhost").then_some((first, rest))
}

fn row(found: &Found, whole: bool) -> Value {
    let ok = |truth: bool| if truth { "[OK]" } else { "" };
    let mut description = found.description.clone();
    if !whole && description.chars().count() > SHORT {
        description = description.chars().take(SHORT - 3).chain("...".chars()).collect();
    }
    json!({
        "Index": found.registry,
        "Name": found.name,
        "Description": description,
        "Stars": found.stars,
        "StarCount": found.stars,
        "Official": ok(found.official),
        "IsOfficial": found.official,
        "Automated": ok(found.automated),
        "IsAutomated": found.automated,
        "Tag": "",
    })
}

/// What a result has to be.
#[derive(Debug, Default)]
struct Filters {
    official: Option<bool>,
    automated: Option<bool>,
    stars: u64,
}

impl Filters {
    fn parse(typed: &[String]) -> Result<Self, Failure> {
        let mut filters = Self::default();
        for text in typed {
            // podman lets the truth be left out.
            let (key, value) = text.split_once('=').unwrap_or((text, "true"));
            let truth = || filter::boolean(value).ok_or_else(|| filter::bad(text, "it must be true or false"));
            match key {
                "is-official" => filters.official = Some(truth()?),
                "is-automated" => filters.automated = Some(truth()?),
                "stars" => {
                    filters.stars = value.parse().map_err(|_| filter::bad(text, "it must be a number of stars"))?;
                }
                _ => return Err(filter::unknown(key, "is-official, is-automated, stars")),
            }
        }
        Ok(filters)
    }

    fn take(&self, found: &Found) -> bool {
        self.official.is_none_or(|wanted| wanted == found.official)
            && self.automated.is_none_or(|wanted| wanted == found.automated)
            && found.stars >= self.stars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_told_from_a_namespace() {
        assert_eq!(split("quay.io/fedora"), Some(("quay.io", "fedora")));
        assert_eq!(split("localhost:5000/"), Some(("localhost:5000", "")));
        assert_eq!(split("grafana/loki"), None);
        assert_eq!(split("debian"), None);
    }

    #[test]
    fn filters_are_docker_s_and_podman_s() {
        let all = |typed: &[&str]| Filters::parse(&typed.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        let found = |official, stars| Found {
            registry: "docker.io".into(),
            name: "docker.io/library/a".into(),
            description: "x".repeat(50),
            stars,
            official,
            automated: false,
        };
        assert!(all(&["is-official", "stars=3"]).unwrap().take(&found(true, 3)));
        assert!(!all(&["is-official=true"]).unwrap().take(&found(false, 3)));
        assert!(!all(&["stars=4"]).unwrap().take(&found(true, 3)));
        assert!(all(&["is-official=0", "is-automated=false"]).unwrap().take(&found(false, 0)));
        for wrong in ["stars=many", "is-official=maybe", "name=x", ""] {
            assert!(all(&[wrong]).is_err(), "{wrong}");
        }
        assert_eq!(row(&found(true, 1), false)["Description"], format!("{}...", "x".repeat(41)));
        assert_eq!(row(&found(true, 1), true)["Description"], "x".repeat(50));
    }
}
