//! `enter attach CONTAINER`: this terminal becomes one of the container's.

use std::process::ExitCode;

use enter::container::{Attach, Error, Left, Remote};

use super::{containers, ending, told};
use crate::cli::AttachArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Stays with the container until it ends, or until it is left by the detach keys.
pub fn run(ui: &Ui, args: &AttachArgs) -> Result<ExitCode, Failure> {
    sys::descriptor::close_on_exec_from(3)
        .map_err(|errno| Failure::new("cannot keep open files from the container").because(errno))?;
    let all = containers::of_user()?;
    let container = match &args.container {
        Some(typed) => containers::find(&all, typed)?,
        None => containers::latest(&all)?,
    };
    let name = &container.record.name;
    if container.record.spec.boxed.is_some() {
        return Err(Failure::new(format!(
            "cannot attach to {name}: it is a box, in which nothing runs but what enters it"
        ))
        .with_hint(format!("go into it: enter {name}"))
        .with_code(VERB_FAILED));
    }
    if container.state.status == enter::container::record::Status::Paused {
        return Err(Failure::new(format!("cannot attach to container {name}: it is paused"))
            .with_hint(format!("let it go on first: enter unpause {name}"))
            .with_code(VERB_FAILED));
    }
    let plan = containers::plan(&container).ok_or_else(|| Error::NotRunning(name.clone()))?;
    let remote = Remote::of(&container).map_err(|error| Failure::from(error).with_code(VERB_FAILED))?;
    let attach = Attach {
        input: !args.no_stdin && container.record.spec.open_input,
        output: true,
        error: true,
        keys: args.detach_keys.clone(),
        proxy_signals: args.sig_proxy,
        shell: false,
    };
    match remote.attach(&attach, &mut |warning| told::warn(ui, &warning))? {
        Left::Detached => Err(ending::escaped()),
        left => ending::left(&plan, left),
    }
}
