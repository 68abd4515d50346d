//! `enter allow`, `enter deny` and `enter init`: project files, and whether they are used.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// What can stand in a file, and what it is.
pub const PROJECT_KEYS: &[(&str, &str)] = &[
    ("image", "the image that the box is made from, as `debian:13`; it alone has to be there"),
    ("name", "what the box is called; without it as the folder is"),
    ("packages", "a list of what the image's package manager installs, once: apt, dnf, pacman, apk or zypper"),
    (
        "mounts",
        "a list of SOURCE:TARGET[:ro]; a SOURCE as ./data begins at the file's folder, one as ~/data at your home",
    ),
    ("ports", "a list of ports that are published, as 8080:80; see --publish of `enter run`"),
    ("networks", "a list of networks: pasta, none or host, or such of your own"),
    (
        "environment",
        "variables: a table of NAME = \"VALUE\"; or a list of \"NAME=VALUE\", and of \"NAME\" for your own",
    ),
    (
        "home",
        "what there is of your home: share, cow, own or none, as --home says it; with own and none, the project's folder all the same",
    ),
    ("user", "who you are inside; without it yourself"),
    ("workdir", "where you begin; without it in the present directory"),
    (
        "hooks",
        "a table of `once`, `start` and `enter`, each a line for sh or a list of such: run after the box was made, after each start, each time that you go in",
    ),
];

/// What help and manual say of project files.
pub fn about() -> String {
    let keys: Vec<String> = PROJECT_KEYS.iter().map(|(key, what)| format!("`{key}`: {what}.")).collect();
    format!(
        "Write a first project file\n\n\
         Writes `.enter.toml` to the present folder, guessed from what is in it, and allows it. A file that is there already is left alone.\n\n\
         In a folder with such a file, and in those below it, `enter` alone makes the project's box, or comes back to it; `enter . -- COMMAND` runs a \
         command in it. The file is looked for upward, as far as your home, and on the same filesystem. The box has your home in it as every box, \
         and the project's folder also where that is elsewhere. When the file changes, and is allowed again, the box is changed as by `enter set`; what \
         cannot be changed is told. `hooks.once` is not run again.\n\n\
         The file is TOML. Its keys:\n\n{}",
        keys.join("\n\n")
    )
}

/// Allow a project's file.
#[derive(Debug, Args)]
pub struct AllowArgs {
    /// The file, or a folder in or above which it is; without it the one that `enter` would use here
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub path: Option<PathBuf>,
}

/// Take that back.
#[derive(Debug, Args)]
pub struct DenyArgs {
    /// The file, or a folder in or above which it is; without it the one that `enter` would use here
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub path: Option<PathBuf>,
}

/// Write a first project file.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The image of the project's box; without it one is guessed from what is in the folder
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
}
