//! The process that fetches an image while containers run from it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::super::blob::BlobReader;
use super::super::crew::lock;
use super::super::http::Http;
use super::super::session::Session;
use super::super::{Configuration, Environment, Error, Progress, Silent};
use super::doors::Doors;
use super::job::{Job, Wanted};
use super::ranges::{Fetcher, Front, Gate};
use super::tables;
use crate::image::Digest;
use crate::store::{self, Arrival, Image, Landing, Layer, NewImage, Pending, Slot, Store};

/// After a download has failed for good, how long until it is tried again for those who still read of it.
const AGAIN: Duration = Duration::from_secs(10);
/// How often it is looked whether anybody does.
const BEAT: Duration = Duration::from_millis(100);

/// Whoever wants to know how it goes.
pub trait Told: Sync {
    /// Containers can begin.
    fn ready(&self);
    /// The rest does not come for now.
    fn failed(&self, error: &Error);
    /// Whether it is to be tried again, for as long as somebody reads of the image.
    fn goes_on(&self) -> bool {
        true
    }
}

/// Who mends what somebody has left who was killed: those who have started containers are waiting already, and who waits here is told by
/// what this returns.
pub struct Mender;

impl Told for Mender {
    fn ready(&self) {}
    fn failed(&self, _: &Error) {}
    fn goes_on(&self) -> bool {
        false
    }
}

/// A layer: here, or on its way.
enum Part<'a> {
    Here(Digest, Layer),
    Coming(Box<Coming<'a>>),
}

struct Coming<'a> {
    diff_id: Digest,
    /// Its room, until it is whole.
    pending: Mutex<Option<Pending<'a>>>,
    arrival: Arrival<'a>,
}

/// Does a job: lets containers begin as soon as they can, and returns when the image is in the store.
///
/// After a download has failed it goes on for as long as somebody reads of the image, if `told` wants that.
///
/// # Errors
/// Before `told.ready()`: why it is to be pulled as ever. After that: why it could not be fetched.
pub fn fill(store: &Store, job: &Job, environment: &Environment, told: &dyn Told) -> Result<Image, Error> {
    fill_showing(store, job, environment, told, &Silent)
}

/// As [`fill()`], showing how it goes.
pub fn fill_showing(
    store: &Store,
    job: &Job,
    environment: &Environment,
    told: &dyn Told,
    progress: &dyn Progress,
) -> Result<Image, Error> {
    let configuration = Configuration::load(environment)?;
    let (transfer, endpoint) = (job.transfer(), job.endpoint()?);
    let store = &store.clone().keeping_compressed(job.keeps_compressed()).bounded(job.bounds());
    let http = Http::new(environment, &configuration, &transfer, progress);
    let session = Session::new(&http, &endpoint)?;
    let gate = Gate::default();
    let fetcher = Fetcher { session: &session, gate: &gate };

    let landing = store.land(job.newcomer())?.ok_or(Error::FetchedElsewhere)?;
    let wanted = job.layers()?;
    let parts = parts(store, &fetcher, &wanted)?;
    let index = |part: &Part<'_>| match part {
        Part::Here(_, layer) => Ok(landing.index(layer)?),
        Part::Coming(coming) => Ok(coming.arrival.index().clone()),
    };
    let order = job.order()?;
    let indexes = order.iter().filter_map(|diff_id| parts.iter().find(|part| part.diff_id() == diff_id));
    let indexes = indexes.map(index).collect::<Result<Vec<_>, Error>>()?;
    let doors = Doors::default();
    let filler = Filler { store, job, session: &session, gate: &gate, parts: &parts, doors: &doors, landing: &landing };
    thread::scope(|scope| {
        let _closing = Closing(&doors);
        for coming in filler.coming() {
            let listener = lock(&coming.pending).as_ref().map(Pending::listen).transpose()?;
            if let Some(listener) = listener {
                doors.keep(scope, listener, &coming.arrival);
            }
        }
        landing.open(job.newcomer(), &indexes)?;
        drop(indexes);
        told.ready();
        let filled = filler.run(told);
        if filled.is_err() {
            for coming in filler.coming() {
                coming.arrival.lose();
                lock(&coming.pending).as_ref().inspect(|pending| pending.leave());
            }
        }
        filled
    })
}

fn parts<'a>(store: &'a Store, fetcher: &'a Fetcher<'a>, wanted: &[Wanted]) -> Result<Vec<Part<'a>>, Error> {
    let mut slots = Vec::new();
    for wanted in wanted {
        let slot = store.layer_at_once(&wanted.diff_id)?.ok_or(Error::FetchedElsewhere)?;
        slots.push((wanted, slot));
    }
    let absent: Vec<&Wanted> =
        slots.iter().filter(|(_, slot)| matches!(slot, Slot::Absent(_))).map(|(wanted, _)| *wanted).collect();
    let mut tables = tables::fetch(fetcher, &absent, store.limits())?.into_iter();
    let part = |(wanted, slot): (&Wanted, Slot<'a>)| {
        let diff_id = wanted.diff_id.clone();
        match (slot, &mut tables) {
            (Slot::Ready(layer), _) => Ok(Part::Here(diff_id, layer)),
            (Slot::Absent(pending), tables) => {
                // As many were asked for as there are.
                let toc = tables.next().ok_or(Error::FetchedElsewhere)?;
                let arrival = Arrival::new(&pending, wanted.blob.clone(), toc, fetcher)?;
                Ok(Part::Coming(Box::new(Coming { diff_id, pending: Mutex::new(Some(pending)), arrival })))
            }
        }
    };
    slots.into_iter().map(part).collect()
}

