//! What a container is made of, as pure data: made by the CLI, walked by the monitor, the filesystem server and init.
//!
//! A plan holds every decision and no default: whoever executes it looks nothing up and chooses nothing. It is
//! written as JSON, so that it can be shown (`--dry-run`), kept beside the container, and tested without privileges.

pub mod outward;
pub mod report;

mod cgroup;
mod filter;
mod namespaces;
mod port;
mod process;
mod root;
mod step;
mod text;

pub use cgroup::{Cgroup, CgroupParent, DeviceLimit, Limits, Most};
pub use filter::Filter;
pub use namespaces::{Namespace, Namespaces, Processes};
pub use port::{Port, Protocol};
pub use process::{Limit, Pretend, Process, Rows, Stream};
pub use root::{Durability, Home, Lower, Root, Writable};
pub use step::{Copied, Entry, Filesystem, Restrictions, Shown, Step};
pub use text::{Content, Text};

use serde::{Deserialize, Serialize};

/// The version of [`Plan`]'s form: a plan of another version is not executed.
pub const VERSION: u32 = 1;

/// Everything that it takes to run one container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// [`VERSION`].
    pub version: u32,
    /// What the monitor knows the container by.
    pub container: Container,
    /// The two user namespaces.
    pub users: Users,
    /// The root filesystem.
    pub root: Root,
    /// Other images whose files are shown in it.
    #[serde(default)]
    pub images: Vec<Lower>,
    /// What of the user's home has a place of its own in the container's folder.
    #[serde(default)]
    pub home: Option<Home>,
    /// The way to the network.
    pub network: Network,
    /// What of it is reachable from outside.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// The other namespaces.
    #[serde(default)]
    pub namespaces: Namespaces,
    /// The UTS host name; not set where that namespace is not the container's own.
    pub hostname: String,
    /// The NIS domain name, if it is to have one.
    #[serde(default)]
    pub domainname: String,
    /// Kernel parameters of its namespaces, as sysctl(8) names them: `net.ipv4.ip_forward`.
    #[serde(default)]
    pub sysctls: Vec<(String, String)>,
    /// A control group of its own.
    #[serde(default)]
    pub cgroup: Option<Cgroup>,
    /// What init mounts, writes and hides in the root, in this order.
    pub steps: Vec<Step>,
    /// What is run in it.
    pub process: Process,
}

/// What the monitor knows a container by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Container {
    /// 64 hex digits.
    pub id: String,
    /// What the user calls the image that it was made from; `host` for the machine's own root.
    pub image: String,
    /// The container's own folder: its lock, its upper side and its mount points.
    pub folder: Text,
    /// The folder is removed when the container ends.
    pub throwaway: bool,
    /// Unless it was changed: then, where that is no more than so many bytes, the folder is set aside.
    #[serde(default)]
    pub restorable: u64,
    /// Volumes, by name, that are removed with it where nobody else uses them.
    #[serde(default)]
    pub volumes: Vec<String>,
}

/// The mappings of the two user namespaces.
///
/// The outer one owns the mounts and all other namespaces; its id 0 is the user. The payload runs in the inner one, a child
/// of the outer, and so can undo none of the mounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Users {
    /// From the outer namespace's ids to the host's.
    pub outer: uidmap::Maps,
    /// From the container's ids to the outer namespace's.
    pub inner: uidmap::Maps,
    /// What the payload has power over.
    #[serde(default)]
    pub power: Power,
    /// The container's network namespace belongs to the inner user namespace: what the payload's capabilities say of networks holds there.
    /// Only for a network namespace of its own, and a payload that has not power over all.
    #[serde(default)]
    pub owns_network: bool,
}

/// What the payload has power over, as far as its capabilities go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// What it makes itself: it runs in the inner user namespace.
    #[default]
    Nothing,
    /// A mount namespace of its own, and host names: it can mount, but can take away nothing that was mounted for it.
    Mounts,
    /// All namespaces of the container: it runs in the outer user namespace, whose ids are then its own.
    All,
}

impl Users {
    /// The outer namespace's id for a user id of the container; the user's own where only one id is mapped.
    #[must_use]
    pub fn outer_uid(&self, uid: u32) -> u32 {
        self.inner.uids.to_outside(uid).unwrap_or(0)
    }

    /// The outer namespace's id for a group id of the container; the user's own where only one id is mapped.
    #[must_use]
    pub fn outer_gid(&self, gid: u32) -> u32 {
        self.inner.gids.to_outside(gid).unwrap_or(0)
    }
}

/// The way to the network.
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Network {
    /// A network namespace with a loopback interface and nothing else.
    None,
    /// The host's own network namespace.
    Host,
    /// A network namespace with one interface, served by pasta.
    Pasta(passt::Interface),
    /// A network namespace with an interface on each of these networks of the user's own, which the network holder makes.
    Own(Vec<Joined>),
    /// The network namespace of the container with this id.
    Container(String),
}

/// An interface on a network of the user's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joined {
    /// The network's name.
    pub network: String,
    /// What the interface is called in the container.
    pub interface: String,
    /// Its hardware address.
    pub mac: String,
    /// Its addresses, each with the network's own.
    pub addresses: Vec<passt::Address>,
}

impl Plan {
    /// How many of the steps show something of the host, for each of which init is handed a mount.
    #[must_use]
    pub fn binds(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Bind { .. } | Step::Offer { .. })).count()
    }

    /// The plan as JSON, for people to read.
    ///
    /// # Errors
    /// None that a plan can cause: every key is a string.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// Where the text is not a plan, or one of another version.
    pub fn from_json(text: &[u8]) -> serde_json::Result<Self> {
        let plan: Self = serde_json::from_slice(text)?;
        if plan.version != VERSION {
            return Err(serde::de::Error::custom(format!("a plan of version {}, not {VERSION}", plan.version)));
        }
        Ok(plan)
    }
}
