//! Docker's and podman's flags that cannot be had, read so that they can be refused in their own words.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// A flag that cannot be had.
#[derive(Debug)]
pub struct Refused {
    /// Its name without dashes.
    pub long: &'static str,
    takes_value: bool,
    /// Why not.
    pub reason: &'static str,
    /// What to do instead.
    pub mend: &'static str,
}

impl Refused {
    /// Whether this value of it asks for nothing but what is so anyway: no limit, control groups of one's own.
    #[must_use]
    pub fn asks_nothing(&self, value: Option<&str>) -> bool {
        match (self.long, value) {
            ("cgroupns", Some(value)) => value == "private",
            ("memory-swappiness", Some("-1")) => true,
            // Of the memory that may be swapped out, 0 is none.
            ("memory-swappiness", Some(value)) => value.is_empty(),
            (_, Some(value)) => self.reason == CGROUPS && matches!(value, "0" | ""),
            (_, None) => false,
        }
    }
}

const CGROUPS: &str = "control groups of version 2 have no such limit";
const CGROUPS_MEND: &str = "leave it away: --memory, --cpus, --cpu-shares and --pids-limit are the ones there are";

const fn valued(long: &'static str, reason: &'static str, mend: &'static str) -> Refused {
    Refused { long, takes_value: true, reason, mend }
}

const fn bare(long: &'static str, reason: &'static str, mend: &'static str) -> Refused {
    Refused { long, takes_value: false, reason, mend }
}

/// Every one of them.
pub const REFUSED: &[Refused] = &[
    valued(
        "link-local-ip",
        "an interface has the one link-local address that goes with its hardware address",
        "leave it away",
    ),
    valued("memory-swappiness", CGROUPS, CGROUPS_MEND),
    valued("kernel-memory", CGROUPS, CGROUPS_MEND),
    valued("cpu-rt-period", CGROUPS, CGROUPS_MEND),
    valued("cpu-rt-runtime", CGROUPS, CGROUPS_MEND),
    valued("cpu-count", CGROUPS, CGROUPS_MEND),
    valued("cpu-percent", CGROUPS, CGROUPS_MEND),
    valued("io-maxbandwidth", CGROUPS, CGROUPS_MEND),
    valued("io-maxiops", CGROUPS, CGROUPS_MEND),
    bare("oom-kill-disable", CGROUPS, "leave it away"),
    valued(
        "oom-score-adj",
        "only root may make a process less likely to be killed",
        "start it with choom(1) to make it more likely",
    ),
    valued("cgroupns", "a container's control groups are always its own", "leave it away"),
    valued(
        "device-cgroup-rule",
        "only root may rule which devices a group of processes uses",
        "give it one of your devices with --device",
    ),
    valued(
        "gpus",
        "this version knows no devices but by their paths",
        "give it the device files with --device /dev/dri/renderD128, for instance",
    ),
    valued("runtime", "a container is not run by another program", "leave it away"),
    valued("isolation", "there is one way to isolate containers on Linux", "leave it away"),
    bare("disable-content-trust", "images are not signed that way", "leave it away: digests are always checked"),
    bare("use-api-socket", "there is no daemon with a socket", "leave it away"),
    valued("pod", "there are no pods", "use --network container:NAME and --ipc container:NAME"),
    valued("secret", "this version keeps no secrets", "show a file of yours with -v /FILE:/run/secrets/NAME:ro"),
    valued("uidmap", "ids are mapped by modes", "use --userns keep-id, nomap or auto"),
    valued("gidmap", "ids are mapped by modes", "use --userns keep-id, nomap or auto"),
    valued("rootfs", "a container is made from an image", "make one of the folder first"),
];

/// Those that were typed, with their values.
#[derive(Debug, Default)]
pub struct RefusedArgs(pub Vec<(&'static Refused, Option<String>)>);

impl FromArgMatches for RefusedArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let typed = |refused: &'static Refused| {
            if refused.takes_value {
                return matches.get_one::<String>(refused.long).map(|value| (refused, Some(value.clone())));
            }
            matches.get_flag(refused.long).then_some((refused, None))
        };
        Ok(Self(REFUSED.iter().filter_map(typed).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for RefusedArgs {
    fn augment_args(command: Command) -> Command {
        command.args(REFUSED.iter().map(|refused| {
            let action = if refused.takes_value { ArgAction::Set } else { ArgAction::SetTrue };
            let arg = Arg::new(refused.long).long(refused.long).hide(true).action(action);
            if refused.takes_value { arg.allow_hyphen_values(true) } else { arg }
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_asks_for_no_limit_is_not_refused() {
        let passes = |long: &str, value: &str| {
            REFUSED.iter().find(|refused| refused.long == long).unwrap().asks_nothing(Some(value))
        };
        for (long, value) in
            [("kernel-memory", "0"), ("cpu-rt-runtime", "0"), ("memory-swappiness", "-1"), ("cgroupns", "private")]
        {
            assert!(passes(long, value), "--{long} {value}");
        }
        for (long, value) in
            [("kernel-memory", "64m"), ("memory-swappiness", "0"), ("cgroupns", "host"), ("link-local-ip", "")]
        {
            assert!(!passes(long, value), "--{long} {value}");
        }
    }
}
