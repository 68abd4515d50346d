//! `registries.conf`, version 2, with its drop-ins (containers-registries.conf(5)): which registry a name means, where its images really are,
//! and how far the registry is trusted.

mod aliases;
mod file;
mod lookup;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use aliases::remember;
pub use file::FileError;
pub use lookup::{Endpoint, api_host};

use super::{Environment, Error};
use file::{File, Mode, Table};

/// All of a user's `registries.conf`, merged.
#[derive(Debug, Default, Clone)]
pub struct Configuration {
    search: Option<Vec<String>>,
    mode: Mode,
    aliases: BTreeMap<String, String>,
    /// By their prefixes.
    tables: BTreeMap<String, Table>,
    helpers: Option<Vec<String>>,
    /// Whether every registry is insecure, or none, whatever the tables say.
    all_insecure: Option<bool>,
}

impl Configuration {
    /// Reads the files that count for this environment: the user's in place of the system's, then the system's drop-ins, then the user's.
    ///
    /// # Errors
    /// [`Error::Configuration`], naming the file; [`Error::Read`].
    pub fn load(environment: &Environment) -> Result<Self, Error> {
        let all_insecure = environment.tls_verify().map(|verify| !verify);
        let mut configuration = Self { all_insecure, ..Self::default() };
        let (main, folders) = places(environment);
        for path in main.into_iter().chain(folders.iter().flat_map(|folder| drop_ins(folder))) {
            if let Some(text) = super::read(&path)? {
                let file = File::parse(&text).map_err(|source| Error::Configuration { path: path.clone(), source })?;
                configuration.merge(file, &path);
            }
        }
        // What podman, or this program, has been told to remember for this user.
        if let Some(path) = aliases::place(environment)
            && let Some(text) = super::read(&path)?
        {
            let file = File::parse(&text).map_err(|source| Error::Configuration { path: path.clone(), source })?;
            configuration.merge(File { aliases: file.aliases, ..File::default() }, &path);
        }
        Ok(configuration)
    }

    /// Lets what a later file says go before what is here already.
    fn merge(&mut self, later: File, path: &Path) {
        self.search = later.search.or(self.search.take());
        self.mode = later.mode.unwrap_or(self.mode);
        self.helpers = later.helpers.or(self.helpers.take());
        for (alias, name) in later.aliases {
            // An empty name takes an alias away.
            if name.is_empty() {
                self.aliases.remove(&alias)
            } else {
                self.aliases.insert(alias, name)
            };
        }
        for mut table in later.tables {
            path.clone_into(&mut table.from);
            self.tables.insert(table.prefix.clone(), table);
        }
    }

    /// The registry that short names are looked for in first.
    pub fn first_registry(&self) -> &str {
        self.search.iter().flatten().next().map_or(crate::image::DEFAULT_DOMAIN, String::as_str)
    }

    /// The registries that are searched where none is named.
    pub fn search_registries(&self) -> Vec<String> {
        match self.search.as_deref() {
            None | Some([]) => vec![crate::image::DEFAULT_DOMAIN.to_owned()],
            Some(search) => search.to_vec(),
        }
    }

    /// The credential helpers to ask before any file, if the configuration names some.
    pub fn helpers(&self) -> &[String] {
        self.helpers.as_deref().unwrap_or_default()
    }
}

/// The main file, of which there is at most one, and the folders of drop-ins.
fn places(environment: &Environment) -> (Option<PathBuf>, Vec<PathBuf>) {
    if let Some(path) = environment.path("CONTAINERS_REGISTRIES_CONF") {
        return (Some(path), environment.path("CONTAINERS_REGISTRIES_CONF_DIR").into_iter().collect());
    }
    let system = environment.etc().join("containers");
    let user = environment.config_home().map(|config| config.join("containers"));
    let own = user.as_ref().map(|user| user.join("registries.conf")).filter(|path| path.exists());
    let main = own.unwrap_or_else(|| system.join("registries.conf"));
    let folders = match environment.path("CONTAINERS_REGISTRIES_CONF_DIR") {
        Some(folder) => vec![folder],
        None => [Some(system), user].into_iter().flatten().map(|folder| folder.join("registries.conf.d")).collect(),
    };
    (Some(main), folders)
}

/// The `*.conf` of a folder, in the order of their names.
fn drop_ins(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|end| end == "conf")).collect();
    paths.sort();
    paths
}

#[cfg(test)]
mod tests;
