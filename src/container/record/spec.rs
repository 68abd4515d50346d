//! What was asked for when a container was made. Image and flags are merged already; what depends on the moment of a start
//! (network, time zone, accounts) is not in it, but in the plan that each start makes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::network::lease::Wanted;
use plan::Text;
use serde::{Deserialize, Serialize};

use super::home::Home;
use super::mount::Mount;
use super::outward::Outward;
use super::resources::Resources;
use super::share::Shares;
use crate::network::publish::Port;

/// The image that a container was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageUse {
    /// As it was typed; `host` for this machine.
    pub name: String,
    /// Its ID, `sha256:HEX`; empty for this machine.
    pub id: String,
}

/// What a container is to be: docker's `Config` and `HostConfig` in one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Spec {
    /// `enter NAME`, and not `enter run`: the caller's own user, home and environment. Only the plan then knows all.
    pub shell: bool,
    /// It is a box: what is run in it comes and goes, and is the caller's as a shell is.
    pub boxed: Option<Boxed>,
    /// What those in it may have done outside; of a shell or a box.
    pub outward: Outward,
    /// What it was made from.
    pub image: ImageUse,
    /// The platform that was asked for; empty for this machine's.
    pub platform: String,
    /// What always runs; `command` follows it.
    pub entrypoint: Vec<Text>,
    /// What runs, or the arguments of `entrypoint`.
    pub command: Vec<Text>,
    /// `NAME=VALUE`, the image's first; a later one of the same name has replaced the earlier.
    pub environment: Vec<Text>,
    /// `user[:group]`; empty for root.
    pub user: String,
    /// More groups, by name or number.
    pub groups: Vec<String>,
    /// Where it begins; empty for `/`.
    pub directory: String,
    /// The host name; empty: the first twelve digits of the id.
    pub hostname: String,
    /// The NIS domain name.
    pub domainname: String,
    /// `-t`: it has a terminal.
    pub terminal: bool,
    /// `-i`: its standard input stays open.
    pub open_input: bool,
    /// `-d`: it was started in the background.
    pub detached: bool,
    /// `--rm`: it is removed when it ends.
    pub remove: bool,
    /// `--init`: a first process that reaps and passes signals on.
    pub init: bool,
    /// `--read-only`.
    pub read_only: bool,
    /// Where its changes are kept: by the driver that it was made with, for as long as it exists.
    pub storage: Storage,
    /// `--storage-opt writeback`; by default where nothing is kept.
    pub writeback: Option<bool>,
    /// `--privileged`.
    pub privileged: bool,
    /// The signal that asks it to end, by name or number; empty for SIGTERM.
    pub stop_signal: String,
    /// How long it has for that.
    pub stop_timeout: Option<Duration>,
    /// It is ended after this time.
    pub timeout: Option<Duration>,
    /// What happens when it ends.
    pub restart: Restart,
    /// The image's and the user's.
    pub labels: BTreeMap<String, String>,
    /// The user's.
    pub annotations: BTreeMap<String, String>,
    /// How to see whether it is well.
    pub health: Option<Health>,
    /// Where its output is kept.
    pub log: LogConfig,
    /// What it has of the user's home; of boxes and shells alone.
    pub home: Home,
    /// What is shown of the home although the home itself is not: an absolute path of the host's.
    pub project: Option<PathBuf>,
    /// What a shell or a box shares of this machine beside its home, as far as anything was said about that.
    pub shares: Shares,
    /// What is shown of the host, and what is in memory, in the order of the command line.
    pub mounts: Vec<Mount>,
    /// Of `/dev/shm`, in bytes.
    pub shm_size: Option<u64>,
    /// Devices of the host's.
    pub devices: Vec<Device>,
    /// What confines it.
    pub hardening: Hardening,
    /// What it uses at most.
    pub resources: Resources,
    /// Processes that it sees.
    pub pid: Namespace,
    /// Shared memory and queues.
    pub ipc: Namespace,
    /// Host name.
    pub uts: Namespace,
    /// Whom its ids are outside.
    pub users: UserNamespace,
    /// What it reaches.
    pub network: NetworkMode,
    /// Options of pasta(1), a word each, where that is `Pasta`.
    pub pasta: Vec<String>,
    /// The networks of the user's own that it is on, eth0's first. Any makes it a container of such networks, whatever `network` says.
    pub networks: Vec<Wanted>,
    /// Containers that it finds by a name of its own for them.
    pub links: Vec<Link>,
    /// `name:address` for its hosts file.
    pub extra_hosts: Vec<String>,
    /// Its name servers; empty: the host's.
    pub dns: Vec<String>,
    /// Domains that names are looked up in; empty: the host's.
    pub dns_search: Vec<String>,
    /// Options of resolv.conf(5).
    pub dns_options: Vec<String>,
    /// What is reachable from outside.
    pub ports: Vec<Port>,
    /// `-P`: what it names is reachable by ports of the system's choice.
    pub publish_all: bool,
    /// `port/protocol` that the image or the user names.
    pub exposed: Vec<String>,
    /// Where the image and the user want volumes without a name: paths inside. What they are is among the mounts.
    pub volumes: Vec<String>,
    /// `--volumes-from`, as typed.
    pub volumes_from: Vec<String>,
    /// `--timezone`: a zone's name, or `local` for the host's; empty: the image's own.
    pub timezone: String,
    /// Whether the caller's proxy variables are passed on, at each start; `None`: those without a password.
    pub http_proxy: Option<bool>,
    /// Permission bits that new files do not get; `None`: 0022.
    pub umask: Option<u32>,
    /// The image's hosts file stays as it is.
    pub no_hosts: bool,
    /// With `read_only`: /run, /tmp and /var/tmp are in memory.
    pub read_only_tmpfs: bool,
    /// `--ipc none`: there is no /dev/shm.
    pub no_shared_memory: bool,
    /// `--cidfile`.
    pub id_file: Option<PathBuf>,
    /// `--pidfile`.
    pub pid_file: Option<PathBuf>,
    /// How many descriptors beyond the standard streams are passed on.
    pub preserve_fds: u32,
    /// Keys that leave the container; empty: the default.
    pub detach_keys: String,
    /// Which streams were attached when it was started: standard input, output, error.
    pub attached: [bool; 3],
    /// The directory that it was made in, where relative paths of its command line begin.
    pub created_in: PathBuf,
    /// The command line that made it, for `inspect`.
    pub created_by: Vec<Text>,
}

