//! Builds PID 1 as a static program, and hands the crate `enter` its path, to be embedded.
//!
//! A build script cannot ask cargo for another crate's binary, so it runs cargo again, in a folder of its own. Static, as a
//! container has other libraries than the host, or none.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    for source in ["distro", "init", "passt", "plan", "sys", "uidmap"] {
        println!("cargo:rerun-if-changed=helpers/{source}/src");
        println!("cargo:rerun-if-changed=helpers/{source}/Cargo.toml");
    }
    println!("cargo:rerun-if-changed=Cargo.lock");

    let out = PathBuf::from(variable("OUT_DIR"));
    let target = variable("TARGET");
    let folder = out.join("init");
    let status = Command::new(variable("CARGO"))
        .args(["build", "--locked", "--package", "init", "--profile", "init", "--target", &target])
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
            "building helpers/init as a static program failed ({status}); it needs the C library's static archive"
        ),
        Err(error) => panic!("cannot run cargo to build helpers/init: {error}"),
    }
    println!("cargo:rustc-env=ENTER_INIT={}", folder.join(target).join("init/init").display());
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
