//! The text of `.enter.toml`: every complaint names file, line, column and key.

use std::ffi::OsStr;
use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Error, Project};
use crate::cli;
use crate::cli::PROJECT_KEYS as KEYS;
use crate::cli::run::values;
use crate::nearest;
use crate::settings::lists::{Element as _, EnvVar, Volume};

/// Keys of other tools, and those that there are not yet: each with why, and what to do.
const REFUSED: &[(&str, &str, &str)] =
    &[("dockerfile", BUILD, BUILD_HINT), ("build", BUILD, BUILD_HINT), ("containerfile", BUILD, BUILD_HINT)];

const BUILD: &str = "there is no `enter build` yet, so that no image can be made of a Dockerfile";
const BUILD_HINT: &str = "build it with another tool, fetch it by `enter pull docker-archive:FILE` or from a registry, and name it by `image`; or \
                          name the image that it begins with, and let `packages` and `hooks.once` do the rest";

const HOOKS: [&str; 3] = ["once", "start", "enter"];

/// Understands a text; `path` is for messages.
///
/// # Errors
/// The first thing that is wrong.
pub fn parse(path: &Path, text: &str) -> Result<Project, Error> {
    let reader = Reader { path, text };
    let table = DeTable::parse(text).map_err(|error| {
        reader.wrong(
            error.span().unwrap_or(text.len()..text.len()),
            format!("not valid TOML: {}", error.message()),
            None,
        )
    })?;
    let mut project = Project::default();
    for (key, value) in table.get_ref() {
        reader.key(&mut project, key.get_ref(), key.span(), value)?;
    }
    if project.image.is_empty() {
        return Err(reader.wrong(
            0..0,
            "no `image` is named".into(),
            Some("add a line such as: image = \"debian\"".into()),
        ));
    }
    Ok(project)
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

type Value<'a> = Spanned<DeValue<'a>>;

impl Reader<'_> {
    fn key(&self, project: &mut Project, key: &str, at: Range<usize>, value: &Value<'_>) -> Result<(), Error> {
        match key {
            "image" => project.image = self.checked(key, value, image)?,
            "name" => project.name = Some(self.checked(key, value, |name| cli::box_name(name).map(drop))?),
            "packages" => project.packages = self.list(key, value, package)?,
            "mounts" => project.mounts = self.list(key, value, |text| Volume::parse(OsStr::new(text)).map(drop))?,
            "ports" => project.ports = self.list(key, value, |text| values::published(text).map(drop))?,
            "networks" => project.networks = self.list(key, value, |text| values::network(text).map(drop))?,
            "environment" => project.environment = self.environment(value)?,
            "home" => project.home = Some(self.checked(key, value, home)?),
            "user" => project.user = Some(self.checked(key, value, word)?),
            "workdir" => project.workdir = Some(self.checked(key, value, path)?.into()),
            "hooks" => self.hooks(project, value)?,
            _ => return Err(self.unknown(key, at)),
        }
        Ok(())
    }

    fn unknown(&self, key: &str, at: Range<usize>) -> Error {
        if let Some((_, why, hint)) = REFUSED.iter().find(|(name, ..)| *name == key) {
            return self.wrong(at, format!("`{key}` cannot be taken: {why}"), Some((*hint).into()));
        }
        let names = || KEYS.iter().map(|(name, _)| *name);
        let hint = match nearest::to(key, names()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("the keys are: {}", names().collect::<Vec<_>>().join(", ")),
        };
        self.wrong(at, format!("unknown key `{key}`"), Some(hint))
    }

    fn hooks(&self, project: &mut Project, value: &Value<'_>) -> Result<(), Error> {
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.mistyped("hooks", value, "a table of once, start and enter"));
        };
        for (key, value) in table {
            let name: &str = key.get_ref();
            let lines = match value.get_ref() {
                DeValue::String(_) => vec![self.checked(name, value, line)?],
                _ => self.list(name, value, line)?,
            };
            match name {
                "once" => project.hooks.once = lines,
                "start" => project.hooks.start = lines,
                "enter" => project.hooks.enter = lines,
                _ => {
                    let meant = nearest::to(name, HOOKS).map(|meant| format!("did you mean `{meant}`?"));
                    let hint = meant.unwrap_or_else(|| "the hooks are: once, start, enter".into());
                    return Err(self.wrong(key.span(), format!("unknown hook `{name}`"), Some(hint)));
                }
            }
        }
        Ok(())
    }

    fn environment(&self, value: &Value<'_>) -> Result<Vec<String>, Error> {
        let table = match value.get_ref() {
            DeValue::Table(table) => table,
            DeValue::Array(_) => return self.list("environment", value, variable),
            _ => return Err(self.mistyped("environment", value, "a table, or a list of NAME=VALUE")),
        };
        let mut all = Vec::new();
        for (name, value) in table {
            let key: &str = name.get_ref();
            let text = match value.get_ref() {
                DeValue::String(text) => text.to_string(),
                // As it stands there: 8080, 1.50, true.
                DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => self.text[value.span()].to_owned(),
                _ => return Err(self.mistyped(key, value, "a string")),
            };
            let pair = format!("{key}={text}");
            let refused = |why: String| self.wrong(name.span(), format!("`{key}` cannot be a variable: {why}"), None);
            if key.is_empty() || key.contains('=') {
                return Err(refused("its name is empty, or has a `=` in it".into()));
            }
            variable(&pair).map_err(refused)?;
            all.push(pair);
        }
        Ok(all)
    }

    fn list(
        &self,
        key: &str,
        value: &Value<'_>,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Vec<String>, Error> {
        let DeValue::Array(array) = value.get_ref() else {
            return Err(self.mistyped(key, value, "a list of strings"));
        };
        array.iter().map(|value| self.checked(key, value, &check)).collect()
    }

    fn checked(
        &self,
        key: &str,
        value: &Value<'_>,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<String, Error> {
        let DeValue::String(text) = value.get_ref() else {
            return Err(self.mistyped(key, value, "a string"));
        };
        let checked = if text.contains('\0') { Err("there is a NUL in it".into()) } else { check(text) };
        checked.map_err(|why| self.wrong(value.span(), format!("`{key}` cannot be `{}`: {why}", short(text)), None))?;
        Ok(text.to_string())
    }

    fn mistyped(&self, key: &str, value: &Value<'_>, wanted: &str) -> Error {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.wrong(value.span(), format!("`{key}` must be {wanted}, not {found}"), None)
    }

    fn wrong(&self, at: Range<usize>, what: String, hint: Option<String>) -> Error {
        let (line, column) = place(self.text, at.start);
        Error::Wrong { path: self.path.into(), line, column, what, hint }
    }
}

