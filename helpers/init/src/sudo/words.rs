//! sudo's command line.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use super::run::Refusal;

pub const HELP: &str = "\
usage: sudo [-bEHnPS] [-g GROUP] [-u USER] [-D DIRECTORY] [--preserve-env=LIST] [NAME=VALUE]... [-i | -s] [COMMAND [ARGUMENT]...]
       sudo -e [-g GROUP] [-u USER] FILE...
       sudo -h | -k | -K | -l | -V | -v

Runs a command as root or as another user of this container. There is no password.
";

/// What is to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum What {
    #[default]
    Run,
    Login,
    Shell,
    Edit,
    List,
    Version,
    Help,
    Nothing,
}

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asked {
    pub what: What,
    pub user: Option<String>,
    pub group: Option<String>,
    /// All variables are kept.
    pub keeps_all: bool,
    /// These are.
    pub kept: Vec<OsString>,
    /// HOME is the other user's whatever is kept.
    pub sets_home: bool,
    pub keeps_groups: bool,
    pub background: bool,
    pub directory: Option<OsString>,
    /// `NAME=VALUE` before the command.
    pub variables: Vec<OsString>,
    pub command: Vec<OsString>,
}

/// Options with a value, long and short.
const VALUED: [(&str, u8); 12] = [
    ("user", b'u'),
    ("group", b'g'),
    ("chdir", b'D'),
    ("prompt", b'p'),
    ("close-from", b'C'),
    ("command-timeout", b'T'),
    ("chroot", b'R'),
    ("host", b'h'),
    ("other-user", b'U'),
    ("role", b'r'),
    ("type", b't'),
    ("auth-type", b'a'),
];

const PLAIN: [(&str, u8); 17] = [
    ("askpass", b'A'),
    ("background", b'b'),
    ("bell", b'B'),
    ("edit", b'e'),
    ("help", b'h'),
    ("list", b'l'),
    ("login", b'i'),
    ("no-update", b'N'),
    ("non-interactive", b'n'),
    ("preserve-env", b'E'),
    ("preserve-groups", b'P'),
    ("remove-timestamp", b'K'),
    ("reset-timestamp", b'k'),
    ("set-home", b'H'),
    ("shell", b's'),
    ("stdin", b'S'),
    ("validate", b'v'),
];

/// Understands it.
pub fn read(arguments: Vec<OsString>) -> Result<Asked, Refusal> {
    let mut asked = Asked::default();
    let mut words = arguments.into_iter().peekable();
    let usage = |what: String| Refusal::new(format!("{what}\n{}", HELP.trim_end()));
    let mut says_more = false;
    while let Some(word) = words.next_if(|word| word.as_bytes().starts_with(b"-") && word.len() > 1) {
        says_more = true;
        let bytes = word.as_bytes();
        if bytes == b"--" {
            break;
        }
        if let Some(long) = bytes.strip_prefix(b"--") {
            let (name, value) = match long.iter().position(|byte| *byte == b'=') {
                Some(at) => (&long[..at], Some(OsString::from_vec(long[at + 1..].to_vec()))),
                None => (long, None),
            };
            if name == b"version" {
                asked.what = What::Version;
            } else if let (b"preserve-env", Some(list)) = (name, &value) {
                let names = list.as_bytes().split(|byte| *byte == b',').filter(|name| !name.is_empty());
                asked.kept.extend(names.map(|name| OsString::from_vec(name.to_vec())));
            } else if let Some((_, short)) = PLAIN.iter().find(|(known, _)| known.as_bytes() == name && value.is_none())
            {
                asked.plain(*short);
            } else if let Some((_, short)) = VALUED.iter().find(|(known, _)| known.as_bytes() == name) {
                let value = value.or_else(|| words.next());
                let value = value.ok_or_else(|| usage(format!("{} needs a value", word.display())))?;
                asked.valued(*short, value)?;
            } else {
                return Err(usage(format!("unknown option {}", word.display())));
            }
            continue;
        }
        let mut letters = &bytes[1..];
        while let Some((letter, rest)) = letters.split_first() {
            letters = rest;
            if *letter == b'V' {
                asked.what = What::Version;
            } else if *letter == b'h' && rest.is_empty() && words.peek().is_none() {
                asked.plain(b'h');
            } else if VALUED.iter().any(|(_, known)| known == letter) {
                let value = match rest {
                    [] => words.next(),
                    rest => Some(OsString::from_vec(rest.to_vec())),
                };
                asked
                    .valued(*letter, value.ok_or_else(|| usage(format!("-{} needs a value", char::from(*letter))))?)?;
                letters = &[];
            } else if PLAIN.iter().any(|(_, known)| known == letter) {
                asked.plain(*letter);
            } else {
                return Err(usage(format!("unknown option -{}", char::from(*letter))));
            }
        }
    }
    while let Some(pair) = words.next_if(|word| is_assignment(word)) {
        asked.variables.push(pair);
    }
    asked.command = words.collect();
    let needs_command = matches!(asked.what, What::Run | What::Edit);
    if needs_command && asked.command.is_empty() {
        let what = if says_more { "no command is given" } else { "a command, or -i or -s, is to be given" };
        return Err(usage(what.to_owned()));
    }
    Ok(asked)
}

