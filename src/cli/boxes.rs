//! `enter ls`, `enter set` and `enter clone`: boxes, and what they are made as.

use std::path::PathBuf;

use clap::{Args, Subcommand as _, ValueHint};
use enter::container::record::{Device, NetworkMode};

use super::outward::OutwardArgs;
use super::run::{ResourceArgs, values};
use super::share::ShareArgs;
use super::shell::element;
use crate::settings::lists::EnvVar;
use crate::settings::values::Home;

/// List boxes.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Print each box by a template: `table`, `json`, or Go's syntax such as '{{.Name}} {{.State}}'
    ///
    /// The fields are .Name .Image .State .Shells .Size .LastUsed .ID .CreatedAt .Ports. A template that begins with "table " gets headings.
    #[arg(long, value_name = "TEMPLATE")]
    pub format: Option<String>,

    /// Print only names
    #[arg(short, long)]
    pub quiet: bool,

    /// Print no headings
    #[arg(long)]
    pub noheading: bool,
}

/// Make a copy of a box.
#[derive(Debug, Args)]
pub struct CloneArgs {
    /// The box; one that runs is held meanwhile
    #[arg(value_name = "BOX")]
    pub name: String,

    /// The name of the copy
    #[arg(value_name = "NEW-NAME", value_parser = name)]
    pub new: String,
}

/// Change what a box is made as.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct SetArgs {
    /// The box; with nothing else, all that is set is printed
    #[arg(value_name = "BOX")]
    pub name: String,

    /// Set a variable in every new shell, or pass yours on as it is now
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = element::<EnvVar>())]
    pub env: Vec<EnvVar>,

    /// Read variables from a file, one NAME=VALUE a line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub env_file: Vec<PathBuf>,

    /// Show a volume, or a folder or file of this machine, inside, as `enter run --volume` does; what was shown there before is replaced
    #[arg(short, long, value_name = "SOURCE:TARGET[:OPTIONS]", value_parser = values::volume)]
    pub volume: Vec<values::Volume>,

    /// Make a port of the box reachable from outside, as `enter run --publish` does; at once
    #[arg(short, long, value_name = "[[ADDRESS:][HOST]:]PORT[/PROTOCOL]", value_parser = values::published, allow_hyphen_values = true)]
    pub publish: Vec<values::Published>,

    /// What the box reaches: pasta, none or host; or one more network of one's own
    #[arg(long, visible_alias = "net", value_name = "NETWORK", value_parser = reached)]
    pub network: Vec<values::Reached>,

    /// What there is of your home, as `enter --home` has it; from the next start on. What was set aside or was in a home of the box's own stays with
    /// the box
    #[arg(long, value_enum, value_name = "HOME")]
    pub home: Option<Home>,

    /// Show of your home this folder alone
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub project: Option<PathBuf>,

    /// Give the box a device of this machine that you may use yourself
    #[arg(long, value_name = "DEVICE[:TARGET][:rwm]", value_parser = values::device)]
    pub device: Vec<Device>,

    /// Limit each process in new shells, as `nofile=1024:2048`
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = values::ulimit)]
    pub ulimit: Vec<values::Ulimit>,

    #[command(flatten)]
    pub share: ShareArgs,

    /// What the box uses at most.
    #[command(flatten)]
    pub resources: ResourceArgs,

    /// The host name inside, in place of the box's own name
    #[arg(long, value_name = "NAME", value_parser = values::hostname)]
    pub hostname: Option<String>,

    /// Add a line to /etc/hosts; the address `host-gateway` is this machine's
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = values::extra_host)]
    pub add_host: Vec<String>,

    /// Ask this name server, instead of this machine's
    #[arg(long, value_name = "ADDRESS")]
    pub dns: Vec<std::net::IpAddr>,

    /// The size of /dev/shm
    #[arg(long, value_name = "BYTES", value_parser = values::bytes)]
    pub shm_size: Option<u64>,

    #[command(flatten)]
    pub outward: OutwardArgs,

    /// Whether the box goes on when the last shell leaves it
    #[arg(long, value_name = "BOOL", default_missing_value = "true", num_args = 0..=1, require_equals = true)]
    pub keep_running: Option<bool>,

    #[command(flatten)]
    pub remake: super::RemakeArgs,

    /// Take back what was set: `env=NAME`, `volume=TARGET`, `publish=[HOST:]PORT`, `network=NAME`, `device=TARGET`, `ulimit=NAME`, `add-host=NAME`,
    /// `dns=ADDRESS`, `share=WHAT`, `label=NAME`, `dns-search=DOMAIN`, `dns-option=OPTION`, `cap-add=NAME`, `cap-drop=NAME`, `security-opt=OPTION`, `hostname`,
    /// `shm-size`, `allow-host-exec=PROGRAM`, `allow-open`, `user`, `shell`, `workdir` or `timezone`; without `=`, all of that kind
    #[arg(long, value_name = "WHAT[=WHICH]", value_parser = unset)]
    pub unset: Vec<Unset>,

    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

