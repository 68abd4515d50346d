//! `WWW-Authenticate` (RFC 9110, 11.6.1): how a registry wants to be told who asks.

use std::collections::BTreeMap;

/// What a registry wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A name and a password in each request (RFC 7617).
    Basic,
    /// A token that another address gives out (distribution-spec, token authentication).
    Bearer {
        /// That address.
        realm: String,
        /// What it calls this registry.
        service: Option<String>,
        /// What the token must allow.
        scope: Option<String>,
    },
}

/// Reads all headers of that name and chooses: a token where one is offered, as it says less about the user.
pub fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut chosen = None;
    for (scheme, mut parameters) in headers.flat_map(parse) {
        match scheme.as_str() {
            "bearer" => {
                if let Some(realm) = parameters.remove("realm") {
                    return Some(Challenge::Bearer {
                        realm,
                        service: parameters.remove("service"),
                        scope: parameters.remove("scope"),
                    });
                }
            }
            "basic" => chosen = Some(Challenge::Basic),
            _ => {}
        }
    }
    chosen
}

/// One header: any number of schemes, each with parameters. What makes no sense is passed over.
fn parse(header: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut challenges: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let length = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(length);
        if word.is_empty() {
            // Something that is no token: give up on this character.
            let mut left = rest.chars();
            if left.next().is_none() {
                return challenges;
            }
            rest = left.as_str();
            continue;
        }
        rest = after;
        match after.trim_start().strip_prefix('=') {
            Some(value) => {
                let (value, after) = read_value(value.trim_start());
                rest = after;
                if let Some((_, parameters)) = challenges.last_mut() {
                    parameters.entry(word.to_ascii_lowercase()).or_insert(value);
                }
            }
            None => challenges.push((word.to_ascii_lowercase(), BTreeMap::new())),
        }
    }
}

/// A quoted string or a token.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let length = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..length].to_owned(), &text[length..]);
    };
    let mut value = String::new();
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => value.extend(chars.next()),
            _ => value.push(c),
        }
    }
    (value, chars.as_str())
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(header: &str) -> Option<Challenge> {
        choose([header].into_iter())
    }

    #[test]
    fn reads_what_registries_send() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull""#;
        let wanted = Challenge::Bearer {
            realm: "https://auth.docker.io/token".into(),
            service: Some("registry.docker.io".into()),
            scope: Some("repository:library/debian:pull".into()),
        };
        assert_eq!(one(hub), Some(wanted.clone()));
        assert_eq!(one(&format!("Basic realm=\"a, b\", {hub}")), Some(wanted.clone()));
        assert_eq!(choose(["Basic realm=x", hub].into_iter()), Some(wanted));
        assert_eq!(one("basic realm=\"Registry \\\"X\\\"\""), Some(Challenge::Basic));
        assert_eq!(one("Basic"), Some(Challenge::Basic));
        assert_eq!(
            one("bearer REALM = t , service=s"),
            Some(Challenge::Bearer { realm: "t".into(), service: Some("s".into()), scope: None })
        );
    }

    #[test]
    fn nothing_usable_is_nothing() {
        for header in ["", "Bearer", "Bearer service=x", "Negotiate abc==", "=", "\"", ",,,"] {
            assert_eq!(one(header), None, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "\\PC{0,80}") {
            let _ = one(&text);
            let _ = one(&format!("Bearer {text}"));
        }
    }
}
