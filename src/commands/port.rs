//! `enter port CONTAINER [PORT[/PROTOCOL]]`.

use std::process::ExitCode;

use enter::container::record::Port;

use super::containers;
use super::ps::ports;
use crate::cli::PortArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Prints where each port is reachable, or that one.
pub fn run(ui: &Ui, args: &PortArgs) -> Result<ExitCode, Failure> {
    let container = containers::find(&containers::of_user()?, &args.container)?;
    let mut published: Vec<&Port> = Vec::new();
    // Nothing can be reached of a container that does not run.
    if container.is_alive() {
        published.extend(&container.record.spec.ports);
    }
    published.sort_by_key(|port| (port.container, port.protocol));
    let outside = |port: &Port| format!("{}:{}", ports::bracketed(port.address), port.host);

    let mut output = ui.output();
    match &args.port {
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
                let message = format!("no public port '{text}' published for {}", args.container);
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
