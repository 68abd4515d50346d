//! What one would type, for `--help` and for the manual.

mod shells;
mod trees;

use shells::{ALLOW, CLONE, DENY, EXPLAIN, INIT, KEEP, LS, REBASE, RESTORE, SET, SHELL, SSH_CONFIG, SSH_PROXY};
use trees::{DIFF, IMAGE_DIFF, IMAGE_MOUNT, IMAGE_TREE, IMAGE_UNMOUNT};

/// A command line and what it does.
pub type Example = (&'static str, &'static str);

const DOCTOR: &[Example] = &[
    ("enter doctor", "Try everything that a shell needs, and tell the command that mends what does not work."),
    ("enter doctor --json", "The same for a program, or for a report of a defect."),
];

const COMPLETION: &[Example] = &[
    ("source <(enter completion bash)", "Complete in this bash or zsh from now on; a line for ~/.bashrc or ~/.zshrc."),
    ("enter completion fish > ~/.config/fish/completions/enter.fish", "Complete in every fish."),
];

const COWFS: &[Example] = &[
    (
        "enter cowfs -o lowerdir=/a:/b,upperdir=/new,workdir=/work /mnt",
        "Show /a above /b at /mnt, and keep what is changed in /new. As root of a user namespace, or with fusermount3.",
    ),
    (
        "podman --storage-opt overlay.mount_program=$(command -v enter-cowfs) run --rm alpine",
        "Let podman mount with it. (`ln -s enter enter-cowfs` makes the name, where the package has not.)",
    ),
];

const PULL: &[Example] = &[
    ("enter pull debian", "Fetch docker.io/library/debian:latest, or what has changed of it."),
    ("enter pull --platform linux/arm64 quay.io/fedora/fedora:42", "Fetch an image for another kind of machine."),
    ("name=$(enter pull -q debian)", "The complete name, and no progress."),
    ("enter pull containers-storage:localhost/app", "Take in an image that podman or buildah has made."),
    ("enter pull oci:layout:v1", "Take in an image of a folder that is an OCI layout."),
];

const PUSH: &[Example] = &[
    ("enter push quay.io/me/tool:1.0", "Under the name that it has here."),
    ("enter push tool localhost:5000/tool:1.0", "Under another one."),
    (
        "enter push --compression zstd:chunked --digestfile digest quay.io/me/tool",
        "So that others fetch only what they need.",
    ),
];

const IMAGES: &[Example] = &[
    ("enter images", "List everything."),
    ("enter images --filter reference='debian*' --digests", "List what is called debian, with the registry's digests."),
    ("enter images --format '{{.Repository}}:{{.Tag}} {{.Size}}'", "One line for each name, in a form of your own."),
    ("enter rmi $(enter images -q --filter dangling=true)", "Remove what has no name any more."),
];

const RMI: &[Example] = &[
    ("enter rmi debian:12", "Remove one name, and the image if that was the last."),
    ("enter rmi -f 1b2c3d4e5f60", "Remove an image with all its names."),
];

const MANIFEST: &[Example] = &[
    ("enter manifest create quay.io/me/tool:1 tool:amd64 tool:arm64", "Two images under one name."),
    ("enter manifest inspect debian", "For which platforms is there an image?"),
];

const MANIFEST_CREATE: &[Example] =
    &[("enter manifest create quay.io/me/tool:1 tool:amd64 tool:arm64", "Two images under one name.")];

const MANIFEST_ADD: &[Example] = &[
    ("enter manifest add quay.io/me/tool:1 tool:arm64", "One more."),
    ("enter manifest add --all quay.io/me/tool:1 docker://debian:12", "All that the registry has now."),
];

const MANIFEST_ANNOTATE: &[Example] =
    &[("enter manifest annotate --arch arm --variant v6 quay.io/me/tool:1 tool:pi", "It is for an old processor.")];

const MANIFEST_PUSH: &[Example] =
    &[("enter manifest push --rm quay.io/me/tool:1", "The list, with all its images; here it is done with.")];

const MANIFEST_INSPECT: &[Example] = &[
    ("enter manifest inspect debian", "For which platforms is there an image?"),
    ("enter manifest inspect --referrers quay.io/me/tool:1", "Who has signed it?"),
];

