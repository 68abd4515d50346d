//! Boxes: what their start adds to that of any container, and what is run in them. Who comes in is himself, as in a shell.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use plan::{Plan, Process, Rows, Step, Text};

use super::account::Accounts;
use super::caller::Caller;
use super::environment::{self, Known};
use super::integration::Integration;
use super::view::View;
use crate::container::late::Shown;
use crate::container::record::{Kind, NetworkMode, Spec};
use crate::container::{Error, tools};

/// What the caller has of his own in a box, beside his home: his account, and what is shared of this machine.
pub(super) fn own(spec: &Spec, view: &dyn View, accounts: &Accounts, caller: &Caller) -> Vec<Step> {
    let shell = super::shell(view, &accounts.caller(caller), caller);
    let mut steps = super::account_files(accounts, caller, shell.as_deref());
    steps.extend(super::sudo::steps(view, caller, false));
    let shared = Integration::of(&spec.shares, caller, spec.network == NetworkMode::Host);
    steps.extend(shared.steps());
    steps
}

/// A payload that does nothing, and has nobody's terminal or streams.
pub(super) fn idle(process: Process) -> Process {
    Process {
        arguments: Vec::new(),
        idle: true,
        terminal: None,
        streams: [plan::Stream::Relay; 3],
        passed: 0,
        ..process
    }
}

/// What is to be run in a box.
#[derive(Debug)]
pub struct Visit<'a> {
    /// What the box was made as.
    pub spec: &'a Spec,
    /// Its name.
    pub name: &'a str,
    /// What its image asks for, as `NAME=VALUE`.
    pub image: &'a [String],
    /// `USER[:GROUP]`; `None`: the caller.
    pub user: Option<&'a str>,
    /// The command; empty for a shell.
    pub command: Vec<OsString>,
    /// What is shared of this machine now.
    pub shared: &'a Integration,
    /// What of that is there.
    pub shown: &'a Shown,
    /// Variables from settings; the box's own win.
    pub settings: Vec<(OsString, OsString)>,
    /// Variables from flags, which win.
    pub environment: Vec<(OsString, OsString)>,
    /// Where to begin; `None` where the caller is.
    pub directory: Option<PathBuf>,
    /// Standard input is a terminal.
    pub types: bool,
    /// A terminal of the box's, of this size.
    pub terminal: Option<Rows>,
}

/// Plans a process for a box that runs by `plan`. `view`: its root, as it is now.
///
/// # Errors
/// For a user whom it does not know, and where it has no shell.
pub fn visit(visit: Visit<'_>, plan: &Plan, view: &dyn View, caller: &Caller) -> Result<Process, Error> {
    let accounts = Accounts::read(view);
    let boxed = visit.spec.boxed.as_ref();
    let identity = match visit.user.or_else(|| boxed?.user.as_deref()) {
        Some(text) => accounts.find(text, caller)?,
        None => accounts.caller(caller),
    };
    let own_shell = boxed.and_then(|boxed| boxed.shell.as_deref()).map(PathBuf::from);
    let own_shell = own_shell.filter(|shell| view.is_program(shell));
    let brought = || boxed.filter(|boxed| boxed.tools).map(|_| tools::SHELL.into());
    let shell = own_shell.or_else(|| super::shell(view, &identity, caller)).or_else(brought);
    let hostname = if visit.spec.hostname.is_empty() { visit.name } else { &visit.spec.hostname };
    let mut variables = visit.settings;
    if visit.spec.outward.open {
        let (name, value) = crate::container::outward::BROWSER;
        variables.push((name.into(), value.into()));
    }
    variables.push(("ENTER_BOX".into(), visit.name.into()));
    variables.extend(visit.spec.environment.iter().filter_map(pair));
    variables.extend(visit.environment);
    let shared = visit.shared.variables(identity.uid, &|offer| visit.shown.has(&offer.steps));
    let known = Known {
        image: Some(visit.image),
        shares_network: visit.spec.network == NetworkMode::Host,
        types: visit.types,
        shared: &shared,
        tools: boxed.is_some_and(|boxed| boxed.tools),
        asked: &variables,
        hostname,
    };
    let environment = environment::make(known, view, &identity, shell.as_deref());
    let arguments: Vec<Text> = if visit.command.is_empty() {
        let shell = shell.ok_or_else(|| Error::Plan {
            doing: format!("open a shell in {}", visit.name),
            reason: "there is none in its image".into(),
            hint: Some(format!(
                "bring one along: enter set {0} --tools; or run a program of the image: enter {0} -- PROGRAM",
                visit.name
            )),
        })?;
        vec![shell.into()]
    } else {
        visit.command.into_iter().map(Text::from).collect()
    };
    let project = || super::home::directory_in(visit.spec.project.as_deref(), caller);
    let here = caller.directory_at_home().or_else(project).or_else(|| shown(visit.spec, caller.directory.as_deref()?));
    let asked = visit.directory.or_else(|| boxed?.directory.as_deref().map(PathBuf::from));
    let directories = super::directories(asked.as_deref(), here, &identity, caller);
    let mut process = Process {
        arguments,
        idle: false,
        environment,
        directories,
        terminal: visit.terminal,
        umask: caller.umask,
        limits: super::run::limits(visit.spec),
        ..plan.process.clone()
    };
    match &mut process.pretend {
        // Really it is whoever the only id is.
        Some(pretend) => (pretend.uid, pretend.gid, pretend.groups) = (identity.uid, identity.gid, identity.groups),
        None => {
            identity.check(&plan.users.inner)?;
            (process.uid, process.gid, process.groups) = (identity.uid, identity.gid, identity.groups);
        }
    }
    Ok(process)
}

/// Where a directory of this machine is shown in the box by a mount of its own.
fn shown(spec: &Spec, directory: &Path) -> Option<PathBuf> {
    let shown = spec.mounts.iter().filter_map(|mount| match &mount.kind {
        Kind::Bind(source) => Some((directory.strip_prefix(source).ok()?, mount)),
        _ => None,
    });
    let (below, mount) = shown.min_by_key(|(below, _)| below.components().count())?;
    Some(if below.as_os_str().is_empty() { (&mount.target).into() } else { Path::new(&mount.target).join(below) })
}

/// Name and value of `NAME=VALUE`.
fn pair(text: &Text) -> Option<(OsString, OsString)> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = text.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    let os = |bytes: &[u8]| std::ffi::OsStr::from_bytes(bytes).to_owned();
    Some((os(&bytes[..at]), os(&bytes[at + 1..])))
}
