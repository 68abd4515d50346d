//! Whether the store still holds what it was given: every file is read and hashed again, or made again and compared.
//!
//! Nothing is changed here. A layer is read under its shared lock, as by a pull, so that what is being fetched or removed is left alone;
//! what a killed pull left is no damage. Images are not held: `rmi` goes on beside it. [`super::repair`] mends what is found.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use cowfs::layer::{LayerIndex, index_tar};

use super::layer::{INDEX, TAR};
use super::lock::{self, Kind};
use super::{Error, Store, kept, layer, trees};
use crate::image::{Config, Digest, Hasher, MAX_MANIFEST, Platform, Reference};

/// How much is read at once, in bytes.
const CHUNK: usize = 256 << 10;

/// How often what seems to be damaged is looked at again.
const LOOKS: usize = 2;

/// What a damaged file is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// An image's record.
    Record(Digest),
    /// A manifest, an index or a configuration.
    Document(Digest),
    /// A layer's tar.
    Layer(Digest),
    /// A layer's index, which is made of its tar.
    Index(Digest),
    /// A compressed form of a layer, which is only kept for a push.
    Form(Digest),
    /// An image's tree, which is made of its layers' indexes.
    Tree(Digest),
}

/// An image, as far as it can be known where its own documents may be damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its ID.
    pub id: Digest,
    /// What it runs on.
    pub platform: Platform,
    /// Its names.
    pub names: Vec<Reference>,
    /// Where it came from: its repositories, each with the digest by which it was offered.
    pub offered: Vec<Reference>,
    documents: BTreeSet<Digest>,
    layers: Vec<Digest>,
}

/// Something that is not what it should be.
#[derive(Debug, Clone)]
pub struct Damage {
    /// What it is.
    pub part: Part,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// The images that need it.
    pub images: Vec<Owner>,
}

/// What was looked at.
#[derive(Debug, Default)]
pub struct Verified {
    /// How many files.
    pub files: usize,
    /// How many bytes.
    pub bytes: u64,
    /// What is damaged.
    pub damage: Vec<Damage>,
}

/// What is to be looked at.
enum Task {
    Document(Digest),
    Layer(Digest),
    Form(Digest, PathBuf),
}

/// What is damaged, where, and why.
type Found = (Part, PathBuf, String);

