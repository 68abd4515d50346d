//! Asks much of the filesystem that is the working directory, and checks that it gives all of it.
//!
//! ```text
//! strain open COUNT       so many files open at once, some of them unlinked
//! strain threads COUNT    so many threads that work in one directory, and append to one file
//! strain crowd COUNT      so many names in one directory, which is listed while it shrinks
//! strain deep LEVELS      directories so deep that no path leads there
//! ```
//!
//! It ends with an error at the first thing that is not as on a local disk.
#![allow(clippy::print_stdout)]

use std::collections::HashSet;
use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};

use nix::fcntl::{AT_FDCWD, OFlag, openat, renameat};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, count] = &arguments[..] else { return Err("what and how many is wanted".into()) };
    let count = count.parse()?;
    match what.as_str() {
        "open" => open(count),
        "threads" => threads(count),
        "crowd" => crowd(count),
        "deep" => deep(count),
        _ => Err(format!("nothing is called {what}").into()),
    }
}

fn check(holds: bool, what: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(what().into()) }
}

fn open(count: usize) -> Outcome {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    fs::create_dir("open")?;
    let mut files = Vec::with_capacity(count);
    for number in 0..count {
        let path = format!("open/{number}");
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        file.write_at(path.as_bytes(), 0)?;
        if number % 3 == 0 {
            fs::remove_file(&path)?;
        }
        files.push((path, file));
    }
    let mut inodes = HashSet::new();
    for (number, (path, file)) in files.iter().enumerate() {
        let mut content = vec![0; path.len() + 1];
        let length = file.read_at(&mut content, 0)?;
        check(content[..length] == *path.as_bytes(), || format!("{path} has another's content"))?;
        let meta = file.metadata()?;
        let links = u64::from(number % 3 != 0);
        check(meta.nlink() == links, || format!("{path} has {} links, not {links}", meta.nlink()))?;
        check(inodes.insert(meta.ino()), || format!("{path} has the inode number of another open file"))?;
    }
    drop(files);
    Ok(fs::remove_dir_all("open")?)
}

/// Lines that each thread appends to the file that all share.
const LINES: usize = 20;

fn threads(count: usize) -> Outcome {
    fs::create_dir("threads")?;
    let work = |thread: usize| -> Outcome {
        let mut shared = OpenOptions::new().append(true).create(true).open("shared")?;
        for turn in 0..LINES {
            let (path, moved) = (format!("threads/{thread}.{turn}"), format!("threads/moved.{thread}.{turn}"));
            fs::write(&path, &path)?;
            fs::rename(&path, &moved)?;
            fs::hard_link(&moved, &path)?;
            fs::remove_file(&moved)?;
            check(fs::read_to_string(&path)? == path, || format!("{path} has another's content"))?;
            check(fs::metadata(&path)?.nlink() == 1, || format!("{path} has lost a link"))?;
            shared.write_all(format!("{thread} {turn}\n").as_bytes())?;
            // All make the same directory; one of them does.
            match fs::create_dir(format!("threads/all.{turn}")) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..count).map(|thread| scope.spawn(move || work(thread))).collect();
        started.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread has panicked")?)
    })?;
    let mut text = String::new();
    File::open("shared")?.read_to_string(&mut text)?;
    for thread in 0..count {
        let prefix = format!("{thread} ");
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        let whole = lines.len() == LINES && lines.iter().enumerate().all(|(turn, line)| *line == turn.to_string());
        check(whole, || format!("what thread {thread} appended has come as {lines:?}"))?;
    }
    let names = fs::read_dir("threads")?.count();
    check(names == (count + 1) * LINES, || format!("{names} names are left"))?;
    Ok(fs::remove_dir_all("threads")?)
}

fn crowd(count: usize) -> Outcome {
    fs::create_dir("crowd")?;
    for number in 0..count {
        File::create(format!("crowd/{number}"))?;
    }
    // Each second name goes while they are listed: whoever stays is seen once.
    let mut seen = HashSet::new();
    for entry in fs::read_dir("crowd")? {
        let name = entry?.file_name().into_string().map_err(|_| "a name that nobody made")?;
        let number: usize = name.parse()?;
        check(number < count && seen.insert(number), || format!("{name} is listed twice"))?;
        if number % 2 == 1 {
            fs::remove_file(format!("crowd/{number}"))?;
        }
    }
    check(seen.len() == count, || format!("{} of {count} names are listed", seen.len()))?;
    let left: HashSet<_> =
        fs::read_dir("crowd")?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
    check(left.len() == count.div_ceil(2), || format!("{} names are left", left.len()))?;
    check(fs::metadata("crowd/1").is_err() && fs::metadata("crowd/0").is_ok(), || "the wrong one has gone".to_owned())?;
    Ok(fs::remove_dir_all("crowd")?)
}

fn deep(levels: usize) -> Outcome {
    let name = "d".repeat(255);
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let bits = Mode::from_bits_truncate(0o755);
    let mut way: Vec<OwnedFd> = vec![openat(AT_FDCWD, ".", flags, bits)?];
    for _ in 0..levels {
        let above = way.last().ok_or("no root")?;
        match mkdirat(above, name.as_str(), bits) {
            Err(nix::errno::Errno::EEXIST) | Ok(()) => {}
            Err(errno) => return Err(errno.into()),
        }
        let next = openat(above, name.as_str(), flags, bits)?;
        way.push(next);
    }
    let (bottom, above) = (&way[levels], &way[levels - 1]);
    let create = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(bottom, "file", create, bits)?);
    file.write_all(b"deep")?;
    renameat(bottom, "file", above.as_fd(), "moved")?;
    let mut text = String::new();
    File::from(openat(above, "moved", OFlag::O_RDONLY, bits)?).read_to_string(&mut text)?;
    check(text == "deep", || format!("the bottom holds {text:?}"))?;
    unlinkat(above, "moved", UnlinkatFlags::NoRemoveDir)?;
    // The topmost directory is moved with all that is below it.
    renameat(&way[0], name.as_str(), way[0].as_fd(), "elsewhere")?;
    drop(openat(&way[levels], "still there", create, bits)?);
    check(openat(&way[0], "elsewhere", flags, bits).is_ok(), || "what was moved is not there".to_owned())?;
    unlinkat(&way[levels], "still there", UnlinkatFlags::NoRemoveDir)?;
    renameat(&way[0], "elsewhere", way[0].as_fd(), name.as_str())?;
    for above in way.iter().rev().skip(1) {
        unlinkat(above, name.as_str(), UnlinkatFlags::RemoveDir)?;
    }
    println!("{levels} levels");
    Ok(())
}