const NETWORK: &[Example] = &[
    ("enter network create learning", "Make a network."),
    (
        "enter run -dit --name catserver --network learning debian",
        "A container on it, which others there find as catserver.",
    ),
    ("enter network connect --alias db learning web", "One more container, which runs already."),
    ("enter network ls --filter type=custom", "Which ones are one's own?"),
];

const NETWORK_CREATE: &[Example] = &[
    ("enter network create learning", "With addresses that nobody else has."),
    ("enter network create --subnet 10.5.0.0/24 --gateway 10.5.0.254 --ipv6 lab", "With these, and with some of IPv6."),
    ("enter network create --internal vault", "Nothing on it reaches anything outside."),
];

const NETWORK_LS: &[Example] = &[
    ("enter network ls --format '{{.Name}}: {{range .Subnets}}{{.Subnet}} {{end}}'", "Which addresses has each?"),
    ("enter network rm $(enter network ls -q --filter dangling=true)", "Remove those that no container is on."),
];

const NETWORK_INSPECT: &[Example] =
    &[("enter network inspect -f '{{range .Containers}}{{.Name}} {{end}}' learning", "Who is on it now?")];

const NETWORK_CONNECT: &[Example] = &[
    ("enter network connect catsonly catserver", "The container is on one more network, at once."),
    ("enter network connect --ip 10.5.0.77 --alias db lab web", "With this address, and under one more name."),
];

const NETWORK_DISCONNECT: &[Example] = &[("enter network disconnect learning catserver", "It is on it no more.")];

const SEARCH: &[Example] = &[
    ("enter search --filter is-official python", "Those that Docker Hub vouches for."),
    ("enter search quay.io/fedora", "In one registry."),
    ("enter search --list-tags --limit 1000 debian", "Which versions are there?"),
];

const LOGIN: &[Example] = &[
    ("enter login quay.io", "Asks for the name and the password, which does not appear."),
    ("enter login -u me --password-stdin ghcr.io <token.txt", "In a script."),
    ("enter login --get-login quay.io", "Who am I there?"),
];

const LOGOUT: &[Example] =
    &[("enter logout quay.io", "Forget it."), ("enter logout --all", "Forget all that is kept for this session.")];

const PS: &[Example] = &[
    ("enter ps", "List what runs."),
    ("enter ps -a --filter status=exited --filter label=job", "List what has ended and has this label."),
    ("enter ps --format 'table {{.Names}}\\t{{.Status}}'", "Two columns of your own."),
    ("enter rm $(enter ps -aq)", "Remove every container that does not run."),
];

const INSPECT: &[Example] = &[
    ("enter inspect web", "Show all that is known of the container, or else the image, that is called web."),
    ("kill $(enter inspect -f '{{.State.Pid}}' web)", "The process as this machine numbers it."),
    (
        "enter inspect -f '{{range .Mounts}}{{.Source}} -> {{.Destination}}{{println}}{{end}}' web",
        "What is mounted in it, one a line.",
    ),
    ("enter inspect --type image -f '{{json .Config.Env}}' debian", "The environment that an image sets, as JSON."),
];

const RENAME: &[Example] = &[("enter rename calm_otter web", "Call it web from now on.")];

const PORT: &[Example] = &[
    ("enter port web", "All that can be reached, such as 80/tcp -> 127.0.0.1:8080."),
    ("enter port web 80", "Only where port 80 can be reached: 127.0.0.1:8080."),
];

const TOP: &[Example] = &[
    ("enter top web", "Every process of it, as ps -ef shows it."),
    ("enter top web -o pid,rss,comm", "Columns of your own."),
];

const STATS: &[Example] = &[
    ("enter stats", "All that run, until Ctrl-C."),
    ("enter stats --no-stream --format '{{.Name}} {{.MemUsage}}' web", "The memory of one, once."),
];

const LOGS: &[Example] = &[
    ("enter logs -f web", "See what it has written and what it writes, until it ends."),
    ("enter logs -n 20 -t --since 10m web", "The last twenty lines of the last ten minutes, with their times."),
    ("enter logs web 2>/dev/null | grep -c GET", "Only its standard output."),
];

const EVENTS: &[Example] = &[
    ("enter events", "See what happens from now on."),
    ("enter events --since 1h --until 0s --filter event=die", "Which containers have ended in the last hour."),
    ("enter events --filter container=web --format '{{.Time}} {{.Action}}'", "A line of your own for one container."),
];

