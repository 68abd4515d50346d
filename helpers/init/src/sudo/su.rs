//! su's command line, and what it does.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::accounts::Accounts;
use super::run::{self, Environment, PATH, Refusal, Run, become_it, login_name, mark_prompt, usable_shell};

const HELP: &str = "\
usage: su [-mp] [-c COMMAND] [-g GROUP] [-G GROUP]... [-s SHELL] [-w LIST] [-] [USER [ARGUMENT]...]

A shell as root, or as another user of this container. There is no password.
";

/// What outlives a login.
const KEPT: [&str; 5] = ["TERM", "COLORTERM", "LANG", "container", "ENTER_BOX"];

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asked {
    answer: Option<String>,
    login: bool,
    keeps: bool,
    command: Option<OsString>,
    shell: Option<PathBuf>,
    group: Option<String>,
    groups: Vec<String>,
    kept: Vec<OsString>,
    user: Option<String>,
    arguments: Vec<OsString>,
}

/// Understands it. As with the real one, options may follow the user.
pub fn read(arguments: Vec<OsString>) -> Result<Asked, Refusal> {
    const LONG: [(&str, u8); 14] = [
        ("command", b'c'),
        ("session-command", b'c'),
        ("fast", b'f'),
        ("group", b'g'),
        ("supp-group", b'G'),
        ("help", b'h'),
        ("login", b'l'),
        ("preserve-environment", b'p'),
        ("pty", b'P'),
        ("no-pty", b'T'),
        ("shell", b's'),
        ("version", b'V'),
        ("whitelist-environment", b'w'),
        ("", b'-'),
    ];
    let mut asked = Asked::default();
    let mut words = arguments.into_iter();
    let mut positions: Vec<OsString> = Vec::new();
    let usage = |what: String| Refusal::new(format!("{what}\n{}", HELP.trim_end()));
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if bytes == b"--" {
            positions.extend(words.by_ref());
        } else if bytes == b"-" {
            asked.login = true;
        } else if let Some(long) = bytes.strip_prefix(b"--") {
            let at = long.iter().position(|byte| *byte == b'=');
            let value = at.map(|at| OsString::from_vec(long[at + 1..].to_vec()));
            let name = &long[..at.unwrap_or(long.len())];
            let known = LONG.iter().find(|(known, _)| known.as_bytes() == name);
            let (_, letter) = known.ok_or_else(|| usage(format!("unknown option {}", word.display())))?;
            let value = if takes_value(*letter) { value.or_else(|| words.next()) } else { None };
            asked.take(*letter, value).map_err(usage)?;
        } else if let Some(mut letters) = bytes.strip_prefix(b"-") {
            while let Some((letter, rest)) = letters.split_first() {
                letters = rest;
                let value = match (takes_value(*letter), rest) {
                    (false, _) => None,
                    (true, []) => words.next(),
                    (true, _) => Some(OsString::from_vec(std::mem::take(&mut letters).to_vec())),
                };
                asked.take(*letter, value).map_err(usage)?;
            }
        } else {
            positions.push(word);
        }
    }
    let mut positions = positions.into_iter();
    asked.user = positions.next().map(|name| name.to_string_lossy().into_owned());
    asked.arguments = positions.collect();
    Ok(asked)
}

fn takes_value(letter: u8) -> bool {
    b"cgGsw".contains(&letter)
}

impl Asked {
    fn take(&mut self, letter: u8, value: Option<OsString>) -> Result<(), String> {
        let needed = || value.clone().ok_or_else(|| format!("-{} needs a value", char::from(letter)));
        let text = || needed().map(|value| value.to_string_lossy().into_owned());
        match letter {
            b'c' => self.command = Some(needed()?),
            b'g' => self.group = Some(text()?),
            b'G' => self.groups.push(text()?),
            b's' => self.shell = Some(needed()?.into()),
            b'w' => {
                let list = needed()?;
                let names = list.as_bytes().split(|byte| *byte == b',');
                self.kept.extend(names.map(|name| OsStr::from_bytes(name).to_owned()));
            }
            b'l' => self.login = true,
            b'm' | b'p' => self.keeps = true,
            b'h' => self.answer = Some(HELP.into()),
            b'V' => self.answer = Some(format!("su from {}\n", super::VERSION)),
            // A terminal of its own or not, and shells' start files: it has the caller's terminal, whose owner he is.
            b'P' | b'T' | b'f' => {}
            other => return Err(format!("unknown option -{}", char::from(other))),
        }
        Ok(())
    }
}

