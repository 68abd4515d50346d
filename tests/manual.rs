//! The committed manual is what the program writes, and a formatter finds nothing wrong with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("man")
}

fn files(directory: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read_to_string(entry.path()).unwrap()))
        .collect()
}

#[test]
fn the_committed_pages_are_those_that_the_program_writes() {
    let directory = tempfile::tempdir().unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_enter")).arg("__manual").arg(directory.path()).status().unwrap();
    assert!(status.success());
    let (written, committed) = (files(directory.path()), files(&committed()));
    let how = "run: rm man/* && cargo run -- __manual man";
    assert_eq!(written.keys().collect::<Vec<_>>(), committed.keys().collect::<Vec<_>>(), "{how}");
    for (name, text) in written {
        assert!(text == committed[&name], "man/{name} is not what the program writes; {how}");
    }
}

#[test]
fn mandoc_has_nothing_to_complain_of() {
    let pages: Vec<PathBuf> = files(&committed()).into_keys().map(|name| committed().join(name)).collect();
    let output = Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).args(pages).output();
    let output = output.expect("mandoc is needed for this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
