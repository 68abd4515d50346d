//! What of this machine a shell or a box shares beside its home and its network: each thing has a name, and can be switched.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

macro_rules! shares {
    ($($(#[doc = $doc:literal])+ $share:ident, $name:literal, $default:literal, [$($alias:literal),*], $words:literal;)+) => {
        /// One thing of this machine that can be shared.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Share {
            $($(#[doc = $doc])+ $share,)+
        }

        impl Share {
            /// All, in the order in which they are told.
            pub const ALL: &[Self] = &[$(Self::$share),+];

            /// Its name on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$share => $name),+ }
            }

            /// Whether it is shared where nobody says otherwise.
            #[must_use]
            pub fn is_default(self) -> bool {
                match self { $(Self::$share => $default),+ }
            }

            /// What it is, in a few words.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Self::$share => $words),+ }
            }

            /// Other names that people know it by.
            fn aliases(self) -> &'static [&'static str] {
                match self { $(Self::$share => &[$($alias),*]),+ }
            }
        }
    };
}

shares! {
    /// The Wayland compositor's socket.
    Wayland, "wayland", true, [], "windows on the Wayland compositor";
    /// The X server's socket, with a cookie for it.
    X11, "x11", true, ["x", "xorg"], "windows on the X server";
    /// The sockets of PipeWire and PulseAudio.
    Audio, "audio", true, ["pipewire", "pulseaudio", "pulse", "sound"], "sound by PipeWire and PulseAudio";
    /// The session's message bus.
    Dbus, "dbus", true, ["d-bus", "session-bus"], "the session's D-Bus: notifications, secrets, portals";
    /// The agent that holds ssh keys.
    SshAgent, "ssh-agent", true, ["ssh"], "the keys in ssh-agent";
}

impl Share {
    /// The share of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|share| share.name() == name || share.aliases().contains(&name))
    }

    /// All names, for those who typed another.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        Self::ALL.iter().map(|share| share.name()).collect()
    }
}

/// One word of `--share` or `--unshare`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switched {
    /// Each thing that has no word of its own.
    All,
    /// This one.
    #[serde(untagged)]
    One(Share),
}

impl Switched {
    /// Reads a name, or `all`.
    ///
    /// # Errors
    /// All that could stand there.
    pub fn parse(word: &str) -> Result<Self, String> {
        if word == "all" {
            return Ok(Self::All);
        }
        Share::named(word)
            .map(Self::One)
            .ok_or_else(|| format!("expected all, none, or of: {}", Share::names().join(", ")))
    }

    /// The word that is read as this.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::One(share) => share.name(),
        }
    }
}

/// What was said about sharing. The order in which it was said does not matter: a thing's own name counts more than `all`, and to keep
/// something back counts more than to share it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shares {
    /// What is to be shared.
    pub on: BTreeSet<Switched>,
    /// What is not.
    pub off: BTreeSet<Switched>,
}

impl Shares {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.on.is_empty() && self.off.is_empty()
    }

    /// Everything that was said.
    pub fn words(&self) -> impl Iterator<Item = Switched> {
        self.on.union(&self.off).copied()
    }

    /// Forgets what is not to stay.
    pub fn retain(&mut self, mut stays: impl FnMut(Switched) -> bool) {
        self.on.retain(|word| stays(*word));
        self.off.retain(|word| stays(*word));
    }

    /// What was said of a thing; `None` where nothing was.
    #[must_use]
    pub fn said(&self, share: Share) -> Option<bool> {
        [Switched::One(share), Switched::All].into_iter().find_map(|word| {
            let said = (self.off.contains(&word), self.on.contains(&word));
            (said != (false, false)).then_some(!said.0)
        })
    }

    /// Whether a thing is shared.
    #[must_use]
    pub fn has(&self, share: Share) -> bool {
        self.said(share).unwrap_or_else(|| share.is_default())
    }

    /// Whether it was asked for by its own name, so that its absence is to be told.
    #[must_use]
    pub fn names(&self, share: Share) -> bool {
        self.has(share) && self.on.contains(&Switched::One(share))
    }

    /// These, with what was said `later`, which counts more.
    #[must_use]
    pub fn with(mut self, later: &Self) -> Self {
        if later.on.contains(&Switched::All) || later.off.contains(&Switched::All) {
            self = Self::default();
        }
        self.on.retain(|word| !later.off.contains(word));
        self.off.retain(|word| !later.on.contains(word));
        self.on.extend(&later.on);
        self.off.extend(&later.off);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(on: &[&str], off: &[&str]) -> Shares {
        let words = |words: &[&str]| words.iter().map(|word| Switched::parse(word).unwrap()).collect();
        Shares { on: words(on), off: words(off) }
    }

    #[test]
    fn each_name_and_alias_means_one_thing() {
        let mut all: Vec<&str> = Share::names();
        all.extend(Share::ALL.iter().flat_map(|share| share.aliases()));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for share in Share::ALL {
            assert_eq!(Share::named(share.name()), Some(*share));
            // As it is kept in records.
            assert_eq!(serde_json::to_string(share).unwrap(), format!("\"{}\"", share.name()));
        }
    }

    #[test]
    fn a_name_counts_more_than_all_and_no_more_than_yes() {
        let only_ssh = shares(&["ssh"], &["all"]);
        assert!(only_ssh.has(Share::SshAgent) && !only_ssh.has(Share::Wayland));
        let all_but = shares(&["all"], &["x11"]);
        assert!(!all_but.has(Share::X11) && all_but.has(Share::Dbus));
        assert!(!shares(&["x11"], &["x11"]).has(Share::X11));
        assert!(shares(&["x11"], &[]).names(Share::X11) && !shares(&["all"], &[]).names(Share::X11));
    }

    #[test]
    fn what_is_said_later_replaces_what_was_said_before() {
        let before = shares(&["x11"], &["ssh-agent", "wayland"]);
        let now = before.clone().with(&shares(&["wayland"], &["x11"]));
        assert!(!now.has(Share::X11) && now.has(Share::Wayland) && !now.has(Share::SshAgent));
        assert!(!before.with(&shares(&[], &["all"])).has(Share::X11));
    }

    #[test]
    fn records_keep_them() {
        let all = shares(&["all", "audio"], &["x11"]);
        let text = serde_json::to_string(&all).unwrap();
        assert_eq!(text, r#"{"on":["all","audio"],"off":["x11"]}"#);
        assert_eq!(serde_json::from_str::<Shares>(&text).unwrap(), all);
        assert_eq!(serde_json::from_str::<Shares>("{}").unwrap(), Shares::default());
    }
}
