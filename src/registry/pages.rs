//! Lists that a registry gives out page by page (distribution-spec, "Listing Tags"; `Link` is that of RFC 8288).
//!
//! A list may be without an end, lead in a circle, or to somebody else: there is a limit to each of that.

use std::collections::HashSet;

use reqwest::header::LINK;
use reqwest::{Method, Url};

use super::Error;
use super::http;
use super::session::{Session, What};
use crate::image::{DEFAULT_TAG, Reference};

/// The largest page that is read, in bytes.
const MAX_PAGE: u64 = 8 << 20;
/// The most pages of one list.
const MAX_PAGES: usize = 2_000;
/// The most pages in a row that nothing is taken from.
const MAX_BARREN: usize = 50;
/// The most tags that are listed.
pub const MAX_TAGS: usize = 100_000;

/// What a page was good for.
pub enum Taken {
    /// Something new was on it.
    Some,
    /// Nothing was.
    Nothing,
    /// There is enough now.
    Enough,
}

/// The tags of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// In the registry's order.
    pub names: Vec<String>,
    /// Whether the registry has more of them.
    pub more: bool,
}

/// Reads a list from its first page on. `take` gets each page, and an error from it says what is wrong with the page.
///
/// # Errors
/// [`Error::Answer`] for a page that makes no sense, or a list without an end; whatever keeps the registry from being asked.
pub fn read(
    session: &Session<'_>,
    first: Url,
    what: &What<'_>,
    list: &str,
    mut take: impl FnMut(&[u8]) -> Result<Taken, &'static str>,
) -> Result<(), Error> {
    let wrong = |reason: String| Error::Answer { host: session.host(), what: list.to_owned(), reason };
    let mut seen = HashSet::from([first.clone()]);
    let (mut url, mut barren) = (first, 0);
    for _ in 0..MAX_PAGES {
        let (bytes, next) = session.http.retry(|| {
            let mut response = session.ask(Method::GET, &url, Some("application/json"), 0, what)?;
            let links = response.headers().get_all(LINK).iter().filter_map(|value| value.to_str().ok());
            let next = links.filter_map(next).next().map(str::to_owned);
            Ok((http::body(session.http, &mut response, MAX_PAGE)?, next))
        })?;
        if bytes.len() as u64 > MAX_PAGE {
            return Err(wrong(format!("a page of it is longer than {} MiB", MAX_PAGE >> 20)));
        }
        match take(&bytes).map_err(|reason| wrong(reason.to_owned()))? {
            Taken::Enough => return Ok(()),
            Taken::Some => barren = 0,
            Taken::Nothing => barren += 1,
        }
        let Some(next) = next else { return Ok(()) };
        let next = url.join(&next).map_err(|_| wrong("the address of its next page is none".into()))?;
        if next.origin() != url.origin() {
            return Err(wrong("its next page is said to be on another host".into()));
        }
        if !seen.insert(next.clone()) {
            return Err(wrong("its pages lead in a circle".into()));
        }
        if barren >= MAX_BARREN {
            return Err(wrong(format!("{barren} of its pages in a row have nothing new on them")));
        }
        url = next;
    }
    Err(wrong(format!("it has more than {MAX_PAGES} pages")))
}

/// The tags of a session's repository, `limit` of them at most.
///
/// # Errors
/// As [`read`].
pub fn tags(session: &Session<'_>, limit: usize) -> Result<Tags, Error> {
    #[derive(serde::Deserialize)]
    struct Page {
        tags: Option<Vec<String>>,
    }
    let limit = limit.min(MAX_TAGS);
    let repository = &session.endpoint.reference;
    let first = session.repository_url("tags/list")?;
    let image = repository.repository();
    let what = What::Image { image: &image, session };
    let (mut names, mut known, mut more) = (Vec::new(), HashSet::new(), false);
    read(session, first, &what, "the list of tags", |bytes| {
        let page: Page = serde_json::from_slice(bytes).map_err(|_| "it is no JSON with tags")?;
        let before = names.len();
        for tag in page.tags.into_iter().flatten() {
            // What is no tag cannot be asked for, and is nothing to be shown.
            if !is_tag(&tag) || !known.insert(tag.clone()) {
                continue;
            }
            if names.len() == limit {
                more = true;
                return Ok(Taken::Enough);
            }
            names.push(tag);
        }
        Ok(if names.len() > before { Taken::Some } else { Taken::Nothing })
    })?;
    Ok(Tags { names, more })
}

fn is_tag(text: &str) -> bool {
    Reference::parse(&format!("a.b/c:{text}")).is_ok_and(|parsed| parsed.tag().unwrap_or(DEFAULT_TAG) == text)
}

/// The address of the next page in a `Link` header.
fn next(header: &str) -> Option<&str> {
    let mut rest = header;
    loop {
        let (_, after) = rest.split_once('<')?;
        let (address, after) = after.split_once('>')?;
        let (parameters, others) = parameters(after);
        let is_next = parameters.iter().any(|(name, value)| {
            name.eq_ignore_ascii_case("rel")
                && value.split_ascii_whitespace().any(|kind| kind.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(address);
        }
        rest = others;
    }
}

/// The parameters of a link, `; name="value"`, and what comes after the comma behind them.
fn parameters(text: &str) -> (Vec<(&str, &str)>, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find([';', ',']).unwrap_or(rest.len());
        // A value in quotes may have both in it.
        let end = match rest.find('"') {
            Some(open) if open < end => {
                let close = rest[open + 1..].find('"').map_or(rest.len(), |close| open + 1 + close + 1);
                rest[close..].find([';', ',']).map_or(rest.len(), |end| close + end)
            }
            _ => end,
        };
        if let Some((name, value)) = rest[..end].split_once('=') {
            found.push((name.trim(), value.trim().trim_matches('"')));
        }
        match rest[end..].chars().next() {
            Some(';') => rest = &rest[end + 1..],
            Some(_) => return (found, &rest[end + 1..]),
            None => return (found, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        assert_eq!(next("</v2/a/tags/list?last=b&n=1>; rel=\"next\""), Some("/v2/a/tags/list?last=b&n=1"));
        assert_eq!(next("</a>;rel=next"), Some("/a"));
        assert_eq!(next("</z>; rel=\"last\", </a>; title=\"x, <y>; z\"; rel=\"prev next\""), Some("/a"));
        assert_eq!(next("</a>; REL=Next"), Some("/a"));
        for none in ["", "</a>", "</a>; rel=prev", "</a; rel=next", "/a; rel=next", "</a>; title=\"rel=next\""] {
            assert_eq!(next(none), None, "{none}");
        }
    }

    #[test]
    fn tags_are_told_from_what_is_none() {
        assert!(is_tag("1.0") && is_tag("latest") && is_tag(&"x".repeat(128)));
        for none in ["", "a b", "a\u{1b}", ".a", "a@sha256:1", "a/b", "a:b", &"x".repeat(129)] {
            assert!(!is_tag(none), "{none}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_no_panic(text in "\\PC{0,80}", links in "[<>;,=\" a-z]{0,60}") {
            let _ = next(&text);
            if let Some(found) = next(&links) {
                let whole = format!("<{found}>");
                prop_assert!(links.contains(&whole));
            }
        }
    }
}
