//! A policy as text: what stands in it for people to see, and what is to stand in it from now on.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::requirement::check_key;
use super::{Error, Policy, Source};
use crate::image::Reference;

/// What stands for all images that nothing else is said of.
pub const DEFAULT: &str = "default";

/// A requirement of a policy, and of which images it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `docker`, say; `None` where it is for all images that nothing else is said of.
    pub transport: Option<String>,
    /// Of which images of the transport; empty for all of them.
    pub scope: String,
    /// As the policy calls it: `reject`.
    pub kind: String,
}

/// What is required of some images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing.
    Anything,
    /// None is accepted.
    Nothing,
    /// To be signed by each of these keys of GnuPG.
    Gpg(Vec<PathBuf>),
    /// To be signed by each of these keys, in sigstore's form.
    Sigstore(Vec<PathBuf>),
}

/// What a policy requires, in order: by default, then by transport and scope. `path` is for messages.
///
/// # Errors
/// As [`Policy::parse`].
pub fn entries(path: &Path, text: &str) -> Result<Vec<Entry>, Error> {
    let whole = parse(path, text)?;
    let kinds = |requirements: &Value| -> Vec<String> {
        let kinds = requirements.as_array().into_iter().flatten().filter_map(|one| one["type"].as_str());
        kinds.map(str::to_owned).collect()
    };
    let of = |transport: Option<&str>, scope: &str, requirements: &Value| -> Vec<Entry> {
        let entry = |kind| Entry { transport: transport.map(str::to_owned), scope: scope.to_owned(), kind };
        kinds(requirements).into_iter().map(entry).collect()
    };
    let mut all = of(None, DEFAULT, whole.get("default").unwrap_or(&Value::Null));
    let transports = whole.get("transports").and_then(Value::as_object);
    let mut sorted: Vec<_> = transports.into_iter().flatten().collect();
    sorted.sort_by_key(|(transport, _)| transport.as_str());
    for (transport, scopes) in sorted {
        let mut scopes: Vec<_> = scopes.as_object().into_iter().flatten().collect();
        scopes.sort_by_key(|(scope, _)| scope.as_str());
        all.extend(scopes.into_iter().flat_map(|(scope, own)| of(Some(transport), scope, own)));
    }
    Ok(all)
}

/// Of these entries those that count for a registry, repository or image. `None` where the text is no such name.
pub fn for_name(entries: &[Entry], name: &str) -> Option<Vec<Entry>> {
    let of_docker: Vec<&Entry> = entries.iter().filter(|entry| entry.transport.as_deref() == Some("docker")).collect();
    let is_image = name.contains('/') || !is_registry(name);
    let scopes = match is_image {
        true => Source::registry(&Reference::parse(name).ok()?).scopes().to_vec(),
        // A registry by itself: what counts for an image in it, but for the scopes of that image.
        false => {
            let image = Source::registry(&Reference::parse(&format!("{name}/x")).ok()?);
            let is_above = |scope: &&String| *scope == name || scope.starts_with("*.");
            image.scopes().iter().filter(is_above).cloned().collect()
        }
    };
    let found = scopes.iter().map(String::as_str).chain([""]).find_map(|scope| {
        let own: Vec<Entry> =
            of_docker.iter().filter(|entry| entry.scope == scope).map(|entry| (*entry).clone()).collect();
        (!own.is_empty()).then_some(own)
    });
    Some(found.unwrap_or_else(|| entries.iter().filter(|entry| entry.transport.is_none()).cloned().collect()))
}

/// The text of a policy that requires something else of some images than `text` does, which is empty where there is no policy yet. A scope
/// that some transport has is that one's; else it is one of registries. All else stays.
///
/// # Errors
/// [`Error::Policy`] where the text is no policy; what is wrong with a key; [`Error::Scope`] for a scope that no image can have.
pub fn set(path: &Path, text: &str, scope: &str, wanted: &Wanted) -> Result<String, Error> {
    let mut whole = match text.trim().is_empty() {
        // What is so without a policy.
        true => Map::from_iter([(DEFAULT.to_owned(), json!([{"type": "insecureAcceptAnything"}]))]),
        false => parse(path, text)?,
    };
    let requirements = wanted.requirements()?;
    let transports = whole.get("transports").and_then(Value::as_object).into_iter().flatten();
    let holder = transports.filter(|(_, scopes)| scopes.get(scope).is_some()).map(|(name, _)| name.clone()).next();
    if scope == DEFAULT {
        whole.insert(DEFAULT.into(), requirements);
    } else {
        if holder.is_none() {
            check(scope)?;
        }
        let transports = whole.entry("transports").or_insert_with(|| json!({}));
        transports[holder.as_deref().unwrap_or("docker")][scope] = requirements;
    }
    let mut after = serde_json::to_string_pretty(&whole).unwrap_or_default();
    after.push('\n');
    Policy::parse(path, after.as_bytes()).map(|_| after)
}

