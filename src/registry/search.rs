//! Looking for images: by the search of Docker Hub's first API, which some other registries have too, or in the list of all that a
//! registry has. Called by `search`.

use reqwest::{Method, Url};
use serde::Deserialize;

use super::http::{self, Ask, Http};
use super::pages::{self, Tags, Taken};
use super::session::{Session, What};
use super::{Configuration, Environment, Error, Silent, Transfer, documents};
use crate::image::{DEFAULT_DOMAIN, Reference};

/// The largest answer that is read, in bytes.
const MAX_ANSWER: u64 = 8 << 20;
/// Where Docker Hub answers.
const HUB: &str = "https://index.docker.io/v1/search";
/// The most that a registry of the first API is asked for, and gives.
pub const MAX_FOUND: usize = 100;
/// How many names the list of all is read at once.
const PAGE: &str = "100";
/// The most characters of a description that are kept.
const MAX_DESCRIPTION: usize = 1000;

/// How a search goes.
#[derive(Debug, Clone)]
pub struct SearchOptions {
    /// How registries are asked.
    pub transfer: Transfer,
    /// Whose configuration counts.
    pub environment: Environment,
    /// How many results are wanted.
    pub limit: usize,
}

/// An image that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The registry that it was found in.
    pub registry: String,
    /// Its complete name, without a tag.
    pub name: String,
    /// In its owner's words, on one line.
    pub description: String,
    /// How many people like it.
    pub stars: u64,
    /// Whether the registry vouches for it.
    pub official: bool,
    /// Whether the registry has built it.
    pub automated: bool,
}

#[derive(Deserialize)]
struct Answer {
    results: Option<Vec<Item>>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(default)]
    name: String,
    description: Option<String>,
    star_count: Option<i64>,
    is_official: Option<bool>,
    is_automated: Option<bool>,
}

/// The registries that a search without one goes through.
///
/// # Errors
/// A configuration that cannot be used.
pub fn registries(environment: &Environment) -> Result<Vec<String>, Error> {
    Ok(Configuration::load(environment)?.search_registries())
}

/// Looks for images in one registry whose names, or whatever it searches in, have `term` in them.
///
/// # Errors
/// Whatever keeps the registry from being asked; what it answers.
pub fn search(registry: &str, term: &str, options: &SearchOptions) -> Result<Vec<Found>, Error> {
    let configuration = Configuration::load(&options.environment)?;
    let http = Http::new(&options.environment, &configuration, &options.transfer, &Silent);
    let any = Reference::parse(&format!("{registry}/any"))?;
    let own = configuration.endpoints(&any)?.pop().filter(|_| !any.is_short());
    let Some(endpoint) = own else {
        return Err(crate::image::Error::Registry {
            name: registry.to_owned(),
            reason: "it has neither a dot nor a port",
        }
        .into());
    };
    if endpoint.reference.domain() == DEFAULT_DOMAIN {
        return search_hub(&http, registry, term, options.limit);
    }
    let session = Session::new(&http, &endpoint)?;
    let found = match search_first_api(&session, registry, term, options.limit)? {
        Some(found) => found,
        None => search_catalog(&session, registry, term, options.limit)?,
    };
    Ok(found)
}

fn search_hub(http: &Http<'_>, registry: &str, term: &str, limit: usize) -> Result<Vec<Found>, Error> {
    let wrong = |reason: &str| Error::Answer {
        host: "index.docker.io".into(),
        what: "a search".into(),
        reason: reason.to_owned(),
    };
    let url = query(HUB, term, limit).ok_or_else(|| wrong("its name makes no address"))?;
    let bytes = http.retry(|| {
        let mut response = http.send(&Ask::get(url.clone(), false))?;
        let domain = DEFAULT_DOMAIN;
        super::session::refuse(http, &mut response, &What::Token { domain, known: false })?;
        http::body(http, &mut response, MAX_ANSWER)
    })?;
    parse_found(&bytes, registry, limit).ok_or_else(|| wrong("it is no JSON with results"))
}

/// By the first API; `None` where the registry does not have it.
fn search_first_api(
    session: &Session<'_>,
    registry: &str,
    term: &str,
    limit: usize,
) -> Result<Option<Vec<Found>>, Error> {
    let Some(url) = session.root_url("v1/search").ok().and_then(|url| query(url.as_str(), term, limit)) else {
        return Ok(None);
    };
    let what = What::Image { image: "a list of its images", session };
    let asked = session.http.retry(|| {
        let mut response = session.ask(Method::GET, &url, Some("application/json"), 0, &what)?;
        http::body(session.http, &mut response, MAX_ANSWER)
    });
    match asked {
        Ok(bytes) => Ok(parse_found(&bytes, registry, limit)),
        Err(error @ (Error::Reach { .. } | Error::GivenUp | Error::RateLimited { .. })) => Err(error),
        // Whatever else it says, the other way may work.
        Err(_) => Ok(None),
    }
}

