//! One request and its answer: which client it goes by, redirects, and what connection errors mean.
//!
//! The HTTP library follows no redirect by itself, since credentials must stay behind when one leads to another host.

use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::blocking::{Body, Client, Response};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RANGE};
use reqwest::{Method, NoProxy, Proxy, Url, redirect};

use super::backoff::{Again, Backoff, Failure};
use super::error::Cause;
use super::pace::Pace;
use super::reach::Reason;
use super::refusal::Refusal;
use super::{Configuration, Environment, Error, Progress, Transfer, bounds, certificates, tls};

/// More redirects than this are a circle.
const MAX_REDIRECTS: usize = 10;
/// How often a wait looks whether the pull has been given up.
const BEAT: Duration = Duration::from_millis(50);

/// All that a pull's requests share.
pub struct Http<'a> {
    pub environment: &'a Environment,
    pub configuration: &'a Configuration,
    pub transfer: &'a Transfer,
    pub progress: &'a dyn Progress,
    given_up: AtomicBool,
    clients: Mutex<HashMap<(String, bool), Client>>,
    met: Mutex<HashSet<String>>,
}

/// A request.
pub struct Ask {
    pub method: Method,
    pub url: Url,
    /// The media types wanted.
    pub accept: Option<&'static str>,
    /// The first byte wanted.
    pub from: u64,
    /// Sent to the URL's own host, and to no other.
    pub authorization: Option<HeaderValue>,
    /// Whether the host is configured to be insecure.
    pub insecure: bool,
    /// A form to send.
    pub form: Option<String>,
    /// Other headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What makes the body, again where it has to be sent again.
    pub body: Option<MakeBody>,
    /// How long all of it may take; without it, how long the connection may be silent.
    pub timeout: Option<Duration>,
}

/// Makes a body, as often as it is asked to.
pub type MakeBody = Arc<dyn Fn() -> std::io::Result<Body> + Send + Sync>;

impl Ask {
    /// A plain GET.
    pub fn get(url: Url, insecure: bool) -> Self {
        Self {
            method: Method::GET,
            url,
            accept: None,
            from: 0,
            authorization: None,
            insecure,
            form: None,
            headers: Vec::new(),
            body: None,
            timeout: None,
        }
    }
}

impl<'a> Http<'a> {
    pub fn new(
        environment: &'a Environment,
        configuration: &'a Configuration,
        transfer: &'a Transfer,
        progress: &'a dyn Progress,
    ) -> Self {
        Self {
            environment,
            configuration,
            transfer,
            progress,
            given_up: AtomicBool::new(false),
            clients: Mutex::default(),
            met: Mutex::default(),
        }
    }

    /// Makes everything that is under way fail soon.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Whether that has been done.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Does something until it succeeds, fails for good, or has failed too often.
    pub fn retry<T>(&self, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Error> {
        let mut backoff = Backoff::new(self.transfer);
        loop {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(failure) => self.rest(&mut backoff, failure)?,
            }
        }
    }

    /// Waits before another attempt, or returns the failure's error if there is to be none.
    pub fn rest(&self, backoff: &mut Backoff, failure: Failure) -> Result<(), Error> {
        let Some(wait) = backoff.wait(failure.again) else { return Err(*failure.error) };
        self.progress.retrying(&failure.error, wait);
        self.nap(wait)
    }

