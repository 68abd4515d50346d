//! The more seldom flags of `enter set`: who one is in a box, what it is called, what confines it.

use clap::Args;
use enter::container::record::Mount;

use super::boxes;
use super::run::values;

/// What they change.
#[derive(Debug, Default, Args)]
pub struct RemakeArgs {
    /// Another image below what was changed in the box, as `enter rebase` does it
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,

    /// Another name for the box, as `enter rename` gives it
    #[arg(id = "new", long = "name", value_name = "NEW-NAME", value_parser = boxes::name)]
    pub name: Option<String>,

    /// Whoever comes in is this user, by name or number, unless he says otherwise
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,

    /// The shell that is opened, by its path in the box, if it is there
    #[arg(long, value_name = "PATH", value_parser = values::absolute)]
    pub shell: Option<String>,

    /// Whether a shell and common tools are brought along, at the end of the PATH: those of a static busybox
    #[arg(long, value_name = "BOOL", default_missing_value = "true", num_args = 0..=1, require_equals = true)]
    pub tools: Option<bool>,

    /// Whoever comes in begins in this directory, unless he says otherwise
    #[arg(short, long, value_name = "DIR", value_parser = values::absolute)]
    pub workdir: Option<String>,

    /// Note something down, for `ps --filter label=NAME` and other programs
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = values::label)]
    pub label: Vec<(String, String)>,

    /// Look names up in this domain too; `.` for none
    #[arg(long, value_name = "DOMAIN", value_parser = values::word)]
    pub dns_search: Vec<String>,

    /// Add an option to resolv.conf(5)
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION", value_parser = values::word)]
    pub dns_option: Vec<String>,

    /// The time zone: a name such as Europe/Berlin, or `local` for this machine's
    #[arg(long, visible_alias = "tz", value_name = "ZONE", value_parser = values::timezone)]
    pub timezone: Option<String>,

    /// As --volume, in words: `type=bind,source=PATH,target=PATH` and all that `enter run --mount` takes
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = values::mount)]
    pub mount: Vec<values::Volume>,

    /// Files in memory at this place, as `enter run --tmpfs` takes it
    #[arg(long, value_name = "TARGET[:OPTIONS]", value_parser = values::tmpfs)]
    pub tmpfs: Vec<Mount>,

    /// Give programs in the box a capability, as capabilities(7) names it, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,

    /// Take a capability from programs in the box, or ALL
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,

    /// What else confines the box, as `enter run --security-opt` takes it
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
}

impl RemakeArgs {
    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        let lists = [&self.dns_search, &self.dns_option, &self.cap_add, &self.cap_drop, &self.security_opt];
        let words = [&self.image, &self.name, &self.user, &self.shell, &self.workdir, &self.timezone];
        lists.iter().all(|list| list.is_empty())
            && words.iter().all(|word| word.is_none())
            && self.label.is_empty()
            && self.tools.is_none()
            && self.mount.is_empty()
            && self.tmpfs.is_empty()
    }
}
