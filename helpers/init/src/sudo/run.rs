//! Becoming the other user, and then the command.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Gid, Uid};
use sys::process::Fork;

use super::accounts::{Account, Accounts};
use super::quoted;
use super::words::{Asked, What};

/// What the PATH is where nobody says.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What becomes of the caller's environment: the real program's list, and what says where one is and how to reach the world.
const KEPT: [&str; 23] = [
    "COLORS",
    "COLORTERM",
    "DISPLAY",
    "ENTER_BOX",
    "KRB5CCNAME",
    "LANG",
    "LANGUAGE",
    "LINGUAS",
    "LS_COLORS",
    "PATH",
    "PS1",
    "PS2",
    "TERM",
    "TZ",
    "WAYLAND_DISPLAY",
    "XAUTHORITY",
    "XDG_CURRENT_DESKTOP",
    "container",
    "all_proxy",
    "ftp_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Why something is not done.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: u8,
    pub message: String,
}

impl Refusal {
    pub fn new(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }
}

pub type Environment = BTreeMap<OsString, OsString>;

/// What is to be run, and as whom.
pub struct Run {
    pub account: Account,
    pub gid: u32,
    /// `None`: as they are.
    pub groups: Option<Vec<u32>>,
    pub environment: Environment,
    pub directory: Option<PathBuf>,
    /// What it finds as its own name; the program's path where that is `None`.
    pub own_name: Option<OsString>,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
}

/// Does what sudo was asked for; returns only what failed, or in the one that put something into the background.
pub fn sudo(asked: Asked) -> Result<(), Refusal> {
    let accounts = Accounts::read();
    let caller = accounts.of(nix::unistd::getuid().as_raw());
    // With a group alone it is the caller himself.
    let user = asked.user.as_deref().map_or_else(
        || if asked.group.is_some() { Some(caller.clone()) } else { accounts.user("root") },
        |name| accounts.user(name),
    );
    let unknown = |what: &str, name: &str| Refusal::new(format!("unknown {what} {name}"));
    let account = user.ok_or_else(|| unknown("user", asked.user.as_deref().unwrap_or_default()))?;
    let group = asked.group.as_deref();
    let gid = group.map(|name| accounts.group(name).ok_or_else(|| unknown("group", name))).transpose()?;
    let mut groups = accounts.groups_of(&account);
    groups.extend(gid.filter(|gid| !groups.contains(gid)));

    let environment = environment(&asked, &account, &caller);
    let find = |name: &OsStr| find(name, &environment);
    let shell = |path: &Path| -> Result<PathBuf, Refusal> { usable_shell(path).ok_or_else(no_shell) };
    let (program, own_name, arguments) = match asked.what {
        What::Login => {
            let shell = shell(&account.shell)?;
            (shell.clone(), Some(login_name(&shell)), said_to_shell(&asked.command))
        }
        What::Shell => {
            let own = std::env::var_os("SHELL").map_or_else(|| account.shell.clone(), PathBuf::from);
            (shell(&own)?, None, said_to_shell(&asked.command))
        }
        What::Edit => {
            let editor = editor(&find)?;
            (find(&editor[0])?, None, editor[1..].iter().chain(&asked.command).cloned().collect())
        }
        _ => (find(&asked.command[0])?, Some(asked.command[0].clone()), asked.command[1..].to_vec()),
    };
    let directory = match (asked.directory, asked.what) {
        (Some(directory), _) => Some(directory.into()),
        // Where there is no home it stays where it is.
        (None, What::Login) => Some(account.home.clone()).filter(|home| home.is_dir()),
        (None, _) => None,
    };
    if asked.background {
        match sys::process::fork().map_err(|errno| Refusal::new(format!("cannot fork: {errno}")))? {
            Fork::Parent(_) => return Ok(()),
            Fork::Child => {
                // Out of the way of what the terminal sends to the caller's job.
                let _ = nix::unistd::setpgid(nix::unistd::Pid::from_raw(0), nix::unistd::Pid::from_raw(0));
            }
        }
    }
    let groups = (!asked.keeps_groups).then_some(groups);
    let gid = gid.unwrap_or(account.gid);
    Err(become_it(&Run { account, gid, groups, environment, directory, own_name, program, arguments }))
}

