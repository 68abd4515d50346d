//! What a box or a shell has of the user's home.

use serde::{Deserialize, Serialize};

/// The ways to have a home.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Home {
    /// The user's own, as it is.
    #[default]
    Share,
    /// The user's own to be seen; what is written there is set aside in the container's folder.
    Cow,
    /// One of the container's own, which begins as the image's /etc/skel.
    Own,
    /// An empty one in memory.
    None,
}

impl Home {
    /// The word for it on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Share => "share",
            Self::Cow => "cow",
            Self::Own => "own",
            Self::None => "none",
        }
    }
}
