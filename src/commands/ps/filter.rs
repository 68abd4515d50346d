//! `--filter` of lists of containers: docker's keys. Values of one key are alternatives, but every label must be there.

use enter::container::record::{Kind, Status};
use enter::container::{Container, Containers};
use enter::image::{Digest, Platform};
use enter::registry::{self, Environment};
use enter::store::{Image, Store};
use jiff::Timestamp;
use regex_lite::Regex;

use super::{ports, row, status};
use crate::commands::containers;
use crate::commands::filter::{self, Label, bad};
use crate::failure::Failure;

const KEYS: &str = "ancestor, before, exited, expose, health, id, is-task, label, name, network, publish, restart-policy, since, \
                    status, volume";
const STATES: &[&str] = &["created", "dead", "exited", "paused", "removing", "restarting", "running"];
const VERDICTS: &[&str] = &["healthy", "none", "starting", "unhealthy"];
const POLICIES: &[&str] = &["always", "no", "on-failure", "unless-stopped"];

/// The filters of one command line. An empty list lets everything pass.
#[derive(Debug, Default)]
pub struct Filters {
    ids: Vec<Regex>,
    names: Vec<Regex>,
    labels: Vec<Label>,
    states: Vec<String>,
    exited: Vec<i32>,
    ancestors: Vec<Ancestor>,
    before: Vec<Timestamp>,
    since: Vec<Timestamp>,
    verdicts: Vec<String>,
    policies: Vec<String>,
    volumes: Vec<String>,
    networks: Vec<String>,
    published: Vec<Ports>,
    exposed: Vec<Ports>,
    tasks: Vec<bool>,
    store: Option<Store>,
}

/// An image that containers may stand on.
#[derive(Debug)]
struct Ancestor {
    typed: String,
    /// The image, if it is here.
    image: Option<Image>,
}

/// Ports from the first to the last, of one protocol.
#[derive(Debug, PartialEq, Eq)]
struct Ports {
    first: u16,
    last: u16,
    protocol: String,
}

/// What filters look things up in.
#[derive(Debug)]
pub struct Place<'a> {
    /// Where `before` and `since` find theirs.
    pub containers: &'a Containers,
    /// Where `ancestor` finds its.
    pub store: &'a Store,
    /// For which kind of machine.
    pub platform: &'a Platform,
}

impl Filters {
    /// Reads `KEY=VALUE` texts.
    pub fn parse(texts: &[String], place: &Place<'_>) -> Result<Self, Failure> {
        let mut filters = Self { store: Some(place.store.clone()), ..Self::default() };
        for text in texts {
            let (key, value) = filter::pair(text)?;
            let word = |known: &[&str]| one_of(text, value, known);
            match key {
                "id" => filters.ids.push(expression(text, value)?),
                "name" => filters.names.push(expression(text, value)?),
                "label" => filters.labels.push(Label::parse(value)),
                // podman's other word for it.
                "status" if value == "stopped" => filters.states.push("exited".to_owned()),
                "status" => filters.states.push(word(STATES)?),
                "exited" => {
                    filters.exited.push(value.parse().map_err(|_| bad(text, "an exit code is a whole number"))?);
                }
                "ancestor" => filters.ancestors.push(Ancestor::find(value, place)?),
                "before" => filters.before.push(created(value, place)?),
                "since" => filters.since.push(created(value, place)?),
                "health" => filters.verdicts.push(word(VERDICTS)?),
                "restart-policy" => filters.policies.push(word(POLICIES)?),
                "volume" => filters.volumes.push(value.to_owned()),
                "network" => filters.networks.push(value.to_owned()),
                "publish" => filters.published.push(Ports::parse(text, value)?),
                "expose" => filters.exposed.push(Ports::parse(text, value)?),
                "is-task" => {
                    filters.tasks.push(filter::boolean(value).ok_or_else(|| bad(text, "it wants true or false"))?);
                }
                _ => return Err(filter::unknown(key, KEYS)),
            }
        }
        Ok(filters)
    }