/// The text as it stands, where it is a policy.
fn parse(path: &Path, text: &str) -> Result<Map<String, Value>, Error> {
    Policy::parse(path, text.as_bytes())?;
    serde_json::from_str(text).map_err(|source| Error::Policy { path: path.to_owned(), source })
}

/// Refuses a scope that no image of a registry has: such a rule would never count, and nobody would see that.
fn check(scope: &str) -> Result<(), Error> {
    let refused = |reason: String| Err(Error::Scope { scope: scope.to_owned(), reason });
    if let Some(domain) = scope.strip_prefix("*.") {
        let known = !domain.contains(['/', ':', '*', '@']) && Reference::parse(&format!("x.{domain}/x")).is_ok();
        return if known { Ok(()) } else { refused("behind *. there has to stand a domain, and nothing else".into()) };
    }
    let host = scope.split('/').next().unwrap_or_default();
    let as_image = if scope.contains('/') { scope.to_owned() } else { format!("{scope}/x") };
    // What was typed as people type an image's name has another complete one.
    let typed = if is_registry(host) { &as_image } else { scope };
    match Reference::parse(typed) {
        Ok(reference) if !is_registry(host) => {
            refused(format!("it begins with no registry; is {} meant?", reference.repository()))
        }
        Ok(reference) if scope.contains('/') => {
            match Source::registry(&reference).scopes().iter().any(|own| own == scope) {
                true => Ok(()),
                false => refused(format!("the complete name is {}", reference.repository())),
            }
        }
        Ok(_) => Ok(()),
        Err(error) => refused(error.to_string()),
    }
}

/// Whether it reads as a registry, where it is the first part of a name.
fn is_registry(host: &str) -> bool {
    host == "localhost" || host.contains(['.', ':'])
}

