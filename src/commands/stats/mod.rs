//! `enter stats`: what containers use, once or again and again.

mod sample;

use std::collections::HashMap;
use std::process::ExitCode;
use std::time::Duration;

use enter::container::{Container, Containers};
use nix::unistd::{SysconfVar, sysconf};
use serde_json::{Value, json};

use super::containers;
use super::format::{Format, Heading};
use super::processes::Processes;
use crate::cli::StatsArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::{Ui, human};
use sample::Sample;

/// Between two looks, as docker has it.
const INTERVAL: Duration = Duration::from_secs(1);

const HEADINGS: &[Heading] = &[
    ("BlockIO", "BLOCK I/O"),
    ("CPUPerc", "CPU %"),
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("MemPerc", "MEM %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("Name", "NAME"),
    ("NetIO", "NET I/O"),
    ("PIDs", "PIDS"),
];

const TABLE: &str =
    "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}";

/// What does not change while the program runs.
struct Machine {
    page: u64,
    ticks_a_second: u64,
    memory: u64,
}

/// Shows the containers until it is ended by a signal, or once.
pub fn run(ui: &Ui, args: &StatsArgs) -> Result<ExitCode, Failure> {
    let verb_failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let template = args.format.as_deref().filter(|format| *format != "table").unwrap_or(TABLE);
    let format = Format::parse(template, HEADINGS).map_err(|error| verb_failed(error.into()))?;
    let containers = containers::of_user()?;
    let machine = Machine::look();

    let mut before: HashMap<String, Sample> = HashMap::new();
    let mut first = true;
    loop {
        let processes = Processes::look();
        let mut rows = Vec::new();
        let mut now = HashMap::new();
        for (typed, container) in chosen(&containers, args, first)? {
            let sample = Sample::take(&container, &processes, &machine);
            let earlier = before.get(&container.record.id).copied().unwrap_or(sample);
            rows.push(machine.row(&typed, &container, &earlier, &sample, args.no_trunc));
            now.insert(container.record.id, sample);
        }
        // Shares are shares of the time between two looks.
        if !first {
            let mut output = ui.output();
            let text = format.render(&rows).map_err(|error| verb_failed(error.into()))?;
            if args.no_stream {
                output.text(text)
            } else {
                output.screen(&text)
            }
            output.finish()?;
            if args.no_stream {
                return Ok(ExitCode::SUCCESS);
            }
        }
        (before, first) = (now, false);
        std::thread::sleep(INTERVAL);
    }
}

/// The containers that are shown, each with the word that it was asked for by. One that ends later is left out.
fn chosen(containers: &Containers, args: &StatsArgs, first: bool) -> Result<Vec<(String, Container)>, Failure> {
    if args.containers.is_empty() {
        let mut all = containers.all()?;
        all.retain(|container| args.all || container.is_alive());
        return Ok(all.into_iter().map(|container| (container.short_id().to_owned(), container)).collect());
    }
    let mut found = Vec::new();
    for typed in &args.containers {
        match containers::find(containers, typed) {
            Ok(container) => found.push((typed.clone(), container)),
            Err(failure) if first => return Err(failure),
            Err(_) => {}
        }
    }
    Ok(found)
}

impl Machine {
    fn look() -> Self {
        let number = |of| sysconf(of).ok().flatten().and_then(|number| u64::try_from(number).ok());
        let page = number(SysconfVar::PAGE_SIZE).unwrap_or(4096);
        let pages = number(SysconfVar::_PHYS_PAGES).unwrap_or_default();
        Self { page, ticks_a_second: number(SysconfVar::CLK_TCK).unwrap_or(100), memory: pages * page }
    }

    #[expect(clippy::cast_precision_loss, reason = "two decimals are shown")]
    fn row(&self, typed: &str, container: &Container, before: &Sample, now: &Sample, whole: bool) -> Value {
        let seconds = now.at.duration_since(before.at).as_secs_f64();
        let busy = now.ticks.saturating_sub(before.ticks) as f64 / self.ticks_a_second as f64;
        let percent = |part: f64, whole: f64| if whole > 0.0 { part / whole * 100.0 } else { 0.0 };
        let most = now.limit.filter(|limit| *limit < self.memory).unwrap_or(self.memory);
        let limit = if container.is_alive() { most } else { 0 };
        let pair = |(one, other): (u64, u64)| format!("{} / {}", human::size(one), human::size(other));
        json!({
            "BlockIO": pair(now.disk),
            "CPUPerc": format!("{:.2}%", percent(busy, seconds)),
            "Container": typed,
            "ID": if whole { container.record.id.clone() } else { container.short_id().to_owned() },
            "MemPerc": format!("{:.2}%", percent(now.memory as f64, most as f64)),
            "MemUsage": format!("{} / {}", human::binary_size(now.memory), human::binary_size(limit)),
            "Name": container.record.name,
            "NetIO": pair(now.network),
            "PIDs": now.threads.to_string(),
        })
    }
}
