//! What docker and podman have and `enter` has not, and what does the same, or why nothing does: told to who types it. Called by `error`.

/// (verb, flag, hint).
#[rustfmt::skip]
const FLAGS: &[(&str, &str, &str)] = &[
    ("commit", "--include-volumes", "what lies in volumes is kept by `enter volume export`"),
    ("images", "--history", "an image's layers and what made them: `enter history IMAGE`"),
    ("images", "--tree", "the layers of one image: `enter image tree IMAGE`"),
    ("import", "--arch", "all of it is said by `--platform OS/ARCH[/VARIANT]`"),
    ("import", "--os", "all of it is said by `--platform OS/ARCH[/VARIANT]`"),
    ("import", "--variant", "all of it is said by `--platform OS/ARCH[/VARIANT]`"),
    ("manifest add", "--artifact", ARTIFACT),
    ("manifest add", "--artifact-type", ARTIFACT),
    ("manifest add", "--artifact-config", ARTIFACT),
    ("manifest add", "--artifact-layer-type", ARTIFACT),
    ("manifest add", "--artifact-subject", ARTIFACT),
    ("manifest add", "--creds", LOGIN),
    ("manifest annotate", "--index", INDEX),
    ("manifest annotate", "--subject", ARTIFACT),
    ("manifest push", "--creds", LOGIN),
    ("manifest push", "--compression-format", COMPRESSED),
    ("manifest push", "--add-compression", COMPRESSED),
    ("manifest push", "--sign-by", SIGNED),
    ("manifest push", "--sign-by-sigstore", SIGNED),
    ("manifest push", "--sign-by-sigstore-private-key", SIGNED),
    ("manifest push", "--remove-signatures", "signatures lie beside an image in its registry, and are not sent with it"),
    ("network create", "--attachable", "leave it away: any container may be connected with any network"),
    ("network create", "--aux-address", "keep addresses free by an --ip-range without them; they may still be asked for with --ip"),
    ("network create", "--config-from", "a network is made with all that it has: say it by flags"),
    ("network create", "--config-only", "a network is made with all that it has: say it by flags"),
    ("network create", "--ingress", "that is of docker's swarm, which enter has not"),
    ("network create", "--ipam-opt", "addresses are of the --subnet, those that are given by themselves of the --ip-range"),
    ("network create", "--route", "a route is added in a container, or on the network by a container that is on both"),
    ("network create", "--scope", "leave it away: every network is of this machine"),
    ("network rm", "--time", "containers are stopped by `enter stop -t SECONDS`, and leave a network by `enter network disconnect`"),
    ("push", "--compress", "layers are compressed; how, is said by --compression"),
];

const ARTIFACT: &str = "lists are of images; an artifact is sent by `oras push`, and what is attached to an image is shown by `enter manifest inspect --referrers`";
const INDEX: &str =
    "what is said of a list as a whole is said as it is made: `enter manifest create --annotation KEY=VALUE LIST`";
const LOGIN: &str = "`enter login REGISTRY` keeps the credentials, in a file of its own with --authfile";
const COMPRESSED: &str = "an image is compressed as it is pushed: `enter push --compression FORM IMAGE`; a list of what is there then is sent with --all=false";
const SIGNED: &str = "enter makes no signatures: `cosign sign` does, and enter checks them";

/// (group, verb, hint).
#[rustfmt::skip]
const VERBS: &[(&str, &str, &str)] = &[
    ("image", "build", "images are pulled, or made of a container by `enter commit`"),
    ("image", "scp", "`enter save IMAGE | ssh HOST enter load`"),
    ("image", "sign", "enter makes no signatures: `cosign sign` does, and `enter image trust` says whose are wanted"),
];

/// What is said of a flag that this verb (`enter …`, as usage lines have it) does not know.
pub fn of_flag(command: &str, flag: &str) -> Option<&'static str> {
    let verb = command.split_once(' ')?.1;
    // In docker's groups the verbs are the same.
    let verb = match verb.strip_prefix("image ") {
        Some("ls") => "images",
        Some(verb) => verb,
        None => verb.strip_prefix("container ").unwrap_or(verb),
    };
    FLAGS.iter().find(|(of, name, _)| *name == flag && *of == verb).map(|(.., hint)| *hint)
}

/// What is said of a verb that this group (`enter …`) does not have.
pub fn of_verb(command: &str, name: &str) -> Option<&'static str> {
    let group = command.split(' ').nth(1)?;
    VERBS.iter().find(|(of, verb, _)| *of == group && *verb == name).map(|(.., hint)| *hint)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn what_is_told_of_is_not_there() {
        let root = crate::cli::Cli::command();
        let find = |words: &str| {
            words.split(' ').try_fold(&root, |at, word| at.find_subcommand(word)).unwrap_or_else(|| panic!("{words}"))
        };
        for (verb, flag, _) in FLAGS {
            let there = find(verb).get_arguments().any(|argument| {
                argument.get_long_and_visible_aliases().is_some_and(|names| names.contains(&&flag[2..]))
            });
            assert!(!there, "{verb} {flag}");
        }
        for (group, verb, _) in VERBS {
            assert!(find(group).find_subcommand(verb).is_none(), "{group} {verb}");
        }
        assert!(
            of_flag("enter network create", "--scope").is_some() && of_flag("enter network ls", "--scope").is_none()
        );
        assert!(of_verb("enter image", "scp").is_some() && of_verb("enter system", "scp").is_none());
    }
}
