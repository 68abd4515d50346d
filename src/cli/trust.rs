//! `enter image trust`, as podman has it: the policy that says which images are taken in.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What can be done about the policy.
#[derive(Debug, Subcommand)]
pub enum TrustCommand {
    /// Show which images are trusted
    ///
    /// Prints what the policy requires of images: of all (`default`), and of those of a registry or repository. TYPE is `accept`, where nothing
    /// is required; `reject`; `sigstoreSigned`, where a signature by a key is; or `signed`, where one by GnuPG is, which `enter` does not verify,
    /// so that it refuses such an image.
    ///
    /// The policy is the user's, `~/.config/containers/policy.json`, or else the system's, `/etc/containers/policy.json`. Where there is
    /// neither, every image is accepted.
    Show(TrustShowArgs),
    /// Say which images are trusted
    ///
    /// Changes what the user's policy requires of the images of a registry or repository, or of all that nothing else is said of (`default`). Without
    /// a policy of the user's own, one is made from the system's, which does not count for this user from then on. All else in the
    /// policy stays as it is.
    Set(TrustSetArgs),
}

/// Show which images are trusted.
#[derive(Debug, Args)]
pub struct TrustShowArgs {
    /// Only what counts for this registry, repository or image
    #[arg(value_name = "REGISTRY[/REPOSITORY]")]
    pub name: Option<String>,

    /// Print it as JSON
    #[arg(short, long, conflicts_with = "raw")]
    pub json: bool,

    /// Print no headings
    #[arg(short, long)]
    pub noheading: bool,

    /// Print the policy as it stands in its file
    #[arg(long, conflicts_with = "name")]
    pub raw: bool,

    /// The policy, in the place of the user's and the system's
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub policypath: Option<PathBuf>,
}

/// Say which images are trusted.
#[derive(Debug, Args)]
pub struct TrustSetArgs {
    /// Which images: those of a registry (quay.io, *.example.com), of a part of it (quay.io/team), or `default`
    #[arg(value_name = "REGISTRY[/REPOSITORY]")]
    pub scope: String,

    /// What is required of them
    #[arg(short = 't', long = "type", value_name = "TYPE", default_value = "signedBy")]
    pub kind: TrustKind,

    /// A public key that they have to be signed by, which may be given several times: then by each of them
    #[arg(
        short = 'f', long, visible_alias = "pubkeyfile", value_name = "FILE", value_hint = clap::ValueHint::FilePath, value_delimiter = ','
    )]
    pub pubkeysfile: Vec<PathBuf>,

    /// The policy to change, in the place of the user's
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub policypath: Option<PathBuf>,
}

/// What can be required of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TrustKind {
    /// Nothing
    #[value(alias = "insecureAcceptAnything")]
    Accept,
    /// None is taken in
    Reject,
    /// A signature by GnuPG, for other programs: `enter` verifies none, and refuses such images
    #[value(name = "signedBy")]
    SignedBy,
    /// A signature by a key, as cosign makes it
    #[value(name = "sigstoreSigned")]
    SigstoreSigned,
}