    /// Whether they ask for states, so that those that do not run are meant too.
    pub fn name_states(&self) -> bool {
        !self.states.is_empty()
    }

    /// Whether a container fits.
    pub fn take(&self, container: &Container) -> bool {
        let (record, spec, state) = (&container.record, &container.record.spec, &container.state);
        let matches = |wanted: &[Regex], text: &str| any(wanted, |one| one.is_match(text));
        // docker's names have a slash before them, and some expressions count on it.
        (matches(&self.names, &record.name) || matches(&self.names, &format!("/{}", record.name)))
            && matches(&self.ids, &record.id)
            && self.labels.iter().all(|label| label.is_in(&spec.labels))
            && any(&self.states, |word| word == status::word(state))
            && any(&self.exited, |code| *code == state.exit_code && state.status == Status::Exited && state.started.is_some())
            && any(&self.ancestors, |ancestor| self.stands_on(container, ancestor))
            && any(&self.before, |limit| record.created < *limit)
            && any(&self.since, |limit| record.created > *limit)
            && any(&self.verdicts, |word| word == status::health(container))
            && any(&self.policies, |word| word == spec.restart.name())
            && any(&self.volumes, |wanted| mounts(container, wanted))
            && any(&self.networks, |wanted| *wanted == row::network(spec) || row::networks(spec).contains(&wanted.as_str()))
            && any(&self.published, |ports| spec.ports.iter().any(|port| ports.have(port.host, port.protocol.name())))
            && any(&self.exposed, |ports| ports.named(container))
            // There is no swarm whose tasks containers could be.
            && any(&self.tasks, |task| !task)
    }

    fn stands_on(&self, container: &Container, ancestor: &Ancestor) -> bool {
        let used = &container.record.spec.image;
        let Some(image) = &ancestor.image else { return used.name == ancestor.typed };
        if used.id == image.id.to_string() {
            return true;
        }
        let layers = |id: &str| {
            let id = Digest::parse(id).ok()?;
            Some(self.store.as_ref()?.by_id(&id).ok()??.config.diff_ids)
        };
        let below = &image.config.diff_ids;
        !below.is_empty() && layers(&used.id).is_some_and(|layers| layers.starts_with(below))
    }
}

impl Ancestor {
    fn find(typed: &str, place: &Place<'_>) -> Result<Self, Failure> {
        let image = registry::find(place.store, typed, place.platform, &Environment::of_process())?;
        Ok(Self { typed: typed.to_owned(), image })
    }
}

impl Ports {
    /// Reads `80`, `80/udp` or `8000-8010/tcp`.
    fn parse(text: &str, value: &str) -> Result<Self, Failure> {
        let wrong = || bad(text, "it wants PORT[-PORT][/PROTOCOL]");
        let (range, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u16>().map_err(|_| wrong());
        let ports = Self { first: number(first)?, last: number(last)?, protocol: protocol.to_owned() };
        if ports.first > ports.last || protocol.is_empty() { Err(wrong()) } else { Ok(ports) }
    }

    fn have(&self, port: u16, protocol: &str) -> bool {
        (self.first..=self.last).contains(&port) && self.protocol == protocol
    }

    fn named(&self, container: &Container) -> bool {
        let spec = &container.record.spec;
        let exposed = spec.exposed.iter().filter_map(|text| ports::parse(text));
        spec.ports.iter().any(|port| self.have(port.container, port.protocol.name()))
            || exposed.into_iter().any(|(port, protocol)| self.have(port, protocol))
    }
}

/// Whether one of the wanted fits, or none is wanted.
fn any<T>(wanted: &[T], fits: impl Fn(&T) -> bool) -> bool {
    wanted.is_empty() || wanted.iter().any(fits)
}

fn one_of(text: &str, value: &str, known: &[&str]) -> Result<String, Failure> {
    if known.contains(&value) {
        return Ok(value.to_owned());
    }
    Err(bad(text, &format!("it must be one of {}", known.join(", "))))
}

fn expression(text: &str, value: &str) -> Result<Regex, Failure> {
    Regex::new(value).map_err(|error| bad(text, "it is no regular expression").because(error))
}

fn created(typed: &str, place: &Place<'_>) -> Result<Timestamp, Failure> {
    Ok(containers::find(place.containers, typed)?.record.created)
}

/// Whether a container has a volume of this name, or anything at all in this place.
fn mounts(container: &Container, wanted: &str) -> bool {
    container.record.spec.mounts.iter().any(|mount| {
        mount.target == wanted
            || match &mount.kind {
                Kind::Volume(name) => name == wanted,
                Kind::Bind(path) => path.as_os_str() == wanted,
                Kind::Image(image) => image.name == wanted,
                Kind::Tmpfs { .. } | Kind::Devpts => false,
            }
    })
}

#[cfg(test)]
mod tests {
    use enter::container::record::{ImageUse, Restart, Spec, State};

