//! Talking to one registry about one repository: addresses, authorization, and what its refusals mean.

use std::ops::Range;
use std::sync::{Mutex, OnceLock, PoisonError};

use reqwest::blocking::Response;
use reqwest::header::{CONTENT_TYPE, HeaderValue, RANGE, RETRY_AFTER, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::backoff::{Again, Failure, retry_after};
use super::challenge::{self, Challenge};
use super::configuration::{Endpoint, api_host};
use super::credentials::{self, Credentials, Place};
use super::http::{self, Ask, Http};
use super::refusal::Sent;
use super::rhythm::Rhythm;
use super::{Error, token};
use crate::image::{ACCEPTED_MANIFESTS, Descriptor, Digest, MAX_MANIFEST};

/// The largest body of a refusal that is read, in bytes.
const MAX_REFUSAL: u64 = 64 << 10;
/// How often one request is answered with a challenge before that counts as a refusal: a token may run out once.
const MAX_CHALLENGES: usize = 2;

/// What was asked for, for messages.
pub enum What<'a> {
    /// The manifest or index that a name leads to.
    Image { image: &'a str, session: &'a Session<'a> },
    /// Something that the image consists of.
    Part { part: &'a str, image: &'a str, session: &'a Session<'a> },
    /// Something that is sent to the registry.
    Sent { part: &'a str, image: &'a str, session: &'a Session<'a> },
    /// A token.
    Token { domain: &'a str, known: bool },
}

/// A repository of a registry, and what lets us in.
pub struct Session<'a> {
    pub http: &'a Http<'a>,
    pub endpoint: &'a Endpoint,
    base: Url,
    credentials: OnceLock<Option<Credentials>>,
    authorization: Mutex<Authorization>,
    /// What a token must allow besides what the registry asks for.
    scopes: Vec<String>,
    /// When it dies and comes back, while something is sent to it.
    pub rhythm: Rhythm,
}

#[derive(Default)]
struct Authorization {
    header: Option<HeaderValue>,
    withheld: Option<String>,
}

/// A document as received.
pub struct Received {
    pub bytes: Vec<u8>,
    pub digest: Digest,
    pub media_type: Option<String>,
}

impl<'a> Session<'a> {
    /// Prepares to talk to an endpoint. Asks nothing yet, unless it is configured to be insecure: then whether it speaks TLS.
    pub fn new(http: &'a Http<'a>, endpoint: &'a Endpoint) -> Result<Self, Error> {
        let host = api_host(endpoint.reference.domain());
        let address = |scheme: &str| {
            Url::parse(&format!("{scheme}://{host}/v2/")).map_err(|_| Error::Answer {
                host: host.to_owned(),
                what: "anything".into(),
                reason: "its name makes no address".into(),
            })
        };
        let mut base = address("https")?;
        if endpoint.insecure && http.send(&Ask::get(base.clone(), true)).is_err() {
            base = address("http")?;
        }
        let (credentials, authorization) = (OnceLock::new(), Mutex::default());
        Ok(Self { http, endpoint, base, credentials, authorization, scopes: Vec::new(), rhythm: Rhythm::default() })
    }

    /// The same for somebody who writes there, and takes blobs over from other repositories of the registry.
    pub fn for_push(mut self, others: &[String]) -> Self {
        self.scopes = vec![format!("repository:{}:pull,push", self.endpoint.reference.path())];
        self.scopes.extend(others.iter().map(|other| format!("repository:{other}:pull")));
        self
    }

    /// `host[:port]`.
    pub fn host(&self) -> String {
        http::host(&self.base)
    }

    /// Whether an address is the registry's.
    pub fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    pub fn image(&self) -> String {
        self.endpoint.reference.familiar()
    }

    pub fn url(&self, rest: &str) -> Result<Url, Error> {
        let path = format!("{}/{rest}", self.endpoint.reference.path());
        self.base.join(&path).map_err(|_| Error::Answer {
            host: self.host(),
            what: rest.to_owned(),
            reason: "it makes no address".into(),
        })
    }

    /// An address within the repository.
    pub fn repository_url(&self, rest: &str) -> Result<Url, Error> {
        self.url(rest)
    }

    /// An address within the registry.
    pub fn root_url(&self, rest: &str) -> Result<Url, Error> {
        self.base.join(&format!("/{rest}")).map_err(|_| Error::Answer {
            host: self.host(),
            what: rest.to_owned(),
            reason: "it makes no address".into(),
        })
    }

    /// Fetches a manifest or index: by the name's own tag or digest, or that of a child of an index.
    pub fn manifest(&self, child: Option<&Descriptor>) -> Result<Received, Error> {
        let reference = &self.endpoint.reference;
        let expected = child.map(|child| &child.digest).or(reference.digest());
        let selector = child.map_or_else(|| reference.selector(), |child| child.digest.to_string());
        let url = self.url(&format!("manifests/{selector}"))?;
        let image = self.image();
        let what = match child {
            Some(_) => What::Part { part: "the manifest for this platform", image: &image, session: self },
            None => What::Image { image: &image, session: self },
        };
        let received = self.http.retry(|| {
            let mut response = self.ask(Method::GET, &url, Some(ACCEPTED_MANIFESTS), 0, &what)?;
            let media_type =
                response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let bytes = http::body(self.http, &mut response, MAX_MANIFEST)?;
            Ok((bytes, media_type))
        })?;
        let (bytes, media_type) = received;
        let digest = self.check("the manifest", &bytes, expected, child.map(|child| child.size))?;
        Ok(Received { bytes, digest, media_type })
    }

    /// Asks which digest the name leads to, without fetching it; `None` where the registry does not say.
    pub fn digest(&self) -> Result<Option<Digest>, Error> {
        let url = self.url(&format!("manifests/{}", self.endpoint.reference.selector()))?;
        let image = self.image();
        let what = What::Image { image: &image, session: self };
        let response = self.http.retry(|| self.ask(Method::HEAD, &url, Some(ACCEPTED_MANIFESTS), 0, &what))?;
        let digest = response.headers().get("docker-content-digest").and_then(|value| value.to_str().ok());
        Ok(digest.and_then(|digest| Digest::parse(digest).ok()))
    }

    /// Fetches an image configuration.
    pub fn config(&self, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        self.small(descriptor, "the image configuration")
    }

    /// Fetches a blob into memory, of a size that the caller has found bearable. `part` is for messages.
    pub fn small(&self, descriptor: &Descriptor, part: &'static str) -> Result<Vec<u8>, Error> {
        let url = self.blob_url(&descriptor.digest)?;
        let image = self.image();
        let what = What::Part { part, image: &image, session: self };
        let bytes = self.http.retry(|| {
            let mut response = self.ask(Method::GET, &url, None, 0, &what)?;
            http::body(self.http, &mut response, descriptor.size)
        })?;
        self.check(part, &bytes, Some(&descriptor.digest), Some(descriptor.size))?;
        Ok(bytes)
    }

    pub fn blob_url(&self, digest: &Digest) -> Result<Url, Error> {
        self.url(&format!("blobs/{digest}"))
    }

    fn check(
        &self,
        what: &'static str,
        bytes: &[u8],
        expected: Option<&Digest>,
        size: Option<u64>,
    ) -> Result<Digest, Error> {
        if let Some(expected) = expected
            && !expected.matches(bytes)
        {
            return Err(Error::Digest {
                host: self.host(),
                image: self.image(),
                what,
                expected: expected.clone(),
                found: Digest::of(bytes),
            });
        }
        if let Some(size) = size
            && size != bytes.len() as u64
        {
            let reason = format!("it is not the {size} bytes long that its descriptor says");
            return Err(Error::Answer { host: self.host(), what: what.into(), reason });
        }
        Ok(expected.cloned().unwrap_or_else(|| Digest::of(bytes)))
    }

    /// Sends a request with whatever authorization there is; gets one, or another one, where the registry challenges.
    pub fn ask(
        &self,
        method: Method,
        url: &Url,
        accept: Option<&'static str>,
        from: u64,
        what: &What<'_>,
    ) -> Result<Response, Failure> {
        self.send(Ask { method, accept, from, ..Ask::get(url.clone(), self.endpoint.insecure) }, what)
    }

    /// Asks for some bytes of a blob.
    pub fn range(&self, url: &Url, range: &Range<u64>, what: &What<'_>) -> Result<Response, Failure> {
        let wanted = HeaderValue::try_from(format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
        let headers = wanted.map(|wanted| (RANGE, wanted)).into_iter().collect();
        self.send(Ask { headers, ..Ask::get(url.clone(), self.endpoint.insecure) }, what)
    }

    /// As [`Session::ask`], of any request. To another host it goes without authorization.
    pub fn send(&self, mut ask: Ask, what: &What<'_>) -> Result<Response, Failure> {
        let mut challenges = 0;
        let is_own = self.is_own(&ask.url);
        if !is_own {
            ask.insecure = self.http.configuration.is_insecure_host(&http::host(&ask.url));
        }
        loop {
            let used = self.authorization.lock().unwrap_or_else(PoisonError::into_inner).header.clone();
            ask.authorization = used.clone().filter(|_| is_own);
            let mut response = self.http.send(&ask)?;
            let is_ours = response.url().origin() == self.base.origin();
            if response.status() == StatusCode::UNAUTHORIZED && is_ours && challenges < MAX_CHALLENGES {
                challenges += 1;
                let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
                let challenge = challenge::choose(headers.filter_map(|value| value.to_str().ok()));
                if self.authorize(challenge, used.as_ref())? {
                    continue;
                }
            }
            refuse(self.http, &mut response, what)?;
            return Ok(response);
        }
    }

    /// Answers a challenge. `false` where there is nothing new to answer with.
    fn authorize(&self, challenge: Option<Challenge>, used: Option<&HeaderValue>) -> Result<bool, Error> {
        // Held while a token is fetched, so that several layers do not fetch one each.
        let mut authorization = self.authorization.lock().unwrap_or_else(PoisonError::into_inner);
        if authorization.header.as_ref() != used {
            return Ok(true);
        }
        let credentials = self.credentials()?;
        let header = match challenge {
            None => None,
            Some(Challenge::Basic) => credentials.and_then(token::basic),
            Some(Challenge::Bearer { realm, service, scope }) => {
                let own = format!("repository:{}:pull", self.endpoint.reference.path());
                let scopes = self.wanted_scopes(scope.as_deref().unwrap_or_default(), own);
                let mut wanted = token::Wanted {
                    registry: &self.base,
                    domain: self.endpoint.reference.domain(),
                    realm: &realm,
                    service: service.as_deref(),
                    scopes: &scopes,
                    insecure: self.endpoint.insecure,
                };
                let granted = match token::fetch(self.http, &wanted, credentials) {
                    // Some refuse everything where a repository that blobs would be taken over from is not to be read.
                    Err(Error::Unauthorized { .. } | Error::Denied { .. } | Error::Status { .. })
                        if scopes.len() > 1 =>
                    {
                        wanted.scopes = &scopes[..1];
                        token::fetch(self.http, &wanted, credentials)?
                    }
                    granted => granted?,
                };
                authorization.withheld = granted.withheld;
                Some(granted.authorization)
            }
        };
        let is_new = header.is_some() && header.as_ref() != used;
        authorization.header = header;
        Ok(is_new)
    }

    /// The scopes of a token: of a pull, what the registry asks for; of a push, what that needs, and then what else the registry asks for.
    fn wanted_scopes(&self, challenge: &str, own: String) -> Vec<String> {
        let asked = challenge.split_whitespace().map(str::to_owned);
        if self.scopes.is_empty() {
            let asked: Vec<String> = asked.collect();
            return if asked.is_empty() { vec![own] } else { vec![asked.join(" ")] };
        }
        let mut scopes = self.scopes.clone();
        // `pull` alone of this repository is less than what is there already.
        let fresh = asked.filter(|scope| *scope != own && !self.scopes.contains(scope));
        scopes.extend(fresh.collect::<Vec<_>>());
        scopes
    }

    fn credentials(&self) -> Result<Option<&Credentials>, Error> {
        if let Some(found) = self.credentials.get() {
            return Ok(found.as_ref());
        }
        let place = Place::of(&self.endpoint.reference);
        let found = credentials::find(self.http.environment, self.http.configuration.helpers(), &place)?;
        Ok(self.credentials.get_or_init(|| found).as_ref())
    }

    fn known(&self) -> bool {
        self.credentials.get().is_some_and(Option::is_some)
    }

    fn withheld(&self) -> Option<String> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).withheld.clone()
    }
}

