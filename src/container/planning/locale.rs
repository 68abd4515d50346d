//! Language, terminal and time zone, as far as the root to be entered knows the caller's.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::view::View;

/// The caller's locale variable if the root has that locale, else `C.UTF-8`, which every root has.
pub fn locale(view: &dyn View, value: &OsStr) -> OsString {
    if has_locale(view, value.as_bytes()) { value.to_owned() } else { "C.UTF-8".into() }
}

fn has_locale(view: &dyn View, name: &[u8]) -> bool {
    const ARCHIVE: &str = "/usr/lib/locale/locale-archive";
    const DIRECTORY: &str = "/usr/lib/locale";
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let normal = normalized(name);
    if name.contains('/') || matches!(normal.as_str(), "" | "C" | "POSIX" | "C.utf8") {
        return !name.contains('/');
    }
    if !view.exists(Path::new(DIRECTORY)) && view.exists(Path::new("/lib/ld-musl-x86_64.so.1")) {
        // musl has no locale files, and takes any name (musl's own manual, "Locale").
        return true;
    }
    view.exists(&Path::new(DIRECTORY).join(&normal))
        || view.read(Path::new(ARCHIVE), 1 << 20).is_some_and(|archive| archive_names(&archive, &normal))
}

/// `en_US.UTF-8` as glibc writes it on disk: `en_US.utf8`.
fn normalized(name: &str) -> String {
    let (language, modifier) = name.split_once('@').map_or((name, None), |(left, right)| (left, Some(right)));
    let mut normal = match language.split_once('.') {
        Some((language, codeset)) => {
            let codeset: String =
                codeset.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_lowercase()).collect();
            format!("{language}.{codeset}")
        }
        None => language.to_owned(),
    };
    if let Some(modifier) = modifier {
        normal = format!("{normal}@{modifier}");
    }
    normal
}

/// Whether the head of a locale archive names a locale: the names stand one after another, each ended by NUL, in the
/// region that the archive's head gives by offset and used bytes (struct locarhead in glibc's locarchive.h).
fn archive_names(archive: &[u8], name: &str) -> bool {
    const MAGIC: u32 = 0xde02_0109;
    let word = |index: usize| {
        let bytes = archive.get(index * 4..index * 4 + 4)?;
        Some(u32::from_ne_bytes(bytes.try_into().ok()?))
    };
    let names = || {
        let (offset, used) = (word(5)? as usize, word(6)? as usize);
        (word(0)? == MAGIC).then(|| archive.get(offset..offset.checked_add(used)?)).flatten()
    };
    names().is_some_and(|names| names.split(|byte| *byte == 0).any(|known| known == name.as_bytes()))
}

/// The caller's TERM if the root can describe that terminal, else the nearest that it can.
pub fn terminal(view: &dyn View, term: &OsStr) -> OsString {
    let own = term.to_str().unwrap_or_default();
    let parents = ["tmux", "screen", "rxvt"].into_iter().find(|family| own.starts_with(family));
    let fallbacks = [own, parents.unwrap_or(own), "xterm-256color", "xterm", "linux", "vt100"];
    if let Some(known) = fallbacks.iter().find(|name| has_terminal(view, name)) {
        return (*known).into();
    }
    // A root without descriptions: its programs know the common ones by heart.
    let common = ["xterm", "screen", "tmux", "linux", "vt", "rxvt"];
    if common.iter().any(|family| own.starts_with(family)) { term.to_owned() } else { "xterm-256color".into() }
}

fn has_terminal(view: &dyn View, name: &str) -> bool {
    let Some(first) = name.bytes().next().filter(|_| !name.contains('/')) else { return false };
    // By first letter, or by its number where file names do not tell case (terminfo(5)).
    let folders = [char::from(first).to_string(), format!("{first:x}")];
    ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo", "/usr/lib/terminfo"]
        .iter()
        .any(|base| folders.iter().any(|folder| view.exists(&Path::new(base).join(folder).join(name))))
}

/// The host's time zone: by name where /etc/localtime is a link to one, and the rules themselves.
#[derive(Debug)]
pub struct TimeZone {
    name: Option<PathBuf>,
    rules: Vec<u8>,
}

/// What makes the root show the host's time.
#[derive(Debug, PartialEq, Eq)]
pub enum LocalTime {
    /// A link to rules that the root has itself.
    Link(PathBuf),
    /// The host's rules.
    Rules(Vec<u8>),
}

const ZONES: &str = "/usr/share/zoneinfo";

impl TimeZone {
    /// The host's; `None` where it has none, and so keeps UTC.
    pub fn of_host() -> Option<Self> {
        let rules = std::fs::read("/etc/localtime").ok().filter(|rules| rules.len() <= 64 * 1024)?;
        let real = Path::new("/etc/localtime").canonicalize().ok()?;
        Some(Self { name: real.strip_prefix(ZONES).ok().map(Path::to_owned), rules })
    }

    /// A zone by name, as far as this machine knows it.
    pub fn named(name: &str) -> Self {
        let rules = std::fs::read(Path::new(ZONES).join(name)).unwrap_or_default();
        Self { name: Some(name.into()), rules }
    }

    /// How the root is to be told.
    pub fn for_root(self, view: &dyn View) -> LocalTime {
        let own = self.name.map(|name| Path::new(ZONES).join(name)).filter(|path| view.exists(path));
        own.map_or(LocalTime::Rules(self.rules), LocalTime::Link)
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::fake::Files;
    use super::*;

    #[test]
    fn an_unknown_terminal_falls_back_to_a_known_one() {
        let root = Files([("/lib/terminfo/x/xterm", ""), ("/lib/terminfo/s/screen", "")].into());
        let known = |name: &str| terminal(&root, name.as_ref()).into_string().unwrap();
        assert_eq!(known("xterm"), "xterm");
        assert_eq!(known("xterm-kitty"), "xterm");
        assert_eq!(known("screen.xterm-256color"), "screen");
        assert_eq!(known("../../etc"), "xterm");
    }

    #[test]
    fn a_root_without_terminals_keeps_a_common_one() {
        let root = Files::default();
        assert_eq!(terminal(&root, "screen-256color".as_ref()), "screen-256color");
        assert_eq!(terminal(&root, "xyz".as_ref()), "xterm-256color");
    }

    #[test]
    fn a_locale_that_is_not_there_falls_back() {
        let root = Files([("/usr/lib/locale/de_DE.utf8/LC_CTYPE", "")].into());
        assert_eq!(locale(&root, "de_DE.UTF-8".as_ref()), "de_DE.UTF-8");
        assert_eq!(locale(&root, "en_US.UTF-8".as_ref()), "C.UTF-8");
        assert_eq!(locale(&root, "C".as_ref()), "C");
        assert_eq!(locale(&root, "../x".as_ref()), "C.UTF-8");
    }

    #[test]
    fn an_archive_is_read_by_its_head() {
        let mut archive = Vec::new();
        for word in [0xde02_0109_u32, 0, 0, 0, 0, 28, 23] {
            archive.extend(word.to_ne_bytes());
        }
        archive.extend(b"en_US.utf8\0de_DE.utf8\0\0");
        assert!(archive_names(&archive, "de_DE.utf8"));
        assert!(!archive_names(&archive, "de_DE"));
        assert!(!archive_names(&archive[..30], "en_US.utf8"));
    }
}