const RUN: &[Example] = &[
    ("enter run --rm busybox echo hello", "Run one command, and keep nothing of it."),
    ("enter run -it debian bash", "Work in a shell in it. What is installed stays until `enter rm`."),
    ("enter run -d --name web --restart always nginx", "Serve in the background; start again whenever it ends."),
    ("enter run --rm -v .:/src -w /src rust cargo build", "Build what lies here; what is made belongs to you."),
    ("enter run --rm --userns keep-id -v ~:/work debian id", "Have your own number inside, and not root's."),
    ("enter run --rm --network none --read-only --cap-drop ALL busybox sh", "Give a command next to nothing."),
];

const CREATE: &[Example] = &[
    ("enter create --name db -v ./data:/var/lib/db postgres", "Make a container, and print its ID."),
    ("id=$(enter create busybox true)", "Keep the ID for what follows."),
];

const START: &[Example] = &[
    ("enter start web db", "Start two containers again, each with its files as they were."),
    ("enter start -ai work", "Go on in a container, and end as it ends."),
    ("enter start --all --filter restart-policy=always", "After a reboot: start whatever is to run always."),
];

const STOP: &[Example] = &[
    ("enter stop web db", "Ask both to end, and end by force whichever has not within its time."),
    ("enter stop -t 60 web", "Give it a minute."),
    ("enter stop --all", "Stop everything that runs."),
];

const RESTART: &[Example] = &[("enter restart -t 2 web", "Start it anew, with two seconds for it to end by itself.")];

const KILL: &[Example] = &[
    ("enter kill web", "End it at once."),
    ("enter kill -s HUP web", "Have it read its configuration again, if it is such a program."),
];

const PAUSE: &[Example] = &[("enter pause build; enter unpause build", "Hold it for a while, and let it go on.")];

const RM: &[Example] = &[
    ("enter rm web", "Remove one that does not run."),
    ("enter rm -f $(enter ps -aq)", "Remove all, whatever they do."),
];

const WAIT: &[Example] = &[
    ("code=$(enter wait build)", "Its exit code, once it has ended."),
    ("enter wait --condition removed build", "Until nothing of it is left."),
];

const IMPORT: &[Example] = &[
    ("enter import work.tar.zst work:1", "Make an image of an archive."),
    ("tar c -C root . | enter import - mydebian", "Make an image of a folder."),
];

const SAVE: &[Example] = &[
    ("enter save debian:12 | ssh host docker load", "Bring an image to another machine."),
    ("enter save --format oci-archive -o app.tar app:1", "Write it in the form of the Open Container Initiative."),
    ("enter save --format oci-dir -o layout app:1 app:2", "Two images in a folder, for umoci, skopeo and others."),
];

const LOAD: &[Example] = &[
    ("enter load -i app.tar.gz", "Take in what was saved."),
    ("ssh host docker save app | enter load", "Bring an image here from another machine."),
];

const HEALTHCHECK: &[Example] =
    &[("enter healthcheck run web && echo fine", "Check web now, and not when the time for it comes.")];

const GENERATE: &[Example] = &[(
    "enter generate systemd --name web > ~/.config/systemd/user/container-web.service",
    "Let systemd start web at each login, and again whenever it fails.",
)];

const SYSTEMD: &[Example] = &[
    (
        "enter generate systemd --name --files web",
        "Write container-web.service here; it starts the container that there is.",
    ),
    (
        "enter generate systemd --name --new --restart-policy always web > ~/.config/systemd/user/container-web.service",
        "Make web anew at each start.",
    ),
    (
        "systemctl --user daemon-reload && systemctl --user enable --now container-web.service",
        "Use it; `loginctl enable-linger` lets it run while nobody is logged in.",
    ),
];

/// The examples for a subcommand, or for `enter` itself.
const CONTAINER: &[Example] = &[
    ("enter container ls -a", "What enter ps -a does."),
    ("enter container prune --filter until=24h", "Remove what has ended and was made more than a day ago."),
];

const CONTAINER_PRUNE: &[Example] = &[
    ("enter container prune", "Remove every container that does not run, if the question is answered with y."),
    ("enter container prune -f --filter 'label!=keep'", "The same, unasked, but for those with the label keep."),
];

const IMAGE: &[Example] = &[
    ("enter image ls", "What enter images does."),
    ("enter image prune -a", "Remove every image that no container was made from."),
];

const IMAGE_PRUNE: &[Example] = &[
    ("enter image prune -f", "Remove the images that have no name any more, unasked."),
    ("enter image prune -a --filter until=720h", "Remove what is unused and was made more than thirty days ago."),
];