/// Does it; returns only what failed, or once it has answered.
pub fn run(asked: &Asked) -> Result<(), Refusal> {
    if let Some(answer) = &asked.answer {
        return super::answer(answer);
    }
    let accounts = Accounts::read();
    let name = asked.user.as_deref().unwrap_or("root");
    let account = accounts.user(name).filter(|_| !name.starts_with('#'));
    let account = account.ok_or_else(|| Refusal::new(format!("user {name} does not exist")))?;
    let group =
        |name: &String| accounts.group(name).ok_or_else(|| Refusal::new(format!("group {name} does not exist")));
    let gid = asked.group.as_ref().map(group).transpose()?;
    let mut groups = accounts.groups_of(&account);
    for name in &asked.groups {
        groups.push(group(name)?);
    }
    let own = std::env::var_os("SHELL").filter(|_| asked.keeps && !asked.login).map(PathBuf::from);
    let wanted = asked.shell.clone().or(own).unwrap_or_else(|| account.shell.clone());
    let shell = usable_shell(&wanted).ok_or_else(run::no_shell)?;

    let keeps_all = !asked.login;
    let is_kept = |name: &OsStr| {
        keeps_all
            || asked.kept.iter().any(|kept| kept == name)
            || KEPT.iter().any(|kept| *kept == name)
            || name.as_bytes().starts_with(b"LC_")
    };
    let mut environment: Environment = std::env::vars_os().filter(|(name, _)| is_kept(name)).collect();
    let mut set = |name: &str, value: &OsStr| drop(environment.insert(name.into(), value.to_owned()));
    if asked.login || !asked.keeps {
        set("HOME", account.home.as_os_str());
        set("SHELL", shell.as_os_str());
        if asked.login || account.uid != 0 {
            set("USER", account.name.as_ref());
            set("LOGNAME", account.name.as_ref());
        }
    }
    environment.entry("PATH".into()).or_insert_with(|| PATH.into());
    mark_prompt(&mut environment, &account);
    let mut arguments: Vec<OsString> = Vec::new();
    if let Some(command) = &asked.command {
        arguments.extend(["-c".into(), command.clone()]);
    }
    arguments.extend(asked.arguments.iter().cloned());
    let directory = Some(account.home.clone()).filter(|home| asked.login && home.is_dir());
    let own_name = if asked.login { login_name(&shell) } else { shell.file_name().unwrap_or_default().to_owned() };
    let gid = gid.unwrap_or(account.gid);
    Err(become_it(&Run {
        account,
        gid,
        groups: Some(groups),
        environment,
        directory,
        own_name: Some(own_name),
        program: shell,
        arguments,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Asked, Refusal> {
        super::read(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn the_line_is_understood_in_any_order() {
        for line in ["- www-data -c id -s /bin/sh", "-c id -s/bin/sh -l www-data", "-lc id --shell=/bin/sh www-data"] {
            let asked = read(line).unwrap();
            let seen = (asked.login, asked.user.as_deref(), asked.command.as_deref(), asked.shell.as_deref());
            let expected = (true, Some("www-data"), Some(OsStr::new("id")), Some("/bin/sh".as_ref()));
            assert_eq!(seen, expected, "{line}");
        }
        let asked = read("root -- -x y").unwrap();
        assert_eq!((asked.user.as_deref(), asked.arguments), (Some("root"), vec!["-x".into(), "y".into()]));
        for wrong in ["-c", "--nonsense", "-Z", "--shell"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
