//! JSON files that are replaced as a whole: temporary file, sync, rename.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::VERSION;
use crate::container::Error;

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Reads a file; `None` where there is none.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file("read", path)(error)),
    };
    let damaged = |error: serde_json::Error| Error::file("understand", path)(error.into());
    let Versioned { version } = serde_json::from_slice(&bytes).map_err(damaged)?;
    if version != VERSION {
        let reason = io::Error::other(format!("it is of version {version}, and this program knows {VERSION}"));
        return Err(Error::file("understand", path)(reason));
    }
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// Replaces a file; a `durable` one is whole after a power cut too. Its own writers take turns by themselves.
pub fn write<T: Serialize>(path: &Path, value: &T, durable: bool) -> Result<(), Error> {
    let mut bytes = serde_json::to_vec(value).map_err(|error| Error::file("write", path)(error.into()))?;
    bytes.push(b'\n');
    let temporary = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| file.write_all(&bytes).and_then(|()| if durable { file.sync_data() } else { Ok(()) }))
        .and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        Error::file("write", path)(error)
    })
}