const IMAGE_TRUST: &[Example] = &[("enter image trust show", "What is required of which images.")];

const IMAGE_TRUST_SHOW: &[Example] = &[
    ("enter image trust show", "What is required of which images."),
    ("enter image trust show quay.io/team/app", "What is required of this one."),
];

const IMAGE_TRUST_SET: &[Example] = &[
    ("enter image trust set --type reject default", "Take in nothing but what something else is said of,"),
    ("enter image trust set --type accept docker.io/library", "such as Docker's own images,"),
    (
        "enter image trust set --type sigstoreSigned --pubkeysfile cosign.pub quay.io/team",
        "and those of a team that are signed by its key.",
    ),
];

const SYSTEM: &[Example] = &[
    ("enter system df", "What is stored, and how much of it could be removed."),
    ("enter system prune -af", "Remove all that nothing needs, unasked."),
];

const DF: &[Example] = &[
    ("enter df", "What is stored, and how much of it could be removed."),
    ("enter df -v", "The same for each image and each container."),
];

const UPDATE: &[Example] = &[("enter update --restart unless-stopped web", "Restart it from its next end on.")];

const INFO: &[Example] =
    &[("enter info --format '{{.ContainersRunning}} of {{.Containers}}'", "How many containers run.")];

const VERSION: &[Example] = &[("enter version --format '{{.Server.Version}}'", "The version alone.")];

const SYSTEM_PRUNE: &[Example] = &[
    ("enter system prune", "Remove ended containers and images without a name, if the question is answered with y."),
    ("enter system prune -af", "Every image too that no container was made from, unasked."),
];

const COMMIT: &[Example] = &[
    ("enter commit web web:2", "Make an image of what it is now."),
    ("enter commit -c 'CMD [\"serve\"]' -m 'with a server' web web:2", "Change what the image runs, and say why."),
];

const TAG: &[Example] = &[("enter tag debian quay.io/me/debian:12", "The name under which it is to be pushed.")];

const UNTAG: &[Example] = &[("enter untag quay.io/me/debian:12", "Take off that name; the image stays.")];

const HISTORY: &[Example] = &[("enter history --no-trunc debian", "How each layer was made, in full.")];

const EXEC: &[Example] = &[
    ("enter exec -it web sh", "A shell in it, beside what runs."),
    ("enter exec -u root -w /etc web cat passwd", "One command, as another user, in another directory."),
];

const ATTACH: &[Example] =
    &[("enter attach web", "Be at its terminal, or see what it writes, until it ends or Ctrl-P Ctrl-Q is typed.")];

const CP: &[Example] = &[
    ("enter cp web:/etc/hosts .", "Take a file out of it."),
    ("enter cp ./site web:/srv/", "Put a folder into it, running or not."),
    ("enter cp web:/var/log - | tar t", "As a stream that tar reads."),
];

const VERIFY: &[Example] = &[
    ("enter verify", "Read everything again, and name what is damaged."),
    ("enter verify --repair debian", "Mend what this image needs, by fetching it again if need be."),
];

const VOLUME: &[Example] = &[
    ("enter run -v data:/var/lib/postgresql/data postgres", "Keep a database; the next container finds it again."),
    ("enter volume ls", "See which volumes there are."),
];

const VOLUME_CREATE: &[Example] = &[
    ("enter volume create --label of=web data", "An empty one."),
    ("enter volume create --opt type=none --opt o=bind --opt device=/srv/data data", "A name for a folder of yours."),
];

const VOLUME_EXPORT: &[Example] = &[("enter volume export -o data.tar data", "All its files in one archive.")];

const VOLUME_IMPORT: &[Example] = &[("enter volume import data data.tar", "And back.")];

const VOLUME_INSPECT: &[Example] =
    &[("enter volume inspect --format '{{.Mountpoint}}' data", "Where its files are on this machine.")];

const VOLUME_LS: &[Example] = &[("enter volume ls --filter dangling=true", "Those that no container uses.")];

const VOLUME_PRUNE: &[Example] = &[("enter volume prune --all", "Remove every volume that no container uses.")];

const VOLUME_RM: &[Example] = &[("enter volume rm data", "Remove it with all that is in it.")];

const IMAGE_PIN: &[Example] = &[("enter image pin debian", "Keep it, whatever else has to go.")];

