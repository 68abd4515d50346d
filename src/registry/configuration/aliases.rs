//! What short names have been said to mean: `short-name-aliases.conf`, which podman writes too (containers-registries.conf(5)).

use std::path::PathBuf;

use toml::{Table, Value};

use super::FileError;
use crate::image::Reference;
use crate::registry::rewrite::{Readers, rewrite};
use crate::registry::{Environment, Error};

/// Where they are remembered for this user.
pub fn place(environment: &Environment) -> Option<PathBuf> {
    Some(environment.cache_home()?.join("containers/short-name-aliases.conf"))
}

/// Remembers which name a short one means. Where there is no home, nothing is remembered.
///
/// # Errors
/// A file that cannot be read or written.
pub fn remember(environment: &Environment, short: &Reference, chosen: &Reference) -> Result<(), Error> {
    let Some(path) = place(environment) else { return Ok(()) };
    rewrite(&path, Readers::Owner, |text| {
        with_alias(text, short.typed_path(), &chosen.repository())
            .map_err(|source| Error::Configuration { path: path.clone(), source })
    })
}

fn with_alias(text: &str, short: &str, repository: &str) -> Result<String, FileError> {
    let mut content: Table = toml::from_str(text).map_err(Box::new)?;
    let aliases = content.entry("aliases").or_insert_with(|| Value::Table(Table::new()));
    let reason = "it must be a table";
    let aliases =
        aliases.as_table_mut().ok_or_else(|| FileError::Value { key: "aliases", value: String::new(), reason })?;
    aliases.insert(short.to_owned(), Value::String(repository.to_owned()));
    Ok(content.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::file::File;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_was_remembered_before_stays() {
        let podman = "[aliases]\n  \"debian\" = \"docker.io/library/debian\"\n  \"a/b\" = \"quay.io/a/b\"\n";
        let text = with_alias(podman, "tool", "quay.io/team/tool").unwrap();
        let text = with_alias(&text, "a/b", "ghcr.io/a/b").unwrap();
        let aliases = File::parse(&text).unwrap().aliases;
        assert_eq!(aliases["debian"], "docker.io/library/debian");
        assert_eq!((aliases["tool"].as_str(), aliases["a/b"].as_str()), ("quay.io/team/tool", "ghcr.io/a/b"));
        for damaged in ["aliases = 3", "[aliases"] {
            assert!(with_alias(damaged, "a", "b").is_err(), "{damaged}");
        }
    }

    proptest! {
        #[test]
        fn any_name_is_found_again(short in "[a-z0-9][a-z0-9._/-]{0,20}", repository in "[a-z]{1,5}\\.io/[a-z0-9_.-]{1,9}") {
            let text = with_alias("", &short, &repository).unwrap();
            prop_assert_eq!(&File::parse(&text).unwrap().aliases[&short], &repository);
        }
    }
}
