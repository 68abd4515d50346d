//! `enter exec CONTAINER COMMAND`: one more command in a container that runs.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use enter::container::planning::added::{self, Asked};
use enter::container::{Container, Execute, Left, Remote};

use super::{containers, ending, told, variables};
use crate::cli::ExecArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::ui::Ui;

/// Runs it, and ends as it ends.
pub fn run(ui: &Ui, args: &ExecArgs) -> Result<ExitCode, Failure> {
    let passed = passed(args.preserve_fds)?;
    sys::descriptor::close_on_exec_from(3)
        .map_err(|errno| Failure::new("cannot keep open files from the container").because(errno))?;
    let (container, command) = target(args)?;
    if args.tty && args.interactive && !args.detach && !io::stdin().is_terminal() {
        return Err(Failure::new("the input device is not a TTY")
            .with_hint("leave -t away where the input is no terminal")
            .with_code(VERB_FAILED));
    }
    let verb_failed = |error: enter::container::Error| Failure::from(error).with_code(VERB_FAILED);
    let remote = Remote::of(&container).map_err(verb_failed)?;
    if container.state.status == enter::container::record::Status::Paused {
        let name = &container.record.name;
        return Err(Failure::new(format!("container {name} is paused"))
            .with_hint(format!("let it go on first: enter unpause {name}"))
            .with_code(VERB_FAILED));
    }
    let plan = containers::plan(&container)
        .ok_or_else(|| enter::container::Error::NotRunning(container.record.name.clone()))?;
    let process = added::added(&plan, &container, asked(args, command)?)
        .map_err(|error| Failure::from(error).with_code(crate::failure::CANNOT_RUN))?;
    let execute = Execute {
        process,
        passed,
        input: args.interactive,
        keys: args.detach_keys.clone(),
        detached: args.detach,
        leaves: false,
    };
    match remote.execute(execute, &mut |warning| told::warn(ui, &warning))? {
        Left::Detached if args.detach => Ok(ExitCode::SUCCESS),
        Left::Detached => Err(ending::escaped()),
        left => ending::left(&plan, left),
    }
}

/// The container, and what is run in it.
fn target(args: &ExecArgs) -> Result<(Container, Vec<OsString>), Failure> {
    let all = containers::of_user()?;
    let mut command = args.command.clone();
    let container = if args.latest {
        command.insert(0, args.container.clone());
        containers::latest(&all)?
    } else {
        containers::find(&all, &args.container.to_string_lossy())?
    };
    if command.is_empty() {
        return Err(Failure::new("COMMAND is missing")
            .with_hint("say what to run: enter exec CONTAINER COMMAND, for a shell: enter exec -it CONTAINER sh")
            .with_code(VERB_FAILED));
    }
    Ok((container, command))
}

fn asked(args: &ExecArgs, command: Vec<OsString>) -> Result<Asked, Failure> {
    let environment = variables::given(&args.env_file, &args.env)?;
    if let Some(directory) = args.workdir.as_ref().filter(|directory| !directory.as_encoded_bytes().starts_with(b"/")) {
        let directory = directory.to_string_lossy();
        return Err(Failure::new(format!("--workdir cannot be `{directory}`: it is not an absolute path"))
            .with_hint("give the whole path, as it is in the container"));
    }
    Ok(Asked {
        command,
        user: args.user.clone(),
        environment,
        directory: args.workdir.clone(),
        terminal: args.tty.then(terminal_size),
        privileged: args.privileged,
    })
}

/// The size of this terminal, or of the usual one where there is none.
fn terminal_size() -> plan::Rows {
    let size = sys::terminal::size(io::stdin()).or_else(|_| sys::terminal::size(io::stdout()));
    size.map_or(plan::Rows { rows: 24, columns: 80 }, |size| plan::Rows { rows: size.rows, columns: size.columns })
}

/// What `--preserve-fds` passes on.
fn passed(count: u16) -> Result<Vec<OwnedFd>, Failure> {
    (3..3 + i32::from(count))
        .map(|number| {
            sys::descriptor::borrow(number)
                .and_then(|fd| fd.try_clone_to_owned().map_err(|_| nix::errno::Errno::EMFILE))
                .map_err(|errno| {
                    Failure::new(format!("--preserve-fds cannot be `{count}`: descriptor {number} is not open"))
                        .because(errno)
                        .with_hint("open as many files as you pass on, for instance with 3<file")
                })
        })
        .collect()
}