impl Wanted {
    fn requirements(&self) -> Result<Value, Error> {
        let by = |keys: &[PathBuf], one: &dyn Fn(&PathBuf) -> Value| keys.iter().map(one).collect::<Vec<_>>();
        let list = match self {
            Self::Anything => vec![json!({"type": "insecureAcceptAnything"})],
            Self::Nothing => vec![json!({"type": "reject"})],
            Self::Gpg(keys) => by(keys, &|key| json!({"type": "signedBy", "keyType": "GPGKeys", "keyPath": key})),
            Self::Sigstore(keys) => {
                keys.iter().try_for_each(|key| check_key(key))?;
                by(keys, &|key| json!({"type": "sigstoreSigned", "keyPath": key}))
            }
        };
        Ok(Value::Array(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const POLICY: &str = r#"{
        "transports": {
            "docker-daemon": {"": [{"type": "insecureAcceptAnything"}]},
            "docker": {
                "quay.io/team": [{"type": "sigstoreSigned", "keyData": "AAAA"}],
                "docker.io": [{"type": "reject"}, {"type": "insecureAcceptAnything"}]
            }
        },
        "default": [{"type": "reject"}]
    }"#;

    fn place() -> &'static Path {
        Path::new("policy.json")
    }

    fn rows(entries: &[Entry]) -> Vec<String> {
        let transport = |entry: &Entry| entry.transport.clone().unwrap_or("all".into());
        entries.iter().map(|entry| format!("{} {} {}", transport(entry), entry.scope, entry.kind)).collect()
    }

    #[test]
    fn all_that_is_required_is_told_in_order() {
        assert_eq!(
            rows(&entries(place(), POLICY).unwrap()),
            [
                "all default reject",
                "docker docker.io reject",
                "docker docker.io insecureAcceptAnything",
                "docker quay.io/team sigstoreSigned",
                "docker-daemon  insecureAcceptAnything"
            ]
        );
        assert!(entries(place(), "{}").is_err());
    }

    #[test]
    fn the_narrowest_counts() {
        let all = entries(place(), POLICY).unwrap();
        let of = |name: &str| rows(&for_name(&all, name).unwrap());
        assert_eq!(of("quay.io/team/app:1"), ["docker quay.io/team sigstoreSigned"]);
        assert_eq!(of("busybox"), of("docker.io"));
        assert_eq!(of("quay.io"), ["all default reject"]);
        assert_eq!(of("docker.io"), ["docker docker.io reject", "docker docker.io insecureAcceptAnything"]);
        assert_eq!(for_name(&all, "a b/x"), None);
    }

    #[test]
    fn what_else_stands_there_stays() {
        let key = PathBuf::from("/etc/key.gpg");
        let text = set(place(), POLICY, "quay.io/team", &Wanted::Anything).unwrap();
        let text = set(place(), &text, "*.example.com", &Wanted::Nothing).unwrap();
        let text = set(place(), &text, "localhost:5000/a/b:1", &Wanted::Gpg(vec![key.clone(), key])).unwrap();
        let text = set(place(), &text, "default", &Wanted::Anything).unwrap();
        let (before, after): (Value, Value) =
            (serde_json::from_str(POLICY).unwrap(), serde_json::from_str(&text).unwrap());
        let docker = &after["transports"]["docker"];
        assert_eq!(docker["quay.io/team"], json!([{"type": "insecureAcceptAnything"}]));
        assert_eq!(docker["*.example.com"], json!([{"type": "reject"}]));
        assert_eq!(docker["localhost:5000/a/b:1"].as_array().unwrap().len(), 2);
        assert_eq!(docker["docker.io"], before["transports"]["docker"]["docker.io"]);
        assert_eq!(after["transports"]["docker-daemon"], before["transports"]["docker-daemon"]);
        assert_eq!(after["default"], json!([{"type": "insecureAcceptAnything"}]));
        assert!(text.find("transports").unwrap() < text.find("default").unwrap(), "the order changed");
        // A scope of another transport is that one's.
        let text =
            set(place(), &text.replace("docker-daemon", "dir").replace("\"\"", "\"/a\""), "/a", &Wanted::Nothing);
        let after: Value = serde_json::from_str(&text.unwrap()).unwrap();
        assert_eq!(after["transports"]["dir"]["/a"], json!([{"type": "reject"}]));
    }

    #[test]
    fn without_a_policy_all_else_stays_accepted() {
        let after: Value = serde_json::from_str(&set(place(), "", "quay.io", &Wanted::Nothing).unwrap()).unwrap();
        assert_eq!(after["default"], json!([{"type": "insecureAcceptAnything"}]));
        assert_eq!(after["transports"]["docker"]["quay.io"], json!([{"type": "reject"}]));
    }

    #[test]
    fn what_would_never_count_is_refused() {
        for scope in [
            "busybox",
            "team/app",
            "docker.io/busybox",
            "quay.io/UPPER",
            "*.",
            "*.a/b",
            "",
            "quay.io/",
            "http://quay.io",
        ] {
            assert!(matches!(set(place(), "", scope, &Wanted::Anything), Err(Error::Scope { .. })), "{scope}");
        }
        let dir = tempfile::tempdir().unwrap();
        let none = dir.path().join("none.pub");
        assert!(matches!(set(place(), "", "quay.io", &Wanted::Sigstore(vec![none.clone()])), Err(Error::Read { .. })));
        std::fs::write(&none, "no key").unwrap();
        assert!(matches!(set(place(), "", "quay.io", &Wanted::Sigstore(vec![none])), Err(Error::Key { .. })));
        // A list without any key is no requirement.
        assert!(set(place(), "", "quay.io", &Wanted::Sigstore(Vec::new())).is_err());
        for damaged in ["{", "[]", r#"{"default": []}"#, r#"{"default": [{"type": "reject"}], "more": 1}"#] {
            assert!(
                matches!(set(place(), damaged, "quay.io", &Wanted::Anything), Err(Error::Policy { .. })),
                "{damaged}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_set_is_what_counts(host in "[a-z]{1,5}\\.[a-z]{2,3}(:[1-9][0-9]{1,3})?", path in "(/[a-z][a-z0-9]{0,5}){0,3}") {
            let scope = format!("{host}{path}");
            let text = set(place(), POLICY, &scope, &Wanted::Anything).unwrap();
            let counts = for_name(&entries(place(), &text).unwrap(), &format!("{scope}/image")).unwrap();
            prop_assert_eq!(&counts[0].scope, &scope);
        }

        #[test]
        fn any_text_is_no_panic(text in "\\PC{0,40}", scope in "\\PC{0,20}") {
            let _ = set(place(), &text, &scope, &Wanted::Anything);
            let _ = set(place(), "", &scope, &Wanted::Nothing);
            let _ = entries(place(), &text);
            let _ = for_name(&[], &scope);
        }
    }
}
