//! The one table of settings: field, type, default, key of the file, `ENTER_*` variable, and what it means.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use enter::container::record::Switched;
use enter::image::Platform;

use super::lists::{EnvVar, Volume};
use super::programs::Program;
use super::values::{Bytes, Count, Home, Network, Progress, PullPolicy, Storage, TomlValue, Value, When};

/// What is known of a setting without knowing its type.
pub struct Key {
    /// Its name in the file.
    pub name: &'static str,
    /// Its environment variable.
    pub env: &'static str,
    /// What it means, in Markdown's plainest form.
    pub doc: &'static [&'static str],
    /// What it can be, to follow "must be".
    pub wanted: fn() -> String,
    /// Its default as it would stand in the variable; empty for none.
    pub default: fn() -> String,
    pub(super) set_text: fn(&mut Overrides, &str) -> Option<()>,
    pub(super) set_toml: fn(&mut Overrides, &TomlValue<'_>) -> Option<()>,
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty = $default:expr, $name:literal, $env:literal;)+) => {
        /// Every setting, resolved.
        #[derive(Debug, Clone, PartialEq)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        /// Some of the settings: what one source says.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Overrides {
            $($(#[doc = $doc])+ pub $field: Option<$type>,)+
        }

        impl Overrides {
            /// These, and for what they leave open, those `below`.
            pub fn or(self, below: Self) -> Self {
                Self { $($field: self.$field.or(below.$field),)+ }
            }

            /// These, and for what they leave open, the defaults.
            pub fn or_defaults(self) -> Settings {
                Settings { $($field: self.$field.unwrap_or_else(|| $default),)+ }
            }
        }

        /// Every setting's key, in the order of the manual.
        pub const KEYS: &[Key] = &[$(Key {
            name: $name,
            env: $env,
            doc: &[$($doc),+],
            wanted: <$type as Value>::wanted,
            default: || { let default: $type = $default; default.show() },
            set_text: |overrides, text| { overrides.$field = Some(Value::from_text(text)?); Some(()) },
            set_toml: |overrides, value| { overrides.$field = Some(Value::from_toml(value)?); Some(()) },
        }),+];
    };
}

/// A default, checked when the program is compiled where it stands in a constant, and by the tests below.
const fn number<const MIN: u8>(number: u8) -> Count<MIN> {
    match Count::new(number) {
        Some(count) => count,
        None => panic!("a default out of its range"),
    }
}

