//! Which Linux distribution this machine runs, as far as that decides the command a user types to mend something.
//!
//! Owns os-release(5) and the table of package names. It runs no command and prints nothing; the error types of the
//! other crates call it for their hints, and `enter doctor` for its mends.
//!
//! ```
//! use distro::{Family, packages};
//! let family = Family::parse(b"ID=ubuntu\nID_LIKE=debian\n");
//! assert_eq!(family, Family::Debian);
//! assert_eq!(family.install(&packages::PASTA), "sudo apt-get install -y passt");
//! ```

use std::fmt;

/// A family of distributions that share a package manager and package names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Debian, Ubuntu and what is made from them: apt.
    Debian,
    /// Fedora, RHEL and its rebuilds: dnf.
    Fedora,
    /// Arch Linux and what is made from it: pacman.
    Arch,
    /// openSUSE and SLE: zypper.
    Suse,
    /// Alpine and postmarketOS: apk.
    Alpine,
    /// Anything else.
    Unknown,
}

/// What a package is called on each family, with the name by which it is known where the family is unknown.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// The name of the program that is wanted from it.
    pub program: &'static str,
    debian: &'static str,
    fedora: &'static str,
    arch: &'static str,
    suse: &'static str,
    alpine: &'static str,
}

/// The packages whose lack enter can meet.
pub mod packages {
    use super::Package;

    /// A `busybox` that needs no other file.
    pub const BUSYBOX: Package = Package {
        program: "busybox",
        debian: "busybox-static",
        fedora: "busybox",
        arch: "busybox",
        suse: "busybox-static",
        alpine: "busybox-static",
    };
    /// `newuidmap` and `newgidmap`.
    pub const NEWUIDMAP: Package = Package {
        program: "newuidmap",
        debian: "uidmap",
        fedora: "shadow-utils",
        arch: "shadow",
        suse: "shadow",
        alpine: "shadow-uidmap",
    };
    /// `getsubids`, which asks whatever nsswitch.conf names for subordinate ids.
    pub const GETSUBIDS: Package = Package {
        program: "getsubids",
        debian: "uidmap",
        fedora: "shadow-utils-subid",
        arch: "shadow",
        suse: "shadow",
        alpine: "shadow-subids",
    };
    /// `pasta`.
    pub const PASTA: Package =
        Package { program: "pasta", debian: "passt", fedora: "passt", arch: "passt", suse: "passt", alpine: "passt" };
    /// `usermod`, for subordinate ids.
    pub const USERMOD: Package = Package {
        program: "usermod",
        debian: "passwd",
        fedora: "shadow-utils",
        arch: "shadow",
        suse: "shadow",
        alpine: "shadow",
    };
}

impl Family {
    /// The family of this machine, from `/etc/os-release` or `/usr/lib/os-release` (os-release(5)).
    /// A file that cannot be read gives [`Family::Unknown`]: this only ever words a hint.
    pub fn here() -> Family {
        std::fs::read("/etc/os-release")
            .or_else(|_| std::fs::read("/usr/lib/os-release"))
            .map_or(Family::Unknown, |text| Family::parse(&text))
    }

    /// The family that an os-release file names, by `ID` first and then by each word of `ID_LIKE`.
    pub fn parse(os_release: &[u8]) -> Family {
        let text = String::from_utf8_lossy(os_release);
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.trim().split_once('='))
                .filter(|(name, _)| *name == key)
                .map(|(_, value)| value.trim_matches(['"', '\'']).to_ascii_lowercase())
                .next_back()
        };
        let words = [value("ID"), value("ID_LIKE")];
        words
            .iter()
            .flatten()
            .flat_map(|words| words.split_ascii_whitespace())
            .map(Family::from_word)
            .find(|family| *family != Family::Unknown)
            .unwrap_or(Family::Unknown)
    }

    fn from_word(word: &str) -> Family {
        match word {
            "debian" | "ubuntu" | "raspbian" | "linuxmint" | "pop" | "kali" => Family::Debian,
            "fedora" | "rhel" | "centos" | "rocky" | "almalinux" | "ol" | "amzn" => Family::Fedora,
            "arch" | "archlinux" | "manjaro" | "endeavouros" => Family::Arch,
            "alpine" | "postmarketos" => Family::Alpine,
            "suse" | "sles" | "sled" | "sle-micro" => Family::Suse,
            word if word.starts_with("opensuse") => Family::Suse,
            _ => Family::Unknown,
        }
    }

    /// The name of `package` here; where the family is unknown, the name that most use.
    pub fn name_of(self, package: &Package) -> &'static str {
        match self {
            Family::Debian => package.debian,
            Family::Fedora => package.fedora,
            Family::Arch => package.arch,
            Family::Suse => package.suse,
            Family::Alpine => package.alpine,
            Family::Unknown => package.program,
        }
    }

    /// What a user does to install `package`: one command, or a sentence where the package manager is not known.
    pub fn install(self, package: &Package) -> String {
        let name = self.name_of(package);
        match self {
            Family::Debian => format!("sudo apt-get install -y {name}"),
            Family::Fedora => format!("sudo dnf install -y {name}"),
            Family::Arch => format!("sudo pacman -S --noconfirm {name}"),
            Family::Suse => format!("sudo zypper install -y {name}"),
            Family::Alpine => format!("sudo apk add {name}"),
            Family::Unknown => format!("install the package that contains `{}`", package.program),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Debian => "Debian family",
            Family::Fedora => "Fedora family",
            Family::Arch => "Arch family",
            Family::Suse => "SUSE family",
            Family::Alpine => "Alpine family",
            Family::Unknown => "unknown distribution",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Family, packages};

    #[test]
    fn the_id_decides_before_id_like() {
        assert_eq!(Family::parse(b"ID=alpine\nID_LIKE=debian"), Family::Alpine);
        assert_eq!(Family::parse(b"ID_LIKE='rhel fedora'\nID=\"rocky\""), Family::Fedora);
    }

    #[test]
    fn an_unknown_id_falls_back_on_the_first_known_word_of_id_like() {
        assert_eq!(Family::parse(b"ID=neon\nID_LIKE=\"ubuntu debian\""), Family::Debian);
        assert_eq!(Family::parse(b"ID=\"opensuse-tumbleweed\""), Family::Suse);
        assert_eq!(Family::parse(b"ID=garuda\nID_LIKE=\"thing arch\""), Family::Arch);
    }

    #[test]
    fn what_is_not_known_or_not_text_is_unknown() {
        assert_eq!(Family::parse(b""), Family::Unknown);
        assert_eq!(Family::parse(b"ID=\xff\xfe\nNAME"), Family::Unknown);
        assert_eq!(Family::parse(b"VERSION_ID=debian"), Family::Unknown);
    }

    #[test]
    fn each_family_installs_by_its_own_name() {
        assert_eq!(Family::Fedora.install(&packages::NEWUIDMAP), "sudo dnf install -y shadow-utils");
        assert_eq!(Family::Unknown.install(&packages::PASTA), "install the package that contains `pasta`");
    }
}
