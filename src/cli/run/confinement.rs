//! What a container may do, and what it shares with this machine or with other containers.

use clap::Args;
use enter::container::record::{Namespace, UserNamespace};

use super::values;

/// Privileges and namespaces.
#[derive(Debug, Args)]
pub struct ConfinementArgs {
    /// Give the container everything that you could give it: all capabilities within its own user namespace, all system calls, your devices
    ///
    /// That is never more than you may do yourself.
    #[arg(long)]
    pub privileged: bool,

    /// Give its programs a capability, as capabilities(7) names it, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,

    /// Take a capability from its programs, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,

    /// no-new-privileges, seccomp=unconfined, seccomp=FILE, mask=PATH, unmask=PATH, unmask=ALL, systempaths=unconfined,
    /// label=disable, apparmor=unconfined
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,

    /// Set a kernel parameter of the container's namespaces: net.*, kernel.shm*, kernel.msg*, kernel.sem, fs.mqueue.*
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::sysctl)]
    pub sysctl: Vec<(String, String)>,

    /// Which processes it sees: private (its own), host, container:NAME
    #[arg(long, value_name = "NAMESPACE", value_parser = values::namespace)]
    pub pid: Option<Namespace>,

    /// Whose shared memory and queues it uses: private, shareable, none, host, container:NAME
    #[arg(long, value_name = "NAMESPACE", value_parser = values::ipc)]
    pub ipc: Option<values::Ipc>,

    /// Whose host name it has: private, host
    #[arg(long, value_name = "NAMESPACE", value_parser = values::uts)]
    pub uts: Option<Namespace>,

    /// Who you are inside: host (root, as without it), keep-id[:uid=N,gid=N] (yourself), nomap (nobody), auto[:size=N] (nobody, with ids that no
    /// other container has)
    #[arg(long, value_name = "MODE", value_parser = values::user_namespace)]
    pub userns: Option<UserNamespace>,
}
