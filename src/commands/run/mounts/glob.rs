//! `--mount type=glob`: every file and folder of this machine that a pattern fits, as it is when the container is made.

use std::fs;
use std::path::{Path, PathBuf};

use enter::container::record::{Kind, Mount};

use super::super::asked::{bad, whole};
use crate::commands::images::pattern::Pattern;
use crate::failure::Failure;

/// A mount for each file that the source fits: in the target, or where there is none, in its own place.
pub fn expand(flag: &str, mount: &Mount) -> Result<Vec<Mount>, Failure> {
    let Kind::Bind(pattern) = &mount.kind else { return Ok(vec![mount.clone()]) };
    let typed = pattern.display().to_string();
    let found = find(&whole(pattern)?).ok_or_else(|| bad(flag, &typed, "it is no pattern: a bracket is not closed"))?;
    if found.is_empty() {
        return Err(Failure::new(format!("cannot show {typed}: nothing on this machine fits it"))
            .with_hint("check the pattern with `ls`; * and ? fit no slash"));
    }
    let one = |path: PathBuf| {
        let target = match (mount.target.as_str(), path.file_name()) {
            ("", _) => path.to_str().map(str::to_owned),
            (folder, name) => name.and_then(|name| name.to_str()).map(|name| format!("{folder}/{name}")),
        };
        let target = target.ok_or_else(|| bad(flag, &path.display().to_string(), "its name is no text"))?;
        Ok(Mount { kind: Kind::Bind(path), target, ..mount.clone() })
    };
    found.into_iter().map(one).collect()
}

/// The paths that fit, sorted; `None` where the pattern is none. A name that begins with a dot must be asked for by one, as in a shell.
fn find(pattern: &Path) -> Option<Vec<PathBuf>> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.components() {
        let std::path::Component::Normal(part) = part else { continue };
        let text = part.to_str()?;
        if !text.contains(['*', '?', '[', '\\']) {
            found =
                found.into_iter().map(|path| path.join(part)).filter(|path| path.symlink_metadata().is_ok()).collect();
            continue;
        }
        let pattern = Pattern::parse(text).ok()?;
        let fits = |name: &str| pattern.matches(name) && (text.starts_with('.') || !name.starts_with('.'));
        let mut next = Vec::new();
        for folder in found {
            let names = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
            next.extend(names.filter(|name| name.to_str().is_some_and(fits)).map(|name| folder.join(name)));
        }
        next.sort();
        found = next;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_names_and_no_slash() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a1", "a2", "b", ".a3"] {
            fs::create_dir(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join("file"), "").unwrap();
        }
        let names = |pattern: &str| {
            let found = find(&dir.path().join(pattern))?;
            Some(
                found
                    .iter()
                    .map(|path| path.strip_prefix(dir.path()).unwrap().display().to_string())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(names("a*").unwrap(), ["a1", "a2"]);
        assert_eq!(names("?[12]/file").unwrap(), ["a1/file", "a2/file"]);
        assert_eq!(names(".*").unwrap(), [".a3"]);
        assert_eq!(names("none*").unwrap(), [""; 0]);
        assert_eq!(names("a["), None);
    }
}
