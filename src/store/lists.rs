//! Lists of images that are put together here, by name: `images/lists.json`. What they are of, the store need not have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Error, Store, file, records};
use crate::image::{List, Reference};

/// The version of the record.
const VERSION: u32 = 1;

/// `images/lists.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Lists {
    version: u32,
    lists: BTreeMap<String, List>,
}

impl Store {
    /// The list of this name.
    ///
    /// # Errors
    /// Damaged records.
    pub fn list(&self, name: &Reference) -> Result<Option<List>, Error> {
        Ok(self.read_lists()?.lists.remove(&name.to_string()))
    }

    /// Changes the list of this name, or makes one: `change` is given what is there, and returns what is to be, or nothing where it is to go.
    ///
    /// # Errors
    /// That of `change`; damaged records; what the file system says.
    pub fn change_list<E: From<Error>>(
        &self,
        name: &Reference,
        change: impl FnOnce(Option<List>) -> Result<Option<List>, E>,
    ) -> Result<(), E> {
        let _lock = self.lock_images()?;
        let mut record = self.read_lists()?;
        let key = name.to_string();
        let before = record.lists.remove(&key);
        if let Some(after) = change(before)? {
            record.lists.insert(key, after);
        }
        records::write(&self.lists_file(), &Lists { version: VERSION, ..record })?;
        Ok(file::sync_dir(&self.images_dir())?)
    }

    fn read_lists(&self) -> Result<Lists, Error> {
        Ok(records::read(&self.lists_file())?.unwrap_or_default())
    }

    fn lists_file(&self) -> std::path::PathBuf {
        self.images_dir().join("lists.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_kept_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let name = Reference::parse("team/list:1").unwrap();
        assert_eq!(store.list(&name).unwrap(), None);
        let list = List { annotations: [("a".to_owned(), "b".to_owned())].into(), ..List::default() };
        store.change_list(&name, |before| -> Result<_, Error> { Ok(before.or(Some(list.clone()))) }).unwrap();
        assert_eq!(store.list(&name).unwrap(), Some(list));
        assert_eq!(store.list(&Reference::parse("team/list:2").unwrap()).unwrap(), None);
        store.change_list(&name, |_| -> Result<_, Error> { Ok(None) }).unwrap();
        assert_eq!(store.list(&name).unwrap(), None);
        // What is no image is none of the store's images.
        assert!(store.images().unwrap().is_empty());
    }
}
