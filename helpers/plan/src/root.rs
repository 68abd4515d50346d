//! The root filesystem: what it reads from, and where writing goes.

use serde::{Deserialize, Serialize};

use crate::Text;

/// The root filesystem of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Root {
    /// What is there to be read.
    pub lower: Lower,
    /// Where changes go.
    pub writable: Writable,
    /// The payload cannot change it; what is mounted on it, it can.
    #[serde(default)]
    pub read_only: bool,
}

/// What a container's root is made from; never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Lower {
    /// The layers of an image.
    Image {
        /// The merged tree of all layers.
        tree: Text,
        /// The layers' uncompressed tars, the lowest first.
        layers: Vec<Text>,
    },
    /// A directory of the host.
    Host {
        /// The directory.
        directory: Text,
        /// Paths below it that are not shown, such as the store itself.
        hidden: Vec<Text>,
    },
}

/// A home that is not the host's as it is. It lies in the folder `home` of the container's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Home {
    /// A directory of the host, with what is written there set aside: mounted at `home/root` by cowfs, for a step to show.
    Aside {
        /// The directory.
        directory: Text,
        /// Paths below it that are not shown, such as the store itself.
        hidden: Vec<Text>,
    },
    /// One of the container's own, at `home/own`.
    Own,
}

/// Where changes to the root go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Writable {
    /// The kernel's overlayfs, with its upper side in the container's folder.
    Overlay {
        /// Nothing is synced: for what is thrown away at the end (`volatile`, Linux 5.10).
        volatile: bool,
    },
    /// cowfs, which is the root itself then, with its upper side in the container's folder.
    Fuse {
        /// What is synced.
        durability: Durability,
        /// The kernel collects small writes before it passes them on.
        writeback: bool,
    },
}

/// What is synced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Whatever is copied up, before it takes the place of the original; and what a program asks for.
    Durable,
    /// Nothing: for what is thrown away at the end.
    Volatile,
}
