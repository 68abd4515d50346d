//! `--log-driver` and `--log-opt`: what was typed, as what it means.

use std::path::PathBuf;

use super::{About, Error, LogConfig, LogDriver};

/// A word that a tag may have, and what it stands for.
type Word = (&'static str, fn(&About) -> &str);

const WORDS: [Word; 6] = [
    ("{{.ID}}", About::short_id),
    ("{{.FullID}}", |about| &about.id),
    ("{{.Name}}", |about| &about.name),
    ("{{.ImageName}}", |about| &about.image),
    ("{{.ImageID}}", |about| about.image_id.get(7..19).unwrap_or(&about.image_id)),
    ("{{.ImageFullID}}", |about| &about.image_id),
];

impl LogConfig {
    /// What a driver and `KEY=VALUE` options ask for.
    ///
    /// # Errors
    /// [`Error::Option`].
    pub fn parse(driver: LogDriver, options: &[String]) -> Result<Self, Error> {
        let mut config = Self { driver, ..Self::default() };
        for typed in options {
            config.set(typed).map_err(|(reason, hint)| Error::Option { value: typed.clone(), reason, hint })?;
        }
        Ok(config)
    }

    fn set(&mut self, typed: &str) -> Result<(), (String, Option<String>)> {
        let wrong = |reason: &str| Err((reason.to_owned(), None));
        let Some((key, value)) = typed.split_once('=') else {
            return wrong("it is no KEY=VALUE");
        };
        let in_files = matches!(self.driver, LogDriver::K8sFile | LogDriver::JsonFile);
        match key {
            "max-size" | "max-file" | "path" if !in_files => {
                let reason = format!("the driver {} has no files", self.driver.name());
                return Err((reason, Some("leave it out, or use `--log-driver k8s-file`".into())));
            }
            "max-size" => match max_size(value) {
                Some(size) => self.max_size = size,
                None => return wrong("a size is a number with b, k, m or g, such as 10m, or -1 for no limit"),
            },
            "max-file" => match value.parse() {
                Ok(count) if count > 0 => self.max_files = count,
                _ => return wrong("it is to be how many files are kept, 1 or more"),
            },
            "path" if !value.starts_with('/') => return wrong("it is to be the absolute path of a file"),
            "path" => self.path = Some(PathBuf::from(value)),
            "tag" => {
                let rest = WORDS.iter().fold(value.to_owned(), |rest, (word, _)| rest.replace(word, ""));
                if rest.contains("{{") {
                    let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
                    return Err((format!("a tag may have {} and plain text", words.join(", ")), None));
                }
                value.clone_into(&mut self.tag);
            }
            "labels" => self.labels = names(value),
            "env" => self.variables = names(value),
            _ => {
                let hint = "the options are env, labels and tag, and for files max-file, max-size and path";
                return Err((format!("there is no option `{key}`"), Some(hint.into())));
            }
        }
        Ok(())
    }
}

/// What a tag says of a container.
pub fn expand_tag(tag: &str, about: &About) -> String {
    WORDS.iter().fold(tag.to_owned(), |tag, (word, value)| tag.replace(word, value(about)))
}

fn names(list: &str) -> Vec<String> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// `10m`, `1.5g`, `512`: units of 1024, in either case, with or without a `b` or `ib`; `-1` is no limit.
fn max_size(text: &str) -> Option<u64> {
    if text == "-1" {
        return Some(u64::MAX);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return None,
    };
    if !digits.starts_with(|c: char| c.is_ascii_digit())
        || digits.bytes().any(|byte| !byte.is_ascii_digit() && byte != b'.')
    {
        return None;
    }
    let number: f64 = digits.parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    let bytes = number * (1_u64 << shift) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
    (1.0..9e18).contains(&bytes).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(driver: LogDriver, options: &[&str]) -> Result<LogConfig, String> {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        LogConfig::parse(driver, &options).map_err(|error| error.to_string())
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1", 1),
            ("10m", 10 << 20),
            ("1G", 1 << 30),
            ("512kb", 512 << 10),
            ("1.5KiB", 1536),
            ("-1", u64::MAX),
            ("7b", 7),
        ] {
            assert_eq!(max_size(text), Some(bytes), "{text}");
        }
        for text in ["", "0", "m", "-2", "10x", "1e3", "1.2.3", "inf", "nan", "9999999t", ".5k", "10 m", "+1"] {
            assert_eq!(max_size(text), None, "{text}");
        }
    }

    #[test]
    fn options_are_understood() {
        let config = parse(
            LogDriver::JsonFile,
            &["max-size=1k", "max-file=2", "path=/x", "tag={{.Name}}!", "labels=a, b", "env=C"],
        )
        .unwrap();
        assert_eq!((config.driver, config.max_size, config.max_files), (LogDriver::JsonFile, 1024, 2));
        assert_eq!((config.path, config.tag.as_str()), (Some("/x".into()), "{{.Name}}!"));
        assert_eq!((config.labels, config.variables), (vec!["a".to_owned(), "b".into()], vec!["C".to_owned()]));
        assert_eq!(LogConfig::parse(LogDriver::default(), &[]).unwrap(), LogConfig::default());
    }

    #[test]
    fn what_cannot_be_had_is_told_with_its_flag_value_and_form() {
        for (driver, option, told) in [
            (
                LogDriver::K8sFile,
                "max-size=10x",
                "invalid value `max-size=10x` for `--log-opt`: a size is a number with",
            ),
            (LogDriver::K8sFile, "max-file=0", "1 or more"),
            (LogDriver::K8sFile, "max-file", "no KEY=VALUE"),
            (LogDriver::K8sFile, "path=log", "absolute"),
            (LogDriver::K8sFile, "mode=blocking", "no option `mode`"),
            (LogDriver::Journald, "max-size=10m", "the driver journald has no files"),
            (LogDriver::Journald, "tag={{.Nope}}", "a tag may have {{.ID}}"),
        ] {
            let error = parse(driver, &[option]).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_tag_names_its_container() {
        let about =
            About { id: "0123456789abcdef".into(), name: "web".into(), image: "busybox".into(), ..About::default() };
        assert_eq!(expand_tag("{{.ImageName}}/{{.Name}}/{{.ID}}", &about), "busybox/web/0123456789ab");
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(option in "\\PC{0,30}", value in "\\PC{0,20}") {
            let _ = parse(LogDriver::K8sFile, &[&option, &format!("max-size={value}"), &format!("tag={value}")]);
        }
    }
}
