//! A file from the web, for `enter import`: by the same rules as what a registry gives.

use std::io::Read;

use url::Url;

use super::backoff::Failure;
use super::http::{Ask, Http, host};
use super::{Configuration, Error, PullOptions, Silent};

/// Asks for a file, and returns what comes of it. Nothing is known of what it should be.
///
/// # Errors
/// An address that is none, and whatever the host says but yes.
pub fn download(address: &str, options: &PullOptions) -> Result<impl Read + use<>, Error> {
    let answer = |reason: String| Error::Answer { host: "the address".into(), what: super::shorten(address), reason };
    let url = Url::parse(address).map_err(|error| answer(error.to_string()))?;
    let configuration = Configuration::load(&options.environment)?;
    let http = Http::new(&options.environment, &configuration, &options.transfer, &Silent);
    // Whoever types http:// says so.
    let insecure = url.scheme() == "http";
    http.retry(|| {
        let response = http.send(&Ask::get(url.clone(), insecure))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let (host, what) = (host(&url), super::shorten(url.path()));
        let status = super::shorten(&status.to_string());
        Err(Failure::from(Error::Status { host, what, status, said: String::new() }))
    })
}