/// Whether it is `NAME=VALUE`.
fn is_assignment(word: &OsStr) -> bool {
    let bytes = word.as_bytes();
    let end = bytes.iter().position(|byte| *byte == b'=').unwrap_or(0);
    let name = &bytes[..end];
    !name.is_empty()
        && !name[0].is_ascii_digit()
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
}

impl Asked {
    fn plain(&mut self, letter: u8) {
        match letter {
            b'b' => self.background = true,
            b'e' => self.what = What::Edit,
            b'h' => self.what = What::Help,
            b'l' => self.what = What::List,
            b'i' => self.what = What::Login,
            b's' => self.what = What::Shell,
            b'E' => self.keeps_all = true,
            b'H' => self.sets_home = true,
            b'P' => self.keeps_groups = true,
            b'K' | b'v' => self.what = What::Nothing,
            // `sudo -k COMMAND` asks for the password that there is not; alone it forgets it.
            b'k' if self.what == What::Run => self.what = What::Nothing,
            // About the password: -A, -B, -n, -N, -S.
            _ => {}
        }
    }

    fn valued(&mut self, letter: u8, value: OsString) -> Result<(), Refusal> {
        let text = || value.to_str().map(str::to_owned).ok_or_else(|| Refusal::new("a name is not UTF-8"));
        match letter {
            b'u' => self.user = Some(text()?),
            b'g' => self.group = Some(text()?),
            b'D' => self.directory = Some(value),
            // About the password.
            b'p' => {}
            other => {
                let (name, _) = VALUED.iter().find(|(_, known)| *known == other).unwrap_or(&("", 0));
                return Err(Refusal::new(format!("--{name} is not to be had in this container")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Asked, Refusal> {
        super::read(line.split_whitespace().map(OsString::from).collect())
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let asked = read("-nEu www-data A=1 _b2=x=y ls -u root").unwrap();
        assert_eq!((asked.user.as_deref(), asked.keeps_all), (Some("www-data"), true));
        assert_eq!(asked.variables, ["A=1", "_b2=x=y"]);
        assert_eq!(asked.command, ["ls", "-u", "root"]);
        let asked = read("-uroot -- -strange").unwrap();
        assert_eq!((asked.user.as_deref(), asked.command), (Some("root"), vec!["-strange".into()]));
        let asked = read("--user=a --group b --preserve-env=X,,Y --chdir=/tmp 1=2").unwrap();
        assert_eq!((asked.kept, asked.command), (vec!["X".into(), "Y".into()], vec!["1=2".into()]));
    }

    #[test]
    fn what_is_to_be_done() {
        for (line, what) in [
            ("-i", What::Login),
            ("-iu dana", What::Login),
            ("-s", What::Shell),
            ("-v", What::Nothing),
            ("-k", What::Nothing),
            ("-V", What::Version),
            ("--version", What::Version),
            ("-l", What::List),
            ("-h", What::Help),
            ("-e /etc/hosts", What::Edit),
            ("-S -p x true", What::Run),
        ] {
            assert_eq!(read(line).map(|asked| asked.what).ok(), Some(what), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for line in ["", "-u", "--user", "-Z", "--nonsense ls", "-R /x ls", "-u root", "A=1", "-e"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
