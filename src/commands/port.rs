//! `enter port CONTAINER [PORT[/PROTOCOL]]`, `enter port add` and `enter port rm`.

use std::process::ExitCode;

use enter::container::record::Port;
use enter::container::{Container, Containers, Remote};
use enter::network::publish::{self, together};

use super::containers;
use super::ports::{has_own, refused};
use super::ps::ports;
use crate::cli::{PortArgs, PortChangeArgs, PortCommand};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Prints where each port is reachable, or that one; or changes what is.
pub fn run(ui: &Ui, settings: &Settings, args: &PortArgs) -> Result<ExitCode, Failure> {
    match &args.change {
        Some(PortCommand::Add(change)) => add(ui, settings, change),
        Some(PortCommand::Rm(change)) => take_back(change),
        None => list(ui, args.container.as_deref().unwrap_or_default(), args.port.as_deref()),
    }
}

fn outside(port: &Port) -> String {
    format!("{}:{}", ports::bracketed(port.address), port.host)
}

fn list(ui: &Ui, name: &str, port: Option<&str>) -> Result<ExitCode, Failure> {
    let container = containers::find(&containers::of_user()?, name)?;
    let mut published: Vec<&Port> = Vec::new();
    // Nothing can be reached of a container that does not run.
    if container.is_alive() {
        published.extend(&container.record.spec.ports);
    }
    published.sort_by_key(|port| (port.container, port.protocol));

    let mut output = ui.output();
    match port {
        None => {
            for port in published {
                output.line(format!("{}/{} -> {}", port.container, port.protocol, outside(port)));
            }
        }
        Some(text) => {
            let wrong = || {
                Failure::new(format!("`{text}` is no port")).with_hint("expected PORT or PORT/PROTOCOL, such as 53/udp")
            };
            let (number, protocol) = ports::parse(text).ok_or_else(|| wrong().with_code(VERB_FAILED))?;
            published.retain(|port| port.container == number && port.protocol.name() == protocol);
            if published.is_empty() {
                let message = format!("no public port '{text}' published for {name}");
                return Err(Failure::new(message).with_code(VERB_FAILED));
            }
            for port in published {
                output.line(outside(port));
            }
        }
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Publishes more, at once where the container runs, and from then on whenever it is started.
fn add(ui: &Ui, settings: &Settings, args: &PortChangeArgs) -> Result<ExitCode, Failure> {
    let containers = containers::of_user()?;
    let container = containers::find(&containers, &args.container)?;
    let spec = &container.record.spec;
    if !has_own(&spec.network) {
        let why = "it has no network of its own: what it reaches, and who reaches it, is another's";
        return Err(Failure::new(format!("cannot publish a port of {}", container.record.name))
            .because(why)
            .with_hint("publish a port of the container whose network it shares; this machine's need no publishing")
            .with_code(VERB_FAILED));
    }
    let asked = args.ports.iter().flat_map(|published| published.0.iter());
    let mut new: Vec<Port> = asked.map(|asked| asked.port(settings.publish_address)).collect();
    let is_new = |port: &Port| port.chosen_from.is_some() || !spec.ports.contains(port);
    new.retain(is_new);
    together(spec.ports.iter().chain(&new).cloned().collect())?;
    if container.is_alive() {
        let sockets = publish::open(&mut new).map_err(|error| refused(&containers, error))?;
        let planned: Vec<plan::Port> = new.iter().map(Port::planned).collect();
        Remote::of(&container)?.publish(&planned, &sockets)?;
    }
    change(&containers, &container, |ports| ports.extend(new.iter().cloned()))?;
    let mut output = ui.output();
    for port in new.iter().filter(|port| port.host != 0) {
        output.line(format!("{}/{} -> {}", port.container, port.protocol, outside(port)));
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn take_back(args: &PortChangeArgs) -> Result<ExitCode, Failure> {
    let containers = containers::of_user()?;
    let container = containers::find(&containers, &args.container)?;
    let asked: Vec<_> = args.ports.iter().flat_map(|published| published.0.iter()).collect();
    let is_meant = |asked: &publish::Asked, port: &Port| {
        (asked.container, asked.protocol) == (port.container, port.protocol)
            && asked.address.is_none_or(|address| address == port.address)
            && asked.host.is_none_or(|(first, last)| (first..=last).contains(&port.host))
    };
    let all = &container.record.spec.ports;
    if let Some(nothing) = asked.iter().find(|asked| !all.iter().any(|port| is_meant(asked, port))) {
        let what = format!("{}/{}", nothing.container, nothing.protocol);
        return Err(Failure::new(format!("no public port '{what}' published for {}", args.container))
            .with_hint(format!("see which there are with `enter port {}`", container.record.name))
            .with_code(VERB_FAILED));
    }
    let gone: Vec<Port> = all.iter().filter(|port| asked.iter().any(|asked| is_meant(asked, port))).cloned().collect();
    if container.is_alive() {
        let planned: Vec<plan::Port> = gone.iter().map(Port::planned).collect();
        Remote::of(&container)?.unpublish(&planned)?;
    }
    change(&containers, &container, |ports| ports.retain(|port| !gone.contains(port)))?;
    Ok(ExitCode::SUCCESS)
}

fn change(containers: &Containers, container: &Container, change: impl FnOnce(&mut Vec<Port>)) -> Result<(), Failure> {
    containers.change(container, |record| {
        change(&mut record.spec.ports);
        Ok(())
    })?;
    Ok(())
}