/// Line and column of a byte, from 1 on.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (1 + before.matches('\n').count(), 1 + line.chars().count())
}

/// As much of a value as a message needs.
fn short(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST { text.to_owned() } else { text.chars().take(MOST).collect::<String>() + "…" }
}

fn word(text: &str) -> Result<(), String> {
    if text.is_empty() || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("expected a word".into());
    }
    Ok(())
}

fn home(text: &str) -> Result<(), String> {
    match text {
        "share" | "cow" | "own" | "none" => Ok(()),
        _ => Err("expected share, cow, own or none".into()),
    }
}

/// What a registry or the store may be asked for; never a flag, and never the machine itself.
fn image(text: &str) -> Result<(), String> {
    word(text)?;
    if text.starts_with('-') {
        return Err("an image's name does not begin with a dash".into());
    }
    if text == "host" {
        return Err("a project's box is made from an image".into());
    }
    Ok(())
}

/// What apt, dnf, pacman, apk and zypper take for the name of a package, perhaps with a version, architecture or repository; never a flag.
fn package(text: &str) -> Result<(), String> {
    let known = |c: char| c.is_ascii_alphanumeric() || "+._:@/=~-<>".contains(c);
    match text.chars().next() {
        Some(first) if (first.is_ascii_alphanumeric() || first == '@') && text.chars().all(known) => Ok(()),
        _ => Err("that is no name of a package".into()),
    }
}

fn variable(text: &str) -> Result<(), String> {
    EnvVar::parse(OsStr::new(text)).map(drop)?;
    if text.contains('\0') { Err("there is a NUL in it".into()) } else { Ok(()) }
}

fn path(text: &str) -> Result<(), String> {
    if text.is_empty() { Err("expected a path".into()) } else { Ok(()) }
}