impl Store {
    /// Looks at everything, or at what some images need. `read` is told of bytes as they are read, from several threads.
    ///
    /// # Errors
    /// What the file system says of the store's directories, and records that say which images there are. What is wrong with a single file
    /// is [`Damage`].
    pub fn verify(
        &self,
        only: Option<&BTreeSet<Digest>>,
        workers: usize,
        read: &(dyn Fn(u64) + Sync),
    ) -> Result<Verified, Error> {
        let mut verified = Verified::default();
        let owners = self.owners(&mut verified.damage)?;
        let chosen = |owner: &&Owner| only.is_none_or(|only| only.contains(&owner.id));
        let tasks = self.tasks(&owners, only)?;
        let (queue, done) = (Mutex::new(VecDeque::from(tasks)), Mutex::new((Vec::new(), 0)));
        let bytes = AtomicU64::new(0);
        let read = &|more: u64| {
            bytes.fetch_add(more, Ordering::Relaxed);
            read(more);
        };
        let worker = || -> Result<(), Error> {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(task) = next else { return Ok(()) };
                let (found, files) = self.look(&task, read)?;
                let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                done.0.extend(found);
                done.1 += files;
            }
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..workers.max(1)).map(|_| scope.spawn(worker)).collect();
            let joined = workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            joined.collect::<Result<(), Error>>()
        })?;
        let (found, files) = done.into_inner().unwrap_or_else(PoisonError::into_inner);
        (verified.files, verified.bytes) = (files, bytes.load(Ordering::Relaxed));
        let broken: BTreeSet<Digest> = found
            .iter()
            .filter_map(|(part, ..)| match part {
                Part::Layer(digest) | Part::Index(digest) => Some(digest.clone()),
                _ => None,
            })
            .collect();
        for owner in owners.iter().filter(chosen) {
            // Where a layer is damaged there is nothing to compare with.
            if !owner.layers.iter().any(|layer| broken.contains(layer)) {
                verified.files += 1;
                verified.damage.extend(self.look_at_tree(owner)?);
            }
        }
        for (part, path, reason) in found {
            let images = owners.iter().filter(|owner| owner.needs(&part)).cloned().collect();
            verified.damage.push(Damage { part, path, reason, images });
        }
        for _ in 0..LOOKS {
            // Images may go meanwhile, and what was only theirs goes with them; and they may have come back since then.
            verified.damage.retain_mut(|damage| {
                let had = !damage.images.is_empty();
                let is_damaged = self.is_damaged(damage);
                damage.images.retain(|owner| !matches!(self.record(&owner.id), Ok(None)));
                is_damaged && if had { !damage.images.is_empty() } else { damage.path.exists() }
            });
        }
        verified.damage.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(verified)
    }

    /// All images, as their records have them. What is wrong with a record is added to `damage`.
    fn owners(&self, damage: &mut Vec<Damage>) -> Result<Vec<Owner>, Error> {
        let names = self.names()?;
        let mut owners = Vec::new();
        for id in self.ids()? {
            let record = self.record(&id);
            if matches!(record, Ok(None)) {
                continue;
            }
            let mut owner = Owner {
                platform: Platform::host(),
                names: Vec::new(),
                offered: Vec::new(),
                documents: BTreeSet::from([id.clone()]),
                // One that is damaged is found as a document, and not believed.
                layers: self
                    .document(&id)
                    .ok()
                    .flatten()
                    .map_or(Vec::new(), |bytes| Config::parse(&bytes).map_or(Vec::new(), |config| config.diff_ids)),
                id,
            };
            for (name, targets) in &names.names {
                let Ok(name) = Reference::parse(name) else { continue };
                for target in targets.iter().filter(|target| target.image == owner.id) {
                    owner.platform = target.platform();
                    let offered = name.with_digest(target.digest.clone());
                    if !owner.offered.contains(&offered) {
                        owner.offered.push(offered);
                    }
                    // An index leads to many manifests, few of which are here.
                    let others = self.offered_documents(&target.digest).into_iter();
                    owner.documents.extend(others.filter(|document| self.blob(document).is_file()));
                }
                if targets.iter().any(|target| target.image == owner.id) {
                    owner.names.push(name);
                }
            }
            match record {
                Ok(Some(record)) => {
                    owner.platform = record.platform();
                    owner.documents.extend(std::iter::once(record.manifest).chain(record.index));
                }
                Ok(None) => {}
                Err(error) => {
                    let path = self.image_dir(&owner.id).join(trees::RECORD);
                    let (part, images) = (Part::Record(owner.id.clone()), vec![owner.clone()]);
                    damage.push(Damage { part, path, reason: error.to_string(), images });
                }
            }
            owners.push(owner);
        }
        Ok(owners)
    }

    /// What is to be done, the longest first, so that no worker is left with it at the end.
    fn tasks(&self, owners: &[Owner], only: Option<&BTreeSet<Digest>>) -> Result<Vec<Task>, Error> {
        let chosen: Vec<&Owner> =
            owners.iter().filter(|owner| only.is_none_or(|only| only.contains(&owner.id))).collect();
        let mut tasks = BTreeMap::new();
        let mut add = |key: String, path: &Path, task: Task| {
            tasks.insert(key, (fs::metadata(path).map_or(0, |metadata| metadata.len()), task));
        };
        for digest in chosen.iter().flat_map(|owner| &owner.documents) {
            add(digest.to_string(), &self.blob(digest), Task::Document(digest.clone()));
        }
        let needed: BTreeSet<&Digest> = chosen.iter().flat_map(|owner| &owner.layers).collect();
        let mut layers: BTreeSet<Digest> = needed.iter().map(|digest| (*digest).clone()).collect();
        if only.is_none() {
            // Whole layers that no image needs may come to be needed.
            layers.extend(self.whole_layers()?);
        }
        for diff_id in layers {
            let dir = self.layer_dir(&diff_id);
            for form in kept::forms(&dir, &diff_id)? {
                add(form.path.display().to_string(), &form.path, Task::Form(form.digest, form.path.clone()));
            }
            add(dir.display().to_string(), &dir.join(TAR), Task::Layer(diff_id));
        }
        let mut tasks: Vec<(u64, Task)> = tasks.into_values().collect();
        tasks.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
        Ok(tasks.into_iter().map(|(_, task)| task).collect())
    }

    /// The layers that are here, as far as that can be seen without reading them.
    ///
    /// # Errors
    /// What the file system says.
    pub fn whole_layers(&self) -> Result<Vec<Digest>, Error> {
        let names = super::file::list(&self.layers())?;
        let whole = names.iter().filter(|name| layer::is_complete(&self.layers().join(name)));
        Ok(whole.filter_map(|name| kept::digest_of(name)).collect())
    }

    /// What is wrong with it, and how many files it is.
    fn look(&self, task: &Task, read: &(dyn Fn(u64) + Sync)) -> Result<(Vec<Found>, usize), Error> {
        let mut found = Vec::new();
        match task {
            Task::Document(digest) => {
                let path = self.blob(digest);
                if let Err(reason) = hash_file(&path, digest, Some(MAX_MANIFEST), read) {
                    found.push((Part::Document(digest.clone()), path, reason));
                }
                Ok((found, 1))
            }
            Task::Form(digest, path) => {
                // It may be dropped meanwhile: nothing needs it.
                if let Err(reason) = hash_file(path, digest, None, read)
                    && path.exists()
                {
                    found.push((Part::Form(digest.clone()), path.clone(), reason));
                }
                Ok((found, 1))
            }
            Task::Layer(diff_id) => {
                let dir = self.layer_dir(diff_id);
                // Somebody may be fetching it, or mending it.
                let _lock = lock::wait(&dir, Kind::Shared, &|| ())?;
                let (tar, index) = (dir.join(TAR), dir.join(INDEX));
                match self.index_afresh(diff_id, &tar, read) {
                    Err(reason) => found.push((Part::Layer(diff_id.clone()), tar, reason)),
                    Ok(fresh) => {
                        if let Err(reason) = compare(&index, &fresh) {
                            found.push((Part::Index(diff_id.clone()), index, reason));
                        }
                    }
                }
                Ok((found, 2))
            }
        }
    }

    /// Reads a tar once: its hash must be the layer's, and its index is made.
    fn index_afresh(&self, diff_id: &Digest, tar: &Path, read: &(dyn Fn(u64) + Sync)) -> Result<LayerIndex, String> {
        let file = File::open(tar).map_err(|error| said(&error))?;
        let mut hashing = Hashing { file, hasher: Hasher::new(diff_id.algorithm()), read, failed: None };
        let index = index_tar(io::BufReader::with_capacity(CHUNK, &mut hashing), &self.limits_of_ours());
        // What follows the end of a tar belongs to its digest, too.
        let rest = io::copy(&mut hashing, &mut io::sink());
        if let Some(error) = hashing.failed.take().or(rest.err()) {
            return Err(said(&error));
        }
        let found = hashing.hasher.finish();
        if found != *diff_id {
            return Err(format!("its digest is {found}, and not {diff_id}"));
        }
        index.map_err(|error| format!("it is no layer: {error}"))
    }

    /// Whether something is damaged that was found so.
    fn is_damaged(&self, damage: &Damage) -> bool {
        let again = |task: &Task| self.look(task, &|_| ()).is_ok_and(|(found, _)| !found.is_empty());
        match &damage.part {
            Part::Record(id) => self.record(id).is_err(),
            Part::Document(digest) => again(&Task::Document(digest.clone())),
            Part::Layer(diff_id) | Part::Index(diff_id) => again(&Task::Layer(diff_id.clone())),
            Part::Form(digest) => again(&Task::Form(digest.clone(), damage.path.clone())),
            Part::Tree(_) => {
                damage.images.iter().any(|owner| self.look_at_tree(owner).is_ok_and(|damage| damage.is_some()))
            }
        }
    }

    fn look_at_tree(&self, owner: &Owner) -> Result<Option<Damage>, Error> {
        let path = self.image_dir(&owner.id).join(trees::TREE);
        if !path.exists() {
            // It was not used for long, and is made again when it is.
            return Ok(None);
        }
        let indexes: Result<Vec<LayerIndex>, _> =
            owner.layers.iter().map(|layer| LayerIndex::open(&self.layer_dir(layer).join(INDEX))).collect();
        let fresh = indexes.and_then(|indexes| cowfs::tree::merge_within(&indexes, u64::MAX));
        let reason = match (fresh, fs::read(&path)) {
            (Ok(fresh), Ok(here)) if fresh == here => return Ok(None),
            (_, Err(error)) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            (_, Err(error)) => said(&error),
            (Ok(_), Ok(_)) => "it is not what its layers make".to_owned(),
            (Err(error), _) => format!("its layers make none: {error}"),
        };
        Ok(Some(Damage { part: Part::Tree(owner.id.clone()), path, reason, images: vec![owner.clone()] }))
    }
}

