//! What can go wrong with a container's network, and what the user can do about it.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use distro::{Family, packages};

/// A failure to give a container its network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host's own tables could not be read.
    #[error("cannot read the host's addresses and routes")]
    HostNetwork {
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A file of the host's resolver could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// `/dev/net/tun` could not be opened.
    #[error("cannot open /dev/net/tun")]
    TunDevice {
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// A step of setting up the interface failed.
    #[error("cannot {step} the network interface {interface}")]
    Interface {
        /// What was done.
        step: &'static str,
        /// To which interface.
        interface: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// An address or a route was refused.
    #[error("cannot give the network interface {interface} the {what} {address}")]
    Address {
        /// `address` or `default route through`.
        what: &'static str,
        /// The address.
        address: IpAddr,
        /// The interface.
        interface: String,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
    /// A setting under /proc/sys/net was refused.
    #[error("cannot set {name} in the container's network namespace")]
    Setting {
        /// Its name, as sysctl(8) writes it.
        name: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// pasta is not installed.
    #[error("cannot find the program pasta, which connects containers to the network")]
    Missing,
    /// What was asked of the interface cannot be had on this machine.
    #[error("cannot give the container the network that was asked for: {0}")]
    Unfit(String),
    /// An option that the installed pasta is too old for.
    #[error("{} does not know --{option}", path.display())]
    TooOld {
        /// The option, without dashes.
        option: &'static str,
        /// The first release that knows it.
        since: &'static str,
        /// The pasta that is installed.
        path: PathBuf,
        /// What it says of itself.
        version: Option<String>,
    },
    /// pasta could not be started.
    #[error("cannot {step} {}", path.display())]
    Start {
        /// What was done.
        step: &'static str,
        /// The program, or the namespace.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// pasta was started and ended by itself.
    #[error("pasta ended ({status}): {message}")]
    Died {
        /// How.
        status: String,
        /// The last of what it wrote to stderr.
        message: String,
    },
}

impl Error {
    /// What the user can do, where there is something.
    pub fn hint(&self) -> Option<String> {
        match self {
            Error::Missing => {
                Some(format!("{}; or go without network: --network none", Family::here().install(&packages::PASTA)))
            }
            Error::TunDevice { source } => Some(match source.kind() {
                io::ErrorKind::PermissionDenied => "sudo chmod 0666 /dev/net/tun".into(),
                _ => "sudo modprobe tun; or go without network: --network none".into(),
            }),
            Error::Died { .. } => {
                Some("go without network: --network none; `enter doctor` tries pasta by itself".into())
            }
            Error::TooOld { since, version, .. } => {
                let this = version.as_ref().map(|version| format!("; this one says `{version}`")).unwrap_or_default();
                Some(format!("install passt of {since} or newer, or leave the option away{this}"))
            }
            _ => None,
        }
    }
}
