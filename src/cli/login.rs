//! `enter login` and `enter logout`.

use std::path::PathBuf;

use clap::Args;

use super::ReachArgs;

/// Log in to a registry.
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// The registry, or a part of it such as quay.io/team; without one, the first that short names are looked for in
    #[arg(value_name = "REGISTRY")]
    pub registry: Option<String>,

    /// The user name; asked for without it
    #[arg(short, long, value_name = "NAME")]
    pub username: Option<String>,

    /// The password or token; asked for without it
    ///
    /// Other users of this machine can see it while the command starts, and the shell may keep it in its history: better have it
    /// asked for, or use --password-stdin.
    #[arg(short, long, value_name = "PASSWORD", conflicts_with = "password_stdin")]
    pub password: Option<String>,

    /// Read the password or token from the standard input
    #[arg(long)]
    pub password_stdin: bool,

    /// Print the name that is logged in with, and do nothing else
    #[arg(long)]
    pub get_login: bool,

    /// Keep the credentials in a file of Docker's, such as ~/.docker/config.json
    #[arg(long, value_name = "PATH", conflicts_with = "authfile")]
    pub compat_auth_file: Option<PathBuf>,

    /// Tell where the credentials are kept
    #[arg(short, long)]
    pub verbose: bool,

    /// How the registry is reached.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// Log out of a registry.
#[derive(Debug, Args)]
pub struct LogoutArgs {
    /// The registry, or a part of it such as quay.io/team; without one, the first that short names are looked for in
    #[arg(value_name = "REGISTRY", conflicts_with = "all")]
    pub registry: Option<String>,

    /// Forget the credentials for all registries
    #[arg(short, long)]
    pub all: bool,

    /// The file of credentials, in place of the one where `enter login` keeps them
    #[arg(long, value_name = "PATH")]
    pub authfile: Option<PathBuf>,

    /// Forget what is kept in a file of Docker's, such as ~/.docker/config.json
    #[arg(long, value_name = "PATH", conflicts_with = "authfile")]
    pub compat_auth_file: Option<PathBuf>,
}
