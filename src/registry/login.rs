//! Showing credentials to a registry, and hearing whether it takes them (distribution-spec, `GET /v2/`). Called by `login`.

use reqwest::blocking::Response;
use reqwest::header::{HeaderValue, WWW_AUTHENTICATE};
use reqwest::{StatusCode, Url};

use super::backoff::Failure;
use super::challenge::{self, Challenge};
use super::configuration::api_host;
use super::credentials::{Credentials, Place};
use super::http::{self, Ask, Http};
use super::{Configuration, Environment, Error, Silent, Transfer, token};

/// The largest body of a refusal that is read, in bytes.
const MAX_REFUSAL: u64 = 64 << 10;

/// Asks a registry whether it accepts credentials. One that lets everybody in accepts all.
///
/// # Errors
/// [`Error::Login`] where it does not; whatever keeps it from being asked.
pub fn check(
    environment: &Environment,
    configuration: &Configuration,
    transfer: &Transfer,
    place: &Place,
    credentials: &Credentials,
) -> Result<(), Error> {
    let http = Http::new(environment, configuration, transfer, &Silent);
    let insecure = configuration.is_insecure_registry(&place.to_string())?;
    let base = base(&http, place.domain(), insecure)?;
    let mut response = ask(&http, &base, insecure, None)?;
    if response.status() != StatusCode::UNAUTHORIZED {
        return verdict(&http, place, &mut response);
    }
    let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
    let authorization = match challenge::choose(headers.filter_map(|value| value.to_str().ok())) {
        None => return verdict(&http, place, &mut response),
        Some(Challenge::Basic) => token::basic(credentials),
        Some(Challenge::Bearer { realm, service, .. }) => {
            let wanted = token::Wanted {
                registry: &base,
                domain: place.domain(),
                realm: &realm,
                service: service.as_deref(),
                scopes: &[],
                insecure,
            };
            let granted = token::fetch(&http, &wanted, Some(credentials)).map_err(|error| match error {
                Error::Unauthorized { said, .. } | Error::Denied { said, .. } => {
                    Error::Login { registry: place.to_string(), said }
                }
                other => other,
            })?;
            if let Some(realm) = granted.withheld {
                return Err(Error::ForeignRealm { registry: place.to_string(), realm });
            }
            Some(granted.authorization)
        }
    };
    let Some(authorization) = authorization else {
        return Err(Error::Login { registry: place.to_string(), said: String::new() });
    };
    verdict(&http, place, &mut ask(&http, &base, insecure, Some(authorization))?)
}

/// `https://HOST/v2/`, or with http where the registry is configured to be insecure and does not speak TLS.
pub fn base(http: &Http<'_>, domain: &str, insecure: bool) -> Result<Url, Error> {
    let host = api_host(domain);
    let address = |scheme: &str| {
        Url::parse(&format!("{scheme}://{host}/v2/")).map_err(|_| Error::Answer {
            host: host.to_owned(),
            what: "anything".into(),
            reason: "its name makes no address".into(),
        })
    };
    let secure = address("https")?;
    if insecure && http.send(&Ask::get(secure.clone(), true)).is_err() { address("http") } else { Ok(secure) }
}

fn ask(http: &Http<'_>, base: &Url, insecure: bool, authorization: Option<HeaderValue>) -> Result<Response, Error> {
    let ask = Ask { authorization, ..Ask::get(base.clone(), insecure) };
    http.retry(|| http.send(&ask))
}

fn verdict(http: &Http<'_>, place: &Place, response: &mut Response) -> Result<(), Error> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    // A refusal whose words do not arrive is a refusal all the same.
    let body: Result<Vec<u8>, Failure> = http::body(http, response, MAX_REFUSAL);
    let said = body.map_or(String::new(), |body| super::session::words(&body));
    let host = http::host(response.url());
    Err(match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::Login { registry: place.to_string(), said },
        StatusCode::NOT_FOUND => Error::Answer {
            host,
            what: "its version".into(),
            reason: "it does not know /v2/, so that it is no registry of images".into(),
        },
        _ => Error::Status { host, what: "its version".into(), status: super::shorten(&status.to_string()), said },
    })
}
