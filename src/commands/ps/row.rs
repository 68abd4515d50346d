//! One line of the list: what a template can name, all of it text, as docker has it.

use std::collections::HashMap;
use std::time::SystemTime;

use enter::container::Container;
use enter::container::record::{Kind, NetworkMode, Spec};
use enter::image::Platform;
use enter::network::record::LINKS;
use enter::registry::{self, Environment};
use enter::store::{Image, Store};
use serde_json::{Value, json};

use super::{ports, status};
use crate::commands::containers;
use crate::ui::human;

/// How many characters of a command are shown.
const COMMAND: usize = 20;
/// How many characters of a mount's name are shown.
const MOUNT: usize = 15;

/// How rows are written.
#[derive(Debug)]
pub struct Manner {
    /// Ids, commands and mounts are cut.
    pub truncate: bool,
    /// Sizes are looked up.
    pub sizes: bool,
    /// The time of the list.
    pub now: SystemTime,
}

/// What each name of an image leads to now: docker shows the ID of an image whose name has gone to another.
#[derive(Debug)]
pub struct Names<'a> {
    store: &'a Store,
    environment: Environment,
    known: HashMap<(String, String), Option<Image>>,
}

impl<'a> Names<'a> {
    /// Of the images in `store`; none has been looked up yet.
    pub fn of(store: &'a Store) -> Self {
        Self { store, environment: Environment::of_process(), known: HashMap::new() }
    }

    /// The image that `name` leads to; a name is looked up once, as a thousand containers may have it. A store that cannot be read
    /// has no images: the list is of containers.
    fn find(&mut self, name: &str, platform: &str) -> Option<&Image> {
        let (store, environment) = (self.store, &self.environment);
        let look_up = || {
            let platform = Platform::parse(platform).unwrap_or_else(|_| Platform::host());
            registry::find(store, name, &platform, environment).ok().flatten()
        };
        self.known.entry((name.to_owned(), platform.to_owned())).or_insert_with(look_up).as_ref()
    }

    /// What stands under IMAGE.
    pub fn shown(&mut self, container: &Container, truncate: bool) -> String {
        let image = &container.record.spec.image;
        if image.id.is_empty()
            || self.find(&image.name, &container.record.spec.platform).is_some_and(|now| now.id.to_string() == image.id)
        {
            return image.name.clone();
        }
        if truncate { short(&image.id) } else { image.id.clone() }
    }

    /// What the container's image takes on disk.
    fn image_size(&mut self, container: &Container) -> u64 {
        let spec = &container.record.spec;
        self.find(&spec.image.id, &spec.platform).map_or(0, |image| image.size)
    }
}

/// The first twelve digits of an ID.
pub fn short(id: &str) -> String {
    id.strip_prefix("sha256:").unwrap_or(id).chars().take(12).collect()
}

/// The fields of a container.
pub fn fields(container: &Container, names: &mut Names<'_>, manner: &Manner) -> Value {
    let (record, spec) = (&container.record, &container.record.spec);
    let created = SystemTime::from(record.created);
    let size = if manner.sizes { size(container, names) } else { human::size(0) };
    let labels: Vec<String> = spec.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mounts = mounts(container);
    let mounts: Vec<String> =
        mounts.iter().map(|name| if manner.truncate { ellipsis(name, MOUNT) } else { name.clone() }).collect();
    json!({
        "Command": quoted(&command(container), manner.truncate),
        "CreatedAt": human::local(created),
        "ID": if manner.truncate { container.short_id().to_owned() } else { record.id.clone() },
        "Image": names.shown(container, manner.truncate),
        "Labels": labels.join(","),
        "LocalVolumes": volumes(container).to_string(),
        "Mounts": mounts.join(","),
        "Names": record.name,
        "Networks": networks(spec).join(","),
        "Ports": ports::text(spec, container.is_alive()),
        "RunningFor": human::ago(created, manner.now),
        "Size": size,
        "State": status::word(&container.state),
        "Status": status::text(&container.state, manner.now),
    })
}

