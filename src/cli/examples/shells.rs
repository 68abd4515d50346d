//! What one would type to be in a shell, and to have boxes.

use super::Example;

/// Of `enter NAME`.
pub const SHELL: &[Example] = &[
    (
        "enter debian",
        "Open a shell in docker.io/library/debian:latest, with your home in it. What changes elsewhere is thrown away.",
    ),
    ("enter debian -- make test", "Run one command in it. Its exit code becomes enter's."),
    ("enter -u root debian", "Be root inside, to install something and try it."),
    ("enter -n work debian", "Make a box called work, in which all that you change stays, and open a shell in it."),
    (
        "enter work",
        "Come back to it, from any terminal; a second shell joins the first. It stops when the last one leaves.",
    ),
    (
        "enter --allow-host-exec git debian",
        "Let git of this machine be run from inside, by `enter host-exec git`. One that can run other programs gives everything away.",
    ),
    ("enter --unshare all debian", "Share nothing of this machine but your home and the network."),
    ("enter --tools scratch-app", "Have a shell and tools in an image that has none."),
    ("enter host", "Open a throwaway copy of this very machine. Nothing is downloaded."),
    ("enter --home cow debian", "See your home in it, while what is written there is set aside."),
    ("enter --project debian -- make test", "Show of your home only the repository that you are in."),
    ("tar c . | enter alpine -- tar t", "Be one part of a pipeline."),
    ("enter -- pull", "Enter an image that is called like a subcommand."),
];

/// Of `enter init`. What can stand in the file is told in front of it.
pub const INIT: &[Example] = &[
    ("enter init", "Write a first .enter.toml, for what is in this folder."),
    ("enter init --image quay.io/fedora/fedora:42", "For this image."),
    ("enter", "Make the project's box, and from then on come back to it."),
    ("enter . -- make test", "Run one command in it. Its exit code becomes enter's."),
];

/// Of `enter allow`.
pub const ALLOW: &[Example] = &[
    ("enter allow", "Use the project file here from now on, until it is changed."),
    ("enter allow ~/src/web", "Use that of another folder."),
];

/// Of `enter deny`.
pub const DENY: &[Example] = &[("enter deny", "Do not use the project file here any more.")];

/// Of `enter ls`.
pub const LS: &[Example] = &[
    ("enter ls", "List boxes, those that run and those that were used last first."),
    ("enter ls -q", "Their names alone."),
];

/// Of `enter set`.
pub const SET: &[Example] = &[
    ("enter set work", "Print all that is set for the box work."),
    ("enter set work -e EDITOR=vim -p 8080:80", "Set a variable for every new shell, and publish a port at once."),
    ("enter set work -v ~/data:/data:ro", "Show a folder in it, from its next start on."),
    ("enter set work --unset env=EDITOR --unset publish", "Take a variable back, and all ports."),
    (
        "enter set work --allow-host-exec podman",
        "Let `enter host-exec podman` inside run podman of this machine, from now on.",
    ),
    ("enter set work --unshare x11,audio", "Share neither windows of the X server nor sound with it."),
    ("enter set work --keep-running", "Let it go on when the last shell leaves it."),
];

/// Of `enter restore`.
pub const RESTORE: &[Example] = &[
    ("enter restore", "Open the throwaway shell again that was left last, with all that was changed in it."),
    (
        "enter restore --list",
        "List those that can be brought back: when each was left, how much was changed, and until when it is kept.",
    ),
    ("enter restore 2 -n work", "Make the second of the list a box called work."),
    ("enter restore --forget all", "Remove all of them now, for good."),
];

/// Of `enter keep`.
pub const KEEP: &[Example] = &[
    ("enter keep work", "From another terminal: make the throwaway shell that runs a box called work."),
    ("enter keep -s quiet_river work", "The one of this name, where several run."),
];

/// Of `enter clone`.
pub const CLONE: &[Example] = &[("enter clone work attempt", "Make a box that is as work is, to try something in.")];

/// Of `enter rebase`.
pub const REBASE: &[Example] = &[
    ("enter rebase --dry-run work debian:13", "Say what of the box work would hide what is in debian:13."),
    ("enter rebase work debian:13", "Put it on that image, with all that was changed in it on top."),
    ("enter rebase --back work", "Go back to the image of before."),
];

/// Of `enter ssh-config`.
pub const SSH_CONFIG: &[Example] = &[
    ("enter ssh-config --write", "Let ssh, and every editor that goes by it, know all boxes as BOX.enter."),
    ("ssh work.enter make test", "Run something in the box `work`, from anywhere; its exit code is ssh's."),
    ("enter ssh-config work >> ~/.ssh/config", "The same for one box, in your own file."),
];

/// Of `enter ssh-proxy`.
pub const SSH_PROXY: &[Example] = &[(
    "ssh -o ProxyCommand='enter ssh-proxy work' work",
    "Go into the box `work` by ssh, without any configuration; `enter ssh-config` writes one.",
)];

/// Of `enter explain`.
pub const EXPLAIN: &[Example] = &[
    ("enter explain debian", "Tell what `enter debian` would show of this machine, and what switches each thing."),
    ("enter explain work", "The same of the box work."),
    ("enter explain --unshare all --share ssh-agent debian", "See what flags change, before anything runs."),
    ("enter explain --format json debian", "For programs."),
];

/// Of `enter export`.
pub const EXPORT: &[Example] = &[
    ("enter export -o web.tar web", "All its files in one archive."),
    ("enter export bin rg --from work", "From now on rg, typed here, is the one of the box work."),
    ("enter export app gimp --from work", "Have GIMP of the box work among the applications of this desktop."),
    ("enter export --list", "See what is exported, of which box, and where it is."),
];

/// Of `enter unexport`.
pub const UNEXPORT: &[Example] = &[("enter unexport rg", "Take the program rg back that was exported.")];

/// Of `enter apply`.
pub const APPLY: &[Example] = &[
    (
        "enter apply work",
        "Take over all that the box work has set aside of your home, but for what has changed there since.",
    ),
    ("enter apply work ~/src/tool notes.txt", "Only these."),
    (
        "enter apply --force work notes.txt",
        "Although it has changed in your home too; what is there is kept as notes.txt.kept.",
    ),
];

/// Of `enter discard`.
pub const DISCARD: &[Example] = &[
    ("enter discard work", "Forget all that the box work has set aside of your home."),
    ("enter discard work ~/src/tool", "Only this folder, with all that is in it."),
];
