//! What the manual says that no definition says.

/// A term and what it means.
type Entry = (&'static str, &'static str);

/// DESCRIPTION of enter(1).
pub const DESCRIPTION: &[&str] = &[
    "`enter` opens a shell in a container image, as you: with your name, your home, your working directory, your locale and \
     your terminal. What you change in your home is changed. What you change anywhere else lives in a layer of its own, \
     and is thrown away when you leave.",
    "It needs no daemon and no root. An image that is not in the store is fetched from its registry first; how names become \
     registries is told by `containers-registries.conf`(5), and a bare name such as `debian` means \
     docker.io/library/debian:latest where that file says nothing else.",
    "A word after `enter` is looked up in this order: a subcommand; `host`, which is this very machine, copy-on-write; an \
     image. After `--`, or after `enter shell`, a word is never a subcommand.",
    "Everything after NAME and the flags that follow it is the command to run, with its arguments; without one, your shell \
     is run if the image has it, and otherwise the best that it has. A `--` before the command is never needed, but allowed.",
    "Data goes to the standard output, everything else to the standard error. A pseudo-terminal is made only where enter \
     itself has a terminal, so that pipes stay pipes.",
];

/// EXIT STATUS of a shell.
pub const SHELL_STATUS: &[Entry] = &[
    ("`125`", "enter itself failed: a bad flag, no such image, something that this machine lacks. Nothing was run."),
    ("`126`", "The command was found, and cannot be run."),
    ("`127`", "The command was not found."),
    ("`128`+N", "The command was killed by signal N."),
    ("other", "The exit status of the command."),
];

const VERB_STATUS: &[Entry] = &[
    ("`0`", "It was done."),
    (
        "`1`",
        "A container, image, filter or field that was named does not exist, or could not be done this to; as with docker. \
         What stays with a container ends as the container does.",
    ),
    ("`125`", "enter itself failed, for instance by a bad flag."),
];

const DOCTOR_STATUS: &[Entry] = &[
    ("`0`", "A shell can be opened here. Something that only makes it less good may still be missing."),
    ("`1`", "A shell cannot be opened here."),
    ("`125`", "enter itself failed, for instance by a bad flag."),
];

const PLAIN_STATUS: &[Entry] = &[("`0`", "It was done."), ("`125`", "It failed; the standard error says why.")];

const MOUNT_STATUS: &[Entry] = &[
    ("`0`", "It is mounted; with `-f`, it was mounted, and is no more."),
    ("`1`", "It could not be mounted; the standard error says why."),
    ("`125`", "The command line was not understood."),
];

/// EXIT STATUS of a subcommand.
pub fn status(subcommand: &str) -> &'static [Entry] {
    match subcommand {
        "shell" | "run" | "container-run" | "exec" | "container-exec" => SHELL_STATUS,
        "doctor" => DOCTOR_STATUS,
        "completion" => PLAIN_STATUS,
        "cowfs" => MOUNT_STATUS,
        _ => VERB_STATUS,
    }
}

/// ENVIRONMENT of enter(1), after the settings.
pub const ENVIRONMENT: &[Entry] = &[
    ("`NO_COLOR`", "Where it is not empty, messages have no colour unless the setting `color` is `always`."),
    (
        "`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`",
        "How registries are reached. In small letters they go first.",
    ),
    (
        "`CONTAINERS_REGISTRIES_CONF`, `CONTAINERS_REGISTRIES_CONF_DIR`",
        "Another `containers-registries.conf`(5), and another folder of additions to it.",
    ),
    ("`REGISTRY_AUTH_FILE`, `DOCKER_CONFIG`", "Another file with logins, and another folder than `~/.docker`."),
    (
        "`HOME`, `XDG_CONFIG_HOME`, `XDG_DATA_HOME`, `XDG_RUNTIME_DIR`",
        "Where the files below are, if not in their usual places.",
    ),
];

/// FILES of enter(1).
pub const FILES: &[Entry] = &[
    ("`~/.config/enter/config.toml`", "Settings; see `enter.toml`(5)."),
    (
        "`~/.local/share/enter/v1`",
        "The store: images, layers, and what running containers have changed. Plain files that are all yours.",
    ),
    ("`$XDG_RUNTIME_DIR/enter`", "Sockets of running containers."),
    (
        "`/etc/containers/registries.conf`, `~/.config/containers/registries.conf`",
        "Short names, mirrors, and blocked or insecure registries.",
    ),
    (
        "`/etc/containers/certs.d`, `/etc/docker/certs.d`, `~/.config/containers/certs.d`",
        "Certificates for registries with a CA of their own; see `containers-certs.d`(5).",
    ),
    (
        "`$XDG_RUNTIME_DIR/containers/auth.json`, `~/.config/containers/auth.json`, `~/.docker/config.json`",
        "Logins, and the helpers that keep them; see `containers-auth.json`(5).",
    ),
    (
        "`/etc/subuid`, `/etc/subgid`",
        "The ids that you may give to an image's users. Without them every file in a container is yours.",
    ),
];

