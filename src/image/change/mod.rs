//! Instructions of a Dockerfile that change how an image is run, as `commit --change` and `import --change` take them.
//!
//! [`Change::parse`] knows docker's syntax; [`super::Amended`] applies what comes of it.

mod healthcheck;
mod words;

use super::{Error, Healthcheck};
use words::{Env, keys_and_values, words};

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// CMD.
    Cmd(Command),
    /// ENTRYPOINT.
    Entrypoint(Command),
    /// ENV, in order.
    Env(Vec<(String, String)>),
    /// EXPOSE: `port/protocol`.
    Expose(Vec<String>),
    /// LABEL.
    Label(Vec<(String, String)>),
    /// USER.
    User(String),
    /// VOLUME.
    Volume(Vec<String>),
    /// WORKDIR.
    Workdir(String),
    /// STOPSIGNAL.
    StopSignal(String),
    /// ONBUILD: the instruction after it.
    OnBuild(String),
    /// HEALTHCHECK.
    Healthcheck(Healthcheck),
}

/// A command as CMD and ENTRYPOINT have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `["program", "argument"]`.
    Exec(Vec<String>),
    /// A line for the image's shell.
    Shell(String),
}

/// What is understood, for the error that says so.
const KNOWN: &str = "CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR";

impl Change {
    /// Reads `INSTRUCTION arguments`, or podman's `INSTRUCTION=arguments`. `environment` is what `$NAME` stands for.
    ///
    /// # Errors
    /// [`Error::Change`], saying what is wrong.
    pub fn parse(text: &str, environment: &[String]) -> Result<Self, Error> {
        let wrong = |reason: String| Error::Change { text: text.chars().take(200).collect(), reason };
        let trimmed = text.trim();
        let end = trimmed.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
        let (keyword, rest) = trimmed.split_at(end);
        let keyword = keyword.to_ascii_uppercase();
        let rest = match rest.chars().next() {
            None => "",
            Some('=') => rest[1..].trim(),
            Some(c) if c.is_whitespace() => rest.trim(),
            Some(_) => return Err(wrong(format!("it begins with no instruction; {KNOWN} are understood"))),
        };
        let parsed = Self::instruction(&keyword, rest, &Env::of(environment));
        parsed.map_err(|reason| wrong(format!("{keyword} {reason}")))
    }

    fn instruction(keyword: &str, rest: &str, env: &Env<'_>) -> Result<Self, String> {
        let known = [
            "CMD",
            "ENTRYPOINT",
            "ENV",
            "EXPOSE",
            "HEALTHCHECK",
            "LABEL",
            "ONBUILD",
            "STOPSIGNAL",
            "USER",
            "VOLUME",
            "WORKDIR",
        ];
        if !known.contains(&keyword) {
            return Err(format!("is no instruction that can be given here; {KNOWN} are"));
        }
        if rest.is_empty() && !matches!(keyword, "CMD" | "ENTRYPOINT") {
            return Err("needs an argument".into());
        }
        Ok(match keyword {
            "CMD" => Self::Cmd(command(rest)),
            "ENTRYPOINT" => Self::Entrypoint(command(rest)),
            "ENV" => Self::Env(keys_and_values(rest, env)?),
            "LABEL" => Self::Label(keys_and_values(rest, env)?),
            "EXPOSE" => Self::Expose(words(rest, env)?.iter().map(|port| expose(port)).collect::<Result<_, _>>()?),
            "VOLUME" => Self::Volume(match list(rest) {
                Some(paths) => paths,
                None => words(rest, env)?,
            }),
            "ONBUILD" => Self::OnBuild(on_build(rest)?),
            "HEALTHCHECK" => Self::Healthcheck(healthcheck::parse(rest)?),
            "USER" => Self::User(one(rest, env)?),
            "WORKDIR" => Self::Workdir(words::expand(rest, env)?),
            _ => Self::StopSignal(one(rest, env)?),
        })
    }
}

