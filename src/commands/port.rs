//! `enter port CONTAINER [PORT[/PROTOCOL]]`, `enter port add` and `enter port rm`.

use std::process::ExitCode;

use enter::container::folder::Folder;
use enter::container::record::Port;
use enter::container::{Container, Containers, Remote};
use enter::network::publish::{self, together};

use super::containers;
use super::ports::{has_own, refused};
use super::ps::ports;
use super::start::Starter;
use crate::cli::{PortArgs, PortChangeArgs, PortCommand};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Prints where each port is reachable, or that one; or changes what is.
pub fn run(ui: &Ui, settings: &Settings, args: &PortArgs) -> Result<ExitCode, Failure> {
    match &args.change {
        Some(PortCommand::Add(change)) => add(ui, settings, change),
        Some(PortCommand::Rm(change)) => take_back(change),
        None if args.all => list_all(ui),
        None => list(ui, args),
    }
}

fn outside(port: &Port) -> String {
    format!("{}:{}", ports::bracketed(port.address), port.host)
}

fn line(port: &Port) -> String {
    format!("{}/{} -> {}", port.container, port.protocol, outside(port))
}

/// What of a container can be reached, in order; nothing of one that does not run.
fn published(container: &Container) -> Vec<&Port> {
    let mut published: Vec<&Port> = Vec::new();
    if container.is_alive() {
        published.extend(&container.record.spec.ports);
    }
    published.sort_by_key(|port| (port.container, port.protocol));
    published
}

fn list_all(ui: &Ui) -> Result<ExitCode, Failure> {
    let mut output = ui.output();
    for container in containers::of_user()?.all()? {
        for port in published(&container) {
            output.line(format!("{}\t{}", container.short_id(), line(port)));
        }
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn list(ui: &Ui, args: &PortArgs) -> Result<ExitCode, Failure> {
    let containers = containers::of_user()?;
    let (name, port) = args.named();
    let container = match name {
        Some(name) => containers::find(&containers, name)?,
        None => containers.latest()?.ok_or_else(|| {
            Failure::new("there is no container").with_code(VERB_FAILED).with_hint("see `enter run --help`")
        })?,
    };
    let mut published = published(&container);
    let mut output = ui.output();
    match port {
        None => published.into_iter().for_each(|port| output.line(line(port))),
        Some(text) => {
            let wrong = || {
                Failure::new(format!("`{text}` is no port")).with_hint("expected PORT or PORT/PROTOCOL, such as 53/udp")
            };
            let (number, protocol) = ports::parse(text).ok_or_else(|| wrong().with_code(VERB_FAILED))?;
            published.retain(|port| port.container == number && port.protocol.name() == protocol);
            if published.is_empty() {
                let message = format!(
                    "no public port '{number}/{protocol}' published for {}",
                    name.unwrap_or(&container.record.name)
                );
                return Err(Failure::new(message).with_code(VERB_FAILED));
            }
            published.into_iter().for_each(|port| output.line(outside(port)));
        }
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// A container as it is now, and its lock where it does not run: who is about to start it waits meanwhile, and who has just begun to is
/// waited for.
pub fn held(containers: &Containers, typed: &str) -> Result<(Container, Option<Folder>), Failure> {
    let found = containers::find(containers, typed)?;
    let lock = Starter::hold(&found)?;
    Ok((containers::find(containers, &found.record.id)?, lock))
}

/// Publishes more, at once where the container runs, and from then on whenever it is started.
fn add(ui: &Ui, settings: &Settings, args: &PortChangeArgs) -> Result<ExitCode, Failure> {
    let containers = containers::of_user()?;
    let (container, lock) = held(&containers, &args.container)?;
    let spec = &container.record.spec;
    if !has_own(&spec.network) {
        let why = "it has no network of its own: what it reaches, and who reaches it, is another's";
        return Err(Failure::new(format!("cannot publish a port of {}", container.record.name))
            .because(why)
            .with_hint("publish a port of the container whose network it shares; this machine's need no publishing")
            .with_code(VERB_FAILED));
    }
    let asked = args.ports.iter().flat_map(|published| published.0.iter());
    let asked = asked.map(|asked| asked.port(settings.publish_address)).collect();
    let (there, new) = publish(&containers, &container, lock.is_none(), asked)?;
    let mut output = ui.output();
    for port in there.iter().chain(&new).filter(|port| port.host != 0) {
        output.line(line(port));
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Publishes more ports of a container, at once if it `runs`; returns those that were there already, and those that are new, with what was
/// chosen for them.
pub fn publish(
    containers: &Containers,
    container: &Container,
    runs: bool,
    asked: Vec<Port>,
) -> Result<(Vec<Port>, Vec<Port>), Failure> {
    let spec = &container.record.spec;
    let (there, mut new): (Vec<Port>, Vec<Port>) =
        asked.into_iter().partition(|port| port.chosen_from.is_none() && spec.ports.contains(port));
    // What was named twice is published once.
    new = together(new)?;
    together(spec.ports.iter().chain(&new).cloned().collect())?;
    let planned = |ports: &[Port]| ports.iter().map(Port::planned).collect::<Vec<_>>();
    if runs {
        let sockets = publish::open(&mut new).map_err(|error| refused(containers, error))?;
        Remote::of(container)?.publish(&planned(&new), &sockets)?;
    }
    change(containers, container, |ports| ports.extend(new.iter().cloned())).inspect_err(|_| {
        if runs {
            // What nobody has written down nobody could take back.
            let _ = Remote::of(container).and_then(|remote| remote.unpublish(&planned(&new)));
        }
    })?;
    Ok((there, new))
}

/// Whether a port is one of those that were named.
pub fn is_meant(asked: &publish::Asked, port: &Port) -> bool {
    (asked.container, asked.protocol) == (port.container, port.protocol)
        && asked.address.is_none_or(|address| address == port.address)
        && asked.host.is_none_or(|(first, last)| (first..=last).contains(&port.host))
}

/// Takes ports of a container back, at once if it `runs`.
pub fn unpublish(containers: &Containers, container: &Container, runs: bool, gone: &[Port]) -> Result<(), Failure> {
    if runs {
        let planned: Vec<plan::Port> = gone.iter().map(Port::planned).collect();
        Remote::of(container)?.unpublish(&planned)?;
    }
    change(containers, container, |ports| ports.retain(|port| !gone.contains(port)))
}

fn take_back(args: &PortChangeArgs) -> Result<ExitCode, Failure> {
    let containers = containers::of_user()?;
    let (container, lock) = held(&containers, &args.container)?;
    let asked: Vec<_> = args.ports.iter().flat_map(|published| published.0.iter()).collect();
    let all = &container.record.spec.ports;
    if let Some(nothing) = asked.iter().find(|asked| !all.iter().any(|port| is_meant(asked, port))) {
        let what = format!("{}/{}", nothing.container, nothing.protocol);
        return Err(Failure::new(format!("no public port '{what}' published for {}", args.container))
            .with_hint(format!("see which there are with `enter port {}`", container.record.name))
            .with_code(VERB_FAILED));
    }
    let gone: Vec<Port> = all.iter().filter(|port| asked.iter().any(|asked| is_meant(asked, port))).cloned().collect();
    unpublish(&containers, &container, lock.is_none(), &gone)?;
    Ok(ExitCode::SUCCESS)
}

fn change(containers: &Containers, container: &Container, change: impl FnOnce(&mut Vec<Port>)) -> Result<(), Failure> {
    containers.change(container, |record| {
        change(&mut record.spec.ports);
        Ok(())
    })?;
    Ok(())
}
