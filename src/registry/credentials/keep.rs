//! Keeping credentials, and forgetting them: in the file where containers-auth.json(5) wants them, or by the helper that the user's
//! configuration names. Called by `login` and `logout`.
//!
//! A file is changed under a lock of its folder, and replaced as a whole by one that its owner alone can read. What others have
//! written into it stays as it is.

use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde_json::{Map, Value, json};

use super::file::{AuthFile, encode};
use super::helper::Helper;
use super::{Credentials, Environment, Error, FILES, Place};
use crate::registry::rewrite::{Readers, rewrite};

/// Where credentials are kept.
#[derive(Debug)]
pub struct Keeper<'a> {
    environment: &'a Environment,
    helpers: &'a [String],
    path: PathBuf,
    docker: bool,
}

/// Where something has been kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// In a file, readable to whoever can read the file.
    File(PathBuf),
    /// By a helper.
    Helper(String),
}

/// What there was to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forgotten {
    /// It has been forgotten.
    Done,
    /// There was nothing.
    Nothing,
}

impl<'a> Keeper<'a> {
    /// Finds out where credentials belong: `compat` is a file of Docker's that was asked for; else what `REGISTRY_AUTH_FILE` names, the file of
    /// Docker's in a `DOCKER_CONFIG` that is set, and podman's own file for this session. `helpers` are those of `registries.conf`.
    ///
    /// # Errors
    /// [`Error::NoPlace`] where there is none of all those.
    pub fn new(environment: &'a Environment, helpers: &'a [String], compat: Option<&Path>) -> Result<Self, Error> {
        let given = environment.path("REGISTRY_AUTH_FILE");
        let docker = compat.map(Path::to_owned).or_else(|| match given {
            None => Some(environment.path("DOCKER_CONFIG")?.join("config.json")),
            Some(_) => None,
        });
        if let Some(path) = docker {
            return Ok(Self { environment, helpers, path, docker: true });
        }
        let runtime = environment.runtime_dir();
        if let Some(missing) = runtime.as_ref().filter(|dir| given.is_none() && !dir.is_dir()) {
            return Err(Error::NoPlace { missing: Some(missing.clone()) });
        }
        // Without a folder for the session, the one for good, which podman reads too.
        let own = runtime.or_else(|| environment.config_home()).map(|dir| dir.join("containers/auth.json"));
        let path = given.or(own).ok_or(Error::NoPlace { missing: None })?;
        Ok(Self { environment, helpers, path, docker: false })
    }

    /// The file that counts, where no helper does.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps credentials.
    ///
    /// # Errors
    /// What a helper or the file system says; [`Error::PartOfRegistry`] where the place cannot be named to whom is to keep it.
    pub fn keep(&self, place: &Place, credentials: &Credentials) -> Result<Kept, Error> {
        if self.docker && place.is_part() {
            return Err(Error::PartOfRegistry { place: place.to_string(), keeper: "Docker's file".into() });
        }
        if let Some(first) = self.helpers.first().filter(|first| *first != FILES && !self.docker) {
            return self.keep_by(first, place, &place.to_string(), credentials);
        }
        let key = self.key(place);
        let file = AuthFile::load(&self.path)?;
        let own = file.helpers().iter().find(|(key, _)| place.is_meant_by(key));
        if let Some((server, helper)) = own {
            return self.keep_by(helper, place, server, credentials);
        }
        if let Some(helper) = file.store() {
            let kept = self.keep_by(helper, place, &key, credentials)?;
            // As Docker does, so that it is seen which servers the helper has something for.
            self.change(|entries| drop(entries.insert(key.clone(), json!({}))))?;
            return Ok(kept);
        }
        self.change(|entries| {
            // No other way to write the same name is to contradict it.
            entries.retain(|other, _| *other == key || !place.is_meant_by(other));
            let entry = entries.entry(key.clone()).or_insert(Value::Null);
            match (entry, encode(credentials)) {
                (Value::Object(old), Value::Object(new)) => {
                    ["auth", "identitytoken", "username", "password"].iter().for_each(|key| drop(old.remove(*key)));
                    old.extend(new);
                }
                (entry, new) => *entry = new,
            }
        })?;
        Ok(Kept::File(self.path.clone()))
    }