/// A JSON list of strings; `None` for anything else, which is then a line for the shell.
fn list(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok())?
}

fn command(text: &str) -> Command {
    match list(text) {
        Some(words) => Command::Exec(words),
        None if text.is_empty() => Command::Exec(Vec::new()),
        None => Command::Shell(text.to_owned()),
    }
}

fn one(text: &str, env: &Env<'_>) -> Result<String, String> {
    match &words(text, env)?[..] {
        [word] => Ok(word.clone()),
        _ => Err("takes exactly one argument".into()),
    }
}

fn on_build(text: &str) -> Result<String, String> {
    let first = text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    match first.as_str() {
        "ONBUILD" => Err("cannot follow another ONBUILD".into()),
        "FROM" | "MAINTAINER" => Err(format!("cannot be followed by {first}")),
        _ => Ok(text.to_owned()),
    }
}

/// `80`, `80/udp` or `8000-8010/tcp`, with its protocol.
fn expose(text: &str) -> Result<String, String> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(format!("does not know the protocol `{protocol}`"));
    }
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(format!("{ports}/{protocol}")),
        _ => Err(format!("takes ports from 1 to 65535, and not `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> Change {
        Change::parse(text, &["A=one".into(), "PATH=/bin".into()]).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn instructions_are_read_as_docker_reads_them() {
        for (text, expected) in [
            (
                r#"CMD ["/bin/sh", "-c", "x"]"#,
                Change::Cmd(Command::Exec(vec!["/bin/sh".into(), "-c".into(), "x".into()])),
            ),
            ("cmd echo  hi", Change::Cmd(Command::Shell("echo  hi".into()))),
            ("CMD=/bin/bash", Change::Cmd(Command::Shell("/bin/bash".into()))),
            ("ENTRYPOINT []", Change::Entrypoint(Command::Exec(vec![]))),
            (
                "ENV PATH=$PATH:/x B='$A' C=\"${A} two\"",
                Change::Env(pairs(&[("PATH", "/bin:/x"), ("B", "$A"), ("C", "one two")])),
            ),
            ("ENV NAME some words", Change::Env(pairs(&[("NAME", "some words")]))),
            (r#"LABEL a.b="x y" c=d\ e"#, Change::Label(pairs(&[("a.b", "x y"), ("c", "d e")]))),
            (
                "EXPOSE 80 53/udp 8000-8002/TCP",
                Change::Expose(vec!["80/tcp".into(), "53/udp".into(), "8000-8002/tcp".into()]),
            ),
            (r#"VOLUME ["/a b", "/c"]"#, Change::Volume(vec!["/a b".into(), "/c".into()])),
            ("VOLUME /a /c", Change::Volume(vec!["/a".into(), "/c".into()])),
            ("USER app:${B:-users}", Change::User("app:users".into())),
            ("WORKDIR /srv/my app", Change::Workdir("/srv/my app".into())),
            ("STOPSIGNAL SIGQUIT", Change::StopSignal("SIGQUIT".into())),
            ("ONBUILD RUN make $A", Change::OnBuild("RUN make $A".into())),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_instruction_is_told() {
        for text in [
            "",
            "RUN make",
            "FROM x",
            "ENV",
            "ENV A",
            "EXPOSE 0",
            "EXPOSE 80/foo",
            "EXPOSE 9-3",
            "USER a b",
            "LABEL x",
            "ONBUILD ONBUILD RUN x",
            "ONBUILD FROM x",
            "CMD;x",
            "ENV A='x",
            "HEALTHCHECK maybe",
            "ENV A=${B",
            "=",
            "ENV =x",
        ] {
            assert!(matches!(Change::parse(text, &[]), Err(Error::Change { .. })), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(keyword in "CMD|ENV|LABEL|EXPOSE|VOLUME|USER|WORKDIR|HEALTHCHECK|ONBUILD|[A-Z]{1,4}", rest in ".{0,60}") {
            let _ = Change::parse(&format!("{keyword} {rest}"), &["A=b".into()]);
        }
    }
}
