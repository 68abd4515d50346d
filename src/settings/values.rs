//! What a setting or a flag can be. Each type parses the text of a flag or of a variable; the file's own types (numbers,
//! arrays) come on top of that.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use enter::image::Platform;

/// A value as the file gives it.
pub type TomlValue<'a> = toml::de::DeValue<'a>;

/// The text of a decimal number, or of a string; nothing of what is neither.
fn number_or_text<'a>(value: &'a TomlValue<'_>) -> Option<&'a str> {
    match value.as_integer() {
        Some(integer) => (integer.radix() == 10).then(|| integer.as_str()),
        None => value.as_str(),
    }
}

/// A type that a setting can have.
pub trait Value: Sized {
    /// What it can be, to follow "must be".
    fn wanted() -> String;
    /// From a variable's or a string's text.
    fn from_text(text: &str) -> Option<Self>;
    /// From the file.
    fn from_toml(value: &TomlValue<'_>) -> Option<Self> {
        Self::from_text(value.as_str()?)
    }
    /// As [`Value::from_text`] takes it.
    fn show(&self) -> String;
}

/// `--storage`: where a container's changes are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Storage {
    /// The faster one that works here
    Auto,
    /// The kernel's overlayfs
    Overlay,
    /// enter's own filesystem
    Fuse,
}

/// `--home`: what a shell or a box has of your home.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Home {
    /// Your own, as it is
    Share,
    /// Your own to be seen; what is written there is set aside
    Cow,
    /// One of the box's own, which begins as the image's /etc/skel
    Own,
    /// An empty one in memory
    None,
}

/// `--network`: what a container reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Network {
    /// The internet, and none of this machine's own services
    Pasta,
    /// Nothing
    None,
    /// Whatever this machine reaches, itself included
    Host,
}

/// `--pull`: when an image is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PullPolicy {
    /// If it is not in the store
    Missing,
    /// Each time
    Always,
    /// Not at all
    Never,
    /// If the registry has another one under its name
    Newer,
}

/// How progress is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// By bars on a terminal, by lines elsewhere
    Auto,
    /// By lines
    Plain,
    /// Not at all
    None,
}

/// Whether to do what depends on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}

impl When {
    /// The answer, asking `auto` only where it is needed.
    pub fn resolve(self, auto: impl FnOnce() -> bool) -> bool {
        match self {
            Self::Auto => auto(),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

macro_rules! choices {
    ($($choice:ty),+) => {
        $(impl Value for $choice {
            fn wanted() -> String {
                format!("one of {}", Self::value_variants().iter().map(Value::show).collect::<Vec<_>>().join(", "))
            }

            fn from_text(text: &str) -> Option<Self> {
                Self::from_str(text, false).ok()
            }

            fn show(&self) -> String {
                self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
            }
        })+
    };
}

choices!(Storage, Home, Network, PullPolicy, Progress, When);

/// A number from `MIN` to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count<const MIN: u8>(u8);

impl<const MIN: u8> Count<MIN> {
    const MAX: u8 = 64;

    /// `number` if it lies in the range.
    pub const fn new(number: u8) -> Option<Self> {
        if number >= MIN && number <= Self::MAX { Some(Self(number)) } else { None }
    }

    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl<const MIN: u8> Value for Count<MIN> {
    fn wanted() -> String {
        format!("a number from {MIN} to {}", Self::MAX)
    }

    fn from_text(text: &str) -> Option<Self> {
        Self::new(text.parse().ok()?)
    }

    fn from_toml(value: &TomlValue<'_>) -> Option<Self> {
        let integer = value.as_integer()?;
        Self::new(u8::from_str_radix(integer.as_str(), integer.radix()).ok()?)
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

impl Value for Duration {
    fn wanted() -> String {
        "a time such as 30s or 2m".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let (number, seconds) = match text.as_bytes().last()? {
            b's' => (&text[..text.len() - 1], 1),
            b'm' => (&text[..text.len() - 1], 60),
            b'h' => (&text[..text.len() - 1], 3600),
            _ => (text, 1),
        };
        let time = number.parse::<u32>().ok().filter(|_| number.as_bytes()[0].is_ascii_digit())?;
        (time > 0).then(|| Self::from_secs(u64::from(time) * seconds))
    }

    fn from_toml(value: &TomlValue<'_>) -> Option<Self> {
        Self::from_text(number_or_text(value)?)
    }

    fn show(&self) -> String {
        format!("{}s", self.as_secs())
    }
}

impl Value for IpAddr {
    fn wanted() -> String {
        "an IPv4 or IPv6 address".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Value for bool {
    fn wanted() -> String {
        "true or false".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_toml(value: &TomlValue<'_>) -> Option<Self> {
        value.as_bool()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// A number of bytes of disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl Value for Option<Bytes> {
    fn wanted() -> String {
        "a size such as 20GB or 500MiB".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = (&text[..digits], text[digits..].trim());
        let power = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1_u64,
            "k" | "kb" => 1000,
            "m" | "mb" => 1_000_000,
            "g" | "gb" => 1_000_000_000,
            "t" | "tb" => 1_000_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            "tib" => 1 << 40,
            _ => return None,
        };
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let whole = whole.parse::<u64>().ok()?.checked_mul(power)?;
        // Thousandths are enough.
        let part: String = part.chars().chain("000".chars()).take(3).collect();
        let part = part.parse::<u64>().ok()?;
        Some(Some(Bytes(whole.checked_add(power / 1000 * part)?)))
    }

    fn from_toml(value: &TomlValue<'_>) -> Option<Self> {
        Self::from_text(number_or_text(value)?)
    }

    fn show(&self) -> String {
        self.map(|bytes| bytes.0.to_string()).unwrap_or_default()
    }
}

impl Value for Option<String> {
    fn wanted() -> String {
        "a string".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        Some(Some(text.to_owned()))
    }

    fn show(&self) -> String {
        self.clone().unwrap_or_default()
    }
}

impl Value for Option<PathBuf> {
    fn wanted() -> String {
        "the path of a file".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Some(text.into()))
    }

    fn show(&self) -> String {
        self.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

impl Value for Option<Platform> {
    fn wanted() -> String {
        "a platform such as linux/arm64".into()
    }

    fn from_text(text: &str) -> Option<Self> {
        Platform::parse(text).ok().map(Some)
    }

    fn show(&self) -> String {
        self.as_ref().map(Platform::to_string).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [
            ("0", 0),
            ("12345", 12345),
            ("20GB", 20_000_000_000),
            ("20 GB", 20_000_000_000),
            ("1.5g", 1_500_000_000),
            ("0.25MB", 250_000),
            ("500MiB", 500 << 20),
            ("2tib", 2 << 40),
        ] {
            assert_eq!(Option::<Bytes>::from_text(text), Some(Some(Bytes(bytes))), "{text}");
        }
        for text in ["", "GB", "-1", "1X", "1.2.3GB", ".5GB", "99999999999999TB", "1é"] {
            assert_eq!(Option::<Bytes>::from_text(text), None, "{text:?}");
        }
    }

    #[test]
    fn times_have_units() {
        for (text, seconds) in [("30", 30), ("30s", 30), ("2m", 120), ("1h", 3600)] {
            assert_eq!(Duration::from_text(text), Some(Duration::from_secs(seconds)));
        }
        for text in ["", "s", "0", "-1", "+1", "1d", "1.5s", "ü"] {
            assert_eq!(Duration::from_text(text), None, "{text:?}");
        }
    }
}
