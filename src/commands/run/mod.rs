//! `enter run IMAGE [COMMAND]…`: a new container, and its command's exit code.

mod asked;
pub mod begin;
mod health;
mod make;
pub mod mounts;
pub mod networks;
pub mod pasta;
mod security;
pub use security::confine;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use enter::container::{Attach, DetachKeys};

use super::ending;
use crate::cli::RunArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::Ui;
use asked::bad;
pub use asked::{HOST_ACCESS, can_reach_host, refuse_resources};

use make::Made;

/// Makes a container, runs its command, and ends as that ends.
pub fn run(ui: &Ui, settings: &Settings, args: &RunArgs) -> Result<ExitCode, Failure> {
    asked::refuse(&args.create)?;
    refuse_together(args)?;
    keep_descriptors(args.preserve_fds)?;
    let ui = if args.create.quiet { &ui.quiet() } else { ui };
    let attached = attached(args);
    let made = Made::make(ui, settings, &args.create, true, |spec| {
        (spec.detached, spec.attached, spec.preserve_fds) = (args.detach, attached, args.preserve_fds);
    })?;
    let Made { caller, state, containers, record, folder, image, lease: _lease, users, maps } = made;
    if !attached[1] && !attached[2] {
        // Nothing else is printed then. Also of one whose command cannot be run: it can still be looked at.
        let mut output = ui.output();
        output.line(&record.id);
        output.finish()?;
    }
    let (id, remove, root) = (record.id.clone(), record.spec.remove, state.root().to_owned());
    let attach = (!args.detach).then(|| Attach {
        input: attached[0],
        output: attached[1],
        error: attached[2],
        keys: keys(&record.spec.detach_keys),
        proxy_signals: args.sig_proxy,
        shell: false,
    });
    let ready = begin::Ready { caller: &caller, containers: &containers, root, record, folder, image, users, maps };
    let begun = begin::begin(ui, ready, attach);
    if begun.is_err() && remove {
        // What was to be kept can be started when that is mended; of this nothing is left.
        make::remove(&containers, &id);
    }
    let (plan, left) = begun?;
    ending::left(&plan, left)
}

/// The keys that leave a container; the parser has seen that they are some.
pub fn keys(typed: &str) -> DetachKeys {
    typed.parse().unwrap_or_default()
}

/// What the caller has open is his: a lock or a pipe that the monitor kept would outlive this process. What is to be passed on must be
/// there now, before anything of ours has such a number.
fn keep_descriptors(passed: u32) -> Result<(), Failure> {
    let numbers = (3..i32::MAX).take(passed as usize);
    for number in numbers {
        sys::descriptor::borrow(number).and_then(nix::sys::stat::fstat).map_err(|errno| {
            bad("--preserve-fds", &passed.to_string(), &format!("number {number} is not open here"))
                .because(errno.desc().to_lowercase())
        })?;
    }
    sys::descriptor::close_on_exec_from(3)
        .map_err(|errno| Failure::new("cannot keep open files from the container's parts").because(errno))
}

/// Makes a container for later.
pub fn create(ui: &Ui, settings: &Settings, args: &crate::cli::CreateArgs) -> Result<ExitCode, Failure> {
    asked::refuse(args)?;
    let ui = if args.quiet { &ui.quiet() } else { ui };
    let made = Made::make(ui, settings, args, false, |spec| spec.attached = [spec.open_input, true, true])?;
    let mut output = ui.output();
    output.line(&made.record.id);
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Which streams the caller is connected to: those that he names, or docker's choice.
fn attached(args: &RunArgs) -> [bool; 3] {
    if args.detach {
        return [false; 3];
    }
    if args.attach.is_empty() {
        return [args.create.process.interactive, true, true];
    }
    [0, 1, 2].map(|stream| args.attach.contains(&stream))
}

fn refuse_together(args: &RunArgs) -> Result<(), Failure> {
    if args.detach && !args.attach.is_empty() {
        return Err(Failure::new("--detach and --attach exclude each other")
            .with_hint("leave one of them away; `enter attach` connects to a container in the background"));
    }
    let process = &args.create.process;
    if process.tty && process.interactive && !args.detach && !io::stdin().is_terminal() {
        return Err(Failure::new("the input device is not a TTY")
            .with_hint("leave -t away where standard input is no terminal")
            .with_code(VERB_FAILED));
    }
    Ok(())
}
