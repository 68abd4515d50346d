//! `enter ssh-config`: what ssh is to know, in the words of ssh_config(5).

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use enter::container::Containers;
use enter::container::planning::caller::Caller;

use super::super::boxes;
use super::super::state::State;
use super::{SUFFIX, keys};
use crate::cli::SshConfigArgs;
use crate::failure::Failure;
use crate::ui::Ui;

/// The first line of a file of ours.
const MARK: &str = "# Written by `enter ssh-config --write`, which writes it anew: changes are lost.\n";

/// Prints or keeps it.
pub fn run(ui: &Ui, args: &SshConfigArgs) -> Result<ExitCode, Failure> {
    let state = State::of_user()?;
    keys::key(state.root())?;
    let caller = Caller::find()?;
    let containers = Containers::below(state.root());
    let mut hosts = Vec::new();
    for name in &args.names {
        hosts.push(boxes::find(&containers, name)?.record.name);
    }
    if hosts.is_empty() {
        hosts = boxes::names(&containers);
        hosts.sort();
    }
    let program = std::env::current_exe().map_err(|error| Failure::new("cannot find this program").because(error))?;
    let said =
        Command::new("ssh").arg("-V").stdin(Stdio::null()).output().map(|output| output.stderr).unwrap_or_default();
    let warns = warns(&String::from_utf8_lossy(&said));
    let common = Common { program: &program, user: &caller.name, root: state.root(), warns };
    let mut text: String = hosts.iter().map(|name| common.host(name, name)).collect();
    if args.names.is_empty() {
        // Those to come, which editors cannot list but reach.
        text.push_str(&common.host("*", "%n"));
    }
    if !args.write {
        let mut output = ui.output();
        output.text(text);
        output.finish()?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = caller.home.join(".ssh");
    let place = args.file.clone().unwrap_or_else(|| folder.join("enter.conf"));
    keep(&place, &text)?;
    if args.file.is_none() {
        include(ui, &folder)?
    }
    Ok(ExitCode::SUCCESS)
}

/// What is the same for all boxes.
struct Common<'a> {
    program: &'a Path,
    user: &'a str,
    root: &'a Path,
    /// This ssh warns of ways to keys that computers of the future may break; others do not know the word for not doing so.
    warns: bool,
}

/// Whether `ssh -V` says 10.1 or later.
fn warns(said: &str) -> bool {
    let version = said.strip_prefix("OpenSSH_").unwrap_or_default();
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|word| word.parse::<u32>().unwrap_or_default());
    (numbers.next(), numbers.next()) >= (Some(10), Some(1))
}

impl Common<'_> {
    /// An editor that was started elsewhere may not know where this user keeps his state.
    fn variable(&self) -> String {
        let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|data| self.root.starts_with(data));
        data.filter(|data| data.is_absolute())
            .map(|data| format!("env XDG_DATA_HOME={} ", command_word(&data)))
            .unwrap_or_default()
    }

    /// The lines for one host, or for a pattern of them.
    fn host(&self, name: &str, word: &str) -> String {
        let mut text = format!("Host {name}{SUFFIX}\n");
        let known = keys::known_hosts(self.root);
        for (key, value) in [
            ("User", self.user.to_owned()),
            ("ProxyCommand", format!("{}{} ssh-proxy {word}", self.variable(), command_word(self.program))),
            ("HostKeyAlias", keys::ALIAS.to_owned()),
            ("UserKnownHostsFile", quoted(&known)),
            ("StrictHostKeyChecking", "yes".to_owned()),
            ("UpdateHostKeys", "no".to_owned()),
        ] {
            // A string takes whatever is written to it.
            let _ = writeln!(text, "    {key} {value}");
        }
        if self.warns {
            // Nothing of it crosses a network, now or in years to come.
            text.push_str("    WarnWeakCrypto no\n");
        }
        text
    }
}

/// A path as ssh_config(5) takes it, where `%` begins a token of ssh's.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    if text.contains([' ', '\t']) { format!("\"{text}\"") } else { text }
}

/// A path as a shell takes it, which ssh gives its ProxyCommand to, behind ssh's tokens.
fn command_word(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+%@".contains(c);
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Writes the file, if it is ours or there is none.
fn keep(place: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::new(format!("cannot write {}", place.display())).because(error);
    match fs::read(place) {
        Ok(there) if !there.starts_with(MARK.as_bytes()) => {
            return Err(Failure::new(format!("{} is not enter's: it is left as it is", place.display()))
                .with_hint("name another file: --file FILE"));
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    if let Some(folder) = place.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        private_folder(folder).map_err(failed)?;
    }
    keys::write(place, format!("{MARK}{text}").as_bytes()).map_err(failed)
}

fn private_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().mode(0o700).recursive(true).create(folder)
}

/// Sees to it that ssh reads the file, without touching what the user has written.
fn include(ui: &Ui, folder: &Path) -> Result<(), Failure> {
    const LINE: &str = "Include enter.conf";
    let place: PathBuf = folder.join("config");
    match fs::read_to_string(&place) {
        Ok(text) if includes(&text) => Ok(()),
        Ok(_) => {
            ui.note(&format!("{} is yours and does not include it yet; put this at its top: {LINE}", place.display()));
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => keys::write(&place, format!("{LINE}\n").as_bytes())
            .map_err(|error| Failure::new(format!("cannot write {}", place.display())).because(error)),
        Err(error) => Err(Failure::new(format!("cannot read {}", place.display())).because(error)),
    }
}

/// Whether a line for all hosts includes the file.
fn includes(text: &str) -> bool {
    let lines = text.lines().map(|line| line.replace(['=', '"'], " "));
    for line in lines {
        let mut words = line.split_whitespace();
        match words.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            // What stands below is for some hosts only.
            "host" | "match" => return false,
            "include"
                if words
                    .any(|word| matches!(word, "enter.conf" | "~/.ssh/enter.conf" | "*.conf" | "~/.ssh/*.conf")) =>
            {
                return true;
            }
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_included_for_all_hosts_is_seen() {
        assert!(includes("# mine\ninclude ~/.ssh/enter.conf other\nHost x\n"));
        assert!(includes("Include=\"enter.conf\"\n"));
        assert!(!includes("Host x\n  Include enter.conf\n"));
        assert!(!includes("#Include enter.conf\n"));
    }

    #[test]
    fn odd_paths_are_quoted_for_ssh_and_for_the_shell_behind_it() {
        assert_eq!(command_word(Path::new("/usr/bin/enter")), "/usr/bin/enter");
        assert_eq!(command_word(Path::new("/a b/100%'/enter")), r"'/a b/100%%'\''/enter'");
        assert_eq!(quoted(Path::new("/a b/%")), "\"/a b/%%\"");
    }

    #[test]
    fn only_an_ssh_that_warns_is_told_not_to() {
        assert!(warns("OpenSSH_10.1p1 Debian-1, OpenSSL 3.5.4") && warns("OpenSSH_11.0"));
        assert!(!warns("OpenSSH_10.0p2") && !warns("OpenSSH_9.2p1") && !warns(""));
    }

    #[test]
    fn a_file_of_the_users_is_never_written() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("x/enter.conf");
        keep(&place, "Host a\n").unwrap();
        keep(&place, "Host b\n").unwrap();
        assert_eq!(fs::read_to_string(&place).unwrap(), format!("{MARK}Host b\n"));
        fs::write(&place, "Host mine\n").unwrap();
        assert!(keep(&place, "Host c\n").is_err());
        assert_eq!(fs::read_to_string(&place).unwrap(), "Host mine\n");
    }
}
