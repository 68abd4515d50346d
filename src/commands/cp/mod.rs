//! `enter cp SOURCE DESTINATION`: what is copied travels as a tar, packed where it is and unpacked where it goes.

mod place;

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use enter::container::files::{self, Access, Copied, Into, Unpacked, Whose};
use enter::container::{self, Told};

use super::containers;
use crate::cli::CpArgs;
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::{Ui, human};
use place::Side;

/// Copies.
pub fn run(ui: &Ui, _: &Settings, args: &CpArgs) -> Result<ExitCode, Failure> {
    copy(ui, args).map_err(|failure| failure.with_code(VERB_FAILED))
}

fn copy(ui: &Ui, args: &CpArgs) -> Result<ExitCode, Failure> {
    let (source, destination) = (Side::parse(&args.source), Side::parse(&args.destination));
    let whose = if args.archive { Whose::Same } else { Whose::Root };
    let copied = |path: PathBuf| Copied { path, follow: args.follow_link, whose };
    let (bytes, unpacked) = match (source, destination) {
        (Side::Container(from, path), Side::Container(to, into)) => {
            (None, between(&open(&from)?, &copied(path), &open(&to)?, &Into::Path(into, whose))?)
        }
        (Side::Container(from, path), Side::Here(into)) => out(&open(&from)?, &copied(path), &Into::Path(into, whose))?,
        (Side::Container(from, path), Side::Stream) => return to_stream(&from, path, args.follow_link),
        (Side::Here(path), Side::Container(to, into)) => inwards(&open(&to)?, &copied(path), &Into::Path(into, whose))?,
        (Side::Stream, Side::Container(to, into)) => {
            if io::stdin().is_terminal() {
                return Err(Failure::new("the standard input is a terminal, and no archive")
                    .with_hint("give it one, for example: tar c . | enter cp - CONTAINER:PATH"));
            }
            let input = File::from(duplicate(0)?);
            (None, files::unpack(&open(&to)?, input, &Into::Directory(into), &[])?.finish()?)
        }
        _ => {
            return Err(Failure::new("neither side of the copy is a container").with_hint(
                "one of them is written CONTAINER:PATH; a path of this machine with a colon in it begins with ./",
            ));
        }
    };
    if unpacked.devices > 0 {
        ui.warning(&format!("{} device files were not made", unpacked.devices));
    }
    if let Some(bytes) = bytes.filter(|_| !args.quiet && io::stdout().is_terminal()) {
        let destination = args.destination.to_string_lossy();
        ui.note(&format!("copied {} to {destination}", human::size(bytes)));
    }
    Ok(ExitCode::SUCCESS)
}

fn open(name: &str) -> Result<Access, Failure> {
    let container = containers::find(&containers::of_user()?, name)?;
    super::files::access(&super::state::store()?, &container)
}

fn duplicate(number: i32) -> Result<std::os::fd::OwnedFd, Failure> {
    let stream = sys::descriptor::borrow(number).and_then(nix::unistd::dup);
    stream.map_err(|errno| Failure::new("cannot use the standard stream").because(errno))
}

/// From one container to another.
fn between(from: &Access, copied: &Copied, to: &Access, into: &Into) -> Result<Unpacked, Failure> {
    let (tar, packing) = files::pack(from, copied)?;
    let unpacked = files::unpack(to, tar, into, &[])?.finish();
    settle(packing.finish(), unpacked)
}

/// Out of a container.
fn out(from: &Access, copied: &Copied, into: &Into) -> Result<(Option<u64>, Unpacked), Failure> {
    let (tar, packing) = files::pack(from, copied)?;
    let mut counted = Counted { inner: tar, count: 0 };
    let unpacked = files::unpack_host(&mut counted, into).map_err(container::Error::from);
    let count = counted.count;
    // Nobody is left to read what may still come.
    drop(counted);
    settle(packing.finish(), unpacked).map(|unpacked| (Some(count), unpacked))
}

/// Into a container.
fn inwards(to: &Access, copied: &Copied, into: &Into) -> Result<(Option<u64>, Unpacked), Failure> {
    let (tar, write) = files::pipe()?;
    let unpacking = files::unpack(to, tar, into, &[&write])?;
    let packed = files::pack_host(copied, write).map_err(container::Error::from);
    settle(packed, unpacking.finish()).map(|unpacked| (None, unpacked))
}

/// Which of the two failed by itself: the one that reads is told of a broken archive where the other one gave up, and the one that writes of a
/// broken pipe.
fn settle(
    packed: Result<(), container::Error>,
    unpacked: Result<Unpacked, container::Error>,
) -> Result<Unpacked, Failure> {
    match (packed, unpacked) {
        (Err(packed), Err(unpacked)) => Err(if is_about_the_pipe(&packed) { unpacked } else { packed }.into()),
        (Err(packed), Ok(unpacked)) if is_about_the_pipe(&packed) => Ok(unpacked),
        (Err(packed), Ok(_)) => Err(packed.into()),
        (Ok(()), unpacked) => Ok(unpacked?),
    }
}

fn is_about_the_pipe(error: &container::Error) -> bool {
    let mut told: Option<&Told> = match error {
        container::Error::Told(told) => Some(told),
        _ => None,
    };
    while let Some(this) = told {
        if this.message.to_lowercase().contains("broken pipe") {
            return true;
        }
        told = this.cause.as_deref();
    }
    false
}

/// Out of a container as an archive, with the owners that the container knows.
fn to_stream(from: &str, path: PathBuf, follow: bool) -> Result<ExitCode, Failure> {
    refuse_terminal()?;
    let (tar, packing) = files::pack(&open(from)?, &Copied { path, follow, whose: Whose::Same })?;
    pass_on(tar, None)?;
    packing.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// An archive on a terminal helps nobody, and what is in it may be meant for the terminal.
pub fn refuse_terminal() -> Result<(), Failure> {
    if sys::standard::output_was_closed() {
        return Err(Failure::new("cannot write to the standard output: it is closed")
            .with_hint("send it to a file or a program, for example with > FILE"));
    }
    if io::stdout().is_terminal() {
        return Err(Failure::new("the standard output is a terminal, and this would be an archive")
            .with_hint("send it to a file or a program, for example with > FILE"));
    }
    Ok(())
}

/// Writes what comes out of a worker to a file, or to the standard output. A reader that went away ends the process as SIGPIPE would.
pub fn pass_on(mut tar: impl Read, path: Option<&Path>) -> Result<(), Failure> {
    let failed = |error: io::Error, to: String| Failure::new(format!("cannot write to {to}")).because(error);
    let Some(path) = path else {
        return match io::copy(&mut tar, &mut io::stdout().lock()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => sys::broken_pipe::die(),
            done => done.map(drop).map_err(|error| failed(error, "the standard output".into())),
        };
    };
    let shown = path.display().to_string();
    let mut file = File::create(path).map_err(|error| failed(error, shown.clone()))?;
    io::copy(&mut tar, &mut file).map(drop).map_err(|error| failed(error, shown))
}

struct Counted<R> {
    inner: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(into)?;
        self.count += got as u64;
        Ok(got)
    }
}
