//! Builds PID 1, and the client that containers see, as static programs, and hands the crate `enter` their paths, to be embedded.
//!
//! A build script cannot ask cargo for another crate's binary, so it runs cargo again, in a folder of its own. Static, as a
//! container has other libraries than the host, or none.

use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    for source in ["distro", "init", "inside", "passt", "plan", "sys", "uidmap"] {
        println!("cargo:rerun-if-changed=helpers/{source}/src");
        println!("cargo:rerun-if-changed=helpers/{source}/Cargo.toml");
    }
    println!("cargo:rerun-if-changed=Cargo.lock");

    let out = PathBuf::from(variable("OUT_DIR"));
    let target = variable("TARGET");
    let folder = out.join("init");
    let status = Command::new(variable("CARGO"))
        .args([
            "build",
            "--locked",
            "--package",
            "init",
            "--package",
            "inside",
            "--profile",
            "init",
            "--target",
            &target,
        ])
        .arg("--target-dir")
        .arg(&folder)
        .current_dir(variable("CARGO_MANIFEST_DIR"))
        // What cargo said to this build is not meant for that one: its profile, its wrapper for clippy, its flags.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .env(
            format!("CARGO_TARGET_{}_RUSTFLAGS", target.to_uppercase().replace('-', "_")),
            "-Ctarget-feature=+crt-static",
        )
        .status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!(
            "building helpers/init and helpers/inside as static programs failed ({status}); they need the C library's static archive"
        ),
        Err(error) => panic!("cannot run cargo to build helpers/init and helpers/inside: {error}"),
    }
    let built = folder.join(target).join("init");
    println!("cargo:rustc-env=ENTER_INIT={}", built.join("init").display());
    let inside = built.join("inside");
    println!("cargo:rustc-env=ENTER_INSIDE={}", inside.display());
    println!("cargo:rustc-env=ENTER_INSIDE_MARK={:016x}", mark(&inside));
}

/// Tells one build of a program from another: its name on disk, and no proof of anything.
fn mark(program: &Path) -> u64 {
    let bytes = std::fs::read(program).unwrap_or_else(|error| panic!("cannot read {}: {error}", program.display()));
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