fn line(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("expected a command".into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::Hooks;

    fn error(text: &str) -> (String, String) {
        let error = parse(Path::new("/w/.enter.toml"), text).unwrap_err();
        (error.to_string(), error.hint().unwrap())
    }

    #[test]
    fn every_key_is_read() {
        let text = "image = 'debian:13'\nname = 'web'\npackages = ['git', 'g++', 'make:amd64', '@base']\nmounts = ['./a:/a', '~/b:/b:ro']\n\
                    ports = ['8080:80']\nnetworks = ['none']\nuser = 'root'\nworkdir = 'src'\nhome = 'cow'\n\
                    environment = { A = 'b c', PORT = 8080, ON = true }\n[hooks]\nonce = 'make'\nstart = ['a', 'b']\n";
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut project = parse(Path::new("f"), text).unwrap();
        project.environment.sort();
        let expected = Project {
            name: Some("web".into()),
            image: "debian:13".into(),
            packages: words(&["git", "g++", "make:amd64", "@base"]),
            mounts: words(&["./a:/a", "~/b:/b:ro"]),
            ports: words(&["8080:80"]),
            networks: words(&["none"]),
            environment: words(&["A=b c", "ON=true", "PORT=8080"]),
            home: Some("cow".into()),
            user: Some("root".into()),
            workdir: Some("src".into()),
            hooks: Hooks { once: words(&["make"]), start: words(&["a", "b"]), enter: Vec::new() },
        };
        assert_eq!(project, expected);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        assert_eq!(
            error("image = 'a'\n\n  pakages = []"),
            ("/w/.enter.toml:3:3: unknown key `pakages`".into(), "did you mean `packages`?".into())
        );
        assert_eq!(
            error("image = 'a'\nports = 80").0,
            "/w/.enter.toml:2:9: `ports` must be a list of strings, not an integer"
        );
        assert_eq!(error("image = 'ä' 'b'").0.split(": ").next(), Some("/w/.enter.toml:1:13"));
        assert_eq!(error("image = 'a'\n[hooks]\nonec = 'x'").1, "did you mean `once`?");
        assert_eq!(error("").0, "/w/.enter.toml:1:1: no `image` is named");
        assert!(error("dockerfile = './Dockerfile'").0.contains("there is no `enter build` yet"));
        assert!(error("image = 'a'\nmounts = ['data:/data']").0.contains("./data"));
    }

    #[test]
    fn nothing_hostile_is_taken_for_a_name() {
        for (key, value) in [
            ("image", "'--privileged'"),
            ("image", "'host'"),
            ("image", "'a b'"),
            ("packages", "['-o=Dpkg::Pre=sh']"),
            ("packages", "['a;b']"),
            ("packages", "['a b']"),
            ("packages", "['$(x)']"),
            ("packages", "['']"),
            ("name", "'../x'"),
            ("name", "'run'"),
            ("user", "''"),
            ("home", "'all'"),
            ("environment", "['=x']"),
            ("environment", "{ 'A=B' = 'c' }"),
            ("environment", "{ A = \"a\\u0000b\" }"),
        ] {
            let text =
                if key == "image" { format!("image = {value}") } else { format!("image = 'a'\n{key} = {value}") };
            assert!(parse(Path::new("f"), &text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(
            text in "((image|packages|mounts|ports|hooks|environment|once|nö|\\[hooks\\]|#)? ?=? ?('|\"|\\[|\\]|\\{|\\}|0x|-|1|\u{e9}|\u{0}|,|\r|\n|.){0,6}\n?){0,6}"
        ) {
            let _ = parse(Path::new("c"), &text).map_err(|error| (error.to_string(), error.hint()));
        }

        #[test]
        fn what_is_sound_stays_sound_when_a_byte_is_changed(at in 0usize..200, byte in 0u8..128) {
            let sound = "image = 'debian:13'\npackages = ['git']\nmounts = ['./a:/a:ro', '~/b:/b']\nports = ['127.0.0.1:8080:80/tcp']\n\
                         networks = ['pasta']\nworkdir = '/w'\n[environment]\nA = 'b'\n[hooks]\nonce = 'x'\n";
            let mut bytes = sound.as_bytes().to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = parse(Path::new("c"), std::str::from_utf8(&bytes).unwrap());
        }
    }
}
