//! `enter doctor`: try everything that a shell needs, show what was found, and how to mend it.

use std::process::ExitCode;

use crate::cli::DoctorArgs;
use crate::failure::Failure;
use crate::settings::places;
use crate::ui::Ui;
use enter::doctor::{self, Report, State};

/// Left with where a shell cannot be opened.
const UNUSABLE: u8 = 1;

/// Examines the machine.
pub fn run(ui: &Ui, args: &DoctorArgs) -> Result<ExitCode, Failure> {
    let store = places::data(|name| std::env::var_os(name))?;
    let report = doctor::examine(&store);
    let mut output = ui.output();
    if args.json {
        let json = serde_json::to_string_pretty(&report);
        output.line(json.map_err(|error| Failure::new("cannot write the findings as JSON").because(error))?);
    } else {
        output.text(text(&report));
    }
    output.finish()?;
    Ok(if report.usable { ExitCode::SUCCESS } else { ExitCode::from(UNUSABLE) })
}

/// One line for each finding, its mend below it, and the verdict at the end.
fn text(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let word = match finding.state {
            State::Good => "good",
            State::Less => "LESS",
            State::Bad => "BAD",
        };
        text += &format!("{word:<5} {}: {}\n", finding.check, finding.detail);
        if let Some(mend) = &finding.mend {
            text += &format!("      mend: {mend}\n");
        }
    }
    let verdict = match (report.usable, report.findings.iter().any(|finding| finding.state != State::Good)) {
        (true, false) => "A shell can be opened here.",
        (true, true) => "A shell can be opened here, with less than all of it.",
        (false, _) => "No shell can be opened here yet.",
    };
    text + verdict + "\n"
}

#[cfg(test)]
mod tests {
    use super::text;
    use enter::doctor::{Finding, Report};

    #[test]
    fn each_finding_has_its_line_and_its_mend_below() {
        let report = Report::new(vec![
            Finding::good("store", "written"),
            Finding::less("network", "no pasta", Some("sudo apt-get install -y passt".into())),
        ]);
        let expected = "good  store: written\n\
                        LESS  network: no pasta\n      mend: sudo apt-get install -y passt\n\
                        A shell can be opened here, with less than all of it.\n";
        assert_eq!(text(&report), expected);
        assert!(
            text(&Report::new(vec![Finding::bad("store", "full", None)]))
                .ends_with("No shell can be opened here yet.\n")
        );
    }
}