/// STORAGE of enter(1).
pub const STORAGE: &[&str] = &[
    "What a container changes lies in its own folder of the store, and its image stays as it is. One of two drivers keeps it; \
     `--storage`, or the setting `storage`, chooses one for a new container, and the container stays with that for as long as \
     it exists. `enter inspect` tells which it is, and `enter info` which the next one will have.",
    "`overlay` is the kernel's overlayfs. It is the faster one, and wants a filesystem that it accepts (ext4, xfs, btrfs and \
     tmpfs are, NFS is not) and subordinate ids, to which the files of a container's other users belong.",
    "`fuse` is enter's own filesystem. It needs nothing but FUSE and works with one id, on any filesystem. All its files are \
     yours; the extended attribute `user.cowfs.stat` of each (user, group, mode) says what it is inside, wherever that is not \
     root's with the permissions that it has. On a filesystem without such attributes they are kept in files beside it. A file \
     with several names keeps them all when it is changed, and a file of which only owner, permissions or times are changed \
     takes no room.",
    "`auto`, the default, takes `fuse` where you have one id only, for `enter host`, and where an overlay is refused; otherwise \
     `overlay`. Whether one is refused is tried once after each boot; the answer is in the store's file `overlay`.",
];

/// FIRST USE of enter-volume(1).
pub const VOLUMES_FIRST: &[&str] = &[
    "What an image has in the place where a new volume is mounted is taken over into it when the first container with it is started, before \
     anybody sees it: files, directories, links and fifos, with owners, permissions, times, attributes and hard links. The volume's own directory \
     gets owner, permissions and times of the image's; where the image has none, it is root's, or with `--userns keep-id` the container's user's, with mode 0755.",
    "A volume is new as long as nothing has been taken over and nothing is in it. What is emptied later stays empty. With `nocopy`, with a subpath, and \
     of a single file nothing is taken over. Sockets and devices are left out.",
    "A command that is killed meanwhile leaves nothing by half: the next one begins anew.",
];

/// OWNERS of enter-volume(1), before the table.
pub const OWNERS: &[&str] = &[
    "Folders and files of this machine, and volumes, are mounted as they lie on the disk: `--storage` is nothing to them. Whom a file belongs to here that \
     a container writes, and whom a file of yours seems to belong to in there, is said by how the container's ids are mapped. N stands for your number, \
     F for the first of your subordinate ids, see `subuid`(5).",
    "What is written to a view (`O`), to files in memory or to an image that is mounted with `rw` is nowhere on this machine when the container has ended; in \
     there it belongs to whom it is given.",
];

/// The table of OWNERS.
pub const OWNERS_TABLE: &[Entry] = &[
    (
        "with subordinate ids, by default",
        "Root inside is you: what root writes is yours, and what is yours is root's inside. What user 1 inside writes belongs to F here, user 2's to F+1, user \
         33's to F+32.",
    ),
    (
        "`--userns keep-id`, or `--user N`",
        "You are N inside as well. What root writes belongs to F here; what user 33 writes, to F+33; above N, user M is F+M-1.",
    ),
    (
        "`--userns nomap`",
        "What root writes belongs to F here, user 33's to F+33. What is yours is nobody's inside (65534), and may only be done to it what all may do.",
    ),
    (
        "`--userns auto`",
        "The same with ids that no other container has: a volume of one is closed to the other, but for what all may read.",
    ),
    (
        "without subordinate ids",
        "Everything belongs to you here. Inside, what is yours is root's, or with `--user M` it is M's. In a folder of yours, a file that is given to somebody \
         seems to be his until the container ends. In a volume it stays his: the file says so in the attribute `user.enter.owner` (`UID GID`), which is \
         believed by containers without subordinate ids, and by nobody else; links, fifos and sockets cannot have it. It is no border: \
         whoever is pretended may do what you may.",
    ),
    (
        "`U`",
        "Gives all that is in the folder or volume to the container's user at each start, as the table says who that is here. Refused for your whole home.",
    ),
    (
        "one volume, several mappings",
        "Owners are kept as they are on the disk, and so seem to be others in a container that is mapped otherwise. Use one mapping for a volume, or `U`.",
    ),
];

/// SECURITY of enter(1).
pub const SECURITY: &[&str] = &[
    "A shell with your home in it is not a security boundary: what a program writes there can run later as you. The \
     container does keep a program from the rest of the machine: it has namespaces, a file system and a network of its own, \
     no capability over the host, and it cannot reach this machine's own network services.",
];

/// The last pages of SEE ALSO in enter(1).
pub const SEE_ALSO: &[&str] =
    &["`enter.toml`(5)", "`containers-registries.conf`(5)", "`subuid`(5)", "`user_namespaces`(7)", "`pasta`(1)"];

/// DESCRIPTION of enter.toml(5).
pub const SETTINGS: &[&str] = &[
    "Settings are read from one file in TOML. Each has a key there and an environment variable, and most have a flag. A flag \
     wins over the variable, the variable over the file, and the file over the default. A variable that is empty counts for \
     nothing.",
    "The file is `$XDG_CONFIG_HOME/enter/config.toml`, or `~/.config/enter/config.toml` where that variable is not set. It \
     need not exist.",
    "In a variable, a list has commas between its elements.",
];

/// An example of the file.
pub const SETTINGS_EXAMPLE: &str = r#"# No network unless I ask for it with --network.
network = "none"

# These go into every shell.
environment = ["EDITOR", "PIP_NO_INPUT=1"]
volumes = ["/srv/data:/data:ro"]

# A slow line.
parallel-downloads = 2
stall-timeout = "2m"
"#;

/// ERRORS of enter.toml(5).
pub const SETTINGS_ERRORS: &[&str] = &[
    "A key that does not exist, and a value of the wrong type, are errors that name the file, the line and the key; the exit \
     status is 125.",
];