    fn keep_by(&self, helper: &str, place: &Place, server: &str, kept: &Credentials) -> Result<Kept, Error> {
        if place.is_part() && server != place.to_string() || place.is_part() && self.helpers.iter().any(|h| h == helper)
        {
            return Err(Error::PartOfRegistry {
                place: place.to_string(),
                keeper: format!("docker-credential-{helper}"),
            });
        }
        Helper::new(self.environment, helper).store(server, kept)?;
        Ok(Kept::Helper(helper.to_owned()))
    }

    /// Forgets what is kept for a place.
    ///
    /// # Errors
    /// What a helper or the file system says.
    pub fn forget(&self, place: &Place) -> Result<Forgotten, Error> {
        let mut found = false;
        let erase = |helper: &str, servers: &[String]| -> Result<bool, Error> {
            let helper = Helper::new(self.environment, helper);
            servers.iter().try_fold(false, |found, server| Ok(helper.erase(server)? || found))
        };
        if !self.docker && !place.is_part() {
            for helper in self.helpers.iter().filter(|helper| *helper != FILES) {
                found |= erase(helper, &place.server_names())?;
            }
        }
        let file = AuthFile::load(&self.path)?;
        for (key, helper) in file.helpers().iter().filter(|(key, _)| place.is_meant_by(key)) {
            found |= erase(helper, &super::names_for(key, place))?;
        }
        if let Some(helper) = file.store().filter(|_| !place.is_part()) {
            found |= erase(helper, &place.server_names())?;
        }
        if file.keys().any(|key| place.is_meant_by(key)) {
            found = true;
            self.change(|entries| entries.retain(|key, _| !place.is_meant_by(key)))?;
        }
        Ok(if found { Forgotten::Done } else { Forgotten::Nothing })
    }

    /// Forgets all that is kept in the file and by its helpers, and by those of `registries.conf`.
    ///
    /// # Errors
    /// What a helper or the file system says.
    pub fn forget_all(&self) -> Result<(), Error> {
        for name in self.helpers.iter().filter(|helper| *helper != FILES && !self.docker) {
            let helper = Helper::new(self.environment, name);
            for server in helper.list()? {
                helper.erase(&server)?;
            }
        }
        let file = AuthFile::load(&self.path)?;
        for (server, helper) in file.helpers() {
            Helper::new(self.environment, helper).erase(server)?;
        }
        if let Some(helper) = file.store() {
            // A keyring has more in it than registries; the file says which of it are some.
            for key in file.keys() {
                Helper::new(self.environment, helper).erase(key)?;
            }
        }
        if file.keys().next().is_some() {
            self.change(|entries| entries.clear())?;
        }
        Ok(())
    }

    /// How the file calls a place.
    fn key(&self, place: &Place) -> String {
        if self.docker { place.docker_key() } else { place.to_string() }
    }

    /// Changes the entries of the file, and lets all else in it stand.
    fn change(&self, change: impl FnOnce(&mut Map<String, Value>)) -> Result<(), Error> {
        rewrite(&self.path, Readers::Owner, |text| {
            let damaged = |source| Error::AuthFile { path: self.path.clone(), source };
            let mut content = parse_object(text).map_err(damaged)?;
            let entries = content.entry("auths").or_insert(Value::Null);
            if entries.is_null() {
                *entries = json!({});
            }
            let none = || damaged(serde_json::Error::custom("`auths` is no object"));
            change(entries.as_object_mut().ok_or_else(none)?);
            let mut text = String::from_utf8(pretty(&content)).unwrap_or_default();
            text.push('\n');
            Ok(text)
        })
    }
}

fn parse_object(text: &str) -> Result<Map<String, Value>, serde_json::Error> {
    if text.trim().is_empty() { Ok(Map::new()) } else { serde_json::from_str(text) }
}

/// As Docker and podman indent it.
fn pretty(content: &Map<String, Value>) -> Vec<u8> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    // Values become text without fail: their keys are strings, and the text lies in memory.
    drop(serde::Serialize::serialize(content, &mut serializer));
    text
}

#[cfg(test)]
mod tests;
