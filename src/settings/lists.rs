//! Settings that are lists, and what a flag that may be given several times holds: variables and folders.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use enter::container::record::Switched;

use super::values::{TomlValue, Value};

impl<T: Element> Value for Vec<T> {
    fn wanted() -> String {
        format!("a list of {}", T::FORM)
    }

    /// Elements with commas between them.
    fn from_text(text: &str) -> Option<Self> {
        text.split(',').map(|element| T::parse(element.trim().as_ref()).ok()).collect()
    }

    fn from_toml(value: &TomlValue<'_>) -> Option<Self> {
        let element = |value: &TomlValue<'_>| T::parse(value.as_str()?.as_ref()).ok();
        value.as_array()?.iter().map(|value| element(value.get_ref())).collect()
    }

    fn show(&self) -> String {
        self.iter().map(|element| element.show().to_string_lossy().into_owned()).collect::<Vec<_>>().join(",")
    }
}

/// What a list can hold, which is what a flag that may be given several times can hold.
pub trait Element: Sized {
    /// Its form, for messages.
    const FORM: &'static str;
    /// From one flag's text; the error says what is wrong with it.
    fn parse(text: &OsStr) -> Result<Self, String>;
    /// As [`Element::parse`] takes it.
    fn show(&self) -> OsString;
}

impl Element for String {
    const FORM: &'static str = "strings";

    fn parse(text: &OsStr) -> Result<Self, String> {
        text.to_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned).ok_or_else(|| "expected some text".into())
    }

    fn show(&self) -> OsString {
        self.into()
    }
}

impl Element for Switched {
    const FORM: &'static str = "names that `enter explain` lists, or all";

    fn parse(text: &OsStr) -> Result<Self, String> {
        Self::parse(&text.to_string_lossy())
    }

    fn show(&self) -> OsString {
        self.name().into()
    }
}

/// `--env`: `NAME=VALUE` sets a variable, `NAME` alone passes the caller's on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVar {
    /// Never empty, and without `=`.
    pub name: OsString,
    /// None: as the caller has it.
    pub value: Option<OsString>,
}

impl Element for EnvVar {
    const FORM: &'static str = "NAME or NAME=VALUE";

    fn parse(text: &OsStr) -> Result<Self, String> {
        let mut parts = text.as_bytes().splitn(2, |byte| *byte == b'=');
        let own = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
        let name = parts.next().filter(|name| !name.is_empty()).map(own).ok_or("the name of the variable is empty")?;
        Ok(Self { name, value: parts.next().map(own) })
    }

    fn show(&self) -> OsString {
        let mut text = self.name.clone();
        if let Some(value) = &self.value {
            text.push("=");
            text.push(value);
        }
        text
    }
}

/// `--volume`: a folder or file of this machine, shown in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// On this machine. May be relative to the working directory (`./data`).
    pub source: PathBuf,
    /// In the container; absolute.
    pub target: PathBuf,
    /// Whether the container may only read it.
    pub read_only: bool,
    /// The SELinux label that it is to be given, where this machine has SELinux.
    pub relabel: Option<Relabel>,
}

/// Docker's `z` and `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relabel {
    /// `z`: a label that every container may use.
    Shared,
    /// `Z`: a label for this container alone.
    Private,
}

impl Element for Volume {
    const FORM: &'static str = "SOURCE:TARGET[:OPTIONS]";

    fn parse(text: &OsStr) -> Result<Self, String> {
        let parts: Vec<&OsStr> = text.as_bytes().split(|byte| *byte == b':').map(OsStr::from_bytes).collect();
        let (source, target, options) = match parts[..] {
            [source, target] => (source, target, None),
            [source, target, options] => (source, target, Some(options)),
            _ => return Err(format!("expected {}", Self::FORM)),
        };
        let (source, target) = (PathBuf::from(source), PathBuf::from(target));
        // Docker takes a bare word for a volume that it keeps itself.
        if !source.as_os_str().as_bytes().contains(&b'/') && source.as_os_str() != "." && source.as_os_str() != ".." {
            return Err(format!("the source is no path; a folder here is ./{}", source.display()));
        }
        if !target.is_absolute() {
            return Err("the target must begin with a slash".into());
        }
        let mut volume = Self { source, target, read_only: false, relabel: None };
        for option in options.iter().flat_map(|options| options.as_bytes().split(|byte| *byte == b',')) {
            match option {
                b"ro" => volume.read_only = true,
                b"rw" => volume.read_only = false,
                b"z" => volume.relabel = Some(Relabel::Shared),
                b"Z" => volume.relabel = Some(Relabel::Private),
                other => return Err(format!("unknown option `{}`; known are ro, rw, z, Z", other.escape_ascii())),
            }
        }
        Ok(volume)
    }

    fn show(&self) -> OsString {
        let mut text = self.source.clone().into_os_string();
        text.push(":");
        text.push(&self.target);
        text.push(if self.read_only { ":ro" } else { ":rw" });
        match self.relabel {
            Some(Relabel::Shared) => text.push(",z"),
            Some(Relabel::Private) => text.push(",Z"),
            None => {}
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(text: &str) -> Result<Volume, String> {
        Volume::parse(text.as_ref())
    }

    #[test]
    fn volumes_are_read_as_docker_reads_them() {
        let plain = Volume { source: "/a".into(), target: "/b".into(), read_only: false, relabel: None };
        assert_eq!(volume("/a:/b").unwrap(), plain);
        assert_eq!(volume("/a:/b:rw").unwrap(), plain);
        assert_eq!(
            volume("./a:/b:ro,Z").unwrap(),
            Volume { source: "./a".into(), read_only: true, relabel: Some(Relabel::Private), ..plain }
        );
    }

    #[test]
    fn bad_volumes_say_why() {
        assert_eq!(volume("/a").unwrap_err(), "expected SOURCE:TARGET[:OPTIONS]");
        assert_eq!(volume("data:/b").unwrap_err(), "the source is no path; a folder here is ./data");
        assert_eq!(volume("/a:b").unwrap_err(), "the target must begin with a slash");
        assert_eq!(volume("/a:/b:rx").unwrap_err(), "unknown option `rx`; known are ro, rw, z, Z");
    }

    #[test]
    fn variables_may_hold_equals_signs_and_need_a_name() {
        let parse = |text: &str| EnvVar::parse(text.as_ref());
        assert_eq!(parse("A=").unwrap().value.unwrap(), "");
        assert_eq!(parse("A=b=c").unwrap().value.unwrap(), "b=c");
        assert_eq!(parse("A").unwrap().value, None);
        assert!(parse("=x").is_err());
    }
}
