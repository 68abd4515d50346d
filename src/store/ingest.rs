//! Taking a layer in, in one pass: bytes arrive, are hashed, decompressed, hashed again, written as a tar and indexed.
//!
//! Three threads with pipes between them, because decompression alone keeps one processor busy:
//!
//! ```text
//! receive: source → partial file, size, digest  →  decode  →  index: tar file, diff_id, index
//! ```

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::thread;

use cowfs::layer::{LayerIndex, Limits, index_tar_told};

use super::decode::Decoder;
use super::pipe::{self, Gone};
use super::tee::{Tee, WRITEBACK};
use super::watch::Watch;
use super::{Error, file};
use crate::image::{Descriptor, Digest, Hasher};

/// After the layer has turned out unusable, so many bytes more are still received to see whether the digest is wrong too:
/// that is the better explanation.
const EXPLAIN: u64 = 64 << 20;

/// What is taken in.
pub struct Job<'a> {
    /// The compressed bytes.
    pub blob: &'a Descriptor,
    /// What they must hash to when decompressed.
    pub diff_id: &'a Digest,
    /// What is accepted of a layer.
    pub limits: &'a Limits,
    /// Who looks on.
    pub watch: &'a dyn Watch,
}

/// The compressed bytes on disk, from which a later pull can go on.
pub struct Partial {
    /// Positioned at the start: `resumed` bytes are read from it, later ones appended.
    pub file: File,
    /// How many bytes an earlier pull left.
    pub resumed: u64,
    /// Its path, for errors.
    pub path: std::path::PathBuf,
    /// Whether it is to stay when all has come, so that it must be on the disk then.
    pub keep: bool,
}

/// Why a stage ended early.
enum Fault {
    /// Because of another stage.
    Gone,
    /// By itself.
    Own(Error),
}

impl From<Gone> for Fault {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Takes one layer in. `source` gives the blob from byte `partial.resumed` on; the tar is written to `tar`, whose path is for errors.
///
/// # Errors
/// The first stage that failed by itself. Nothing is cleaned up here.
pub fn ingest(
    job: &Job<'_>,
    partial: Option<Partial>,
    source: &mut (dyn Read + Send),
    tar: (&mut File, &std::path::Path),
) -> Result<LayerIndex, Error> {
    let (received, to_decode) = pipe::pipe();
    let (decoded, to_index) = pipe::pipe();
    thread::scope(|scope| {
        let receive = scope.spawn(move || receive(job, partial, source, received));
        let decode = scope.spawn(move || decode(job, to_decode, decoded));
        let indexed = index(job, to_index, tar);
        let decoded = decode.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let received = receive.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // What went wrong upstream explains what goes wrong downstream.
        for fault in [received.err(), decoded.err()].into_iter().flatten() {
            if let Fault::Own(error) = fault {
                return Err(error);
            }
        }
        indexed.map_err(|fault| match fault {
            Fault::Own(error) => error,
            Fault::Gone => unreachable!("a stage is only gone after it has failed by itself"),
        })
    })
}

fn receive(
    job: &Job<'_>,
    mut partial: Option<Partial>,
    source: &mut (dyn Read + Send),
    out: pipe::Writer,
) -> Result<(), Fault> {
    let Descriptor { digest, size } = job.blob;
    let own = |error| Err(Fault::Own(error));
    let mut hasher = Hasher::new(digest.algorithm());
    let (mut count, mut begun) = (0, 0);
    let mut out = Some(out);
    loop {
        let mut buffer = out.as_ref().map_or_else(|| vec![0; pipe::BUFFER], pipe::Writer::buffer);
        let resumed = partial.as_ref().map_or(0, |partial| partial.resumed);
        let from_partial = count < resumed;
        // One byte more than promised is asked for, so that a blob that goes on is seen; never more.
        let wanted = if from_partial { resumed - count } else { size - count + 1 };
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(buffer.len());
        let got = match &mut partial {
            Some(partial) if from_partial => file::fill(&mut partial.file, &mut buffer[..wanted])
                .map_err(|error| Fault::Own(Error::io("read", &partial.path)(error)))?,
            _ => file::fill(source, &mut buffer[..wanted])
                .map_err(|source| Fault::Own(Error::Source { layer: digest.clone(), source }))?,
        };
        count += got as u64;
        if count > *size {
            return own(Error::Size { layer: digest.clone(), expected: *size, longer: true });
        }
        if got == 0 {
            break;
        }
        hasher.update(&buffer[..got]);
        job.limits.room.earn(got as u64);
        if let Some(partial) = partial.as_mut().filter(|_| !from_partial) {
            partial
                .file
                .write_all(&buffer[..got])
                .map_err(|error| Fault::Own(Error::io("write", &partial.path)(error)))?;
            if partial.keep && count - begun >= WRITEBACK {
                // An early start is all that is lost if the file system does not know this.
                let _ = sys::writeback::start(partial.file.as_fd(), begun, count - begun);
                begun = count;
            }
        }
        if let Some(writer) = &out
            && writer.send(buffer, got).is_err()
        {
            out = None;
        }
        if out.is_none() && size - count > EXPLAIN {
            return Err(Fault::Gone);
        }
    }
    if count < *size {
        return own(Error::Size { layer: digest.clone(), expected: *size, longer: false });
    }
    let found = hasher.finish();
    if found != *digest {
        return own(Error::Digest { what: "a layer".into(), expected: digest.clone(), found });
    }
    out.ok_or(Gone)?.finish()?;
    match &partial {
        // While the others are still busy with what is on its way to them.
        Some(partial) if partial.keep => {
            file::sync(&partial.file).map_err(|error| Fault::Own(Error::io("sync", &partial.path)(error)))
        }
        _ => Ok(()),
    }
}

fn decode(job: &Job<'_>, input: pipe::Reader, out: pipe::Writer) -> Result<(), Fault> {
    let failed = |source: io::Error| match Gone::is(&source) {
        true => Fault::Gone,
        false => Fault::Own(Error::Decompress { layer: job.blob.digest.clone(), source }),
    };
    let mut decoder = Decoder::of_much(input).map_err(failed)?;
    loop {
        let mut buffer = out.buffer();
        match file::fill(&mut decoder, &mut buffer).map_err(failed)? {
            0 => return Ok(out.finish()?),
            got => out.send(buffer, got)?,
        }
    }
}

fn index(job: &Job<'_>, input: pipe::Reader, tar: (&mut File, &std::path::Path)) -> Result<LayerIndex, Fault> {
    let mut tee = Tee::new(input, tar.0, Hasher::new(job.diff_id.algorithm())).watched(job.watch);
    let indexed = index_tar_told(&mut tee, job.limits, &mut |seen| job.watch.seen(seen));
    let (failed, hasher) = tee.finish();
    if let Some(error) = failed {
        return Err(Fault::Own(Error::io("write", tar.1)(error)));
    }
    let index = indexed.map_err(|error| match error {
        cowfs::Error::Read(source) if Gone::is(&source) => Fault::Gone,
        source => Fault::Own(Error::Layer { layer: job.blob.digest.clone(), source }),
    })?;
    let found = hasher.finish();
    if found != *job.diff_id {
        let what = format!("the uncompressed layer {}", job.blob.digest.short());
        return Err(Fault::Own(Error::Digest { what, expected: job.diff_id.clone(), found }));
    }
    file::sync(tar.0).map_err(|error| Fault::Own(Error::io("sync", tar.1)(error)))?;
    Ok(index)
}