/// A kind of thing that can be set and taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoxSetting {
    Env,
    Volume,
    Publish,
    Network,
    Device,
    Ulimit,
    AddHost,
    Dns,
    Share,
    Hostname,
    ShmSize,
    Label,
    DnsSearch,
    DnsOption,
    CapAdd,
    CapDrop,
    SecurityOpt,
    User,
    Shell,
    Workdir,
    Timezone,
    AllowHostExec,
    AllowOpen,
}

impl BoxSetting {
    /// All, each with its word.
    pub const ALL: [(&'static str, Self); 23] = [
        ("env", Self::Env),
        ("volume", Self::Volume),
        ("publish", Self::Publish),
        ("network", Self::Network),
        ("device", Self::Device),
        ("ulimit", Self::Ulimit),
        ("add-host", Self::AddHost),
        ("dns", Self::Dns),
        ("share", Self::Share),
        ("hostname", Self::Hostname),
        ("shm-size", Self::ShmSize),
        ("label", Self::Label),
        ("dns-search", Self::DnsSearch),
        ("dns-option", Self::DnsOption),
        ("cap-add", Self::CapAdd),
        ("cap-drop", Self::CapDrop),
        ("security-opt", Self::SecurityOpt),
        ("user", Self::User),
        ("shell", Self::Shell),
        ("workdir", Self::Workdir),
        ("timezone", Self::Timezone),
        ("allow-host-exec", Self::AllowHostExec),
        ("allow-open", Self::AllowOpen),
    ];
}

impl BoxSetting {
    /// Whether a box has one of it only.
    fn is_single(self) -> bool {
        matches!(
            self,
            Self::Hostname
                | Self::ShmSize
                | Self::AllowOpen
                | Self::User
                | Self::Shell
                | Self::Workdir
                | Self::Timezone
        )
    }
}

/// What is to be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unset {
    /// Of which kind.
    pub what: BoxSetting,
    /// Which of them; all where it is not said.
    pub which: Option<String>,
}

fn unset(text: &str) -> Result<Unset, String> {
    let (word, which) = text.split_once('=').map_or((text, None), |(word, which)| (word, Some(which)));
    let found = BoxSetting::ALL.iter().find(|(known, _)| *known == word);
    let words = || BoxSetting::ALL.map(|(word, _)| word).join(", ");
    let (_, what) = found.ok_or_else(|| format!("expected one of {}, and perhaps =WHICH", words()))?;
    match which {
        Some("") => Err("what follows the `=` is empty".into()),
        Some(_) if what.is_single() => Err(format!("there is one {word} only: leave what follows it away")),
        which => Ok(Unset { what: *what, which: which.map(ToOwned::to_owned) }),
    }
}

fn reached(text: &str) -> Result<values::Reached, String> {
    match values::network(text)? {
        values::Reached::Mode(NetworkMode::Container(_)) => {
            Err("a box is in no other container's network; put both on a network of your own".into())
        }
        reached => Ok(reached),
    }
}

/// Reads the name of a box that is to be: one of a container, which nothing else that can be entered has.
pub fn name(text: &str) -> Result<String, String> {
    const LONGEST: usize = 63;
    let mut bytes = text.bytes();
    let is_name = bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        && text.len() <= LONGEST;
    if !is_name {
        return Err(
            "expected 1 to 63 letters, digits, dots, dashes and underscores, the first a letter or digit".into()
        );
    }
    if text == "host" || text == "help" || super::Command::has_subcommand(text) {
        return Err(format!("`enter {text}` means something else already; choose another name"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_has_no_name_that_means_something_else() {
        for good in ["work", "a", "My.box_2-x", "ubuntu"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in ["", "-a", "a/b", "a:b", "a b", "host", "help", "pull", "ls", "é"] {
            assert!(name(bad).is_err(), "{bad}");
        }
        assert!(name(&"a".repeat(64)).is_err());
    }

    #[test]
    fn what_is_taken_back_is_named() {
        let which = |text: &str| unset(text).map(|unset| (unset.what, unset.which));
        assert_eq!(which("env"), Ok((BoxSetting::Env, None)));
        assert_eq!(which("publish=8080:80"), Ok((BoxSetting::Publish, Some("8080:80".into()))));
        for bad in ["", "env=", "nonsense", "hostname=a"] {
            assert!(which(bad).is_err(), "{bad}");
        }
    }
}
