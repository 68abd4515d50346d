//! The images that a list is of: in the store, in another list, or in a registry.

use enter::image::{Digest, Entry, List, On, Platform, Reference, Transport};
use enter::registry::{self, SearchOptions};
use enter::store::{Image, Store};

use crate::failure::Failure;

/// Looks for images.
pub struct Finder<'a> {
    /// Where they are looked for first.
    pub store: &'a Store,
    /// How registries are asked.
    pub options: &'a SearchOptions,
    /// Of an image for several platforms, the one that is wanted.
    pub platform: Platform,
}

/// The name that only a registry is to be asked for: `docker://NAME`.
pub fn remote(typed: &str) -> Result<Option<Reference>, Failure> {
    match Transport::parse(typed)? {
        None => Ok(None),
        Some(Transport::Registry(reference)) => Ok(Some(reference)),
        Some(_) => Err(Failure::new(format!("{typed} is neither in the store nor in a registry"))
            .with_hint("take it in first: enter pull, or enter load")),
    }
}

impl Finder<'_> {
    /// What a list says of an image: of each platform with `all`, else of the one that suits best.
    pub fn entries(&self, typed: &str, all: bool) -> Result<Vec<Entry>, Failure> {
        if let Some(reference) = remote(typed)? {
            return self.ask(&reference, all);
        }
        let reference = Reference::parse(typed).ok();
        if let Some(name) = &reference
            && let Some(list) = self.store.list(name)?
        {
            return self.of_list(list, typed, all);
        }
        let find = |platform: &Platform| registry::find(self.store, typed, platform, &self.options.environment);
        // An image that is here for one platform may be said to be for another.
        let found = match find(&self.platform)? {
            None => find(&Platform::host())?,
            found => found,
        };
        match (found, reference) {
            (Some(image), reference) => {
                if all && let Some(entries) = self.of_index(&image, reference.as_ref())? {
                    return Ok(entries);
                }
                Ok(vec![self.of_image(&image)?])
            }
            (None, Some(reference)) => self.ask(&reference, all),
            (None, None) => Err(enter::store::Error::NoSuchImage(typed.to_owned()).into()),
        }
    }

    fn ask(&self, reference: &Reference, all: bool) -> Result<Vec<Entry>, Failure> {
        let wanted = if all { None } else { Some(&self.platform) };
        Ok(registry::describe(reference, wanted, self.options)?)
    }

    fn of_list(&self, list: List, typed: &str, all: bool) -> Result<Vec<Entry>, Failure> {
        if all {
            return Ok(list.entries);
        }
        let distance = |entry: &Entry| {
            let on = &entry.on;
            self.platform.distance(&Platform::new(&on.os, &on.architecture, on.variant.as_deref()))
        };
        let suits = list.entries.into_iter().filter(|entry| distance(entry).is_some());
        let best = suits.min_by_key(distance).ok_or_else(|| {
            Failure::new(format!("the list {typed} has no image for {}", self.platform))
                .with_hint("add all of them with --all, or choose one with --os and --arch")
        })?;
        Ok(vec![best])
    }

    fn of_image(&self, image: &Image) -> Result<Entry, Failure> {
        let gone = || enter::store::Error::NoSuchImage(image.id.short().to_owned());
        let manifest = self.store.document(&image.manifest)?.ok_or_else(gone)?;
        Ok(Entry {
            media_type: registry::manifest_type(&manifest),
            digest: image.manifest.clone(),
            size: manifest.len() as u64,
            on: On::of(&image.platform),
            annotations: Default::default(),
            image: Some(image.id.clone()),
            source: None,
        })
    }

    /// All that the index is of by which an image was pulled; `None` where it came by none.
    fn of_index(&self, image: &Image, name: Option<&Reference>) -> Result<Option<Vec<Entry>>, Failure> {
        for (repository, digest) in &image.digests {
            if name.is_some_and(|name| !image.names.contains(name) || name.repository() == *repository)
                && let Some(index) = self.store.document(digest)?
                && let Ok(list) = List::parse(&index, repository)
            {
                let mut entries = list.entries;
                let own = entries.iter_mut().filter(|entry| entry.digest == image.manifest);
                own.for_each(|entry| entry.image = Some(image.id.clone()));
                return Ok(Some(entries));
            }
        }
        Ok(None)
    }

    /// The digest by which a list has an image that was named by it, or otherwise.
    pub fn member(&self, list: &List, name: &Reference, typed: &str) -> Result<Digest, Failure> {
        let has = |digest: &Digest| list.entries.iter().any(|entry| entry.digest == *digest);
        let none = || {
            Failure::new(format!("the list {} has no image {typed}", name.familiar()))
                .with_hint(format!("see what it has: enter manifest inspect {}", name.familiar()))
        };
        if let Ok(digest) = Digest::parse(typed) {
            return if has(&digest) { Ok(digest) } else { Err(none()) };
        }
        if let Some(reference) = Reference::parse(typed).ok().filter(|reference| reference.digest().is_some_and(has)) {
            return reference.digest().cloned().ok_or_else(none);
        }
        let found = self.entries(typed, true)?;
        let mut members = found.into_iter().map(|entry| entry.digest).filter(has);
        match (members.next(), members.next()) {
            (Some(only), None) => Ok(only),
            (Some(_), Some(_)) => {
                Err(Failure::new(format!("the list {} has several images of {typed}", name.familiar()))
                    .with_hint("name one of them by its digest"))
            }
            (None, _) => Err(none()),
        }
    }
}
