//! A shell and the common tools for images that have none: a static busybox, this machine's own or that of an image in the store, shown at a
//! place where nothing of the image's is, at the end of the PATH. Nothing is fetched for it.
//!
//! Called by `planning`. What is shown is a copy in a folder of ours, made once for each busybox there is.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use cowfs::tree::{Image, Kind};
use distro::{Family, packages};
use plan::{Restrictions, Step};

use super::Error;
use crate::image::Platform;
use crate::store::Store;

/// Where they are found inside.
const FOLDER: &str = "/run/enter-tools";
/// Where the programs are, for the PATH.
pub const PROGRAMS: &str = "/run/enter-tools/bin";
/// The shell among them.
pub const SHELL: &str = "/run/enter-tools/bin/sh";

/// Below the folder of everything of ours: a folder for each busybox.
const KEPT: &str = "tools";

/// Where distributions put a static one.
const PLACES: [&str; 6] = [
    "/bin/busybox",
    "/usr/bin/busybox",
    "/bin/busybox.static",
    "/usr/bin/busybox.static",
    "/usr/lib/busybox/busybox-static",
    "/usr/sbin/busybox",
];

/// Where images have it.
const IN_IMAGES: [&str; 3] = ["/bin/busybox", "/usr/bin/busybox", "/bin/busybox.static"];

/// The most that is taken for a busybox, in bytes.
const LARGEST: u64 = 16 << 20;

/// As much of a program says whether it is static.
const HEAD: usize = 4096;

/// The names under which it is called. One that it was built without says so.
const APPLETS: &str = "[ ar ash awk base64 basename bc bunzip2 bzcat bzip2 cat chgrp chmod chown clear cmp comm cp cpio cut date dc dd df \
     diff dirname dmesg dos2unix du echo ed egrep env expand expr factor false fgrep find fold free fuser getopt grep groups gunzip gzip \
     head hexdump hostname id ifconfig install ip ipcs kill killall less link ln logname ls lsof lzcat md5sum mkdir mkfifo mknod mktemp \
     more mount mv nc netstat nice nl nohup nproc nslookup od paste patch pgrep pidof ping pkill printenv printf ps pstree pwd readlink \
     realpath renice reset rev rm rmdir route sed seq setsid sh sha1sum sha256sum sha512sum shuf sleep sort split stat strings stty sum \
     sync tac tail tar tee telnet test time timeout top touch tr traceroute true truncate tty umount uname unexpand uniq unix2dos unlink \
     unxz unzip uptime usleep vi watch wc wget which who whoami xargs xxd xz xzcat yes zcat";

/// The step that shows them. `root`: the folder of everything of ours.
///
/// # Errors
/// Where there is no static busybox, and what the filesystem says.
pub fn step(root: &Path) -> Result<Step, Error> {
    let restrictions = Restrictions { read_only: true, no_suid: true, no_dev: true, no_exec: false };
    let source = prepare(root)?;
    Ok(Step::Bind { source: source.into(), target: FOLDER.into(), recursive: false, restrictions })
}

/// The folder to be shown, made if it is missing.
fn prepare(root: &Path) -> Result<PathBuf, Error> {
    let kept = root.join(KEPT);
    for place in PLACES {
        let Some((file, mark)) = of_host(Path::new(place)) else { continue };
        let folder = kept.join(mark);
        return make(&folder, |to| io::copy(&mut file.take(LARGEST), to).map(drop))
            .map(|()| folder)
            .map_err(Error::file("bring along", place));
    }
    let store = Store::open(root).ok();
    let images = store.and_then(|store| store.images().ok()).unwrap_or_default();
    let here = Platform::host();
    for image in images.iter().filter(|image| image.platform.architecture == here.architecture) {
        let Ok(files) = Image::open(&image.tree, &image.tars) else { continue };
        for place in IN_IMAGES {
            let found = files.resolve(place).filter(|inode| inode.kind == Kind::File && inode.size <= LARGEST);
            let Some(inode) = found else { continue };
            let mut head = vec![0; HEAD];
            if !files.read_at(&inode, 0, &mut head).is_ok_and(|length| is_static(&head[..length])) {
                continue;
            }
            let folder = kept.join(format!("image-{}", image.id.short()));
            let content = || files.read_file(place, LARGEST).ok().flatten().ok_or(io::ErrorKind::InvalidData);
            return make(&folder, |to| to.write_all(&content()?))
                .map(|()| folder)
                .map_err(Error::file("bring busybox along from an image to", &kept));
        }
    }
    Err(Error::Plan {
        doing: "bring tools along".into(),
        reason: "there is no static busybox on this machine, and none in an image of the store".into(),
        hint: Some(format!(
            "{}; or fetch an image with one: enter pull busybox",
            Family::here().install(&packages::BUSYBOX)
        )),
    })
}