/// Makes a failure of every answer that is no success.
pub fn refuse(http: &Http<'_>, response: &mut Response, what: &What<'_>) -> Result<(), Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let host = http::host(response.url());
    let wait = retry_after(response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()));
    // A refusal whose words do not arrive is a refusal all the same.
    let body = http::body(http, response, MAX_REFUSAL).unwrap_or_default();
    let said = words(&body);
    let known = match what {
        What::Image { session, .. } | What::Part { session, .. } | What::Sent { session, .. } => session.known(),
        What::Token { known, .. } => *known,
    };
    let withheld = match what {
        What::Image { session, .. } | What::Part { session, .. } | What::Sent { session, .. } => session.withheld(),
        What::Token { .. } => None,
    };
    let (subject, image) = match what {
        What::Image { image, .. } => ((*image).to_owned(), (*image).to_owned()),
        What::Part { part, image, .. } | What::Sent { part, image, .. } => ((*part).to_owned(), (*image).to_owned()),
        What::Token { domain, .. } => ("a token".to_owned(), format!("a token for {domain}")),
    };
    let again = match (status.as_u16(), wait) {
        (429 | 503, Some(wait)) => Again::After(wait),
        (408 | 429 | 500 | 502 | 503 | 504, _) => Again::Soon,
        _ => Again::Never,
    };
    // Whoever it led us to has no say in where the user logs in.
    let elsewhere = match what {
        What::Image { session, .. } | What::Part { session, .. } | What::Sent { session, .. } => {
            response.url().origin() != session.base.origin()
        }
        What::Token { .. } => false,
    };
    let error = match (status.as_u16(), what) {
        (401 | 403, _) if elsewhere => {
            Error::Status { host, what: subject, status: super::shorten(&status.to_string()), said }
        }
        (429, _) => Error::RateLimited { host, wait, said },
        (code, What::Sent { .. }) => {
            let status = super::shorten(&status.to_string());
            let sent = Sent { host, image, what: subject, known, withheld, status, said };
            sent.refused(code, &error_code(&body)).into()
        }
        (401, _) => Error::Unauthorized { host, image, known, withheld, said },
        (403, _) => Error::Denied { host, image, known, said },
        (404, What::Image { .. }) => Error::NotFound { image, host, said },
        (404, What::Part { .. }) => Error::Missing { host, what: subject, image },
        _ => Error::Status { host, what: subject, status: super::shorten(&status.to_string()), said },
    };
    Err(Failure::new(error, again))
}

