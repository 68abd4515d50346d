//! `enter init`: a first `.enter.toml`, guessed from what is in a folder. Only names of files are looked at: what a stranger has written into
//! them does not get into ours.

use std::path::Path;

/// What a file of this name in a folder tells: the image, packages, and what one would do once.
struct Sign {
    file: &'static str,
    image: &'static str,
    packages: &'static [&'static str],
    once: &'static str,
}

const SIGNS: &[Sign] = &[
    Sign { file: "Cargo.toml", image: "rust:1", packages: &[], once: "cargo fetch" },
    Sign { file: "go.mod", image: "golang:1", packages: &[], once: "go mod download" },
    Sign { file: "package.json", image: "node:lts", packages: &[], once: "npm install" },
    Sign { file: "deno.json", image: "denoland/deno:latest", packages: &[], once: "deno install" },
    Sign { file: "requirements.txt", image: "python:3", packages: &[], once: "pip install -r requirements.txt" },
    Sign { file: "pyproject.toml", image: "python:3", packages: &[], once: "pip install -e ." },
    Sign { file: "setup.py", image: "python:3", packages: &[], once: "pip install -e ." },
    Sign { file: "Gemfile", image: "ruby:3", packages: &[], once: "bundle install" },
    Sign { file: "composer.json", image: "composer:2", packages: &[], once: "composer install" },
    Sign { file: "pom.xml", image: "maven:3", packages: &[], once: "mvn -B dependency:go-offline" },
    Sign { file: "build.gradle", image: "gradle:8", packages: &[], once: "gradle dependencies" },
    Sign { file: "build.gradle.kts", image: "gradle:8", packages: &[], once: "gradle dependencies" },
    Sign { file: "mix.exs", image: "elixir:1", packages: &[], once: "mix deps.get" },
    Sign { file: "stack.yaml", image: "haskell:9", packages: &[], once: "stack setup" },
    Sign {
        file: "CMakeLists.txt",
        image: "debian:stable",
        packages: &["build-essential", "cmake"],
        once: "cmake -B build",
    },
    Sign {
        file: "meson.build",
        image: "debian:stable",
        packages: &["build-essential", "meson"],
        once: "meson setup build",
    },
    Sign { file: "configure", image: "debian:stable", packages: &["build-essential"], once: "./configure" },
    Sign { file: "Makefile", image: "debian:stable", packages: &["build-essential"], once: "make" },
];

/// The text of a first file for `folder`, and the name of the file that it was guessed from. `image`: what the user wants instead.
pub fn text(folder: &Path, image: Option<&str>) -> (String, Option<&'static str>) {
    let sign = SIGNS.iter().find(|sign| folder.join(sign.file).is_file());
    let guessed = sign.map_or("debian:stable", |sign| sign.image);
    // Packages are those of the image that they were guessed with.
    let packages = sign.filter(|_| image.is_none()).map_or(&[][..], |sign| sign.packages);
    let list = |names: &[&str]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
    let packages = if packages.is_empty() {
        "# packages = [\"git\", \"make\"]".to_owned()
    } else {
        format!("packages = [{}]", list(packages))
    };
    let once = sign.map_or("make", |sign| sign.once);
    let image = toml::Value::String(image.unwrap_or(guessed).to_owned());
    let text = format!(
        "# The box of this project: `enter` in this folder, or below it, makes it and comes back to it. See `enter init --help`.\n\
         # After a change: enter allow\n\
         \n\
         image = {image}\n\
         \n\
         # Installed once, by the image's own package manager.\n\
         {packages}\n\
         \n\
         # Your home is in every box; what else it shows, as SOURCE:TARGET[:ro]. ./ is this folder.\n\
         # mounts = [\"./data:/data\"]\n\
         \n\
         # ports = [\"8080:80\"]\n\
         # networks = [\"none\"]\n\
         \n\
         # [environment]\n\
         # EDITOR = \"vim\"\n\
         \n\
         # Lines for sh, run inside in this folder: once after the box was made, after each start, each time that you go in.\n\
         # [hooks]\n\
         # once = \"{once}\"\n\
         # start = \"echo started\"\n\
         # enter = \"git status -sb\"\n"
    );
    (text, sign.map(|sign| sign.file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_file_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let read = |image| crate::project::parse("f".as_ref(), &text(folder.path(), image).0).unwrap();
        assert_eq!(read(None).image, "debian:stable");
        std::fs::write(folder.path().join("Makefile"), "").unwrap();
        assert_eq!(read(None).packages, ["build-essential"]);
        std::fs::write(folder.path().join("Cargo.toml"), "").unwrap();
        assert_eq!((read(None).image.as_str(), text(folder.path(), None).1), ("rust:1", Some("Cargo.toml")));
        assert_eq!(read(Some("quay.io/a/\"b")).image, "quay.io/a/\"b");
    }
}