/// What the command finds as its environment.
fn environment(asked: &Asked, account: &Account, caller: &Account) -> Environment {
    let is_kept = |name: &OsStr| {
        let Some(text) = name.to_str() else { return asked.keeps_all };
        let lower = text.to_ascii_lowercase();
        asked.keeps_all
            || asked.kept.iter().any(|kept| kept == name)
            || KEPT.iter().any(|kept| *kept == text || (kept.ends_with("_proxy") && *kept == lower))
            || text.starts_with("LC_")
    };
    let mut environment: Environment = std::env::vars_os().filter(|(name, _)| is_kept(name)).collect();
    let asked_for = |name: &str| asked.kept.iter().any(|kept| kept == name);
    let mut set = |name: &str, value: &OsStr| drop(environment.insert(name.into(), value.to_owned()));
    let login = asked.what == What::Login;
    if login || asked.sets_home || !(asked.keeps_all || asked_for("HOME")) {
        set("HOME", account.home.as_os_str());
    }
    if login || !asked_for("SHELL") {
        set("SHELL", usable_shell(&account.shell).unwrap_or_else(|| account.shell.clone()).as_os_str());
    }
    for name in ["USER", "LOGNAME"] {
        set(name, account.name.as_ref());
    }
    set("SUDO_USER", caller.name.as_ref());
    set("SUDO_UID", caller.uid.to_string().as_ref());
    set("SUDO_GID", nix::unistd::getgid().to_string().as_ref());
    set("SUDO_HOME", caller.home.as_os_str());
    let words: Vec<&[u8]> = asked.command.iter().map(|word| word.as_bytes()).collect();
    set("SUDO_COMMAND", OsStr::from_bytes(&words.join(&b' ')));
    environment.entry("PATH".into()).or_insert_with(|| PATH.into());
    mark_prompt(&mut environment, account);
    for pair in &asked.variables {
        let bytes = pair.as_bytes();
        let at = bytes.iter().position(|byte| *byte == b'=').unwrap_or(bytes.len());
        let value = bytes.get(at + 1..).unwrap_or_default();
        environment.insert(OsStr::from_bytes(&bytes[..at]).to_owned(), OsStr::from_bytes(value).to_owned());
    }
    environment
}

/// The prompt that shells without start files have says who is root.
pub fn mark_prompt(environment: &mut Environment, account: &Account) {
    if let Some(prompt) = environment.get_mut(OsStr::new("PS1")) {
        let bytes = prompt.as_bytes();
        let (from, to): (&[u8], &[u8]) = if account.uid == 0 { (b"$ ", b"# ") } else { (b"# ", b"$ ") };
        if let Some(rest) = bytes.strip_suffix(from) {
            *prompt = OsString::from_vec([rest, to].concat());
        }
    }
}

/// A shell that is there: this one, if it is one that lets somebody in; or the best that there is.
pub fn usable_shell(path: &Path) -> Option<PathBuf> {
    let shuts_out = path.file_name().is_some_and(|name| name == "nologin" || name == "false");
    let others = ["/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh", "/bin/ash", "/run/enter-tools/bin/sh"];
    let own = Some(path).filter(|_| !shuts_out);
    own.into_iter().chain(others.iter().map(Path::new)).find(|path| is_program(path)).map(Path::to_owned)
}

pub fn no_shell() -> Refusal {
    Refusal::new("there is no shell in this container")
}

/// By its dash a shell knows that somebody logs in.
pub fn login_name(shell: &Path) -> OsString {
    let mut name = OsString::from("-");
    name.push(shell.file_name().unwrap_or_default());
    name
}