/// What a refusal says: the first message of OCI's error list, or else nothing, since other bodies are pages for a browser.
pub fn words(body: &[u8]) -> String {
    let item = first_error(body);
    super::shorten(&item.map_or(String::new(), |item| if item.message.is_empty() { item.code } else { item.message }))
}

/// The code of OCI's error list, such as `DENIED`; empty where there is none.
fn error_code(body: &[u8]) -> String {
    first_error(body).map_or(String::new(), |item| item.code.to_ascii_uppercase())
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

fn first_error(body: &[u8]) -> Option<Item> {
    #[derive(Deserialize)]
    struct Body {
        errors: Vec<Item>,
    }
    serde_json::from_slice::<Body>(body).ok()?.errors.into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_short_and_harmless() {
        assert_eq!(words(br#"{"errors":[{"code":"DENIED","message":"no \u001b[31m  access\n"}]}"#), "no [31m access");
        assert_eq!(words(br#"{"errors":[{"code":"DENIED"}]}"#), "DENIED");
        assert_eq!(words(b"<html>"), "");
        let long = format!(r#"{{"errors":[{{"message":"{}"}}]}}"#, "x".repeat(1000));
        assert_eq!(words(long.as_bytes()).chars().count(), 201);
    }

    proptest! {
        #[test]
        fn any_body_is_no_panic(body in proptest::collection::vec(any::<u8>(), 0..100)) {
            words(&body);
        }
    }
}
