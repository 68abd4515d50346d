//! Platforms: `os/architecture[/variant]`, the host's own, and which of an index's images suits one best.
//!
//! Names are those of Go (`GOOS`, `GOARCH`), as OCI image-spec `image-index.md` demands.

use std::fmt;
use std::str::FromStr;

use super::Error;

/// An operating system, an architecture and, for ARM and a few others, a variant of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Platform {
    /// `linux`, as nothing else runs here, though an index may offer more.
    pub os: String,
    /// `amd64`, `arm64`, `arm`, `riscv64`, …
    pub architecture: String,
    /// `v6`, `v7`, `v8`: already normalised, so that `arm64` never has `v8` and `arm` always has one.
    pub variant: Option<String>,
}

impl Platform {
    /// The machine that this program runs on.
    pub fn host() -> Self {
        Self::new("linux", go_architecture(std::env::consts::ARCH), None)
    }

    /// Puts one together from what an index or a configuration says, which may use other spellings of the same thing.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = os.to_ascii_lowercase();
        let architecture = architecture.to_ascii_lowercase();
        let variant = variant.map(str::to_ascii_lowercase).filter(|variant| !variant.is_empty());
        let (architecture, variant) = match (architecture.as_str(), variant.as_deref()) {
            ("x86_64" | "x86-64", _) => ("amd64", variant),
            ("i386" | "i686" | "x86", _) => ("386", None),
            ("aarch64" | "arm64", None | Some("v8" | "8")) => ("arm64", None),
            ("aarch64", _) => ("arm64", variant),
            ("armhf", _) | ("arm", None) => ("arm", Some("v7".to_owned())),
            ("armel", _) => ("arm", Some("v6".to_owned())),
            ("arm", Some(number @ ("5" | "6" | "7" | "8"))) => ("arm", Some(format!("v{number}"))),
            ("ppc64el", _) => ("ppc64le", variant),
            _ => return Self { os, architecture, variant },
        };
        Self { os, architecture: architecture.to_owned(), variant }
    }

    /// Parses what `--platform` takes: `os/architecture`, `os/architecture/variant`, or an architecture alone.
    ///
    /// # Errors
    /// [`Error::Platform`] for empty parts, more than three, or characters that no platform has.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::Platform { text: text.chars().take(80).collect(), reason };
        let parts: Vec<&str> = text.split('/').collect();
        for part in &parts {
            if part.is_empty() {
                return Err(wrong("a part of it is empty"));
            }
            if !part.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric())
                || !part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
            {
                return Err(wrong("it has characters that no platform has"));
            }
        }
        match parts[..] {
            ["linux"] => Ok(Self::host()),
            [architecture] => Ok(Self::new("linux", architecture, None)),
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(wrong("it has more than three parts")),
        }
    }

    /// How well an image for `offered` suits this platform: `None` not at all, else smaller is better.
    ///
    /// A machine of ARM v7 also runs v6 and v5, and one of amd64 or arm64 what names no variant.
    pub fn distance(&self, offered: &Platform) -> Option<u32> {
        if self.os != offered.os || self.architecture != offered.architecture {
            return None;
        }
        match (&self.variant, &offered.variant) {
            (wanted, offered) if wanted == offered => Some(0),
            (Some(wanted), Some(offered)) => {
                let (wanted, offered) = (level(wanted)?, level(offered)?);
                (offered <= wanted).then(|| wanted - offered)
            }
            (Some(_), None) => Some(50),
            // A variant which was not asked for may need instructions that this machine lacks: the last choice.
            (None, Some(offered)) => Some(100 + level(offered).unwrap_or(100)),
            (None, None) => Some(0),
        }
    }
}

/// The number in `v7`.
fn level(variant: &str) -> Option<u32> {
    variant.strip_prefix('v')?.parse().ok().filter(|level| *level < 100)
}

/// Go's name of an architecture that Rust names.
fn go_architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn platform(text: &str) -> Platform {
        Platform::parse(text).unwrap()
    }

    #[test]
    fn spellings_of_the_same_are_the_same() {
        for (one, other) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/arm64/v8", "linux/aarch64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armhf", "linux/arm/7"),
            ("arm64", "linux/arm64"),
            ("Linux/AMD64", "amd64"),
        ] {
            assert_eq!(platform(one), platform(other));
        }
        assert_eq!(platform("linux/arm").to_string(), "linux/arm/v7");
        assert_eq!(platform("linux"), Platform::host());
    }

    #[test]
    fn refuses_what_is_no_platform() {
        for text in ["", "/", "linux/", "a/b/c/d", "linux/amd 64", "linux/../x"] {
            assert!(Platform::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_older_arm_serves_a_newer_one_and_not_the_reverse() {
        let v7 = platform("linux/arm/v7");
        assert!(v7.distance(&platform("linux/arm/v7")) < v7.distance(&platform("linux/arm/v6")));
        assert!(v7.distance(&platform("linux/arm/v6")) < v7.distance(&platform("linux/arm/v5")));
        assert_eq!(v7.distance(&platform("linux/arm/v8")), None);
        assert_eq!(v7.distance(&platform("linux/arm64")), None);
        assert_eq!(platform("linux/arm/v6").distance(&v7), None);
        let amd64 = platform("linux/amd64");
        assert!(amd64.distance(&amd64) < amd64.distance(&platform("linux/amd64/v3")));
        assert_eq!(amd64.distance(&Platform::new("windows", "amd64", None)), None);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_parsed_to_the_same(text in "[a-z0-9]{1,8}/[a-z0-9]{1,8}(/v[0-9])?") {
            let parsed = platform(&text);
            prop_assert_eq!(platform(&parsed.to_string()), parsed.clone());
            prop_assert_eq!(parsed.distance(&parsed), Some(0));
        }

        #[test]
        fn any_text_is_no_panic(text in ".{0,40}") {
            let _ = Platform::parse(&text);
        }
    }
}