fn search_catalog(session: &Session<'_>, registry: &str, term: &str, limit: usize) -> Result<Vec<Found>, Error> {
    #[derive(Deserialize)]
    struct Page {
        repositories: Option<Vec<String>>,
    }
    let mut first = session.root_url("v2/_catalog")?;
    first.query_pairs_mut().append_pair("n", PAGE);
    let what = What::Image { image: "a list of its images", session };
    let mut found = Vec::new();
    pages::read(session, first, &what, "a list of its images", |bytes| {
        let page: Page = serde_json::from_slice(bytes).map_err(|_| "it is no JSON with repositories")?;
        let repositories = page.repositories.unwrap_or_default();
        // A page on which nothing has the term is read for nothing only where it is empty.
        let empty = repositories.is_empty();
        for path in repositories.into_iter().filter(|path| path.contains(term)) {
            found.extend(named(registry, &path).map(|name| Found {
                registry: registry.to_owned(),
                name,
                description: String::new(),
                stars: 0,
                official: false,
                automated: false,
            }));
            if found.len() >= limit {
                return Ok(Taken::Enough);
            }
        }
        Ok(if empty { Taken::Nothing } else { Taken::Some })
    })?;
    found.truncate(limit);
    Ok(found)
}

fn query(address: &str, term: &str, limit: usize) -> Option<Url> {
    let mut url = Url::parse(address).ok()?;
    url.query_pairs_mut().append_pair("q", term).append_pair("n", &limit.clamp(1, MAX_FOUND).to_string());
    Some(url)
}

/// What the first API answers; `None` where it is no such answer.
fn parse_found(bytes: &[u8], registry: &str, limit: usize) -> Option<Vec<Found>> {
    let answer: Answer = serde_json::from_slice(bytes).ok()?;
    let found = answer.results?.into_iter().filter_map(|item| {
        let description = item.description.unwrap_or_default();
        let words = description.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(Found {
            registry: registry.to_owned(),
            name: named(registry, &item.name)?,
            description: words.chars().filter(|c| !c.is_control()).take(MAX_DESCRIPTION).collect(),
            stars: u64::try_from(item.star_count.unwrap_or_default()).unwrap_or_default(),
            official: item.is_official.unwrap_or_default(),
            automated: item.is_automated.unwrap_or_default(),
        })
    });
    Some(found.take(limit).collect())
}

/// The complete name of what a registry calls `path`; `None` for what is no name.
fn named(registry: &str, path: &str) -> Option<String> {
    let path = path.strip_prefix(registry).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path);
    Reference::parse(&format!("{registry}/{path}"))
        .ok()
        .filter(|name| name.tag() == Some(crate::image::DEFAULT_TAG) && name.digest().is_none())
        .map(|name| name.repository())
}

/// The tags of a repository, `options.limit` of them at most: what the first of its places that answers says.
///
/// # Errors
/// Those of the place that was asked last.
pub fn tags(reference: &Reference, options: &SearchOptions) -> Result<Tags, Error> {
    documents::each(reference, options, |session, _| pages::tags(session, options.limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn answers_are_made_names_and_lines() {
        let answer = br#"{"results": [
            {"name": "debian", "description": "A\n \u001b[31mdistribution ", "star_count": 5, "is_official": true, "is_automated": false},
            {"name": "docker.io/team/tool", "description": null, "star_count": -1},
            {"name": "../evil"}, {"name": "x:1"}, {}
        ]}"#;
        let found = parse_found(answer, "docker.io", 10).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].name.as_str(), found[0].description.as_str()),
            ("docker.io/library/debian", "A [31mdistribution")
        );
        assert_eq!((found[0].stars, found[0].official, found[1].stars), (5, true, 0));
        assert_eq!(found[1].name, "docker.io/team/tool");
        assert_eq!(parse_found(answer, "docker.io", 1).unwrap().len(), 1);
        assert_eq!(parse_found(b"404 page not found", "quay.io", 1), None);
        assert_eq!(parse_found(b"{}", "quay.io", 1), None);
    }

    #[test]
    fn a_term_is_no_part_of_the_address() {
        let url = query(HUB, "a&n=1000#x/../", 25).unwrap();
        assert_eq!(url.as_str(), "https://index.docker.io/v1/search?q=a%26n%3D1000%23x%2F..%2F&n=25");
    }

    proptest! {
        #[test]
        fn any_answer_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), name in "\\PC{0,20}", stars in any::<i64>()) {
            let _ = parse_found(&bytes, "quay.io", 10);
            let answer = serde_json::json!({"results": [{"name": name, "star_count": stars, "description": name}]}).to_string();
            for found in parse_found(answer.as_bytes(), "quay.io", 10).unwrap() {
                prop_assert!(found.name.starts_with("quay.io/"));
            }
        }
    }
}
