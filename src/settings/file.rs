//! `config.toml`: every complaint names the file, the line and the key.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::table::{KEYS, Key, Overrides};
use super::{Error, NotToml};
use crate::nearest;

/// The settings in the file at `path`; none where there is no such file.
pub fn read(path: &Path) -> Result<Overrides, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(path, &text),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Overrides::default())
        }
        Err(source) => Err(Error::Read { path: path.into(), source }),
    }
}

/// The settings in `text`; `path` is for messages.
pub fn parse(path: &Path, text: &str) -> Result<Overrides, Error> {
    let table = DeTable::parse(text).map_err(|error| Error::Syntax {
        path: path.into(),
        line: line(text, error.span()),
        source: NotToml(error.message().to_owned()),
    })?;
    let mut overrides = Overrides::default();
    for (name, value) in table.get_ref() {
        let line = line(text, Some(name.span()));
        let key = key(name.get_ref()).ok_or_else(|| Error::UnknownKey {
            path: path.into(),
            line,
            key: name.get_ref().to_string(),
            nearest: nearest::to(name.get_ref(), KEYS.iter().map(|key| key.name)),
        })?;
        (key.set_toml)(&mut overrides, value.get_ref()).ok_or_else(|| Error::Value {
            path: path.into(),
            line,
            key: key.name,
            wanted: (key.wanted)(),
            found: describe(value.get_ref(), &text[value.span()]),
        })?;
    }
    Ok(overrides)
}

fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The line, counted from 1, where `span` begins; the last one where the parser gave no span.
fn line(text: &str, span: Option<Range<usize>>) -> usize {
    let upto = span.map_or(text.len(), |span| span.start);
    1 + text.as_bytes()[..upto].iter().filter(|byte| **byte == b'\n').count()
}

/// A value as it stands in the file, or its type where that would be long.
fn describe(value: &DeValue<'_>, source: &str) -> String {
    match value {
        DeValue::Array(_) => "an array with something else in it".into(),
        DeValue::Table(_) => "a table".into(),
        _ => format!("`{source}`"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use enter::image::Platform;

    use super::*;
    use crate::settings::lists::EnvVar;
    use crate::settings::values::Count;

    fn error(text: &str) -> String {
        parse(Path::new("/home/u/.config/enter/config.toml"), text).unwrap_err().to_string()
    }

    #[test]
    fn every_type_is_read() {
        let text = "stall-timeout = '2m'\nretries = 0\nenvironment = ['EDITOR', 'A=b=c']\nplatform = 'linux/arm64'\n";
        let overrides = parse(Path::new("c"), text).unwrap();
        assert_eq!(overrides.stall_timeout, Some(Duration::from_secs(120)));
        assert_eq!(overrides.retries, Count::new(0));
        assert_eq!(overrides.platform, Some(Some(Platform::new("linux", "arm64", None))));
        let variable = |name: &str, value: Option<&str>| EnvVar { name: name.into(), value: value.map(Into::into) };
        assert_eq!(overrides.environment.unwrap(), [variable("EDITOR", None), variable("A", Some("b=c"))]);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest() {
        let text = "# mine\n\nstorge = 'auto'\n";
        assert_eq!(error(text), "/home/u/.config/enter/config.toml, line 3: unknown key `storge`");
        assert_eq!(parse(Path::new("c"), text).unwrap_err().hint().unwrap(), "did you mean `storage`?");
    }

    #[test]
    fn a_wrong_type_is_named_with_its_line() {
        assert_eq!(
            error("retries = 'many'"),
            "/home/u/.config/enter/config.toml, line 1: `retries` must be a number from 0 to 64, not `'many'`"
        );
        assert_eq!(
            error("\nvolumes = [1]"),
            "/home/u/.config/enter/config.toml, line 2: `volumes` must be a list of SOURCE:TARGET[:OPTIONS], not an array with something else in it"
        );
        assert_eq!(
            error("[storage]\n"),
            "/home/u/.config/enter/config.toml, line 1: `storage` must be one of auto, overlay, fuse, not a table"
        );
    }

    #[test]
    fn what_is_not_toml_is_named_with_its_line() {
        assert_eq!(error("retries = 1\nx = = 2\n"), "/home/u/.config/enter/config.toml, line 2: not valid TOML");
        assert_eq!(error("retries = 1\nretries = 2\n"), "/home/u/.config/enter/config.toml, line 2: not valid TOML");
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(
            text in "((storage|retries|volumes|stall-timeout|nö|\\[x\\]|#)? ?=? ?('|\"|\\[|\\]|\\{|0x|-|1|\u{e9}|,|\r|\n|.){0,6}\n?){0,6}"
        ) {
            let _ = parse(Path::new("c"), &text);
        }
    }
}