/// What it has written, and what that is with its image.
fn size(container: &Container, names: &mut Names<'_>) -> String {
    let written = super::size::written(container);
    match names.image_size(container) {
        0 => human::size(written),
        image => format!("{} (virtual {})", human::size(written), human::size(image + written)),
    }
}

/// The name of the network that a container is in; of several, the first.
pub fn network(spec: &Spec) -> String {
    match &spec.network {
        NetworkMode::Own => networks(spec).first().map_or("none", |name| name).into(),
        NetworkMode::Pasta => "pasta".into(),
        NetworkMode::None => "none".into(),
        NetworkMode::Host => "host".into(),
        NetworkMode::Container(id) => format!("container:{id}"),
    }
}

/// The networks that a container is on, as docker names them.
pub fn networks(spec: &Spec) -> Vec<&str> {
    let names = spec.networks.iter().map(|wanted| wanted.network.as_str());
    let own: Vec<&str> = names.filter(|name| !name.starts_with(LINKS)).collect();
    match &spec.network {
        NetworkMode::Pasta => std::iter::once("pasta").chain(own).collect(),
        NetworkMode::None => vec!["none"],
        NetworkMode::Host => vec!["host"],
        NetworkMode::Container(_) => Vec::new(),
        NetworkMode::Own => own,
    }
}

/// The command with its arguments; what has blanks in it stands in quotes, but for the program itself.
pub fn command(container: &Container) -> String {
    let quote = |(at, word): (usize, String)| if at > 0 && word.contains(' ') { format!("'{word}'") } else { word };
    containers::command(container).into_iter().enumerate().map(quote).collect::<Vec<_>>().join(" ")
}

/// The command in double quotes as Go writes them, so that whatever it holds is one harmless line.
fn quoted(command: &str, truncate: bool) -> String {
    use std::fmt::Write as _;
    let command = if truncate { ellipsis(command, COMMAND) } else { command.to_owned() };
    let mut out = String::from('"');
    for c in command.chars() {
        // Writing to a String cannot fail.
        let _ = match c {
            '"' | '\\' => write!(out, "\\{c}"),
            '\n' => write!(out, "\\n"),
            '\t' => write!(out, "\\t"),
            '\r' => write!(out, "\\r"),
            c if u32::from(c) < 0x80 && c.is_control() => write!(out, "\\x{:02x}", u32::from(c)),
            c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c)),
            c => write!(out, "{c}"),
        };
    }
    out + "\""
}

/// At most so many characters, the last an ellipsis where some are left out.
fn ellipsis(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// What is mounted, by the name of the volume or the host's path.
fn mounts(container: &Container) -> Vec<String> {
    let name = |kind: &Kind| match kind {
        Kind::Bind(path) => Some(path.display().to_string()),
        Kind::Volume(name) => Some(name.clone()),
        Kind::Image(image) => Some(image.name.clone()),
        Kind::Tmpfs { .. } | Kind::Devpts => None,
    };
    container.record.spec.mounts.iter().filter_map(|mount| name(&mount.kind)).collect()
}

fn volumes(container: &Container) -> usize {
    container.record.spec.mounts.iter().filter(|mount| matches!(mount.kind, Kind::Volume(_))).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_cut_to_twenty_characters_and_then_quoted() {
        assert_eq!(quoted("sleep 1000", true), "\"sleep 1000\"");
        assert_eq!(quoted("sh -c 'echo 1234567890'", true), "\"sh -c 'echo 1234567…\"");
        assert_eq!(quoted("sh -c 'echo 1234567890'", false), "\"sh -c 'echo 1234567890'\"");
        assert_eq!(quoted("a\"b\\\n\u{1b}[0m\u{9b}", true), r#""a\"b\\\n\x1b[0m\u009b""#);
    }
}
