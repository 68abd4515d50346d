//! What is asked for: everything that the command line and the settings say about one container.

use std::ffi::OsString;
use std::path::PathBuf;

use cowfs::tree::Image;

use super::run::Networks;
use crate::container::record::{Home, Shares, Storage};

/// What the root is made from.
#[derive(Debug)]
pub enum Source<'a> {
    /// An image of the store.
    Image {
        /// What the user calls it.
        name: String,
        /// Its files.
        files: &'a Image,
        /// The merged tree of its layers.
        tree: PathBuf,
        /// Its layers' tars, the lowest first.
        tars: Vec<PathBuf>,
        /// The environment that it asks for, as `NAME=VALUE`.
        environment: Vec<String>,
    },
    /// This machine.
    Host,
}

/// What a container is to reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The network beyond this machine.
    Outside,
    /// Nothing.
    Nothing,
    /// Whatever this machine reaches.
    Host,
}

/// A file or directory of this machine, to be shown in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Absolute, on this machine.
    pub source: PathBuf,
    /// Absolute, in the container.
    pub target: PathBuf,
    /// Only to be read.
    pub read_only: bool,
}

/// One container, as it was asked for.
#[derive(Debug)]
pub struct Request<'a> {
    /// What the root is made from.
    pub source: Source<'a>,
    /// `USER[:GROUP]`; `None`: the caller.
    pub user: Option<String>,
    /// The command; empty for a shell.
    pub command: Vec<OsString>,
    /// Variables, in the order in which later ones win.
    pub environment: Vec<(OsString, OsString)>,
    /// What there is of the caller's home.
    pub home: Home,
    /// What is shown of it although it is not: an absolute path.
    pub project: Option<PathBuf>,
    /// What else is shown.
    pub volumes: Vec<Volume>,
    /// What is shared of this machine beside the home.
    pub shares: Shares,
    /// Where to begin; `None` where the caller is.
    pub directory: Option<PathBuf>,
    /// How its changes are kept.
    pub storage: Storage,
    /// A shell and tools are brought along.
    pub tools: bool,
    /// What it reaches.
    pub reach: Reach,
    /// What it has on networks of the user's own, if it is on any: then nothing else is reached.
    pub networks: Option<Networks>,
    /// What of it is reachable from outside.
    pub ports: Vec<plan::Port>,
    /// What pasta is asked for, where that is what it reaches the network by.
    pub pasta: passt::Options,
    /// `NAME:ADDRESS` for its hosts file; the address `host-gateway` lets it reach this machine's own servers.
    pub hosts: Vec<String>,
    /// The host name inside; `None`: after the image.
    pub hostname: Option<String>,
    /// Which standard streams are terminals.
    pub terminals: [bool; 3],
    /// The size of the terminal, if there is one.
    pub size: Option<plan::Rows>,
}

impl Request<'_> {
    /// Whether it is to have a terminal of its own: where the caller has one for both ways.
    pub fn has_terminal(&self) -> bool {
        self.terminals[0] && self.terminals[1] && self.size.is_some()
    }
}
