//! Imports go one way. This table is the whole of what may know what; a module that is not in it may not exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Each module below `src/`, and the modules that it may name. A module may only name what stands above it here, so that
/// there can be no circle.
const ALLOWED: &[(&str, &[&str])] = &[
    ("nearest", &[]),
    ("template", &[]),
    ("archive", &[]),
    ("duration", &[]),
    ("image", &["duration"]),
    ("security", &[]),
    ("network", &[]),
    ("store", &["archive", "image"]),
    ("trust", &["image"]),
    ("volume", &[]),
    ("registry", &["store", "image", "trust"]),
    ("container", &["archive", "store", "image", "network", "security", "volume"]),
    ("settings", &["container", "image", "nearest"]),
    ("failure", &["settings", "image", "network", "store", "registry", "container", "security", "template", "volume"]),
    ("cli", &["duration", "failure", "settings", "image", "nearest", "network", "container", "volume"]),
    ("completion", &["cli"]),
    ("project", &["cli", "nearest", "settings"]),
    ("manual", &["cli", "settings"]),
    ("ui", &["failure", "settings", "registry", "image"]),
    ("doctor", &["container", "store", "security"]),
    (
        "commands",
        &[
            "cli",
            "completion",
            "container",
            "doctor",
            "duration",
            "failure",
            "image",
            "manual",
            "nearest",
            "network",
            "project",
            "registry",
            "security",
            "settings",
            "store",
            "template",
            "trust",
            "ui",
            "volume",
        ],
    ),
    ("main", &["commands"]),
];

/// The crates of `helpers/`, and those of them that each may stand on.
const HELPERS: &[(&str, &[&str])] = &[
    ("cgroup", &["plan"]),
    ("cowfs", &["sys", "uidmap"]),
    ("distro", &[]),
    ("forward", &["netlink", "sys"]),
    ("init", &["passt", "plan", "sys", "uidmap"]),
    ("inside", &["plan", "sys"]),
    ("netlink", &[]),
    ("passt", &["distro", "netlink", "sys"]),
    ("plan", &["passt", "uidmap"]),
    ("pretend", &["sys"]),
    ("ssh", &[]),
    ("sys", &[]),
    ("uidmap", &["distro", "sys"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The module that a file below `src/` belongs to.
fn module(file: &Path) -> String {
    let below = file.strip_prefix(root().join("src")).unwrap();
    below.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Every module that `source` names as `crate::x`, `enter::x`, or in `crate::{x, y::z}`. Comments count for nothing.
fn named(source: &str) -> BTreeSet<String> {
    let code: String =
        source.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut names = BTreeSet::new();
    for prefix in ["crate::", "enter::"] {
        for (at, _) in code.match_indices(prefix) {
            if code[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | ':')) {
                continue;
            }
            let rest = &code[at + prefix.len()..];
            match rest.strip_prefix('{') {
                Some(group) => names.extend(heads(group)),
                None => names.extend(head(rest)),
            }
        }
    }
    names
}

/// The first name of each path in a group of imports, up to the brace that closes it.
fn heads(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut expecting) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expecting = true,
            c if c.is_alphanumeric() && expecting => {
                names.extend(head(&group[at..]));
                expecting = false;
            }
            _ => {}
        }
    }
    names
}

fn head(path: &str) -> Option<String> {
    let name: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    // A capital begins a type that lib.rs or main.rs would own; there is none.
    (!name.is_empty()).then_some(name)
}

#[test]
fn modules_name_only_what_they_may() {
    let mut wrong = Vec::new();
    for file in rust_files(&root().join("src")) {
        let module = module(&file);
        if module == "lib" {
            continue;
        }
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{} belongs to `{module}`, which is not in the table", file.display()));
            continue;
        };
        for name in named(&std::fs::read_to_string(&file).unwrap()) {
            if name != module && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: `{module}` may not know `{name}`", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_no_circle() {
    for (at, (module, allowed)) in ALLOWED.iter().enumerate() {
        for name in *allowed {
            assert!(ALLOWED[..at].iter().any(|(above, _)| above == name), "`{name}` must stand above `{module}`");
        }
    }
}

#[test]
fn helpers_know_nobody_above_them() {
    for entry in std::fs::read_dir(root().join("helpers")).unwrap() {
        let manifest = entry.unwrap().path().join("Cargo.toml");
        let Ok(text) = std::fs::read_to_string(&manifest) else { continue };
        let name = manifest.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let Some((_, allowed)) = HELPERS.iter().find(|(helper, _)| *helper == name) else {
            panic!("helpers/{name} is not in the table");
        };
        let ours = HELPERS.iter().map(|(helper, _)| *helper).chain(["enter"]);
        for other in ours.filter(|other| *other != name && !allowed.contains(other)) {
            let dependency = text
                .lines()
                .any(|line| line.starts_with(&format!("{other}.")) || line.starts_with(&format!("{other} =")));
            assert!(!dependency, "helpers/{name} may not stand on {other}");
        }
    }
}

#[test]
fn imports_are_found_in_every_form() {
    let source =
        "use crate::a::B;\nuse crate::{b, c::{D, e}, f as g};\n// crate::no\nlet x = enter::h::i();\nmycrate::no();\n";
    assert_eq!(named(source).into_iter().collect::<Vec<_>>(), ["a", "b", "c", "f", "h"]);
}
