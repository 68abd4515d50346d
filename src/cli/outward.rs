//! Flags that allow something outside to those in a shell or box.

use clap::Args;

use super::shell::element;
use crate::settings::Settings;
use crate::settings::programs::Program;

/// What is allowed.
#[derive(Debug, Clone, Args)]
pub struct OutwardArgs {
    /// Let `enter host-exec` inside run this program of this machine, by its name or absolute path, as you and with any arguments: one that
    /// can run others, such as a shell, gives everything away
    #[arg(long, value_name = "PROGRAM", value_parser = element::<Program>())]
    pub allow_host_exec: Vec<Program>,

    /// Let `xdg-open` inside open addresses and files on this machine
    #[arg(long, value_name = "BOOL", default_missing_value = "true", num_args = 0..=1, require_equals = true)]
    pub allow_open: Option<bool>,
}

impl OutwardArgs {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.allow_host_exec.is_empty() && self.allow_open.is_none()
    }

    /// What is allowed to what is made now: by settings, and by these.
    pub fn with(&self, settings: &Settings) -> enter::container::record::Outward {
        let mut allowed = enter::container::record::Outward::default();
        settings.allow_host_exec.iter().chain(&self.allow_host_exec).for_each(|program| allowed.allow(&program.0));
        allowed.open = self.allow_open.unwrap_or(settings.allow_open);
        allowed
    }
}