    use super::*;
    use crate::failure::VERB_FAILED;

    /// Whether a container with a bit of everything passes these filters.
    fn takes(texts: &[&str]) -> Result<bool, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let (containers, store) = (Containers::below(dir.path()), Store::open(dir.path()).unwrap());
        let spec = Spec {
            image: ImageUse { name: "debian".into(), id: format!("sha256:{}", "a".repeat(64)) },
            labels: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())].into(),
            restart: Restart::OnFailure { retries: 3 },
            ports: vec![enter::network::publish::parse("[::]:8080:80").unwrap()[0].port("::1".parse().unwrap())],
            ..Spec::default()
        };
        let (folder, _) = containers.create(Containers::new_record(spec).unwrap(), Some("web-1")).unwrap();
        let now = Some(Timestamp::now());
        let state = State { status: Status::Exited, exit_code: 3, started: now, finished: now, ..State::default() };
        state.write(folder.path()).unwrap();
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let place = Place { containers: &containers, store: &store, platform: &Platform::host() };
        let filters = Filters::parse(&texts, &place)?;
        Ok(filters.take(&containers.find("web-1").unwrap()))
    }

    #[test]
    fn what_fits_every_key_passes() {
        for (texts, expected) in [
            (&[][..], true),
            (&["name=web"], true),
            (&["name=^web-[0-9]$"], true),
            (&["name=^/web-1$"], true),
            (&["name=^eb"], false),
            (&["name=^eb", "name=1$"], true),
            (&["label=a"], true),
            (&["label=a=1", "label=b="], true),
            (&["label=a=1", "label=c"], false),
            (&["status=exited"], true),
            (&["status=running"], false),
            (&["status=stopped"], true),
            (&["status=running", "status=exited"], true),
            (&["exited=3"], true),
            (&["exited=0"], false),
            (&["ancestor=debian"], true),
            (&["ancestor=ubuntu"], false),
            (&["since=web-1"], false),
            (&["health=none"], true),
            (&["restart-policy=on-failure"], true),
            (&["restart-policy=always"], false),
            (&["publish=8080"], true),
            (&["publish=8000-9000/tcp"], true),
            (&["publish=8080/udp"], false),
            (&["expose=80"], true),
            (&["network=pasta"], true),
            (&["volume=/data"], false),
            (&["is-task=true"], false),
            (&["is-task=false"], true),
        ] {
            assert_eq!(takes(texts).unwrap(), expected, "{texts:?}");
        }
    }

    #[test]
    fn what_cannot_be_asked_for_ends_with_1() {
        for text in [
            "nope=1",
            "name",
            "name=(",
            "status=gone",
            "exited=x",
            "health=good",
            "restart-policy=never",
            "publish=x",
            "publish=9-8",
            "publish=70000",
            "before=nobody",
            "is-task=perhaps",
        ] {
            assert_eq!(takes(&[text]).unwrap_err().code(), VERB_FAILED, "{text}");
        }
    }
}
