//! `certs.d` (containers-certs.d(5)): for one registry, authorities that are trusted besides the system's, and certificates to show to it.

use std::io;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::{Environment, Error};

/// What is configured for one registry.
#[derive(Debug, Default)]
pub struct Certificates {
    /// From `*.crt`.
    pub authorities: Vec<CertificateDer<'static>>,
    /// From `*.cert` and the `*.key` beside it.
    pub identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// The folders for a registry, given as `host[:port]`: all that exist count, the user's first.
pub fn folders(environment: &Environment, host: &str) -> Vec<PathBuf> {
    if let Some(only) = environment.certificates() {
        return vec![only.to_owned()];
    }
    let user = environment.config_home().map(|config| config.join("containers/certs.d"));
    let system = ["containers/certs.d", "docker/certs.d"].map(|folder| environment.etc().join(folder));
    user.into_iter().chain(system).map(|folder| folder.join(host)).collect()
}

/// Where a user would put an authority for a registry.
pub fn place_for(environment: &Environment, host: &str) -> Option<PathBuf> {
    Some(folders(environment, host).into_iter().next()?.join("ca.crt"))
}

/// Reads what is configured for a registry.
///
/// # Errors
/// [`Error::Certificate`], naming the file, where one cannot be read, holds no certificate or lacks its key.
pub fn load(environment: &Environment, host: &str) -> Result<Certificates, Error> {
    let mut certificates = Certificates::default();
    for folder in folders(environment, host) {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.sort();
        for path in paths {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => certificates.authorities.extend(read(&path)?),
                Some("cert") if certificates.identity.is_none() => {
                    let key = path.with_extension("key");
                    let read_key = PrivateKeyDer::from_pem_slice(&bytes(&key)?).map_err(unusable(&key))?;
                    certificates.identity = Some((read(&path)?, read_key));
                }
                _ => {}
            }
        }
    }
    Ok(certificates)
}

fn unusable(path: &Path) -> impl Fn(rustls::pki_types::pem::Error) -> Error {
    move |error| {
        let source = io::Error::new(io::ErrorKind::InvalidData, error.to_string());
        Error::Certificate { path: path.to_owned(), source }
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, Error> {
    super::bounded(path).map_err(|source| Error::Certificate { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let bytes = bytes(path)?;
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(unusable(path))?;
    if certificates.is_empty() {
        let source = io::Error::new(io::ErrorKind::InvalidData, "it holds no certificate in PEM format");
        return Err(Error::Certificate { path: path.to_owned(), source });
    }
    Ok(certificates)
}
