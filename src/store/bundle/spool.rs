//! An archive that comes as a stream, in a file that has no name and is gone with its descriptor.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::wrong;
use crate::store::unpack::Unpacked;
use crate::store::{Error, Store, file};

/// So many bytes of the disk are left free, however much comes: a small stream may stand for an endless one.
const RESERVE: u64 = 256 << 20;
/// After so many bytes it is looked how much is free.
const LOOK: u64 = 32 << 20;

/// The archive, uncompressed.
pub fn spool(store: &Store, source: impl Read) -> Result<File, Error> {
    let failed = |source| Error::Input { what: "the archive".into(), source };
    file::create_dir(store.root())?;
    let mut out = nameless(store.root()).map_err(Error::io("make a file in", store.root()))?;
    let mut unpacked = Unpacked::new(BufReader::with_capacity(128 << 10, source)).map_err(failed)?;
    let mut buffer = vec![0; 128 << 10];
    let (mut length, mut looked) = (0, 0);
    loop {
        let got = file::fill(&mut unpacked, &mut buffer).map_err(failed)?;
        if length == 0 && !buffer[..got].first_chunk().is_some_and(is_tar) {
            return Err(wrong(if got == 0 { "it is empty" } else { "it is no tar" }));
        }
        if got == 0 {
            return Ok(out);
        }
        length += got as u64;
        if length - looked > LOOK {
            looked = length;
            leave_room(store)?;
        }
        out.write_all(&buffer[..got]).map_err(Error::io("write to", store.root()))?;
    }
}

/// A file without a name. Some file systems have none: there it gets one, for a moment.
fn nameless(folder: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    match options.clone().custom_flags(nix::libc::O_TMPFILE).open(folder) {
        Err(error) if matches!(error.raw_os_error(), Some(nix::libc::EOPNOTSUPP | nix::libc::EISDIR)) => {
            let path = folder.join(format!("spool.{}", std::process::id()));
            let file = options.create(true).truncate(true).open(&path)?;
            std::fs::remove_file(path)?;
            Ok(file)
        }
        opened => opened,
    }
}

fn leave_room(store: &Store) -> Result<(), Error> {
    let Ok(status) = nix::sys::statvfs::statvfs(store.root()) else { return Ok(()) };
    if status.blocks_available().saturating_mul(status.fragment_size()) < RESERVE {
        return Err(Error::io("keep the archive in", store.root())(io::ErrorKind::StorageFull.into()));
    }
    Ok(())
}

/// Whether a tar begins so: with a header whose checksum is right (POSIX.1-1988; old writers add the bytes as signed).
pub fn is_tar(block: &[u8; 512]) -> bool {
    let digits: String = block[148..156]
        .iter()
        .skip_while(|byte| **byte == b' ')
        .map(|byte| char::from(*byte))
        .take_while(char::is_ascii_digit)
        .collect();
    let Ok(said) = i64::from_str_radix(&digits, 8) else { return false };
    let sum = |value: fn(u8) -> i64| -> i64 {
        block.iter().enumerate().map(|(at, byte)| value(if (148..156).contains(&at) { b' ' } else { *byte })).sum()
    };
    said == sum(i64::from) || said == sum(|byte| i64::from(byte.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(dir: &std::path::Path) -> Store {
        Store::open(&dir.join("v1")).unwrap()
    }

    #[test]
    fn what_is_no_tar_is_refused_before_it_is_read_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        assert!(matches!(spool(&store, io::repeat(0)), Err(Error::Archive(_))));
        assert!(matches!(spool(&store, io::repeat(b'x')), Err(Error::Archive(_))));
        assert!(matches!(spool(&store, io::empty()), Err(Error::Archive(_))));
        assert_eq!(std::fs::read_dir(store.root()).unwrap().count(), 0);
    }
}
