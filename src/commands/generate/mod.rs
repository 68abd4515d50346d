//! `enter generate systemd CONTAINER`: a unit by which systemd keeps a container.

mod line;

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum as _;
use enter::container::Container;
use jiff::Timestamp;

use super::containers;
use crate::cli::SystemdArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// How long a container has to end, where nobody says: docker's.
const GRACE: u64 = 10;

/// How much longer systemd waits before it ends everything by force.
const PATIENCE: u64 = 60;

/// Prints the unit, or writes it to a file and prints the path.
pub fn systemd(ui: &Ui, args: &SystemdArgs) -> Result<ExitCode, Failure> {
    let container = containers::find(&containers::of_user()?, &args.container)?;
    if container.record.spec.shell {
        return Err(Failure::new(format!("cannot write a unit for {}: it is a shell", container.record.name))
            .with_hint("make a container of the image with `enter create`")
            .with_code(VERB_FAILED));
    }
    let program = std::env::current_exe().map_err(|error| Failure::new("cannot find this program").because(error))?;
    let word = if args.name { &container.record.name } else { &container.record.id };
    let name = format!("{}{}{word}.service", args.container_prefix, args.separator);
    let allowed = |char: char| char.is_ascii_alphanumeric() || ":-_.\\@".contains(char);
    let units = [&args.wants, &args.after, &args.requires].into_iter().flatten();
    if let Some(bad) = units.chain([&name]).find(|unit| unit.is_empty() || !unit.chars().all(allowed)) {
        return Err(Failure::new(format!("`{bad}` cannot be a unit's name"))
            .with_hint("it has letters, digits and the signs : - _ . \\ @ only"));
    }
    let unit = unit(args, &container, word, &name, &program)?;
    let mut output = ui.output();
    if args.files {
        let path = std::path::absolute(&name).unwrap_or_else(|_| name.clone().into());
        std::fs::write(&path, &unit)
            .map_err(|error| Failure::new(format!("cannot write {}", path.display())).because(error))?;
        output.line(path.to_string_lossy());
    } else {
        output.text(&unit);
    }
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn unit(args: &SystemdArgs, container: &Container, word: &str, name: &str, program: &Path) -> Result<String, Failure> {
    let record = &container.record;
    let enter = line::quoted(&program.to_string_lossy());
    let grace = args.time.map(u64::from).or(record.spec.stop_timeout.map(|time| time.as_secs())).unwrap_or(GRACE);
    let mut text = format!("# {name}\n");
    if !args.no_header {
        let _ = writeln!(text, "# written by enter {} at {}", env!("CARGO_PKG_VERSION"), Timestamp::now());
    }
    let _ = writeln!(text, "\n[Unit]\nDescription=enter container {}", record.name);
    text.push_str("Wants=network-online.target\nAfter=network-online.target\n");
    for (key, units) in [("Wants", &args.wants), ("After", &args.after), ("Requires", &args.requires)] {
        if !units.is_empty() {
            let _ = writeln!(text, "{key}={}", units.join(" "));
        }
    }
    let restart = args.restart_policy.to_possible_value();
    let restart = restart.as_ref().map_or("no", |value| value.get_name());
    let _ = writeln!(text, "\n[Service]\nType=exec\nRestart={restart}");
    if let Some(seconds) = args.restart_sec {
        let _ = writeln!(text, "RestartSec={seconds}");
    }
    let _ = writeln!(text, "TimeoutStopSec={}", grace.saturating_add(PATIENCE));
    // The store that the container is in may be elsewhere than systemd's own environment would have it.
    for variable in ["XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
        if let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) {
            let pair = format!("{variable}={}", value.to_string_lossy());
            let _ = writeln!(text, "Environment={}", line::quoted_setting(&pair));
        }
    }
    let word = if args.new {
        let name = &record.name;
        let command = line::create(&record.spec.created_by, name)?;
        let _ = writeln!(text, "WorkingDirectory={}", line::escaped(&record.spec.created_in.to_string_lossy()));
        let _ = writeln!(text, "ExecStartPre={enter} {command}");
        name
    } else {
        word
    };
    let _ = writeln!(text, "ExecStart={enter} start --attach --sig-proxy=false {word}");
    let _ = writeln!(text, "ExecStop={enter} stop --time {grace} {word}");
    if args.new {
        let _ = writeln!(text, "ExecStopPost=-{enter} rm --force {word}");
    }
    // What a container ends with that was asked to end is no failure. What is left when it does not end is for systemd to end.
    text.push_str("SuccessExitStatus=130 137 143\nKillMode=mixed\n\n[Install]\nWantedBy=default.target\n");
    Ok(text)
}

#[cfg(test)]
mod tests;
