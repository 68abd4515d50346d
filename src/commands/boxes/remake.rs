//! What `enter set` changes more seldom: who one is in a box, what it is called, what confines it.

use enter::container::record::{Boxed, Hardening, Spec};

use super::super::run::confine;
use crate::cli::{BoxSetting, RemakeArgs, Unset};
use crate::failure::Failure;

/// Sees that it can be.
pub fn check(args: &RemakeArgs) -> Result<(), Failure> {
    fill(&mut Spec { boxed: Some(Boxed::default()), ..Spec::default() }, args)
}

/// Puts it into what a box is made as.
pub fn fill(spec: &mut Spec, args: &RemakeArgs) -> Result<(), Failure> {
    if let Some(boxed) = &mut spec.boxed {
        boxed.tools = args.tools.unwrap_or(boxed.tools);
        for (kept, new) in
            [(&mut boxed.user, &args.user), (&mut boxed.shell, &args.shell), (&mut boxed.directory, &args.workdir)]
        {
            if new.is_some() {
                kept.clone_from(new);
            }
        }
    }
    spec.labels.extend(args.label.iter().cloned());
    if !args.dns_search.is_empty() {
        spec.dns_search.clone_from(&args.dns_search);
    }
    if !args.dns_option.is_empty() {
        spec.dns_options.clone_from(&args.dns_option);
    }
    if let Some(zone) = &args.timezone {
        spec.timezone.clone_from(zone);
    }
    confine(&mut spec.hardening, &args.cap_add, &args.cap_drop, &args.security_opt)
}

/// Whether there is what is to be taken back; `None` where it is no matter of this module's.
pub fn is_set(spec: &Spec, unset: &Unset) -> Option<bool> {
    let boxed = spec.boxed.as_ref();
    let which = unset.which.as_deref();
    let has = |list: &[String]| list.iter().any(|one| which.is_none_or(|which| which == one));
    Some(match unset.what {
        BoxSetting::User => boxed.is_some_and(|boxed| boxed.user.is_some()),
        BoxSetting::Shell => boxed.is_some_and(|boxed| boxed.shell.is_some()),
        BoxSetting::Workdir => boxed.is_some_and(|boxed| boxed.directory.is_some()),
        BoxSetting::Label => spec.labels.keys().any(|name| which.is_none_or(|which| which == name)),
        BoxSetting::DnsSearch => has(&spec.dns_search),
        BoxSetting::DnsOption => has(&spec.dns_options),
        BoxSetting::Timezone => spec.timezone != LOCAL,
        BoxSetting::CapAdd => has(&spec.hardening.cap_add),
        BoxSetting::CapDrop => has(&spec.hardening.cap_drop),
        BoxSetting::SecurityOpt => has(&spec.hardening.options),
        _ => return None,
    })
}

/// The time zone that boxes have: this machine's.
const LOCAL: &str = "local";

/// Takes it back.
pub fn take_back(spec: &mut Spec, unset: &Unset) {
    let which = unset.which.as_deref();
    let keep = |list: &mut Vec<String>| list.retain(|one| which.is_some_and(|which| which != one));
    if let Some(boxed) = &mut spec.boxed {
        match unset.what {
            BoxSetting::User => boxed.user = None,
            BoxSetting::Shell => boxed.shell = None,
            BoxSetting::Workdir => boxed.directory = None,
            _ => {}
        }
    }
    match unset.what {
        BoxSetting::Label => spec.labels.retain(|name, _| which.is_some_and(|which| which != name)),
        BoxSetting::DnsSearch => keep(&mut spec.dns_search),
        BoxSetting::DnsOption => keep(&mut spec.dns_options),
        BoxSetting::Timezone => LOCAL.clone_into(&mut spec.timezone),
        BoxSetting::CapAdd => keep(&mut spec.hardening.cap_add),
        BoxSetting::CapDrop => keep(&mut spec.hardening.cap_drop),
        BoxSetting::SecurityOpt => {
            // What several options came to is made anew from those that stay, which were all understood before.
            let mut options = std::mem::take(&mut spec.hardening.options);
            keep(&mut options);
            let Hardening { cap_add, cap_drop, sysctls, limits, .. } = std::mem::take(&mut spec.hardening);
            spec.hardening = Hardening { cap_add, cap_drop, sysctls, limits, ..Hardening::default() };
            let _ = confine(&mut spec.hardening, &[], &[], &options);
        }
        _ => {}
    }
}

/// A line for each thing that is set: the flag's word, and its value.
pub fn lines(spec: &Spec) -> Vec<(&'static str, String)> {
    let mut lines = vec![("image", spec.image.name.clone())];
    if let Some(boxed) = &spec.boxed {
        let words = [("user", &boxed.user), ("shell", &boxed.shell), ("workdir", &boxed.directory)];
        lines.extend(words.into_iter().filter_map(|(word, value)| value.clone().map(|value| (word, value))));
    }
    if spec.boxed.as_ref().is_some_and(|boxed| boxed.tools) {
        lines.push(("tools", "true".into()));
    }
    let pair = |(name, value): (&String, &String)| match value.as_str() {
        "" => name.clone(),
        value => format!("{name}={value}"),
    };
    lines.extend(spec.labels.iter().map(|label| ("label", pair(label))));
    for (word, list) in [
        ("dns-search", &spec.dns_search),
        ("dns-option", &spec.dns_options),
        ("cap-add", &spec.hardening.cap_add),
        ("cap-drop", &spec.hardening.cap_drop),
        ("security-opt", &spec.hardening.options),
    ] {
        lines.extend(list.iter().map(|value| (word, value.clone())));
    }
    if spec.timezone != LOCAL {
        lines.push(("timezone", spec.timezone.clone()));
    }
    lines
}

/// What of it a box that runs takes up only with its next start: words for each.
pub fn late(before: &Spec, now: &Spec) -> [(bool, &'static str); 5] {
    let has_tools = |spec: &Spec| spec.boxed.as_ref().is_some_and(|boxed| boxed.tools);
    let confined = |spec: &Spec| Hardening { limits: Vec::new(), ..spec.hardening.clone() };
    [
        (before.image != now.image, "the image"),
        (has_tools(before) != has_tools(now), "tools"),
        (before.dns_search != now.dns_search || before.dns_options != now.dns_options, "how names are looked up"),
        (before.timezone != now.timezone, "the time zone"),
        (confined(before) != confined(now), "what confines it"),
    ]
}