/// The words that make a shell run a command, each as it was.
fn said_to_shell(command: &[OsString]) -> Vec<OsString> {
    if command.is_empty() {
        return Vec::new();
    }
    let words: Vec<Vec<u8>> = command.iter().map(|word| quoted(word)).collect();
    vec!["-c".into(), OsString::from_vec(words.join(&b' '))]
}

/// Words of the editor that the caller wants, or of one that is there.
fn editor(find: &dyn Fn(&OsStr) -> Result<PathBuf, Refusal>) -> Result<Vec<OsString>, Refusal> {
    for name in ["SUDO_EDITOR", "VISUAL", "EDITOR"] {
        let value = std::env::var_os(name).unwrap_or_default();
        let words = value.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let words: Vec<OsString> = words.map(|word| OsStr::from_bytes(word).to_owned()).collect();
        if let Some(editor) = words.first()
            && find(editor).is_ok()
        {
            return Ok(words);
        }
    }
    let known = ["editor", "nano", "vim", "vi"].into_iter().map(OsString::from).find(|name| find(name).is_ok());
    known.map(|name| vec![name]).ok_or_else(|| Refusal::new("no editor found; set EDITOR"))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The program that a word means.
fn find(name: &OsStr, environment: &Environment) -> Result<PathBuf, Refusal> {
    let missing = || Refusal::new(format!("{}: command not found", name.display()));
    if name.as_bytes().contains(&b'/') {
        return if Path::new(name).exists() { Ok(name.into()) } else { Err(missing()) };
    }
    let path = environment.get(OsStr::new("PATH")).map_or(PATH.as_bytes(), |path| path.as_bytes());
    let directories = path.split(|byte| *byte == b':').filter(|directory| !directory.is_empty());
    let mut candidates = directories.map(|directory| Path::new(OsStr::from_bytes(directory)).join(name));
    candidates.find(|path| is_program(path)).filter(|_| !name.is_empty()).ok_or_else(missing)
}

/// Becomes another user, and what he is to run. Returns why not.
pub fn become_it(run: &Run) -> Refusal {
    if let Err(errno) = become_user(run) {
        return Refusal::new(format!(
            "cannot become {}: {}{}",
            run.account.name,
            errno.desc(),
            match nix::sys::prctl::get_no_new_privs() {
                Ok(true) => "; this process may gain no privileges (no_new_privs)",
                _ => "",
            }
        ));
    }
    if let Some(directory) = &run.directory
        && let Err(errno) = nix::unistd::chdir(directory)
    {
        return Refusal::new(format!("unable to change directory to {}: {}", directory.display(), errno.desc()));
    }
    let program = &run.program;
    let name = run.own_name.as_deref().unwrap_or(program.as_os_str());
    let pairs = run.environment.iter().map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
    let pairs: Vec<CString> = pairs.filter_map(|pair| CString::new(pair).ok()).collect();
    let c = |text: &OsStr| CString::new(text.as_bytes()).unwrap_or_default();
    let words = |first: &OsStr, more: &[&OsStr]| -> Vec<CString> {
        let more = more.iter().copied().chain(run.arguments.iter().map(OsString::as_os_str));
        [first].into_iter().chain(more).map(c).collect()
    };
    let Err(mut errno) = nix::unistd::execve(&c(program.as_os_str()), &words(name, &[]), &pairs);
    if errno == Errno::ENOEXEC {
        // A script that does not say by what.
        let Err(other) = nix::unistd::execve(c"/bin/sh", &words("sh".as_ref(), &[program.as_os_str()]), &pairs);
        errno = other;
    }
    Refusal::new(format!("unable to execute {}: {}", program.display(), errno.desc()))
}

fn become_user(run: &Run) -> Result<(), Errno> {
    if let Some(groups) = &run.groups {
        let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
        nix::unistd::setgroups(&groups)?;
    }
    let (uid, gid) = (Uid::from_raw(run.account.uid), Gid::from_raw(run.gid));
    nix::unistd::setresgid(gid, gid, gid)?;
    nix::unistd::setresuid(uid, uid, uid)
}
