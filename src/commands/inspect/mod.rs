//! `enter inspect`: all that is known of containers and images, under docker's names and in its order.

mod container;
mod host;
mod image;
mod network;

use std::process::ExitCode;

use enter::container::{Containers, Error};
use enter::image::Platform;
use enter::network::Networks;
use enter::registry::{self, Environment};
use enter::store::{Image, Store};
use enter::volume::Volumes;
use serde_json::Value;

use super::state::{self, State};
use super::{containers, volume};
use crate::cli::{InspectArgs, Inspected, ObjectKind};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::template::{Context, Template};
use crate::ui::Ui;

/// What is looked through.
struct Place {
    containers: Containers,
    networks: Networks,
    volumes: Volumes,
    store: Store,
    /// The one that was asked for.
    platform: Option<Platform>,
}

/// Shows each of what was named. What is not there is told at the end, and the rest is shown, as docker does.
pub fn run(ui: &Ui, settings: &Settings, args: &InspectArgs) -> Result<ExitCode, Failure> {
    let verb_failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let Inspected { names, latest, format, size } = &args.what;
    // A template that cannot be is told before anything is looked for.
    template(format.as_deref()).map_err(verb_failed)?;
    let platform = settings.platform.clone();
    let (containers, networks) = (containers::of_user()?, Networks::below(State::of_user()?.root()));
    let store = state::store()?;
    let volumes = Volumes::below(store.root());
    let place = Place { containers, networks, volumes, store, platform };

    let mut found = Vec::new();
    let mut failures = Vec::new();
    let latest = if *latest { Some(place.latest(args.kind)?) } else { None };
    for name in names.iter().chain(&latest) {
        match place.find(name, args.kind, *size) {
            Ok(value) => found.push(value),
            Err(failure) => failures.push(failure),
        }
    }
    show(ui, found, format.as_deref(), &mut failures)?;
    for failure in &failures {
        ui.failure(failure);
    }
    Ok(if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(VERB_FAILED) })
}

fn template(format: Option<&str>) -> Result<Option<Template>, Failure> {
    match format {
        None | Some("" | "json") => Ok(None),
        Some(text) => Ok(Some(Template::parse(text)?)),
    }
}

/// Prints what was found, by a template if there is one. A field that there is not is added to the failures.
pub fn show(ui: &Ui, found: Vec<Value>, format: Option<&str>, failures: &mut Vec<Failure>) -> Result<(), Failure> {
    let template = template(format)?;
    let mut output = ui.output();
    match &template {
        Some(template) => {
            for value in &found {
                let context = Context { nothing: &nothing, ..Context::of(value) };
                match template.render_in(&context) {
                    Ok(text) => output.line(text),
                    Err(error) => failures.push(error.into()),
                }
            }
        }
        None => output.text(json(found, format.is_some())),
    }
    output.finish()
}

impl Place {
    /// The ID of the container that was made last.
    fn latest(&self, kind: Option<ObjectKind>) -> Result<String, Failure> {
        let verb_failed = |failure: Failure| failure.with_code(VERB_FAILED);
        if kind.is_some_and(|kind| kind != ObjectKind::Container) {
            return Err(verb_failed(Failure::new("--latest means containers").with_hint("name an image")));
        }
        let latest = self.containers.latest()?.ok_or_else(|| verb_failed(Failure::new("there is no container")))?;
        Ok(latest.record.id)
    }

    fn image(&self, name: &str) -> Result<Option<Image>, registry::Error> {
        let (platform, environment) = (self.platform.clone().unwrap_or_else(Platform::host), Environment::of_process());
        match registry::find(&self.store, name, &platform, &environment)? {
            None if self.platform.is_none() => registry::find_only(&self.store, name, &environment),
            found => Ok(found),
        }
    }

    fn find(&self, name: &str, kind: Option<ObjectKind>, size: bool) -> Result<Value, Failure> {
        if kind == Some(ObjectKind::Network) {
            return super::network::inspect::value(&self.networks, &self.containers, name);
        }
        if kind == Some(ObjectKind::Volume) {
            return Ok(volume::value(&self.volumes.find(name)?));
        }
        if kind != Some(ObjectKind::Image) {
            match self.containers.find(name) {
                Ok(found) => return Ok(container::all(&found, &self.store, size)),
                Err(Error::NoSuchContainer(_)) if kind.is_none() => {}
                Err(error) => return Err(error.into()),
            }
        }
        match self.image(name)? {
            Some(found) => Ok(image::all(&found, &self.store)),
            None if kind.is_none() && self.networks.find(name).is_ok() => {
                super::network::inspect::value(&self.networks, &self.containers, name)
            }
            None if kind.is_none() && self.volumes.named(name).is_some() => {
                Ok(volume::value(&self.volumes.find(name)?))
            }
            None if kind.is_some() => Err(enter::store::Error::NoSuchImage(name.to_owned()).into()),
            None => Err(Failure::new(format!("no such object: {name}"))
                .with_hint("see the containers with `enter ps -a`, the images with `enter images`, the networks with `enter network ls`")),
        }
    }
}

/// What docker leaves out where there is nothing of it, so that a template can ask for it all the same.
const LEFT_OUT: &[&str] =
    &["Annotations", "ExposedPorts", "Health", "Healthcheck", "Init", "StopSignal", "StopTimeout", "Sysctls", "Tmpfs"];

/// The JSON that is printed: indented by four, or in one line.
pub fn json(mut found: Vec<Value>, compact: bool) -> String {
    for value in &mut found {
        leave_out(value);
    }
    let all = Value::Array(found);
    let mut text = if compact { all.to_string().into_bytes() } else { Vec::new() };
    if !compact {
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
        // Values become text without fail: their keys are strings, and the text lies in memory.
        drop(serde::Serialize::serialize(&all, &mut serializer));
    }
    text.push(b'\n');
    String::from_utf8_lossy(&text).into_owned()
}

fn leave_out(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| !(value.is_null() && LEFT_OUT.contains(&key.as_str())));
            map.values_mut().for_each(leave_out);
        }
        Value::Array(list) => list.iter_mut().for_each(leave_out),
        _ => {}
    }
}

/// What a template prints for a field that holds nothing: Go's words for a list, a map or a pointer that was never made.
fn nothing(field: &str) -> &'static str {
    match field {
        "Init" | "Health" | "Healthcheck" | "StopTimeout" | "OomKillDisable" | "MemorySwappiness" | "PidsLimit" => {
            "<nil>"
        }
        "Labels" | "Volumes" | "ExposedPorts" | "Ports" | "PortBindings" | "Sysctls" | "Tmpfs" | "Networks"
        | "Annotations" | "Config" | "DriverOpts" => "map[]",
        _ => "[]",
    }
}

#[cfg(test)]
mod tests;