settings! {
    /// How a container's changes are kept: `overlay` by the kernel's overlayfs, `fuse` by enter's own filesystem, `auto`
    /// by the faster one that works on this machine.
    storage: Storage = Storage::Auto, "storage", "ENTER_STORAGE";

    /// What a shell, and a box that is made, has of your home: `share` your own as it is, `cow` your own to be seen while what is written there is
    /// set aside (`enter diff`, `enter apply`, `enter discard`), `own` one of its own, `none` an empty one in memory.
    home: Home = Home::Share, "home", "ENTER_HOME";

    /// What a container reaches: `pasta` gives it the internet and none of this machine's own services, `none` gives it
    /// nothing, `host` gives it this machine's network as it is.
    network: Network = Network::Pasta, "network", "ENTER_NETWORK";

    /// When an image is fetched: `missing` if it is not in the store, `always`, `newer` if the registry has another one
    /// under its name, `never`.
    pull: PullPolicy = PullPolicy::Missing, "pull", "ENTER_PULL";

    /// Which of an image's platforms to take, as `linux/arm64` or `linux/arm/v7`. This machine's own without it.
    platform: Option<Platform> = None, "platform", "ENTER_PLATFORM";

    /// The host name inside. The name of the image without it.
    hostname: Option<String> = None, "hostname", "ENTER_HOSTNAME";

    /// Variables for every shell: `NAME` passes yours on, `NAME=VALUE` sets one.
    environment: Vec<EnvVar> = Vec::new(), "environment", "ENTER_ENVIRONMENT";

    /// Folders for every shell, each as `--volume` takes it.
    volumes: Vec<Volume> = Vec::new(), "volumes", "ENTER_VOLUMES";

    /// What shells share of this machine beside your home, as `--share` takes it: names, or `all`.
    share: Vec<Switched> = Vec::new(), "share", "ENTER_SHARE";

    /// What shells do not share of this machine, as `--unshare` takes it: names, or `all`.
    unshare: Vec<Switched> = Vec::new(), "unshare", "ENTER_UNSHARE";

    /// The address of this machine at which `--publish` makes a port reachable that names none. `0.0.0.0` is every one of them, for
    /// whoever reaches this machine.
    publish_address: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST), "publish-address", "ENTER_PUBLISH_ADDRESS";

    /// Whether a container may reach this machine's own servers, those of its 127.0.0.1 too, as `host.docker.internal` and
    /// `host.containers.internal`, without `--host-access`; one without a network of its own, or with none that leads out, goes without.
    host_access: bool = false, "host-access", "ENTER_HOST_ACCESS";

    /// Programs of this machine that `enter host-exec` may run from inside new shells and boxes, each by its name or absolute path; see
    /// `--allow-host-exec`.
    allow_host_exec: Vec<Program> = Vec::new(), "allow-host-exec", "ENTER_ALLOW_HOST_EXEC";

    /// Whether `xdg-open` inside new shells and boxes opens addresses and files on this machine.
    allow_open: bool = false, "allow-open", "ENTER_ALLOW_OPEN";

    /// Whether a terminal is told which box or image it shows, by its title and by OSC 777.
    mark_terminal: bool = true, "mark-terminal", "ENTER_MARK_TERMINAL";

    /// How many layers are downloaded at once, from 1 to 64.
    parallel_downloads: Count<1> = number(4), "parallel-downloads", "ENTER_PARALLEL_DOWNLOADS";

    /// How long a download may stand still before it is tried again.
    stall_timeout: Duration = Duration::from_secs(30), "stall-timeout", "ENTER_STALL_TIMEOUT";

    /// How often a download that failed is tried again, from 0 to 64.
    retries: Count<0> = number(5), "retries", "ENTER_RETRIES";

    /// Whether layers are kept also in the compressed form in which they came, so that `enter push` and `enter save` give back the very same
    /// without compressing them again. `enter image prune` frees that space.
    keep_compressed: bool = true, "keep-compressed", "ENTER_KEEP_COMPRESSED";

    /// How much disk all images together may take, such as `20GB`: whenever one comes, by `enter pull`, `commit`, `load` or `import`, compressed
    /// forms of layers are dropped, then the images that were not used for longest, but never one that is pinned (`enter image pin`) or that a
    /// container was made from. No limit without it.
    max_store_size: Option<Bytes> = None, "max-store-size", "ENTER_MAX_STORE_SIZE";

    /// How much memory the list of an image's files may take while the image is taken in, such as `1GB`: each file takes some 430 bytes. Without
    /// it 136 MiB, and for images that are large themselves twice what their layers take compressed.
    max_list_memory: Option<Bytes> = None, "max-list-memory", "ENTER_MAX_LIST_MEMORY";

    /// How much disk one layer of an image may take, such as `50GB`. Without it 16 GiB, and for layers that are large compressed 200 times that,
    /// up to 1 TiB. Whatever it is: the last GiB of a disk, or its last twentieth, is not taken by large layers.
    max_layer_size: Option<Bytes> = None, "max-layer-size", "ENTER_MAX_LAYER_SIZE";

    /// Whether a container begins before its image is all here, where all its layers have tables of contents (eStargz,
    /// zstd:chunked). What it reads is waited for, and the rest comes while it runs, or after it.
    lazy: bool = true, "lazy", "ENTER_LAZY";

    /// Hosts that your credentials for a registry may be sent to although they are not that registry, because it has its tokens
    /// made there.
    token_hosts: Vec<String> = Vec::new(), "token-hosts", "ENTER_TOKEN_HOSTS";

    /// The file that says which images are trusted, as containers-policy.json(5) has it. Without it
    /// `~/.config/containers/policy.json`, or else `/etc/containers/policy.json`; where there is none of them, every image is.
    signature_policy: Option<PathBuf> = None, "signature-policy", "ENTER_SIGNATURE_POLICY";

    /// How long `enter restore` can bring back a throwaway shell that was left, such as `24h`.
    restore_time: Duration = Duration::from_secs(24 * 60 * 60), "restore-time", "ENTER_RESTORE_TIME";

    /// How much disk the changes of throwaway shells that were left may take, all together, such as `20GB`; the oldest go first. `0B`: none are kept.
    /// 5 GB without it.
    restore_size: Option<Bytes> = None, "restore-size", "ENTER_RESTORE_SIZE";

    /// Colour in messages: `auto` where they go to a terminal and `NO_COLOR` is not set.
    color: When = When::Auto, "color", "ENTER_COLOR";

    /// How progress is told: `auto` by bars on a terminal and by lines elsewhere, `plain` by lines, `none` not at all.
    progress: Progress = Progress::Auto, "progress", "ENTER_PROGRESS";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_variables_have_one_name() {
        for key in KEYS {
            assert_eq!(key.env, format!("ENTER_{}", key.name.replace('-', "_").to_uppercase()));
        }
    }

    #[test]
    fn every_default_is_a_value_of_its_key() {
        for key in KEYS {
            let default = (key.default)();
            let mut overrides = Overrides::default();
            assert!(default.is_empty() || (key.set_text)(&mut overrides, &default).is_some(), "{}", key.name);
        }
    }
}
