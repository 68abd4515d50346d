//! `enter export CONTAINER`: all its files as a tar, without what is mounted into it. With `app` or `bin` and a name, see [`own`].

mod desktop;
mod own;

use std::process::ExitCode;

use enter::container::exports::Kind;
use enter::container::files;

use super::{containers, cp};
use crate::cli::ExportArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;

pub use own::{renamed, unexport};

/// Puts a program or an application of a box where this machine finds it, or writes the tar of a container.
pub fn run(ui: &Ui, _: &Settings, args: &ExportArgs) -> Result<ExitCode, Failure> {
    if args.list {
        return own::list(ui, args.from.as_deref());
    }
    let first = args.container.as_deref().unwrap_or_default();
    match (first, args.name.as_deref()) {
        ("bin", Some(name)) => return own::export(ui, args, Kind::Bin, name),
        ("app", Some(name)) => return own::export(ui, args, Kind::App, name),
        (_, Some(_)) => {
            return Err(Failure::new(format!(
                "cannot export `{first}`: a program is exported by `bin`, an application by `app`"
            ))
            .with_hint("enter export bin NAME --from BOX; or enter export CONTAINER for all its files"));
        }
        (_, None) if args.from.is_some() || args.to.is_some() || args.called.is_some() => {
            return Err(Failure::new("no program or application is named")
                .with_hint("enter export bin NAME --from BOX, or enter export app NAME --from BOX"));
        }
        (_, None) => {}
    }
    let export = || {
        if args.output.is_none() {
            cp::refuse_terminal()?;
        }
        let container = containers::find(&containers::of_user()?, first)?;
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
