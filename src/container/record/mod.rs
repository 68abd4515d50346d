//! What is kept of a container on disk: what it was made as ([`Record`], `container.json`) and how it is ([`State`], `state.json`).
//!
//! The record is written by whoever creates, renames or updates the container; the state by its monitor while it lives, and by
//! nobody else. Both are replaced as a whole.

mod file;
mod home;
mod mount;
mod outward;
mod resources;
mod share;
mod spec;
mod state;

pub use crate::network::publish::Port;
pub use home::Home;
pub use mount::{Kind, Looks, Mount};
pub use outward::Outward;
pub use resources::{DeviceRate, Rate, Resources};
pub use share::{Share, Shares, Switched};
pub use spec::{
    Boxed, Device, Hardening, Health, HealthAction, ImageUse, Link, LogConfig, LogDriver, Namespace, NetworkMode,
    Restart, Rlimit, Spec, Storage, UserNamespace,
};
pub use state::{Checked, HealthLog, HealthStatus, State, Status};

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Error;

/// The version of the forms of [`Record`] and [`State`].
pub const VERSION: u32 = 1;

/// What a container was made as.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// [`VERSION`].
    pub version: u32,
    /// 64 hex digits.
    pub id: String,
    /// Unique among the user's containers.
    pub name: String,
    /// When it was made.
    pub created: Timestamp,
    /// What was asked for.
    pub spec: Spec,
}

impl Record {
    /// Reads the record in a container's folder; `None` where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or is of another version.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        file::read(&folder.join(super::folder::name::RECORD))
    }

    /// Replaces the record in a container's folder.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        // What is thrown away need not survive a power cut.
        let durable = !self.spec.remove && !self.spec.shell;
        file::write(&folder.join(super::folder::name::RECORD), self, durable)
    }
}

impl State {
    /// Reads the state in a container's folder; `None` where there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or is of another version.
    pub fn read(folder: &Path) -> Result<Option<Self>, Error> {
        file::read(&folder.join(super::folder::name::STATE))
    }

    /// Replaces the state in a container's folder.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        file::write(&folder.join(super::folder::name::STATE), self, true)
    }

    /// Replaces the state of a container that is removed when it ends, and so need not survive a power cut.
    ///
    /// # Errors
    /// What the filesystem says.
    pub fn write_passing(&self, folder: &Path) -> Result<(), Error> {
        file::write(&folder.join(super::folder::name::STATE), self, false)
    }
}
