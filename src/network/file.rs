//! JSON files with a version, replaced as a whole: temporary file, sync, rename. Their writers hold the lock of all networks.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Error;

/// The version of every file here.
pub const VERSION: u32 = 1;
/// The largest file that is read, in bytes: the leases of some hundred thousand containers.
const LARGEST: u64 = 64 << 20;

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Reads a file; `None` where there is none.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", path)(error)),
    }
    let damaged =
        |error: serde_json::Error| Error::file("understand", path)(io::Error::new(io::ErrorKind::InvalidData, error));
    let Versioned { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version != VERSION {
        let reason = io::Error::other(format!("it is of version {version}, and this program knows {VERSION}"));
        return Err(Error::file("understand", path)(reason));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// Replaces a file.
pub fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec(value).map_err(|error| Error::file("write", path)(error.into()))?;
    bytes.push(b'\n');
    let mut name = std::ffi::OsString::from(".new-");
    name.push(path.file_name().unwrap_or_default());
    let beside = path.with_file_name(name);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| file.sync_data()))
        .and_then(|()| fs::rename(&beside, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&beside);
        Error::file("write", path)(error)
    })
}