/// A static program of this machine, and a word that changes with it.
fn of_host(place: &Path) -> Option<(File, String)> {
    let mut file = File::open(place).ok()?;
    let status = file.metadata().ok().filter(|status| status.is_file() && status.len() <= LARGEST)?;
    let mut head = Vec::new();
    (&file).take(HEAD as u64).read_to_end(&mut head).ok()?;
    io::Seek::rewind(&mut file).ok()?;
    is_static(&head).then(|| (file, format!("host-{:x}-{:x}-{:x}", status.len(), status.mtime(), status.mtime_nsec())))
}

/// Whether the beginning of a program says that it needs no other: an ELF file of this machine's kind without an interpreter.
fn is_static(head: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let machine: u16 = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
    let number = |at: usize, length: usize| -> Option<u64> {
        let bytes = head.get(at..at + length)?;
        Some(bytes.iter().rev().fold(0, |all, byte| all << 8 | u64::from(*byte)))
    };
    let parsed = || -> Option<bool> {
        // 64 bits, the lowest byte first.
        if head.get(..6)? != b"\x7fELF\x02\x01" || number(18, 2)? != u64::from(machine) {
            return None;
        }
        let (first, size, count) = (usize::try_from(number(32, 8)?).ok()?, number(54, 2)?, number(56, 2)?);
        for at in 0..count {
            let entry = first.checked_add(usize::try_from(at * size).ok()?)?;
            if number(entry, 4)? == u64::from(INTERPRETER) {
                return None;
            }
        }
        Some(count > 0)
    };
    parsed().unwrap_or(false)
}

/// Makes a folder with the program, which `fill` writes, under all of its names: whole or not at all.
fn make(folder: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(folder);
    DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    let new = parent.join(format!(".new-{}", std::process::id()));
    let _ = fs::remove_dir_all(&new);
    let programs = new.join("bin");
    DirBuilder::new().recursive(true).mode(0o755).create(&programs)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(programs.join("busybox"))?;
    fill(&mut file)?;
    drop(file);
    for name in APPLETS.split_ascii_whitespace() {
        symlink("busybox", programs.join(name))?;
    }
    match fs::rename(&new, folder) {
        // Another was quicker.
        Err(_) if folder.is_dir() => fs::remove_dir_all(&new),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program's beginning with one segment of a kind.
    fn program(kind: u32) -> Vec<u8> {
        let mut head = vec![0; 64 + 56];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[18] = if cfg!(target_arch = "x86_64") { 62 } else { 183 };
        (head[32], head[54], head[56]) = (64, 56, 1);
        head[64..68].copy_from_slice(&kind.to_le_bytes());
        head
    }

    #[test]
    fn a_program_that_needs_no_other_is_known() {
        assert!(is_static(&program(1)));
        assert!(!is_static(&program(3)), "it has an interpreter");
        let mut other = program(1);
        other[18] = 8;
        assert!(!is_static(&other), "for another machine");
        for damaged in [&b""[..], b"#!/bin/sh\n", &program(1)[..70], &program(1)[..60]] {
            assert!(!is_static(damaged) || damaged.len() > 67);
        }
    }

    #[test]
    fn the_folder_is_made_once_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("tools/one");
        make(&folder, |_| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        assert!(!folder.exists());
        make(&folder, |to| to.write_all(b"x")).unwrap();
        make(&folder, |_| panic!("it is there")).unwrap();
        assert_eq!(fs::read(folder.join("bin/sh")).unwrap(), b"x");
    }
}
