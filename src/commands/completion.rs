//! `enter completion SHELL`: prints the committed completions.

use std::process::ExitCode;

use crate::cli::CompletionArgs;
use crate::failure::Failure;
use crate::ui::Ui;

/// Prints the script for `args.shell`.
pub fn run(ui: &Ui, args: &CompletionArgs) -> Result<ExitCode, Failure> {
    let mut output = ui.output();
    output.text(format!("{:?}", args.shell));
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}