impl Part<'_> {
    fn diff_id(&self) -> &Digest {
        match self {
            Self::Here(diff_id, _) => diff_id,
            Self::Coming(coming) => &coming.diff_id,
        }
    }
}

struct Filler<'a, 's> {
    store: &'a Store,
    job: &'a Job,
    session: &'a Session<'a>,
    gate: &'a Gate,
    parts: &'a [Part<'s>],
    doors: &'a Doors,
    landing: &'a Landing<'a>,
}

/// Closes the doors, whatever ends the filling.
struct Closing<'a>(&'a Doors);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<'a, 's> Filler<'a, 's> {
    fn coming(&self) -> impl Iterator<Item = &'a Coming<'s>> + use<'a, 's> {
        self.parts.iter().filter_map(|part| match part {
            Part::Coming(coming) => Some(&**coming),
            Part::Here(..) => None,
        })
    }

    fn run(&self, told: &dyn Told) -> Result<Image, Error> {
        let done = Mutex::new(Vec::new());
        let mut has_told = false;
        loop {
            match self.layers(&done) {
                Ok(()) => return self.add(&lock(&done)),
                Err(error) if is_final(&error) || !told.goes_on() => {
                    told.failed(&error);
                    return Err(error);
                }
                Err(error) => {
                    if !std::mem::replace(&mut has_told, true) {
                        // Who is not told so reads an error all the same.
                        let _ = self.landing.fail(self.job.newcomer(), &error.to_string());
                        told.failed(&error);
                    }
                    let until = Instant::now() + AGAIN.min(self.session.http.transfer.longest_wait);
                    while Instant::now() < until {
                        thread::sleep(BEAT);
                    }
                    if self.doors.guests() == 0 {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// Fetches what is not here yet, several layers at once. One that fails does not keep the others from coming.
    fn layers(&self, done: &Mutex<Vec<Layer>>) -> Result<(), Error> {
        let queue: Mutex<VecDeque<_>> =
            Mutex::new(self.coming().filter(|coming| lock(&coming.pending).is_some()).collect());
        let failed: Mutex<Option<Error>> = Mutex::new(None);
        let workers = self.session.http.transfer.parallel.clamp(1, lock(&queue).len().max(1));
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    // The container's own work and what it waits for come first. It is as quick where nothing else is to be done.
                    let _ = sys::process::give_way();
                    loop {
                        let Some(coming) = lock(&queue).pop_front() else { return };
                        match self.layer(coming) {
                            Ok(layer) => lock(done).push(layer),
                            Err(error) => {
                                coming.arrival.has_stopped(error.to_string());
                                let mut failed = lock(&failed);
                                // What cannot be mended is the news.
                                if failed.as_ref().is_none_or(|earlier| !is_final(earlier)) {
                                    *failed = Some(error);
                                }
                            }
                        }
                    }
                });
            }
        });
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    fn layer(&self, coming: &'a Coming<'s>) -> Result<Layer, Error> {
        let mut room = lock(&coming.pending);
        if let Some(pending) = room.as_ref() {
            let from = pending.resumable(coming.arrival.blob());
            match self.fetch(pending, coming, from) {
                // What an earlier pull left was not what it should be.
                Err(Error::Store(error)) if from > 0 && error.is_about_content() => self.fetch(pending, coming, 0)?,
                other => other?,
            }
        }
        *room = None;
        match self.store.layer(&coming.diff_id, &|| ())? {
            Slot::Ready(layer) => Ok(layer),
            Slot::Absent(_) => Err(store::Error::NoSuchLayer(coming.diff_id.clone()).into()),
        }
    }

    fn fetch(&self, pending: &Pending<'_>, coming: &'a Coming<'s>, from: u64) -> Result<(), Error> {
        let (arrival, gate) = (&coming.arrival, self.gate);
        arrival.has_come(from);
        let blob = BlobReader::new(self.session, arrival.blob(), from)?;
        let mut source = Front { blob, arrival, gate, come: from };
        pending.fill_watched(arrival.blob(), from, &mut source, arrival).map_err(Error::of_fill)
    }

    fn add(&self, fetched: &[Layer]) -> Result<Image, Error> {
        let here = self.parts.iter().filter_map(|part| match part {
            Part::Here(_, layer) => Some(layer),
            Part::Coming(_) => None,
        });
        let all: Vec<&Layer> = here.chain(fetched).collect();
        let order = self.job.order()?;
        let ordered = order.iter().filter_map(|diff_id| all.iter().find(|layer| layer.diff_id() == diff_id).copied());
        let (name, platform) = (self.job.name()?, self.job.platform());
        let (manifest, manifest_digest) = self.job.manifest();
        let image = self.store.add(&NewImage {
            names: std::slice::from_ref(&name),
            platform: &platform,
            index: self.job.index().map(|(bytes, _)| bytes),
            index_digest: self.job.index().map(|(_, digest)| digest),
            manifest,
            manifest_digest,
            config: self.job.config(),
            id: self.job.image(),
            layers: &ordered.collect::<Vec<_>>(),
        })?;
        // The image is here; what old pulls left can wait for `prune` if it cannot be removed now.
        let _ = self.store.sweep();
        Ok(image)
    }
}

/// Whether another attempt would end in the same way.
fn is_final(error: &Error) -> bool {
    matches!(error, Error::Store(error) if error.is_about_content() || matches!(error, store::Error::Contents { .. }))
}
