//! `enter verify`.

use clap::{Args, ValueEnum};

/// Read all that is stored again, and compare it with its digests.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Only what these images need; everything where none is given
    #[arg(value_name = "IMAGE")]
    pub images: Vec<String>,

    /// Put in place again what is damaged: from what is left of it here, or from where it came
    #[arg(long)]
    pub repair: bool,

    /// How the result is printed
    #[arg(long, value_name = "FORM", default_value = "text", hide_default_value = true)]
    pub format: VerifyForm,
}

/// A form of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum VerifyForm {
    /// A line for each thing that is damaged
    Text,
    /// One object, with everything
    Json,
}