/// What is true of boxes alone.
///
/// Their [`Spec::environment`] is what was asked for, without the image's. An empty [`Spec::hostname`] is the box's own name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Boxed {
    /// It goes on when the last one has left it.
    pub keep_running: bool,
    /// A shell and tools are brought along.
    pub tools: bool,
    /// Who comes in, `USER[:GROUP]`, where he does not say; `None`: the caller himself.
    pub user: Option<String>,
    /// The shell that is opened, if it is there.
    pub shell: Option<String>,
    /// Where one begins; `None`: where the caller is.
    pub directory: Option<String>,
    /// The image that it was on before its present one: the way back.
    pub previous: Option<ImageUse>,
}

/// How a container's changes are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// By the kernel's overlayfs.
    #[default]
    Overlay,
    /// By cowfs, which needs nothing of the kernel but FUSE, and no more than one id.
    Fuse,
}

impl Spec {
    /// Makes what was asked for a throwaway shell what is asked for a box: its mounts, variables, networks and the like stay, and its command and its
    /// terminal were the shell's alone.
    pub fn become_box(&mut self) {
        (self.shell, self.remove) = (false, false);
        self.boxed.get_or_insert_default();
        (self.command, self.user) = (Vec::new(), String::new());
        (self.terminal, self.open_input, self.attached) = (false, false, [false; 3]);
    }

    /// Whether it is on networks of the user's own, and reaches everything by them.
    pub fn has_networks(&self) -> bool {
        !self.networks.is_empty() || self.network == NetworkMode::Own
    }
}

impl Storage {
    /// The word for it on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlay => "overlay",
            Self::Fuse => "fuse",
        }
    }
}

/// What happens when a container ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Nothing.
    #[default]
    No,
    /// It is started again if its exit code is not 0.
    OnFailure {
        /// At most so many times; 0: for ever.
        retries: u32,
    },
    /// It is started again, unless it was asked to stop.
    Always,
    /// As `Always`; but once asked to stop it stays so after a reboot too.
    UnlessStopped,
}

impl Restart {
    /// Docker's word, without the number.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::OnFailure { .. } => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }
}

