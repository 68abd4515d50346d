//! Tokens: what a registry's challenge leads to (distribution-spec, token authentication; OAuth 2 for refresh tokens).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use reqwest::{Method, Url};
use serde::Deserialize;

use super::Error;
use super::credentials::Credentials;
use super::http::{self, Ask, Http};
use crate::image::DEFAULT_DOMAIN;

/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 1 << 20;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
}

/// Where a token is asked for, and for what.
pub struct Wanted<'a> {
    /// The registry's own address.
    pub registry: &'a Url,
    /// The registry, as names call it.
    pub domain: &'a str,
    /// What the registry gave as the place to ask.
    pub realm: &'a str,
    /// What the registry calls itself.
    pub service: Option<&'a str>,
    /// What the token must allow; nothing where it only has to show that somebody is who they say.
    pub scopes: &'a [String],
    /// Whether the registry is configured to be insecure.
    pub insecure: bool,
}

/// An authorization, and where credentials were held back from.
pub struct Granted {
    /// For the `Authorization` header.
    pub authorization: HeaderValue,
    /// The host that did not get the user's credentials.
    pub withheld: Option<String>,
}

/// Asks for a token. Credentials go only to a realm that belongs to the registry, or that the user has consented to.
///
/// # Errors
/// What the realm answers, or [`Error::Answer`] where realm or answer make no sense.
pub fn fetch(http: &Http<'_>, wanted: &Wanted<'_>, credentials: Option<&Credentials>) -> Result<Granted, Error> {
    let registry = http::host(wanted.registry);
    let what = "a token";
    let wrong =
        |host: &str, reason: &str| Error::Answer { host: host.to_owned(), what: what.into(), reason: reason.into() };
    let mut realm = Url::parse(wanted.realm).map_err(|_| wrong(&registry, "the realm is no address"))?;
    let is_own = realm.host_str() == wanted.registry.host_str();
    match (realm.scheme(), wanted.registry.scheme()) {
        ("https", _) => {}
        ("http", "http") => {}
        _ => return Err(wrong(&registry, "the realm is not https")),
    }
    if let Some(reason) = super::bounds::forbids(wanted.registry, &realm) {
        return Err(wrong(&registry, &format!("its realm leads {reason}")));
    }
    let host = http::host(&realm);
    let trusted = is_trusted(&realm, wanted, &http.transfer.token_hosts);
    let withheld = credentials.is_some() && !trusted;
    let credentials = credentials.filter(|_| trusted);
    let insecure = if is_own { wanted.insecure } else { http.configuration.is_insecure_host(&host) };
    let mut ask = Ask::get(realm.clone(), insecure);
    match credentials {
        Some(Credentials::Token(token)) => {
            let scope = wanted.scopes.join(" ");
            let mut form =
                vec![("grant_type", "refresh_token"), ("client_id", "enter"), ("refresh_token", token.as_str())];
            form.extend(Some(scope.as_str()).filter(|scope| !scope.is_empty()).map(|scope| ("scope", scope)));
            form.extend(wanted.service.map(|service| ("service", service)));
            let mut encoder = url::form_urlencoded::Serializer::new(String::new());
            encoder.extend_pairs(form);
            ask.form = Some(encoder.finish());
            ask.method = Method::POST;
        }
        other => {
            let mut query = realm.query_pairs_mut();
            if let Some(service) = wanted.service {
                query.append_pair("service", service);
            }
            for scope in wanted.scopes {
                query.append_pair("scope", scope);
            }
            if let Some(Credentials::Password { user, .. }) = other {
                query.append_pair("account", user);
            }
            drop(query);
            ask.url = realm;
            ask.authorization = other.and_then(basic);
        }
    }
    let bytes = http.retry(|| {
        let mut response = http.send(&ask)?;
        super::session::refuse(
            http,
            &mut response,
            &super::session::What::Token { domain: wanted.domain, known: credentials.is_some() },
        )?;
        http::body(http, &mut response, MAX_ANSWER)
    })?;
    let authorization = read(&bytes).map_err(|reason| wrong(&host, reason))?;
    Ok(Granted { authorization, withheld: withheld.then_some(host) })
}

/// The header that an answer amounts to, or what is wrong with the answer.
pub fn read(answer: &[u8]) -> Result<HeaderValue, &'static str> {
    let answer: Answer = serde_json::from_slice(answer).map_err(|_| "the answer is no token in JSON")?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let token = token.ok_or("the answer has no token")?;
    let mut authorization =
        HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| "the token has characters that no token has")?;
    authorization.set_sensitive(true);
    Ok(authorization)
}

/// The header of RFC 7617. `None` for a refresh token, which only a realm takes.
pub fn basic(credentials: &Credentials) -> Option<HeaderValue> {
    let Credentials::Password { user, password } = credentials else { return None };
    let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether a realm may see the credentials for a registry.
///
/// It may if it is the registry's own host, or a domain that the registry's lies in (`gitlab.com` for `registry.gitlab.com`), because who controls
/// that controls the registry too; Docker Hub's; or one that the user has named. Anything else could be a registry that has had its answers forged.
fn is_trusted(realm: &Url, wanted: &Wanted<'_>, consented: &[String]) -> bool {
    let (Some(realm_host), Some(registry)) = (realm.host_str(), wanted.registry.host_str()) else { return false };
    let is_above =
        realm_host.contains('.') && registry.strip_suffix(realm_host).is_some_and(|rest| rest.ends_with('.'));
    let is_hub = wanted.domain == DEFAULT_DOMAIN && realm_host == "auth.docker.io";
    let is_named = consented.iter().any(|host| host == realm_host || *host == http::host(realm));
    realm_host == registry || is_above || is_hub || is_named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_with_the_registry() {
        let trusted = |registry: &str, domain: &str, realm: &str, consented: &[&str]| {
            let registry = Url::parse(registry).unwrap();
            let wanted = Wanted { registry: &registry, domain, realm, service: None, scopes: &[], insecure: false };
            let consented: Vec<String> = consented.iter().map(|host| (*host).to_owned()).collect();
            is_trusted(&Url::parse(realm).unwrap(), &wanted, &consented)
        };
        let gitlab = "https://registry.gitlab.example/v2/";
        assert!(trusted("https://r.example.com:5000/", "r.example.com:5000", "https://r.example.com/token", &[]));
        assert!(trusted(gitlab, "registry.gitlab.example", "https://gitlab.example/jwt/auth", &[]));
        assert!(trusted("https://registry-1.docker.io/", "docker.io", "https://auth.docker.io/token", &[]));
        assert!(!trusted(gitlab, "registry.gitlab.example", "https://auth.docker.io/token", &[]));
        assert!(!trusted(gitlab, "registry.gitlab.example", "https://evil.example/token", &[]));
        assert!(!trusted(gitlab, "registry.gitlab.example", "https://lab.example/token", &[]));
        assert!(!trusted("https://r.example/", "r.example", "https://example/token", &[]));
        assert!(trusted(gitlab, "registry.gitlab.example", "https://sso.example/token", &["sso.example"]));
    }

    #[test]
    fn basic_is_encoded_and_hidden() {
        let value = basic(&Credentials::Password { user: "Aladdin".into(), password: "open sesame".into() }).unwrap();
        assert_eq!(value, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(value.is_sensitive());
    }
}
