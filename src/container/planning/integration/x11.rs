//! The X server's socket, and the cookie that opens it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use plan::Step;

use super::{DISPLAYS, Offer, Outside, is_socket, session, socket};

/// A longer file holds no cookies.
const LONGEST: u64 = 1 << 20;

/// In an entry of an authority file (Xauth(7)): it holds whatever the machine is called. Inside it is called otherwise.
const WILD: u16 = 0xffff;

/// For a socket of this machine.
const LOCAL: u16 = 256;

/// The X server that the caller's windows are on.
pub fn x11(outside: &Outside<'_>) -> Result<Offer, String> {
    let display = outside.text("DISPLAY").ok_or("DISPLAY is not set")?;
    let mut offer = Offer { variables: vec![("DISPLAY".into(), (&display).into())], ..Offer::default() };
    let number = match local(&display) {
        Some(number) => {
            let name = format!("X{number}");
            let source = outside.displays.join(&name);
            if !is_socket(&source) {
                return Err(format!("no X server listens at {}", source.display()));
            }
            // The one place that programs look in.
            offer.steps.push(socket(&source, Path::new(DISPLAYS).join(name)));
            offer.source = source.display().to_string();
            number
        }
        // Over the network, as ssh -X has it.
        None if outside.shares_network => {
            offer.source.clone_from(&display);
            remote(&display).ok_or_else(|| format!("DISPLAY is none ({display})"))?
        }
        None => return Err(format!("the display {display} is reached with --network host alone")),
    };
    if let Some(entry) = authority(outside).as_deref().and_then(|file| cookie(file, number, &hostname())) {
        let target = outside.inside("xauthority");
        offer.variables.push(("XAUTHORITY".into(), target.clone().into()));
        // The folder is the caller's alone.
        offer.steps.push(Step::Write { target: target.into(), content: entry.into(), mode: 0o644 });
    }
    offer.variables.extend(session::desktop(outside));
    Ok(offer)
}

/// The number of a display of this machine: `:N`, `:N.SCREEN` or `unix:N`.
fn local(display: &str) -> Option<u32> {
    let (host, number) = display.rsplit_once(':')?;
    (host.is_empty() || host == "unix").then(|| without_screen(number)).flatten()
}

fn remote(display: &str) -> Option<u32> {
    without_screen(display.rsplit_once(':')?.1)
}

fn without_screen(number: &str) -> Option<u32> {
    number.split('.').next()?.parse().ok()
}

fn authority(outside: &Outside<'_>) -> Option<Vec<u8>> {
    let path: PathBuf = outside.path("XAUTHORITY").unwrap_or_else(|| outside.caller.home.join(".Xauthority"));
    let is_short = path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LONGEST);
    is_short.then(|| std::fs::read(path).ok()).flatten()
}

fn hostname() -> OsString {
    nix::unistd::gethostname().unwrap_or_default()
}

/// One entry of an authority file.
struct Entry<'a> {
    family: u16,
    address: &'a [u8],
    number: &'a [u8],
    name: &'a [u8],
    data: &'a [u8],
}

impl Entry<'_> {
    fn written(&self) -> Vec<u8> {
        let mut bytes = self.family.to_be_bytes().to_vec();
        for field in [self.address, self.number, self.name, self.data] {
            // As they were read, by a length of two bytes; a display's number is shorter.
            bytes.extend(u16::try_from(field.len()).unwrap_or_default().to_be_bytes());
            bytes.extend(field);
        }
        bytes
    }
}

/// The entries of an authority file, up to the first that is cut off.
fn entries(mut file: &[u8]) -> Vec<Entry<'_>> {
    fn number(file: &mut &[u8]) -> Option<u16> {
        let (bytes, rest) = file.split_first_chunk()?;
        *file = rest;
        Some(u16::from_be_bytes(*bytes))
    }
    fn field<'a>(file: &mut &'a [u8]) -> Option<&'a [u8]> {
        let length = usize::from(number(file)?);
        let (bytes, rest) = file.split_at_checked(length)?;
        *file = rest;
        Some(bytes)
    }
    let mut entry = || {
        Some(Entry {
            family: number(&mut file)?,
            address: field(&mut file)?,
            number: field(&mut file)?,
            name: field(&mut file)?,
            data: field(&mut file)?,
        })
    };
    std::iter::from_fn(&mut entry).collect()
}

/// An authority file with one entry, which holds on any machine, made of the one that opens a display of this machine.
fn cookie(file: &[u8], display: u32, hostname: &std::ffi::OsStr) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt;
    let wanted = display.to_string();
    let all = entries(file);
    // One without a number is for every display.
    let fits = |entry: &&Entry<'_>| entry.number.is_empty() || entry.number == wanted.as_bytes();
    let rank = |entry: &&Entry<'_>| match entry.family {
        LOCAL if entry.address == hostname.as_bytes() => 0,
        WILD => 1,
        // This machine may have been called otherwise when the session began.
        LOCAL => 2,
        _ => 3,
    };
    let best = all.iter().filter(fits).min_by_key(rank)?;
    Some(Entry { family: WILD, address: b"", number: wanted.as_bytes(), ..*best }.written())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(all: &[(u16, &str, &str, &str)]) -> Vec<u8> {
        let entry = |(family, address, number, data): &(u16, &str, &str, &str)| {
            let (address, number, data) = (address.as_bytes(), number.as_bytes(), data.as_bytes());
            Entry { family: *family, address, number, name: b"MIT-MAGIC-COOKIE-1", data }.written()
        };
        all.iter().flat_map(entry).collect()
    }

    #[test]
    fn displays_have_numbers() {
        assert_eq!(local(":0"), Some(0));
        assert_eq!(local(":12.1"), Some(12));
        assert_eq!(local("unix:3"), Some(3));
        for other in ["localhost:10.0", "", ":", "10", ":x", "[::1]:0"] {
            assert_eq!(local(other), None, "{other}");
        }
        assert_eq!(remote("localhost:10.0"), Some(10));
    }

    #[test]
    fn the_cookie_of_the_display_is_taken_for_any_machine() {
        let known = file(&[
            (LOCAL, "other", "0", "a"),
            (LOCAL, "laptop", "1", "b"),
            (LOCAL, "laptop", "0", "c"),
            (WILD, "", "0", "d"),
        ]);
        let taken = |file: &[u8], display| cookie(file, display, "laptop".as_ref());
        assert_eq!(taken(&known, 0), Some(file(&[(WILD, "", "0", "c")])));
        assert_eq!(taken(&known, 1), Some(file(&[(WILD, "", "1", "b")])));
        assert_eq!(taken(&known, 2), None);
        assert_eq!(taken(&file(&[(LOCAL, "renamed", "", "e")]), 7), Some(file(&[(WILD, "", "7", "e")])));
        // Cut off: what stands before counts.
        assert_eq!(taken(&known[..known.len() - 1], 0), Some(file(&[(WILD, "", "0", "c")])));
        assert_eq!(taken(&known[..9], 0), None);
    }

    proptest::proptest! {
        #[test]
        fn any_file_is_read(bytes: Vec<u8>, display: u32) {
            let _ = cookie(&bytes, display, "laptop".as_ref());
        }
    }
}