/// How to see whether a container is well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// `["CMD", …]`, `["CMD-SHELL", LINE]` or `["NONE"]`.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval: Duration,
    /// How long one may take.
    pub timeout: Duration,
    /// While which a failure does not count.
    pub start_period: Duration,
    /// Between two checks while that lasts.
    pub start_interval: Duration,
    /// How many failures in a row make it unhealthy.
    pub retries: u32,
    /// What is done then.
    pub on_failure: HealthAction,
}

/// What is done to an unhealthy container (podman's `--health-on-failure`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthAction {
    /// Nothing.
    #[default]
    None,
    /// SIGKILL.
    Kill,
    /// SIGKILL, and a new start.
    Restart,
    /// As `enter stop`.
    Stop,
}

/// Where a container's output is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    /// The form.
    pub driver: LogDriver,
    /// The largest file, in bytes; `u64::MAX` for no limit.
    pub max_size: u64,
    /// How many files.
    pub max_files: u32,
    /// A word to find it by, with `{{.Name}}` and the like as it was typed.
    pub tag: String,
    /// Where, if not in the container's folder.
    pub path: Option<PathBuf>,
    /// Labels that are kept with each record.
    pub labels: Vec<String>,
    /// Variables of the environment that are kept with each record.
    pub variables: Vec<String>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            driver: LogDriver::default(),
            max_size: 10 << 20,
            max_files: 3,
            tag: String::new(),
            path: None,
            labels: Vec::new(),
            variables: Vec::new(),
        }
    }
}

/// The form of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogDriver {
    /// `TIME stdout|stderr F|P TEXT`, a line for each line.
    #[default]
    K8sFile,
    /// Docker's: a JSON object for each line.
    JsonFile,
    /// systemd's journal.
    Journald,
    /// Nowhere.
    None,
}

impl LogDriver {
    /// The word for it on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::K8sFile => "k8s-file",
            Self::JsonFile => "json-file",
            Self::Journald => "journald",
            Self::None => "none",
        }
    }
}

/// A device of the host's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// On the host.
    pub source: PathBuf,
    /// In the container.
    pub target: PathBuf,
    /// Of `r`, `w`, `m`.
    pub permissions: String,
}

/// What confines a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardening {
    /// Capabilities beyond the ordinary, by name without `CAP_`; `ALL`.
    pub cap_add: Vec<String>,
    /// Capabilities taken away.
    pub cap_drop: Vec<String>,
    /// `--security-opt`, as typed.
    pub options: Vec<String>,
    /// No program gains privileges by being run.
    pub no_new_privileges: bool,
    /// `seccomp=unconfined`.
    pub seccomp_unconfined: bool,
    /// A profile in docker's form, to be used in place of ours.
    pub seccomp_profile: Option<PathBuf>,
    /// Paths to hide beyond ours.
    pub mask: Vec<String>,
    /// Paths of ours not to hide; `ALL`.
    pub unmask: Vec<String>,
    /// Kernel parameters of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Limits of its processes.
    pub limits: Vec<Rlimit>,
}

/// A limit of setrlimit(2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// `nofile`, `nproc`, …
    pub name: String,
    /// At first; `u64::MAX` for none.
    pub soft: u64,
    /// At most; `u64::MAX` for none.
    pub hard: u64,
}

/// Whose namespace a container is in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// Its own.
    #[default]
    Private,
    /// The host's.
    Host,
    /// That of the container with this id.
    Container(String),
}

/// Whom a container's ids are outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserNamespace {
    /// Its root is the user.
    #[default]
    Root,
    /// The user has the same number inside.
    KeepId {
        /// Another number than the user's own.
        uid: Option<u32>,
        /// Another group number than the user's own.
        gid: Option<u32>,
    },
    /// The user is nobody inside.
    NoMap,
    /// Ids that no other container has.
    Auto {
        /// How many.
        size: u32,
        /// The first, in the outer user namespace.
        start: u32,
    },
}

/// What a container reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// The network beyond this machine.
    #[default]
    Pasta,
    /// Nothing.
    None,
    /// Whatever this machine reaches.
    Host,
    /// What the container with this id reaches.
    Container(String),
    /// What is on the networks of the user's own that are named beside it; without any, nothing.
    Own,
}

/// Another container that is found by a name: docker's `--link`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The other's id.
    pub container: String,
    /// Its name, as it was when the link was made.
    pub name: String,
    /// By which name it is found.
    pub alias: String,
}
