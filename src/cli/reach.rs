//! The flags of every command that speaks to a registry.

use std::path::PathBuf;

use clap::Args;

/// How a registry is reached, in place of what is configured.
#[derive(Debug, Default, Args)]
pub struct ReachArgs {
    /// The file of credentials, in place of all others
    ///
    /// By default those of `containers-auth.json`(5): what `REGISTRY_AUTH_FILE` names, else `$XDG_RUNTIME_DIR/containers/auth.json`,
    /// `~/.config/containers/auth.json` and `~/.docker/config.json`, with the credential helpers that they and `containers-registries.conf`(5)
    /// name.
    #[arg(long, value_name = "PATH")]
    pub authfile: Option<PathBuf>,

    /// The folder of certificates: *.crt for authorities that are trusted, *.cert and *.key to show to the registry
    ///
    /// By default what `containers-certs.d`(5) says of the registry.
    #[arg(long, value_name = "PATH")]
    pub cert_dir: Option<PathBuf>,

    /// Whether the registry has to speak TLS and show a certificate that is trusted
    ///
    /// By default it has to, unless `containers-registries.conf`(5) calls it insecure.
    #[arg(
        long, value_name = "BOOL", default_missing_value = "true", num_args = 0..=1, require_equals = true, action = clap::ArgAction::Set
    )]
    pub tls_verify: Option<bool>,
}
