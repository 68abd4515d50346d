//! `enter top CONTAINER [PS-OPTION…]`: the host's ps(1), with the lines that are the container's.

use std::collections::HashSet;
use std::process::{Command, ExitCode, Stdio};

use enter::container::Error;

use super::containers;
use super::processes::Processes;
use crate::cli::TopArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::{Ui, table};

/// docker's columns are at least so wide.
const WIDTH: usize = 20;

/// Lists the processes of a running container.
pub fn run(ui: &Ui, args: &TopArgs) -> Result<ExitCode, Failure> {
    let verb_failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let container = containers::find(&containers::of_user()?, &args.container)?;
    if !container.is_alive() {
        return Err(verb_failed(Error::NotRunning(container.record.name.clone()).into()));
    }
    // Options may come as one word, as docker takes them: `enter top web "-o pid,comm"`.
    let options: Vec<&str> = args.options.iter().flat_map(|word| word.split_whitespace()).collect();
    let options = if options.is_empty() { vec!["-ef"] } else { options };
    let text = ps(&options).map_err(verb_failed)?;
    // Looked at after ps has: what it has listed is still there, or has ended.
    let pids: HashSet<i32> = Processes::look().below(container.state.init).iter().map(|process| process.pid).collect();
    let rows = rows(&text, &pids).ok_or_else(|| {
        let failure = Failure::new("ps does not print the process ids, by which the container's lines are told");
        verb_failed(failure.with_hint("add the column, as in: -o pid,comm"))
    })?;

    let mut output = ui.output();
    output.text(table::layout_wide(&rows, WIDTH));
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// What the host's ps prints.
fn ps(options: &[&str]) -> Result<String, Failure> {
    let cannot = || Failure::new(format!("cannot list processes with `ps {}`", options.join(" ")));
    let output = Command::new("ps").args(options).stdin(Stdio::null()).output();
    let output = output.map_err(|error| cannot().because(error).with_hint("it is in the package procps"))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        return Err(cannot().because(told.lines().next().unwrap_or("it gives no reason").trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The heading and the lines of these processes, in as many cells as the heading has; `None` where it has no process id.
fn rows(text: &str, pids: &HashSet<i32>) -> Option<Vec<Vec<String>>> {
    let mut lines = text.lines();
    let heading: Vec<String> = lines.next()?.split_whitespace().map(ToOwned::to_owned).collect();
    let at = heading.iter().position(|word| word == "PID")?;
    let columns = heading.len();
    let cells = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let pid = words.get(at)?.parse().ok()?;
        // The last column is the command, which may have blanks in it.
        let (first, last) = words.split_at(words.len().min(columns - 1));
        let row = first.iter().map(ToString::to_string).chain([last.join(" ")]);
        pids.contains(&pid).then(|| row.collect())
    };
    let rows: Vec<Vec<String>> = lines.filter_map(cells).collect();
    Some(std::iter::once(heading).chain(rows).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_containers_lines_are_told_by_their_pids() {
        let text = "UID   PID  PPID  C STIME TTY   TIME CMD\nroot  1    0     0 10:00 ?     00:00:00 /sbin/init splash\n\
                    me    77   1     0 10:00 ?     00:00:00 sleep   1000\n";
        let expected = vec![
            vec!["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
            vec!["me", "77", "1", "0", "10:00", "?", "00:00:00", "sleep 1000"],
        ];
        assert_eq!(rows(text, &[77].into()).unwrap(), expected);
        assert_eq!(rows("COMMAND\nsh\n", &[77].into()), None);
        assert_eq!(rows("", &[77].into()), None);
        assert_eq!(rows("PID\n77\n78\n", &[77].into()).unwrap(), [["PID"], ["77"]]);
    }
}
