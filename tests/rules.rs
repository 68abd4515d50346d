//! The repository's own rules, as far as a machine can check them. `imports.rs` holds which module may know which.

use std::path::{Path, PathBuf};

/// Longer than this, a file is asked whether it is one thing.
const LONGEST_FILE: usize = 500;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folders` whose name ends in `ending`, with its text.
fn files(folders: &[&str], ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut pending: Vec<PathBuf> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the repository") {
            let path = entry.expect("a folder's entry").path();
            if path.is_dir() {
                pending.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let text = std::fs::read_to_string(&path).expect("source is text");
                found.push((path, text));
            }
        }
    }
    assert!(!found.is_empty(), "no {ending} in {folders:?}");
    found
}

fn rust() -> Vec<(PathBuf, String)> {
    files(&["src", "helpers", "tests"], ".rs")
}

#[track_caller]
fn none(broken: &[String]) {
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn each_module_says_what_it_is_for() {
    // A file of unit tests belongs to the module that it stands beside.
    let needs = |path: &Path| path.file_name().is_some_and(|name| name != "tests.rs");
    let broken: Vec<String> = (rust().iter())
        .filter(|(path, text)| needs(path) && !text.starts_with("//! "))
        .map(|(path, _)| format!("{} does not begin with `//! `", path.display()))
        .collect();
    none(&broken);
}

#[test]
fn files_stay_of_a_size_that_can_be_read() {
    let broken: Vec<String> = (rust().iter())
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(path, lines)| format!("{} has {lines} lines, more than {LONGEST_FILE}", path.display()))
        .collect();
    none(&broken);
}

#[test]
fn unsafe_code_lives_in_helpers_sys_alone() {
    let mut broken = Vec::new();
    for (path, text) in files(&["helpers"], "Cargo.toml") {
        let sys = path.ends_with("sys/Cargo.toml");
        if !sys && !text.contains("[lints]\nworkspace = true") {
            broken.push(format!("{} does not take the workspace's lints, which deny unsafe code", path.display()));
        }
    }
    for (path, text) in rust() {
        let sys = path.starts_with(root().join("helpers/sys"));
        // In two halves, so that this line is not what it looks for.
        if !sys && text.contains(concat!("allow(", "unsafe_code")) {
            broken.push(format!("{} allows unsafe code", path.display()));
        }
    }
    none(&broken);
}

#[test]
fn no_test_is_skipped() {
    let broken: Vec<String> = (rust().iter())
        .filter(|(_, text)| text.contains(concat!("#[", "ignore")))
        .map(|(path, _)| format!("{} has a test that is not run", path.display()))
        .collect();
    none(&broken);
}

#[test]
fn each_manual_page_and_document_that_is_named_exists() {
    let mut broken = Vec::new();
    for name in ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"] {
        let text = std::fs::read_to_string(root().join(name)).expect("the repository has its documents");
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            if !target.is_empty() && !target.contains("://") && !root().join(target).exists() {
                broken.push(format!("{name} links to {target}, which is not there"));
            }
        }
        let paths = text.split('`').skip(1).step_by(2).filter(|code| {
            let first = code.split('/').next().unwrap_or_default();
            code.contains('/') && !code.contains(' ') && ["src", "helpers", "tests", "benches", ".ci"].contains(&first)
        });
        broken.extend(
            paths
                .filter(|path| !root().join(path).exists())
                .map(|path| format!("{name} names {path}, which is not there")),
        );
    }
    none(&broken);
}

#[test]
fn each_script_is_strict_and_says_what_it_does() {
    let mut broken = Vec::new();
    for (path, text) in files(&["helpers", "benches", "tests"], ".sh") {
        let library = path.ends_with("lib.sh");
        if !library && !text.contains("\nset -eu") {
            broken.push(format!("{} goes on after a failure", path.display()));
        }
        if !text.lines().nth(1).is_some_and(|line| line.starts_with("# ")) {
            broken.push(format!("{} does not begin with what it does", path.display()));
        }
    }
    none(&broken);
}

#[test]
fn tests_that_the_readme_names_are_there() {
    let text = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    let (_, tables) = text.split_once("\n## Beside Toolbx and Distrobox\n").expect("the tables");
    let tables = tables.split("\n## ").next().expect("the end of the chapter");
    let names = tables.lines().filter_map(|line| Some(line.strip_suffix("` |")?.rsplit_once('`')?.1));
    let broken: Vec<String> = names
        .filter(|name| match name.split_once("::") {
            Some((module, test)) => {
                let path = |folder: &str| root().join(folder).join(module).with_extension("rs");
                let text =
                    std::fs::read_to_string(path("tests/e2e")).or_else(|_| std::fs::read_to_string(path("tests")));
                !text.unwrap_or_default().contains(&format!("fn {test}("))
            }
            None => !root().join(name).exists(),
        })
        .map(|name| format!("there is no test {name}"))
        .collect();
    none(&broken);
}