    /// Waits, unless all is given up.
    pub fn nap(&self, wait: Duration) -> Result<(), Error> {
        let until = Instant::now() + wait;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if self.is_given_up() {
                return Err(Error::GivenUp);
            }
            thread::sleep(left.min(BEAT));
        }
        Ok(())
    }

    /// Sends a request and follows redirects. Any status that is no redirect is an answer, not a failure.
    pub fn send(&self, ask: &Ask) -> Result<Response, Failure> {
        let mut url = ask.url.clone();
        for _ in 0..MAX_REDIRECTS {
            let response = self.send_to(ask, &url)?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let host = host(&url);
            let wrong = |reason: &str| Error::Redirect { host: host.clone(), reason: reason.to_owned() };
            let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            let next =
                location.and_then(|location| url.join(location).ok()).ok_or_else(|| wrong("it says no address"))?;
            if let Some(reason) = bounds::forbids(&url, &next) {
                return Err(wrong(reason).into());
            }
            match (url.scheme(), next.scheme()) {
                ("https", "http") => return Err(wrong("from https to http").into()),
                (_, "http" | "https") => url = next,
                _ => return Err(wrong("to something other than https").into()),
            }
        }
        Err(Error::Redirect { host: host(&ask.url), reason: format!("more than {MAX_REDIRECTS} times") }.into())
    }

    fn send_to(&self, ask: &Ask, url: &Url) -> Result<Response, Failure> {
        if self.is_given_up() {
            return Err(Error::GivenUp.into());
        }
        let host = host(url);
        let is_first = url.origin() == ask.url.origin();
        let insecure = if is_first { ask.insecure } else { self.configuration.is_insecure_host(&host) };
        let mut request = self.client(url, insecure)?.request(ask.method.clone(), url.clone());
        if let Some(types) = ask.accept {
            request = request.header(ACCEPT, types);
        }
        if ask.from > 0 {
            request = request.header(RANGE, format!("bytes={}-", ask.from));
        }
        if let Some(authorization) = ask.authorization.as_ref().filter(|_| is_first) {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some(form) = ask.form.as_ref().filter(|_| is_first) {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
        }
        for (name, value) in &ask.headers {
            request = request.header(name, value.clone());
        }
        if let Some(make) = &ask.body {
            request = request.body(make().map_err(|source| Refusal::Source { source })?);
        }
        if let Some(timeout) = ask.timeout {
            request = request.timeout(timeout);
        }
        match request.send() {
            Ok(response) => {
                self.met.lock().unwrap_or_else(PoisonError::into_inner).insert(host);
                Ok(response)
            }
            Err(error) => Err(self.unreachable(url, error)),
        }
    }

    /// What an error of the HTTP library means, and whether it may pass.
    pub fn unreachable(&self, url: &Url, error: reqwest::Error) -> Failure {
        let host = host(url);
        let reason = Reason::of(&error, self.transfer.stall_timeout);
        let met = self.met.lock().unwrap_or_else(PoisonError::into_inner).contains(&host);
        let again = match &reason {
            reason if reason.is_final() => Again::Never,
            reason if met || reason.may_pass() => Again::Soon,
            // A registry that is just being restarted.
            Reason::Refused => Again::Once,
            _ => Again::Never,
        };
        let proxied = !is_loopback(url) && !matches!(reason, Reason::UnknownAuthority);
        let error = Error::Reach {
            certificate: certificates::place_for(self.environment, &host),
            proxy: self.environment.proxy(url.scheme()).filter(|_| proxied).map(without_password),
            source: Some(Cause(Box::new(error.without_url()))),
            host,
            reason,
        };
        Failure::new(error, again)
    }

    /// The client for a host: its own, because certificates are configured by host.
    fn client(&self, url: &Url, insecure: bool) -> Result<Client, Error> {
        let host = host(url);
        let key = (format!("{}://{host}", url.scheme()), insecure);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&key) {
            return Ok(client.clone());
        }
        // HTTP/1.1 has one connection for each layer that is fetched, where HTTP/2 would press all of them through one window.
        let mut builder = Client::builder()
            .user_agent(concat!("enter/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .http1_only()
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(self.transfer.stall_timeout)
            // Of the blocking client this is the time between two reads, not that of the whole request.
            .timeout(self.transfer.stall_timeout)
            .no_proxy();
        if url.scheme() == "https" {
            let certificates = certificates::load(self.environment, &host)?;
            builder = builder.tls_backend_preconfigured(tls::configure(&host, certificates, insecure)?);
        } else {
            // The library wants a working TLS even where none is spoken.
            builder =
                builder.tls_backend_preconfigured(tls::configure(&host, certificates::Certificates::default(), true)?);
        }
        if !is_loopback(url) {
            for scheme in ["http", "https"] {
                builder = self.add_proxy(builder, scheme)?;
            }
        }
        let client = builder.build().map_err(|error| *self.unreachable(url, error).error)?;
        clients.insert(key, client.clone());
        Ok(client)
    }

    fn add_proxy(
        &self,
        builder: reqwest::blocking::ClientBuilder,
        scheme: &str,
    ) -> Result<reqwest::blocking::ClientBuilder, Error> {
        let Some(proxy) = self.environment.proxy(scheme) else { return Ok(builder) };
        // As curl has it, an address without a scheme is one for HTTP.
        let address = if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") };
        let made = if scheme == "https" { Proxy::https(&address) } else { Proxy::http(&address) };
        let made = made.map_err(|_| Error::Proxy { proxy: without_password(proxy) })?;
        Ok(builder.proxy(made.no_proxy(self.environment.no_proxy().and_then(NoProxy::from_string))))
    }
}

/// `host[:port]`, as the user would write it.
pub fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Whether it is this very machine, which no proxy could reach.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// `scheme://user:password@host` without what stands before the host.
fn without_password(proxy: &str) -> String {
    let (scheme, rest) = proxy.split_once("://").unwrap_or(("http", proxy));
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    super::shorten(&format!("{scheme}://{host}"))
}

/// Reads a small body; never more than `limit` bytes and one.
pub fn body(http: &Http<'_>, response: &mut Response, limit: u64) -> Result<Vec<u8>, Failure> {
    let url = response.url().clone();
    let mut pace = Pace::new(http.transfer.stall_timeout);
    let mut bytes = Vec::new();
    loop {
        // As much as is there, so that the time is looked at in between.
        let mut part = [0; 8192];
        let wanted = usize::try_from(limit + 1 - bytes.len() as u64).unwrap_or(part.len()).min(part.len());
        let asked = Instant::now();
        match response.read(&mut part[..wanted]) {
            Ok(0) => return Ok(bytes),
            Ok(got) => {
                bytes.extend_from_slice(&part[..got]);
                if !pace.keeps(got, asked.elapsed()) {
                    return Err(stalled(http, &url));
                }
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(http, &url, error)),
        }
    }
}

/// A body that comes too slowly.
pub fn stalled(http: &Http<'_>, url: &Url) -> Failure {
    let reason = Reason::Silent(http.transfer.stall_timeout);
    Failure::soon(Error::Reach { host: host(url), reason, certificate: None, proxy: None, source: None })
}

/// What a failed read of a body means.
pub fn broken(http: &Http<'_>, url: &Url, error: std::io::Error) -> Failure {
    let host = host(url);
    let failure = |reason, source| Failure::soon(Error::Reach { host, reason, certificate: None, proxy: None, source });
    match error.downcast::<reqwest::Error>() {
        Ok(error) if error.is_timeout() => failure(Reason::Silent(http.transfer.stall_timeout), None),
        Ok(error) => failure(Reason::Broken, Some(Cause(Box::new(error.without_url())))),
        Err(error) => failure(Reason::Broken, Some(Cause(Box::new(error)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart() {
        let url = |text: &str| Url::parse(text).unwrap();
        assert_eq!(host(&url("https://r.example.com/v2/")), "r.example.com");
        assert_eq!(host(&url("https://r.example.com:443/v2/")), "r.example.com");
        assert_eq!(host(&url("https://r.example.com:5000/v2/")), "r.example.com:5000");
        for here in ["http://localhost:1/", "http://127.3.2.1/", "http://[::1]:5000/", "http://r.localhost/"] {
            assert!(is_loopback(&url(here)), "{here}");
        }
        assert!(!is_loopback(&url("http://192.0.2.1/")));
        assert!(!is_loopback(&url("http://localhost.example.com/")));
    }

    #[test]
    fn passwords_of_proxies_are_not_shown() {
        assert_eq!(without_password("http://me:secret@proxy:3128/"), "http://proxy:3128/");
        assert_eq!(without_password("me:p@ss@proxy:3128"), "http://proxy:3128");
    }
}
