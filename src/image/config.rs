//! Image configurations: what an image says about how to run it (OCI image-spec `config.md`; Docker's is a superset of it).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::manifest::{MAX_LAYERS, MAX_MANIFEST};
use super::{Digest, Error, Platform};

/// An image configuration, checked as far as the program relies on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What the image is for; `None` where it does not say.
    pub platform: Option<Platform>,
    /// When it was made: RFC 3339, as written; `None` where it does not say.
    pub created: Option<String>,
    /// The digests of the uncompressed layers, bottom first.
    pub diff_ids: Vec<Digest>,
    /// How to run it.
    pub execution: Execution,
}

/// The part of a configuration that is about running a command.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Execution {
    /// `user[:group]`, by name or number; empty for root.
    #[serde(deserialize_with = "nullable")]
    pub user: String,
    /// `NAME=value`, in the image's order.
    #[serde(deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// What always runs; `cmd` follows it.
    #[serde(deserialize_with = "nullable")]
    pub entrypoint: Vec<String>,
    /// What runs where the user says nothing else.
    #[serde(deserialize_with = "nullable")]
    pub cmd: Vec<String>,
    /// Where it runs; empty for `/`.
    #[serde(deserialize_with = "nullable")]
    pub working_dir: String,
    /// Free text by key.
    #[serde(deserialize_with = "nullable")]
    pub labels: BTreeMap<String, String>,
    /// `port[/protocol]`.
    #[serde(deserialize_with = "keys")]
    pub exposed_ports: Vec<String>,
    /// Paths that want a volume.
    #[serde(deserialize_with = "keys")]
    pub volumes: Vec<String>,
    /// The signal that asks it to end, by name or number; empty for SIGTERM.
    #[serde(deserialize_with = "nullable")]
    pub stop_signal: String,
    /// The shell of a Dockerfile's RUN (Docker only).
    #[serde(deserialize_with = "nullable")]
    pub shell: Vec<String>,
    /// How to see whether it is well (Docker only).
    pub healthcheck: Option<Healthcheck>,
}

/// Docker's HEALTHCHECK; times in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `NONE`, or `CMD` and its arguments, or `CMD-SHELL` and a line.
    #[serde(deserialize_with = "nullable")]
    pub test: Vec<String>,
    /// Between two checks.
    pub interval: i64,
    /// How long one may take.
    pub timeout: i64,
    /// While which a failure does not count.
    pub start_period: i64,
    /// Between two checks while that lasts.
    pub start_interval: i64,
    /// How many failures make it unhealthy.
    pub retries: i64,
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    config: Option<Execution>,
    rootfs: RootFs,
}

#[derive(Deserialize)]
struct RootFs {
    #[serde(default, deserialize_with = "nullable")]
    diff_ids: Vec<Digest>,
}

/// Go writes an empty list as `null`.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Go has no sets: a map of empty structures stands for one.
fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let map: Option<BTreeMap<String, serde::de::IgnoredAny>> = Option::deserialize(deserializer)?;
    Ok(map.unwrap_or_default().into_keys().collect())
}

impl Config {
    /// Parses a configuration.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Json`], [`Error::Layers`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let what = "image configuration";
        let size = bytes.len() as u64;
        if size > MAX_MANIFEST {
            return Err(Error::TooLarge { what, size, limit: MAX_MANIFEST });
        }
        let raw: Raw = serde_json::from_slice(bytes).map_err(|source| Error::Json { what, source })?;
        if raw.rootfs.diff_ids.len() > MAX_LAYERS {
            return Err(Error::Layers(raw.rootfs.diff_ids.len()));
        }
        let platform = match (raw.os.as_deref(), raw.architecture.as_deref()) {
            (Some(os), Some(architecture)) if !os.is_empty() && !architecture.is_empty() => {
                Some(Platform::new(os, architecture, raw.variant.as_deref()))
            }
            _ => None,
        };
        Ok(Self {
            platform,
            created: raw.created.filter(|created| !created.is_empty()),
            diff_ids: raw.rootfs.diff_ids,
            execution: raw.config.unwrap_or_default(),
        })
    }

    /// Checks that a manifest has as many layers as this configuration has digests for.
    ///
    /// # Errors
    /// [`Error::LayerCount`].
    pub fn check_layers(&self, layers: usize) -> Result<(), Error> {
        if self.diff_ids.len() == layers {
            return Ok(());
        }
        Err(Error::LayerCount { layers, diff_ids: self.diff_ids.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn reads_what_docker_writes() {
        let text = format!(
            r#"{{"architecture":"arm","variant":"v7","os":"linux","created":"2024-01-02T03:04:05.678Z",
            "config":{{"User":"app:app","Env":["PATH=/bin","A=b=c"],"Entrypoint":null,"Cmd":["sh"],"WorkingDir":"/srv","Labels":null,
              "ExposedPorts":{{"80/tcp":{{}},"53/udp":{{}}}},"Volumes":{{"/data":{{}}}},"StopSignal":"SIGQUIT","ArgsEscaped":true,
              "Healthcheck":{{"Test":["CMD","true"],"Interval":30000000000}}}},
            "rootfs":{{"type":"layers","diff_ids":["{DIGEST}"]}},"history":[{{"created_by":"x"}}]}}"#
        );
        let config = Config::parse(text.as_bytes()).unwrap();
        assert_eq!(config.platform.as_ref().unwrap().to_string(), "linux/arm/v7");
        let run = &config.execution;
        assert_eq!(
            (run.user.as_str(), run.working_dir.as_str(), run.stop_signal.as_str()),
            ("app:app", "/srv", "SIGQUIT")
        );
        assert_eq!(run.env, ["PATH=/bin", "A=b=c"]);
        assert!(run.entrypoint.is_empty() && run.labels.is_empty());
        assert_eq!(run.exposed_ports, ["53/udp", "80/tcp"]);
        assert_eq!(run.healthcheck.as_ref().unwrap().interval, 30_000_000_000);
        assert!(config.check_layers(1).is_ok());
        assert!(matches!(config.check_layers(2), Err(Error::LayerCount { layers: 2, diff_ids: 1 })));
    }

    #[test]
    fn a_bare_configuration_is_enough() {
        let config = Config::parse(br#"{"config":null,"rootfs":{"diff_ids":null}}"#).unwrap();
        assert_eq!(config.platform, None);
        assert_eq!(config.execution, Execution::default());
    }

    #[test]
    fn refuses_what_is_no_configuration() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"rootfs":{"diff_ids":["sha256:x"]}}"#,
            r#"{"rootfs":{"diff_ids":[]},"config":{"Env":"A"}}"#,
        ] {
            assert!(matches!(Config::parse(text.as_bytes()), Err(Error::Json { .. })), "{text}");
        }
        let many = vec![format!("\"{DIGEST}\""); MAX_LAYERS + 1].join(",");
        let text = format!(r#"{{"rootfs":{{"diff_ids":[{many}]}}}}"#);
        assert!(matches!(Config::parse(text.as_bytes()), Err(Error::Layers(501))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Config::parse(&bytes);
        }
    }
}
