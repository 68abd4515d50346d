//! `enter events`.

use clap::{ArgAction, Args};

/// Show what happens to containers and images.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// Only events that fit every filter; of several values for one key, one is enough, but every label must be there
    ///
    /// The keys are `container=NAME-OR-ID`, `event=ACTION`, `image=NAME-OR-ID`, `label=KEY` or `label=KEY=VALUE`, `name=NAME`,
    /// `scope=local`, and `type` (container, image, network, volume).
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,

    /// Print each event by a template: `json`, or Go's syntax such as '{{.Action}} {{.Actor.ID}}'
    ///
    /// The fields are docker's, .Type .Action .Actor.ID .Actor.Attributes .Scope .Time .TimeNano .Status .ID .From, and podman's,
    /// .Name .Image .Attributes.
    #[arg(long, value_name = "TEMPLATE")]
    pub format: Option<String>,

    /// Print ids in full, as is done unless this is `--no-trunc=false`
    #[arg(
        long,
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub no_trunc: bool,

    /// Begin with what has happened since then
    ///
    /// A duration counts back from now (10m, 1h30m); a date is one of RFC 3339, or its beginning (2026-11-22, 2026-11-22T04:50,
    /// 2026-11-22T04:50:59.5Z), and without an offset one of the local time zone; a number is seconds since 1970.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,

    /// Wait for what is still to come; with `--stream=false` only what has happened is shown, all of it without `--since`
    #[arg(
        long,
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub stream: bool,

    /// End with what has happened until then; as with `--since`
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
}
