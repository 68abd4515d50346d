//! One file of credentials, as text: containers-auth.json(5) and what Docker's `config.json` has of the same form.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::{Credentials, Error};

/// What a file says. Go, in which others read it, takes null for nothing everywhere.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
pub struct AuthFile {
    auths: Option<BTreeMap<String, Option<Auth>>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    identitytoken: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl AuthFile {
    /// Reads a file; one that is not there, or is empty, says nothing.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = super::super::read(path)?.unwrap_or_default();
        Self::parse(&text).map_err(|source| Error::AuthFile { path: path.to_owned(), source })
    }

    /// Parses its text.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        if text.trim().is_empty() { Ok(Self::default()) } else { serde_json::from_str(text).map_err(without_content) }
    }

    /// Which registries have a helper of their own, and its name.
    pub fn helpers(&self) -> &BTreeMap<String, String> {
        static NONE: BTreeMap<String, String> = BTreeMap::new();
        self.cred_helpers.as_ref().unwrap_or(&NONE)
    }

    /// The helper for all other registries.
    pub fn store(&self) -> Option<&str> {
        self.creds_store.as_deref().filter(|helper| !helper.is_empty())
    }

    /// The keys of all entries.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.auths.iter().flatten().map(|(key, _)| key.as_str())
    }

    /// An entry's credentials; `None` where there is no such entry, or where it is empty because a helper has what belongs there.
    pub fn entry(&self, key: &str, path: &Path) -> Result<Option<Credentials>, Error> {
        let Some(Some(auth)) = self.auths.as_ref().and_then(|auths| auths.get(key)) else { return Ok(None) };
        decode(auth).map_err(|()| Error::AuthEntry { path: path.to_owned(), key: key.to_owned() })
    }
}

/// The same error, which can not repeat what stands in the file.
fn without_content(error: serde_json::Error) -> serde_json::Error {
    use serde::de::Error as _;
    match error.classify() {
        serde_json::error::Category::Data => serde_json::Error::custom(format!(
            "a value is of the wrong type at line {} column {}",
            error.line(),
            error.column()
        )),
        _ => error,
    }
}

fn decode(auth: &Auth) -> Result<Option<Credentials>, ()> {
    fn given(text: &Option<String>) -> Option<&str> {
        text.as_deref().filter(|text| !text.is_empty())
    }
    if let Some(token) = given(&auth.identitytoken) {
        return Ok(Some(Credentials::Token(token.to_owned())));
    }
    let Some(encoded) = given(&auth.auth) else {
        // As very old versions of Docker wrote it, and as some people do.
        return Ok(match (given(&auth.username), given(&auth.password)) {
            (Some(user), Some(password)) => {
                Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() })
            }
            _ => None,
        });
    };
    let bytes = STANDARD.decode(encoded.trim_end_matches('\0')).map_err(|_| ())?;
    let text = String::from_utf8(bytes).map_err(|_| ())?;
    let (user, password) = text.split_once(':').ok_or(())?;
    Ok(Some(Credentials::Password { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() }))
}

/// The value of an entry.
pub fn encode(credentials: &Credentials) -> serde_json::Value {
    match credentials {
        Credentials::Password { user, password } => {
            serde_json::json!({ "auth": STANDARD.encode(format!("{user}:{password}")) })
        }
        Credentials::Token(token) => serde_json::json!({ "auth": "", "identitytoken": token }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nulls_and_old_forms_are_read() {
        let file = AuthFile::parse(
            r#"{"auths": {"a": null, "b": {}, "c": {"username": "u", "password": "p"}}, "credHelpers": null, "credsStore": null}"#,
        )
        .unwrap();
        let path = Path::new("auth.json");
        assert!(file.entry("a", path).unwrap().is_none() && file.entry("b", path).unwrap().is_none());
        assert_eq!(file.entry("c", path).unwrap().unwrap().user(), Some("u"));
        assert!(file.helpers().is_empty() && file.store().is_none());
        assert_eq!(AuthFile::parse("\n").unwrap().keys().count(), 0);
        assert_eq!(AuthFile::parse(r#"{"auths": null}"#).unwrap().keys().count(), 0);
    }

    #[test]
    fn an_error_repeats_nothing_of_the_file() {
        let Err(error) = AuthFile::parse(r#"{"auths": {"a": "hunter2"}}"#) else { panic!("taken") };
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }

    proptest! {
        #[test]
        fn any_text_is_no_panic(text in "\\PC{0,80}", encoded in "\\PC{0,40}") {
            let _ = AuthFile::parse(&text);
            let text = serde_json::json!({"auths": {"a": {"auth": encoded}}}).to_string();
            let _ = AuthFile::parse(&text).unwrap().entry("a", Path::new("f"));
        }

        #[test]
        fn what_is_encoded_is_decoded(user in "[^:\\x00]{1,20}", password in "[^\\x00]{1,40}") {
            for credentials in [Credentials::Password { user, password: password.clone() }, Credentials::Token(password)] {
                let text = serde_json::json!({"auths": {"a": encode(&credentials)}}).to_string();
                let file = AuthFile::parse(&text).unwrap();
                prop_assert_eq!(file.entry("a", Path::new("f")).unwrap(), Some(credentials));
            }
        }
    }
}