const IMAGE_UNPIN: &[Example] = &[("enter image unpin debian", "It may go again.")];

/// The examples for a subcommand, for a verb of a group such as `container-prune`, or for `enter` itself.
pub fn of(command: &str) -> &'static [Example] {
    match command {
        "enter" | "shell" => SHELL,
        "pull" => PULL,
        "push" => PUSH,
        "images" => IMAGES,
        "rmi" => RMI,
        "container" => CONTAINER,
        "container-prune" => CONTAINER_PRUNE,
        "image" => IMAGE,
        "image-prune" => IMAGE_PRUNE,
        "image-pin" => IMAGE_PIN,
        "image-unpin" => IMAGE_UNPIN,
        "verify" => VERIFY,
        "image-trust" => IMAGE_TRUST,
        "image-trust-show" => IMAGE_TRUST_SHOW,
        "image-trust-set" => IMAGE_TRUST_SET,
        "image-diff" => IMAGE_DIFF,
        "image-tree" => IMAGE_TREE,
        "image-mount" => IMAGE_MOUNT,
        "image-unmount" => IMAGE_UNMOUNT,
        "system" => SYSTEM,
        "df" => DF,
        "update" => UPDATE,
        "info" => INFO,
        "version" => VERSION,
        "system-prune" => SYSTEM_PRUNE,
        "commit" => COMMIT,
        "load" => LOAD,
        "save" => SAVE,
        "import" => IMPORT,
        "diff" => DIFF,
        "apply" => shells::APPLY,
        "discard" => shells::DISCARD,
        "tag" => TAG,
        "untag" => UNTAG,
        "history" => HISTORY,
        "exec" => EXEC,
        "attach" => ATTACH,
        "cp" => CP,
        "export" => shells::EXPORT,
        "unexport" => shells::UNEXPORT,
        "ps" => PS,
        "rename" => RENAME,
        "port" => PORT,
        "top" => TOP,
        "stats" => STATS,
        "logs" => LOGS,
        "events" => EVENTS,
        "inspect" => INSPECT,
        "run" => RUN,
        "create" => CREATE,
        "start" => START,
        "healthcheck" | "healthcheck-run" => HEALTHCHECK,
        "generate" => GENERATE,
        "generate-systemd" => SYSTEMD,
        "stop" => STOP,
        "restart" => RESTART,
        "kill" => KILL,
        "pause" | "unpause" => PAUSE,
        "rm" => RM,
        "wait" => WAIT,
        "manifest" => MANIFEST,
        "manifest-create" => MANIFEST_CREATE,
        "manifest-add" => MANIFEST_ADD,
        "manifest-annotate" => MANIFEST_ANNOTATE,
        "manifest-inspect" => MANIFEST_INSPECT,
        "manifest-push" => MANIFEST_PUSH,
        "network" => NETWORK,
        "network-create" => NETWORK_CREATE,
        "network-ls" => NETWORK_LS,
        "network-inspect" => NETWORK_INSPECT,
        "network-connect" => NETWORK_CONNECT,
        "network-disconnect" => NETWORK_DISCONNECT,
        "volume" => VOLUME,
        "volume-create" => VOLUME_CREATE,
        "volume-export" => VOLUME_EXPORT,
        "volume-import" => VOLUME_IMPORT,
        "volume-inspect" => VOLUME_INSPECT,
        "volume-ls" => VOLUME_LS,
        "volume-prune" => VOLUME_PRUNE,
        "volume-rm" => VOLUME_RM,
        "search" => SEARCH,
        "login" => LOGIN,
        "logout" => LOGOUT,
        "ls" => LS,
        "set" => SET,
        "explain" => EXPLAIN,
        "clone" => CLONE,
        "rebase" => REBASE,
        "ssh-config" => SSH_CONFIG,
        "ssh-proxy" => SSH_PROXY,
        "keep" => KEEP,
        "restore" => RESTORE,
        "allow" => ALLOW,
        "deny" => DENY,
        "init" => INIT,
        "doctor" => DOCTOR,
        "completion" => COMPLETION,
        "cowfs" => COWFS,
        _ => &[],
    }
}

/// The examples as the end of a help text.
pub fn help(command: &str) -> Option<String> {
    let examples: String = of(command).iter().map(|(line, does)| format!("\n  {line}\n          {does}\n")).collect();
    (!examples.is_empty()).then(|| format!("Examples:{examples}"))
}
