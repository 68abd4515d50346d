//! A file that a command writes: in its place only when it is whole. What is no regular file, a pipe or a device say, is written as it goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};

use crate::failure::Failure;

/// What is being written.
pub struct Written {
    out: Out,
}

enum Out {
    /// As it goes.
    Direct(Box<dyn Write>),
    /// A file that is to stand at a place. It has a name of its own where the file system has no files without one.
    Beside { file: File, name: Option<PathBuf>, place: PathBuf },
}

impl Written {
    /// The file at `path`, which stays as it is until [`Written::keep`].
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::new(format!("cannot make {}", path.display())).because(error);
        // Through links, as others write.
        let place = match fs::canonicalize(path) {
            Ok(place) => place,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(failed(error)),
        };
        let there = fs::metadata(&place).ok();
        if there.as_ref().is_some_and(fs::Metadata::is_dir) {
            return Err(failed(io::ErrorKind::IsADirectory.into())
                .with_hint("name a file in it, or write a folder: --format oci-dir or docker-dir"));
        }
        let direct = || -> Result<Self, Failure> {
            let file = OpenOptions::new().write(true).create(true).truncate(true).open(&place).map_err(failed)?;
            Ok(Self { out: Out::Direct(Box::new(file)) })
        };
        if there.as_ref().is_some_and(|there| !there.is_file()) {
            return direct();
        }
        match beside(&place) {
            Ok(out) => Ok(Self { out }),
            // A file that may be written, in a folder that may not.
            Err(error) if there.is_some() && error.kind() == io::ErrorKind::PermissionDenied => direct(),
            Err(error) => Err(failed(error)),
        }
    }

    /// The standard output, which must be there: into a closed one everything would vanish without a word.
    pub fn standard_output() -> Result<Self, Failure> {
        if sys::standard::output_was_closed() {
            return Err(Failure::new("cannot write to the standard output: it is closed")
                .with_hint("name a file with -o, or send it to one with > FILE"));
        }
        Ok(Self { out: Out::Direct(Box::new(io::stdout().lock())) })
    }

    /// Puts it in its place, now that it is whole.
    pub fn keep(mut self) -> Result<(), Failure> {
        let failed =
            |place: &Path, error: io::Error| Failure::new(format!("cannot write {}", place.display())).because(error);
        match &mut self.out {
            Out::Direct(out) => out.flush().map_err(|error| Failure::new("cannot write the archive").because(error)),
            Out::Beside { file, name, place } => {
                file.sync_all().map_err(|error| failed(place, error))?;
                let beside = match name.take() {
                    Some(name) => name,
                    None => named(file, place).map_err(|error| failed(place, error))?,
                };
                let renamed = fs::rename(&beside, &*place);
                if renamed.is_err() {
                    let _ = fs::remove_file(&beside);
                }
                renamed.map_err(|error| failed(place, error))
            }
        }
    }
}

fn beside(place: &Path) -> io::Result<Out> {
    let folder = match place.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut options = OpenOptions::new();
    options.write(true).mode(0o666);
    // Nothing is left of it whenever this process ends.
    match options.clone().custom_flags(nix::libc::O_TMPFILE).open(folder) {
        Ok(file) => Ok(Out::Beside { file, name: None, place: place.to_owned() }),
        Err(error) if matches!(error.raw_os_error(), Some(nix::libc::EOPNOTSUPP | nix::libc::EISDIR)) => {
            let name = name_beside(place);
            let file = options.create_new(true).open(&name)?;
            Ok(Out::Beside { file, name: Some(name), place: place.to_owned() })
        }
        Err(error) => Err(error),
    }
}

fn name_beside(place: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(format!(".enter-{}-", std::process::id()));
    name.push(place.file_name().unwrap_or_default());
    place.with_file_name(name)
}

/// Gives a file without a name one.
fn named(file: &File, place: &Path) -> io::Result<PathBuf> {
    let name = name_beside(place);
    let own = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    nix::unistd::linkat(AT_FDCWD, &own, AT_FDCWD, &name, AtFlags::AT_SYMLINK_FOLLOW)?;
    Ok(name)
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.out {
            Out::Direct(out) => out.write(bytes),
            Out::Beside { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::Direct(out) => out.flush(),
            Out::Beside { file, .. } => file.flush(),
        }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Out::Beside { name: Some(name), .. } = &self.out {
            let _ = fs::remove_file(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_there_only_when_it_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("file"), dir.path().join("link"));
        symlink("file", &link).unwrap();
        fs::write(&path, "before").unwrap();
        let mut written = Written::create(&link).unwrap();
        written.write_all(b"half").unwrap();
        drop(written);
        assert_eq!((fs::read(&path).unwrap(), fs::read_dir(dir.path()).unwrap().count()), (b"before".to_vec(), 2));
        let mut written = Written::create(&link).unwrap();
        written.write_all(b"whole").unwrap();
        written.keep().unwrap();
        assert_eq!((fs::read(&path).unwrap(), fs::read_dir(dir.path()).unwrap().count()), (b"whole".to_vec(), 2));
        assert!(Written::create(dir.path()).is_err() && Written::create(&dir.path().join("no/file")).is_err());
        Written::create(Path::new("/dev/null")).unwrap().keep().unwrap();
    }
}