impl Owner {
    fn needs(&self, part: &Part) -> bool {
        match part {
            Part::Record(id) | Part::Tree(id) => self.id == *id,
            Part::Document(digest) => self.documents.contains(digest),
            Part::Layer(digest) | Part::Index(digest) => self.layers.contains(digest),
            Part::Form(_) => false,
        }
    }
}

fn compare(path: &Path, fresh: &LayerIndex) -> Result<(), String> {
    let here = fs::read(path).map_err(|error| said(&error))?;
    let mut bytes = Vec::with_capacity(here.len());
    fresh.write_to(&mut bytes).map_err(|error| said(&error))?;
    if bytes == here { Ok(()) } else { Err("it is not what its layer makes".into()) }
}

/// What the kernel says, in words.
fn said(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "it is missing".into(),
        _ => format!("it cannot be read: {error}"),
    }
}

fn hash_file(path: &Path, digest: &Digest, limit: Option<u64>, read: &(dyn Fn(u64) + Sync)) -> Result<(), String> {
    let file = File::open(path).map_err(|error| said(&error))?;
    if let Some(limit) = limit
        && file.metadata().is_ok_and(|metadata| metadata.len() > limit)
    {
        return Err(format!("it is longer than {limit} bytes"));
    }
    let mut hashing = Hashing { file, hasher: Hasher::new(digest.algorithm()), read, failed: None };
    io::copy(&mut io::BufReader::with_capacity(CHUNK, &mut hashing), &mut io::sink()).map_err(|error| said(&error))?;
    let found = hashing.hasher.finish();
    if found == *digest { Ok(()) } else { Err(format!("its digest is {found}, and not {digest}")) }
}

/// Hashes a file as it is read.
struct Hashing<'a> {
    file: File,
    hasher: Hasher,
    read: &'a (dyn Fn(u64) + Sync),
    failed: Option<io::Error>,
}

impl Read for Hashing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.file.read(into) {
            Ok(got) => {
                self.hasher.update(&into[..got]);
                (self.read)(got as u64);
                Ok(got)
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::Interrupted {
                    self.failed = Some(io::Error::new(error.kind(), error.to_string()));
                }
                Err(error)
            }
        }
    }
}
