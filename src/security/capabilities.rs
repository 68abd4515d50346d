//! Sets of capabilities, by the names of capabilities(7).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The names without `CAP_`, at the index that linux/capability.h gives them (Linux 5.9; none came since).
const NAMES: [&str; 41] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities: bit N is the one numbered N.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities(u64);

/// One capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability(u8);

macro_rules! known {
    ($($name:ident = $index:literal),* $(,)?) => {
        impl Capability {
            $(#[doc = concat!("`CAP_", stringify!($name), "`")] pub const $name: Capability = Capability($index);)*
        }
    };
}

known! {
    CHOWN = 0, DAC_OVERRIDE = 1, DAC_READ_SEARCH = 2, FOWNER = 3, FSETID = 4, KILL = 5, SETGID = 6, SETUID = 7,
    SETPCAP = 8, NET_BIND_SERVICE = 10, NET_ADMIN = 12, NET_RAW = 13, SYS_MODULE = 16, SYS_RAWIO = 17, SYS_CHROOT = 18, SYS_PTRACE = 19, SYS_PACCT = 20,
    SYS_ADMIN = 21, SYS_BOOT = 22, SYS_NICE = 23, SYS_TIME = 25, SYS_TTY_CONFIG = 26, SETFCAP = 31, SYSLOG = 34,
    PERFMON = 38, BPF = 39,
}

impl Capabilities {
    /// None at all.
    pub const NONE: Capabilities = Capabilities(0);

    /// What an ordinary container has within its own user namespace: podman's eleven.
    pub const ORDINARY: Capabilities = Capabilities::of(&[
        Capability::CHOWN,
        Capability::DAC_OVERRIDE,
        Capability::FOWNER,
        Capability::FSETID,
        Capability::KILL,
        Capability::NET_BIND_SERVICE,
        Capability::SETFCAP,
        Capability::SETGID,
        Capability::SETPCAP,
        Capability::SETUID,
        Capability::SYS_CHROOT,
    ]);

    /// Every capability there is.
    pub const ALL: Capabilities = Capabilities((1 << NAMES.len()) - 1);

    /// The set of these.
    pub const fn of(members: &[Capability]) -> Capabilities {
        let mut bits = 0;
        let mut index = 0;
        while index < members.len() {
            bits |= 1 << members[index].0;
            index += 1;
        }
        Capabilities(bits)
    }

    /// Whether `capability` is in the set.
    pub fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability.0) != 0
    }

    /// The set with `other` added.
    pub fn with(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 | other.0)
    }

    /// The set without what is in `other`.
    pub fn without(self, other: Capabilities) -> Capabilities {
        Capabilities(self.0 & !other.0)
    }

    /// The set as the kernel has it.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// A name that is no capability's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown capability {0:?}")]
pub struct UnknownCapability(String);

impl UnknownCapability {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        Some("the names are those of capabilities(7), with or without CAP_, or ALL".into())
    }
}

/// One capability by its name, with or without `CAP_`, in any case; or `ALL`.
impl FromStr for Capabilities {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Capabilities, UnknownCapability> {
        let upper = text.to_ascii_uppercase();
        if upper == "ALL" {
            return Ok(Capabilities::ALL);
        }
        let name = upper.strip_prefix("CAP_").unwrap_or(&upper);
        let index = NAMES.iter().position(|known| *known == name).ok_or_else(|| UnknownCapability(text.to_owned()))?;
        Ok(Capabilities(1 << index))
    }
}

/// The names, as capabilities(7) writes them.
impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (index, name) in NAMES.iter().enumerate().filter(|(index, _)| self.0 & (1 << index) != 0) {
            let _ = index;
            write!(f, "{separator}CAP_{name}")?;
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Capabilities, Capability, NAMES};

    #[test]
    fn the_constants_stand_at_the_index_of_their_names() {
        for (capability, name) in [
            (Capability::CHOWN, "CHOWN"),
            (Capability::SETPCAP, "SETPCAP"),
            (Capability::NET_BIND_SERVICE, "NET_BIND_SERVICE"),
            (Capability::SYS_MODULE, "SYS_MODULE"),
            (Capability::SYS_CHROOT, "SYS_CHROOT"),
            (Capability::SYS_ADMIN, "SYS_ADMIN"),
            (Capability::SYS_TTY_CONFIG, "SYS_TTY_CONFIG"),
            (Capability::SETFCAP, "SETFCAP"),
            (Capability::SYSLOG, "SYSLOG"),
            (Capability::PERFMON, "PERFMON"),
            (Capability::BPF, "BPF"),
        ] {
            assert_eq!(NAMES[usize::from(capability.0)], name);
        }
        assert_eq!(Capabilities::ALL.bits(), 0x1ff_ffff_ffff);
    }

    #[test]
    fn every_name_is_read_back_with_and_without_its_prefix() {
        for name in NAMES {
            let set: Capabilities = name.parse().unwrap();
            assert_eq!(set.to_string(), format!("CAP_{name}"));
            assert_eq!(set.to_string().to_lowercase().parse(), Ok(set));
        }
        assert_eq!("all".parse(), Ok(Capabilities::ALL));
        assert!("CAP_".parse::<Capabilities>().is_err() && "".parse::<Capabilities>().is_err());
    }

    #[test]
    fn the_ordinary_set_is_podmans() {
        assert_eq!(
            Capabilities::ORDINARY.to_string(),
            "CAP_CHOWN,CAP_DAC_OVERRIDE,CAP_FOWNER,CAP_FSETID,CAP_KILL,CAP_SETGID,CAP_SETUID,CAP_SETPCAP,\
             CAP_NET_BIND_SERVICE,CAP_SYS_CHROOT,CAP_SETFCAP"
        );
    }

    #[test]
    fn sets_are_added_and_taken_away() {
        let admin = Capabilities::of(&[Capability::SYS_ADMIN]);
        let more = Capabilities::ORDINARY.with(admin);
        assert!(more.has(Capability::SYS_ADMIN) && !more.without(admin).has(Capability::SYS_ADMIN));
        assert_eq!(more.without(Capabilities::ALL), Capabilities::NONE);
    }
}
