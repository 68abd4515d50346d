//! `enter export CONTAINER`: all its files as a tar, without what is mounted into it.

use std::process::ExitCode;

use enter::container::files;

use super::{containers, cp};
use crate::cli::ExportArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

/// Writes the tar.
pub fn run(_: &Ui, _: &Settings, args: &ExportArgs) -> Result<ExitCode, Failure> {
    let export = || {
        if args.output.is_none() {
            cp::refuse_terminal()?;
        }
        let container = containers::find(&containers::of_user()?, &args.container)?;
        let access = super::files::access(&super::state::store()?, &container)?;
        let (tar, worker) = files::whole(&access, None)?;
        let written = cp::pass_on(tar, args.output.as_deref());
        match (written, worker.finish()) {
            // The worker has only noticed that nobody reads any more.
            (Err(failure), _) => Err(failure),
            (Ok(()), told) => Ok(told.map(drop)?),
        }
    };
    export().map_err(|failure: Failure| failure.with_code(VERB_FAILED))?;
    Ok(ExitCode::SUCCESS)
}
