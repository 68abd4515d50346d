//! The file of the policy: which one counts, and how it is changed. What stands in it is `trust`'s.

use std::path::{Path, PathBuf};

use super::rewrite::{Readers, rewrite};
use super::{Environment, Error, read};
use crate::trust;

/// The policy that counts, as it stands there, and its file; `None` where there is none.
///
/// # Errors
/// A file that cannot be read; one that was named and is not there.
pub fn policy_text(environment: &Environment) -> Result<Option<(PathBuf, String)>, Error> {
    if let Some(path) = environment.named_policy() {
        let missing = || Error::Read { path: path.to_owned(), source: std::io::ErrorKind::NotFound.into() };
        return read(path)?.ok_or_else(missing).map(|text| Some((path.to_owned(), text)));
    }
    for path in environment.policies() {
        if let Some(text) = read(&path)? {
            return Ok(Some((path, text)));
        }
    }
    Ok(None)
}

/// Changes the policy that was named, or the user's, which begins as the system's where there is none. `change` is given the text that there
/// is, empty where there is none, and its file.
///
/// # Errors
/// What `change` says; a file that cannot be read or written.
pub fn change_policy(
    environment: &Environment,
    change: impl FnOnce(&Path, &str) -> Result<String, trust::Error>,
) -> Result<(), Error> {
    let named = environment.named_policy().map(Path::to_owned);
    let mut places = environment.policies();
    let path = match (&named, places.len()) {
        (Some(path), _) => path.clone(),
        // The system's alone.
        (None, 0 | 1) => {
            let source = std::io::Error::other("neither HOME nor XDG_CONFIG_HOME is set");
            return Err(Error::Write { path: "containers/policy.json".into(), source });
        }
        (None, _) => places.remove(0),
    };
    rewrite(&path, Readers::AsBefore, |text| {
        let above = places.first().filter(|_| named.is_none() && text.is_empty());
        match above.map(|above| Ok::<_, Error>((above, read(above)?))).transpose()? {
            Some((above, Some(text))) => Ok(change(above, &text)?),
            _ => Ok(change(&path, text)?),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::trust::Wanted;

    #[test]
    fn the_user_s_policy_begins_as_the_system_s_and_keeps_its_readers() {
        let dir = tempfile::tempdir().unwrap();
        let (etc, config) = (dir.path().join("etc"), dir.path().join("config"));
        let environment = Environment::of(&[("XDG_CONFIG_HOME", config.to_str().unwrap())], &etc);
        assert_eq!(policy_text(&environment).unwrap(), None);
        fs::create_dir_all(etc.join("containers")).unwrap();
        let system = r#"{"default": [{"type": "reject"}]}"#;
        fs::write(etc.join("containers/policy.json"), system).unwrap();
        let set = |scope: &str, wanted: Wanted| {
            change_policy(&environment, |path, text| trust::set(path, text, scope, &wanted))
        };
        set("quay.io", Wanted::Anything).unwrap();
        let own = config.join("containers/policy.json");
        let mode = || fs::metadata(&own).unwrap().permissions().mode() & 0o777;
        let text = fs::read_to_string(&own).unwrap();
        assert!(text.contains("reject") && text.contains("quay.io"), "{text}");
        assert_eq!((mode(), policy_text(&environment).unwrap()), (0o644, Some((own.clone(), text.clone()))));
        assert_eq!(fs::read_to_string(etc.join("containers/policy.json")).unwrap(), system);
        fs::set_permissions(&own, fs::Permissions::from_mode(0o600)).unwrap();
        set("docker.io", Wanted::Nothing).unwrap();
        assert_eq!(mode(), 0o600);
        // What cannot be done leaves it as it was.
        let before = fs::read(&own).unwrap();
        assert!(set("busybox", Wanted::Nothing).is_err());
        fs::write(&own, "{").unwrap();
        assert!(set("docker.io", Wanted::Nothing).is_err());
        assert_eq!(fs::read_to_string(&own).unwrap(), "{");
        fs::write(&own, before).unwrap();
        // One that was named, which need not be there.
        let named = dir.path().join("other.json");
        let environment = environment.clone().with_policy(Some(named.clone()));
        assert!(policy_text(&environment).is_err());
        change_policy(&environment, |path, text| trust::set(path, text, "default", &Wanted::Anything)).unwrap();
        assert!(!fs::read_to_string(&named).unwrap().contains("reject"));
    }
}
