//! `enter top`.

use clap::Args;

/// List the processes of a container.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// A name, an id, or the beginning of one
    #[arg(value_name = "CONTAINER")]
    pub container: String,

    /// Options for ps(1), such as `aux` or `-o pid,comm`; the process id must be among the columns. Without any: `-ef`
    #[arg(value_name = "PS-OPTION", trailing_var_arg = true, allow_hyphen_values = true)]
    pub options: Vec<String>,
}
