//! The subcommands, with what help and manuals say of each.

use clap::Subcommand;

use super::project::{AllowArgs, DenyArgs, InitArgs};
use super::{
    ApplyArgs, AsideArgs, AttachArgs, CloneArgs, CommitArgs, CompletionArgs, ContainerCommand, CowfsArgs, CpArgs,
    CreateArgs, DescribeArgs, DfArgs, DiffArgs, DoctorArgs, EventsArgs, ExecArgs, ExplainArgs, ExportArgs,
    GenerateCommand, HealthcheckCommand, HistoryArgs, ImageCommand, ImagesArgs, ImportArgs, InfoArgs, InspectArgs,
    KeepArgs, KillArgs, LoadArgs, LoginArgs, LogoutArgs, LogsArgs, LsArgs, ManifestCommand, NetworkCommand, PauseArgs,
    PortArgs, PsArgs, PullArgs, PushArgs, RebaseArgs, RenameArgs, RestartArgs, RestoreArgs, RmArgs, RmiArgs, RunArgs,
    SaveArgs, SearchArgs, SetArgs, ShellArgs, StartArgs, StatsArgs, StopArgs, SystemCommand, TagArgs, TopArgs,
    UnexportArgs, UntagArgs, UpdateArgs, VerifyArgs, VolumeCommand, WaitArgs,
};
use super::{SshConfigArgs, SshProxyArgs};

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open a shell in an image, whatever its name
    ///
    /// Does what `enter NAME` does, but NAME is never taken for a subcommand: `enter shell pull` enters an image that is called
    /// pull. All is told in `enter`(1).
    Shell(Box<ShellArgs>),
    /// Run a command in a new container
    ///
    /// Makes a container from an image, runs a command in it, and stays with it until the command has ended, whose exit code is then that
    /// of `enter run`. With `-d` it stays in the background. Its files are kept until `enter rm`, unless it was made with `--rm`.
    ///
    /// Other than `enter NAME`, it shows nothing of this machine that was not asked for, and whoever is root inside is you outside.
    #[command(override_usage = "enter run [OPTIONS] IMAGE [COMMAND]...")]
    Run(Box<RunArgs>),
    /// Make a container, to be started later
    ///
    /// Does what `enter run` does, but for running the command, and prints the container's ID.
    #[command(override_usage = "enter create [OPTIONS] IMAGE [COMMAND]...")]
    Create(Box<CreateArgs>),
    /// Start containers that do not run
    ///
    /// Runs the command of each container again, on the files as they were when it ended. Prints the name of each one. One that runs
    /// already is left alone.
    ///
    /// There is no daemon that would start containers when the machine comes up: systemd does it, by a unit of the user's. Write to
    /// `~/.config/systemd/user/enter-restart.service`, with the path of `enter` on this machine, the lines `[Service]`, `Type=oneshot`,
    /// `RemainAfterExit=yes`, `ExecStart=/usr/bin/enter start --all --filter restart-policy=always`, `ExecStop=/usr/bin/enter stop --all`,
    /// `[Install]` and `WantedBy=default.target`. Then `systemctl --user enable --now enter-restart.service` switches it on, and
    /// `loginctl enable-linger` lets it run without a login. `enter-generate-systemd`(1) writes a unit for one container.
    Start(StartArgs),
    /// Run one more command in a container that runs
    ///
    /// The command gets the container's user, environment and working directory, unless flags say otherwise, and is confined as the
    /// container's own command is. Its exit code is that of `enter exec`; 126 and 127 say that it cannot be run or is not there. It
    /// ends with the container.
    ///
    /// Without `-t` the command has this process's own standard streams, as far as they are no terminals.
    #[command(override_usage = "enter exec [OPTIONS] CONTAINER COMMAND...")]
    Exec(Box<ExecArgs>),
    /// Connect this terminal to a container that runs
    ///
    /// Shows what the container's command writes from now on, and passes on what is typed, if the container was made with `-i`. Several
    /// terminals may be connected at once. Ctrl-P Ctrl-Q leaves a container that has a terminal; it goes on.
    Attach(AttachArgs),
    /// Fetch an image into the store
    ///
    /// Fetches what the registry has now under this name, whatever the setting `pull` says; layers that are in the store already
    /// are not fetched again. A download that was cut off goes on where it stopped. `enter NAME` does this by itself for an
    /// image that is missing.
    ///
    /// Where a name without a registry leads to, and through which mirrors, is told by `containers-registries.conf`(5);
    /// certificates are looked for in `containers-certs.d`(5), and logins in what podman and docker keep of them.
    ///
    /// An image can come from elsewhere too, as containers-transports(5) writes it: `oci:FOLDER:TAG`, `oci-archive:FILE`,
    /// `docker-archive:FILE:NAME`, `dir:FOLDER`, or `containers-storage:NAME` of a podman that you use. `enter NAME` and `enter run` take these
    /// as well.
    ///
    /// Prints the complete name of the image, or the ID of one that has none; how it goes is told on the standard error.
    Pull(PullArgs),
    /// Look for images in registries
    ///
    /// Asks Docker Hub, or the registries that `containers-registries.conf`(5) has short names looked for in, or the one that is named. A
    /// registry that has no search gives the list of all its images, which is looked through here.
    ///
    /// With `--list-tags`, lists the tags of one image.
    Search(SearchArgs),
    /// Send an image to a registry
    ///
    /// What was pulled goes with the very digests that it came with; layers that the registry has, or can take over from another of its
    /// repositories, are not sent. Layers of images that were made here are compressed, the same each time. An upload that was cut off goes on
    /// where it stopped, if the registry can do that.
    ///
    /// Prints what docker prints: the tag, the digest and the size of the manifest. How it goes is told on the standard error.
    Push(Box<PushArgs>),
    /// Log in to a registry
    ///
    /// Asks for a user name and a password, shows them to the registry, and keeps them if it takes them. podman, skopeo and buildah find
    /// them there, as `enter` finds those that podman and docker keep. They are kept by the credential helper that is configured for the
    /// registry, else in a file for you alone: the one that `REGISTRY_AUTH_FILE` names, Docker's in `DOCKER_CONFIG`, or
    /// `$XDG_RUNTIME_DIR/containers/auth.json`, which is gone when this session ends.
    ///
    /// Without a user name, what is kept already is tried first.
    Login(LoginArgs),
    /// Log out of a registry
    ///
    /// Forgets the credentials for a registry, or for a part of it, where `enter login` keeps them.
    Logout(LogoutArgs),
    /// List the images in the store
    ///
    /// Lists every image with each of its names, the one that was made last first. `enter` keeps images in a store of its own:
    /// those of docker and podman do not appear here.
    Images(ImagesArgs),
    /// Remove images from the store
    ///
    /// Takes a name off its image, and removes the image with its last name. By ID, an image with several names is removed only
    /// with `--force`. Layers that no other image has are removed too. An image that a container runs from stays.
    ///
    /// Every image is tried. Prints the names that were taken off and the IDs of the images that are gone.
    Rmi(RmiArgs),
    /// List containers
    ///
    /// Lists the containers that run, those that were made last first; with `--all` those that have ended too. The shells that
    /// `enter NAME` opens are containers as well.
    Ps(PsArgs),
    /// List boxes
    ///
    /// Boxes are what `enter -n BOX IMAGE` makes. Lists them, those that were used last first: from which image, whether each runs, how many are
    /// in it, and how much was changed in it. `enter ps -a` has them among all other containers.
    Ls(LsArgs),
    /// Change what a box is made as, or show it
    ///
    /// Everything can be changed later, as often as you like: its image, what a box shows, its variables, ports, networks, devices and limits, who
    /// one is in it, and what confines it. Variables, limits, users, shells and directories hold for every shell that is opened from then on, ports and networks of one's own at once. What a box that runs cannot take up is
    /// told, and holds from its next start.
    ///
    /// Alone, prints what is set, a line for each, in the words that set it.
    Set(Box<SetArgs>),
    /// Tell what a shell or a box sees and may do
    ///
    /// Tells in words what `enter NAME` would show of this machine, with the switch of each thing: who one is inside, the home, the network, ports
    /// and mounts, what is shared (windows, sound, agents, …) and whether this machine has it, the variables that go along. Takes the flags of
    /// `enter NAME`, and tells what they change. Nothing is fetched, and nothing runs.
    #[command(
        override_usage = "enter explain [OPTIONS] [NAME]",
        mut_arg("name", |name| name.required(false).help("A box; or an image; or `host`; without it, any image"))
    )]
    Explain(Box<ExplainArgs>),
    /// Make a copy of a box
    ///
    /// The copy has all that was changed in the box, and what was set for it but the ports of this machine that were chosen for the box. Where the
    /// filesystem can share what files hold, it takes no more space. A box that runs is held meanwhile, and goes on.
    Clone(CloneArgs),
    /// Put a box on another image
    ///
    /// What was changed in the box lies above IMAGE from then on, as it lay above the image that it was made from: a newer release of it, say.
    /// Lists the paths that were changed in the box and are otherwise in IMAGE than in the image of before; what is in the box stays, and hides
    /// the image's. A package manager's list of what is installed is such a file, where anything was installed in the box: it is told how
    /// to bring it in line.
    ///
    /// The image of before is remembered: `--back` goes back to it, as long as it is in the store.
    Rebase(RebaseArgs),
    /// Print what ssh is to know of boxes
    ///
    /// Then `ssh BOX.enter` goes into a box, and so does whatever uses ssh: scp, sftp, rsync, sshfs, editors that work on other machines. Nothing
    /// listens anywhere, no sshd is needed, and no key of yours: ssh starts the server itself, for each connection, by `enter ssh-proxy`. Another
    /// user name, as in `ssh root@BOX.enter`, is that user of the box. Ports are passed on with `-L` and `-D`, into the box's own network; there
    /// is no `-R`.
    ///
    /// A box that does not run is started, and runs at least as long as the connection.
    SshConfig(SshConfigArgs),
    /// Speak ssh on the standard streams, for a box
    ///
    /// What ssh runs as its `ProxyCommand`: see `enter-ssh-config`(1). Whoever can start it is let in, under any name.
    #[command(hide = true)]
    SshProxy(SshProxyArgs),
    /// Bring back a throwaway shell that was left
    ///
    /// When a throwaway shell is left in which something was changed, its changes are set aside: for a day, and no more than 5 GB of all shells together,
    /// the oldest going first (the settings `restore-time` and `restore-size`). This opens the last such shell again, or the one that is named: a
    /// throwaway shell as before, opened as it was, in the directory in which it was. With `-n` it becomes a box instead.
    ///
    /// What was opened with `--rm` is not kept, nor is what took more than `restore-size` alone. While a shell can be brought back, `enter image prune`
    /// leaves its image alone; `enter rmi` removes it all the same.
    Restore(Box<RestoreArgs>),
    /// Turn a running throwaway shell into a box
    ///
    /// Nothing in the shell is interrupted. When it is left, nothing is dropped: `enter BOX` comes back to it, with the mounts, variables, ports
    /// and networks that it was opened with, and joins it while it runs.
    Keep(KeepArgs),
    /// Show what a container has written
    ///
    /// Shows what the container wrote to its standard output on the standard output, and what it wrote to its standard error on the
    /// standard error; of a container with a terminal, all is on the standard output. Logs stay until the container is removed, but
    /// no more than its `--log-opt` allows: ten megabytes in each of three files, unless other was asked for.
    ///
    /// Reads the files of the log alone: no reader makes a container wait.
    Logs(LogsArgs),
    /// Show what happens to containers and images
    ///
    /// Shows each thing as it happens, whichever command or monitor does it, until `--until` or an interrupt. Times are those
    /// of the local time zone.
    Events(EventsArgs),
    /// Show all that is known of containers and images
    ///
    /// Prints a JSON array with docker's names for everything. Where a container and an image answer to the same name, it is the
    /// container that is shown. What is not there is told, and the rest is shown all the same.
    Inspect(InspectArgs),
    /// Give a container another name
    ///
    /// Works on every container, running or not. The old name is free at once.
    Rename(RenameArgs),
    /// List the ports of a container that can be reached from outside
    ///
    /// Prints a line for each port, with where it can be reached; or, for one port, only where that is.
    Port(PortArgs),
    /// List the processes of a container
    ///
    /// Runs this machine's ps(1) and shows what it says of the container's processes, under the numbers that they have outside.
    Top(TopArgs),
    /// Show what containers use, again and again
    ///
    /// Shows the share of a processor, memory, bytes over the network and to disks, and the number of threads. On a terminal the
    /// list is refreshed in place every second until Ctrl-C. Memory that processes share is divided among them.
    Stats(StatsArgs),
    /// Make an image of a container
    ///
    /// Writes what the container has changed as one more layer above those of its image, and makes an image that is run as the container was.
    /// Files that lie in what is mounted into the container, such as volumes, do not belong to it. A container that runs is
    /// held meanwhile.
    ///
    /// Prints the ID of the image.
    Commit(CommitArgs),
    /// Show what a container has changed
    ///
    /// Prints a path a line, sorted, after a letter: `A` for what was added, `C` for what was changed, `D` for what was deleted. What was
    /// put there to start the container, such as /etc/hosts and the places of its mounts, does not count.
    ///
    /// What was set aside of your home (`--home cow`) is listed too, and conflicts with what has changed there since are told on the standard error.
    Diff(DiffArgs),
    /// Take over into your home what a box has set aside of it
    ///
    /// What is written in a home that was entered with `--home cow` is set aside: `enter diff` shows it, this takes it over, all or only some paths, and
    /// `enter discard` forgets it. Each file is the old or the new one at any moment, whatever happens, and what was cut off can be done again.
    /// A box must not run meanwhile.
    ///
    /// What has changed in your home itself since the box changed it is a conflict: it is told and left alone, and the exit code is 1. With
    /// `--force` it is taken over all the same, and what was in your home is kept beside it. All files become yours; no link leads out of the home.
    Apply(ApplyArgs),
    /// Forget what a box has set aside of your home
    ///
    /// All of it, or only some paths, which then are in the box as they are in your home.
    Discard(AsideArgs),
    /// Copy files between a container and this machine
    ///
    /// Copies a file, or a directory with all that is in it, out of a container, into one, or from one to another, whether it runs or
    /// not. A directory is copied into the directory that is there, or becomes the one that is not; `/.` at the end of
    /// SOURCE means what is in it. Links are copied as links. What is copied into a container belongs to its root, what is
    /// copied out of it to you. With `-` in the place of SOURCE or DESTINATION an archive is unpacked in a directory of the
    /// container, or made of what is there.
    ///
    /// No link leads a copy out of the container or out of the directory that it goes to, whatever the container does meanwhile. Device files
    /// are not made.
    Cp(CpArgs),
    /// Write all files of a container as an archive
    ///
    /// What is mounted into the container, such as volumes, is left out. `enter import` makes an image of the archive.
    ///
    /// With `bin` or `app` and a NAME, a program or an application of a box is put where this machine finds it, and runs in the box: a script in
    /// ~/.local/bin, or a desktop file with its icon. No file that is not the box's own is written to, and none that is found by the PATH is hidden.
    /// What was exported goes with the box, and follows it when it is renamed. `enter export app` alone is the archive of a container called `app`.
    Export(ExportArgs),
    /// Take a program or application back that was exported
    ///
    /// The script or desktop file is removed, with its icon; the program stays in the box. A file that has taken its place is left, and
    /// that is told. `enter export --list` shows what was exported.
    Unexport(UnexportArgs),
    /// Make an image of an archive of files
    ///
    /// The archive, a tar that may be compressed by gzip, zstd, xz or bzip2, becomes the only layer of the image: `enter export` writes such archives, and
    /// debootstrap, mkosi and others make what goes into them.
    ///
    /// Prints the ID of the image.
    Import(ImportArgs),
    /// Write images to an archive or a folder
    ///
    /// Images that share layers share them in the archive too. An image that is asked for by name is loaded under that name
    /// again; one that is asked for by ID has none there.
    ///
    /// In the forms of the Open Container Initiative and of skopeo, what was pulled or loaded goes out as it came, with the very digests,
    /// where the compressed forms of its layers are kept; other layers are plain tars. A file is in its place only when it is whole. A folder
    /// with other images keeps them, if it is an OCI layout.
    Save(SaveArgs),
    /// Take images in from an archive or a folder
    ///
    /// Takes what `docker save`, `podman save`, `enter save`, skopeo and buildah write: docker's archives, OCI layouts, and skopeo's folders
    /// (dir:). An archive may be compressed by gzip, zstd, xz or bzip2. Everything in it is compared with its digest. Of an image for several
    /// platforms, that for this machine is taken. A name that has no registry and no slash is this machine's own: `localhost/NAME`.
    ///
    /// Prints the names of the images.
    Load(LoadArgs),
    /// Give an image another name
    ///
    /// The name is taken off the image that had it.
    Tag(TagArgs),
    /// Take names off an image, which stays
    ///
    /// Takes off the names that are given, or all. An image without a name is found by its ID, until `enter image prune`.
    Untag(UntagArgs),
    /// Show how an image came to be
    ///
    /// Prints a line for each layer and each other step that the image tells of, the last first.
    History(HistoryArgs),
    /// Stop containers
    ///
    /// Asks the main process of each to end, by its stop signal, and ends it by force when its time is over. A container that was
    /// asked to stop is not restarted by its policy. One that does not run is stopped already.
    ///
    /// Every container is tried, all at the same time. Prints the names of those that have stopped.
    Stop(StopArgs),
    /// Stop containers and start them again
    ///
    /// Stops each as `enter stop` does, and starts it as `enter start` does, with all that it has written. One that does not run is
    /// only started.
    ///
    /// Every container is tried, one after another. Prints the names of those that run again.
    Restart(RestartArgs),
    /// Send containers a signal
    ///
    /// Sends a signal to the main process of each, KILL unless another is named. As process 1 of its container that process ignores
    /// every signal that it has not asked for, but for KILL and STOP; with `--init` it is an ordinary process.
    ///
    /// Every container is tried. Prints the names of those that got it.
    Kill(KillArgs),
    /// Hold all processes of containers
    ///
    /// Every process is stopped, as by SIGSTOP, until `enter unpause`. Nothing of what it has in memory is lost.
    Pause(PauseArgs),
    /// Let containers go on that were paused
    ///
    /// Every process goes on where it was held.
    Unpause(PauseArgs),
    /// Remove containers
    ///
    /// Removes each with all that was written in it; folders and volumes of this machine that it was shown stay. One that runs is
    /// removed only with `--force`.
    ///
    /// Every container is tried. Prints the names of those that are gone.
    Rm(RmArgs),
    /// Wait for the end of containers
    ///
    /// Waits for one after another, and prints the exit code of each. Of one that does not run it is the last one.
    Wait(WaitArgs),
    /// Change what containers were made as
    ///
    /// Changes the restart policy, of containers that run as well: it counts from their next end on. Limits on resources, which docker
    /// changes by this verb too, are refused with the reason.
    ///
    /// Every container is tried. Prints the names of those that were changed.
    Update(UpdateArgs),
    /// Tell about this machine and what is kept on it
    ///
    /// Tells how many containers and images there are, and what matters of the machine. As JSON it has docker's names.
    Info(InfoArgs),
    /// Tell the version
    ///
    /// Tells it in docker's form, for scripts that ask. There is no daemon: what docker calls the server is this same program.
    Version(DescribeArgs),
    /// Do something with containers
    ///
    /// docker's group of verbs. All but `prune` stand alone too: `enter container ls` is `enter ps`.
    #[command(subcommand)]
    Container(ContainerCommand),
    /// Do something with images
    ///
    /// docker's group of verbs. All but `prune` stand alone too: `enter image ls` is `enter images`, `enter image rm` is `enter rmi`.
    #[command(subcommand)]
    Image(ImageCommand),
    /// See what is stored
    ///
    /// Tells for images and containers how many there are, how many are in use, what they take on disk, and how much of that nothing needs.
    Df(DfArgs),
    /// Check whether what is stored is still what it was
    ///
    /// Reads every layer, manifest and configuration in the store again, by all processors, and compares it with its digest; what was made of layers, their
    /// indexes and trees, is made again and compared. Names each file that is damaged, and the images that need it. Containers may run
    /// meanwhile, and images come and go.
    ///
    /// With `--repair` what is damaged is put in place again: made of what is whole here, a layer of its compressed form if that is kept; or else
    /// fetched from where its image came, by the digests that were recorded. A container that runs keeps what it has open. Images that came from
    /// no registry cannot be fetched again.
    ///
    /// The exit code is 1 if something is damaged and was not repaired.
    Verify(VerifyArgs),
    /// See and clear up what is stored
    ///
    /// docker's group of verbs for all that `enter` keeps.
    #[command(subcommand)]
    System(SystemCommand),
    /// See whether containers are well
    ///
    /// Containers are checked by themselves, as `--health-cmd` or their image says; this is for those who do not want to wait.
    #[command(subcommand)]
    Healthcheck(HealthcheckCommand),
    /// Do something with networks
    ///
    /// Containers on a network of one's own reach each other, by name too.
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Put lists of images together, one for each platform
    ///
    /// A list is what one name leads to in a registry, and each machine finds the image for itself in it.
    #[command(subcommand)]
    Manifest(ManifestCommand),
    /// Keep files for containers that come and go
    ///
    /// A volume is a folder that lives longer than the containers that mount it. `enter run --volume NAME:TARGET` mounts one, and makes it if it
    /// is missing.
    #[command(subcommand)]
    Volume(VolumeCommand),
    /// Write files for other programs
    ///
    /// What makes others care for a container: units for systemd.
    #[command(subcommand)]
    Generate(GenerateCommand),
    /// Check whether a shell can be opened here
    ///
    /// Tries everything that a shell needs, by doing it: makes a user namespace and maps its ids, mounts a filesystem and an overlay
    /// above it, has pasta serve a network. Nothing of that stays. Each thing that does not work is told with the command that mends
    /// it on this distribution, as far as there is one.
    Doctor(DoctorArgs),
    /// Mount directories over each other, as fuse-overlayfs does
    ///
    /// Merges directories into one filesystem, by FUSE: lower directories that are never changed, and above them one that takes
    /// all changes. Ordinary users can do it, in a user namespace of their own or with `fusermount3`(1). Called by the name `enter-cowfs`
    /// it takes the same arguments; then podman and buildah can mount with it:
    /// `podman --storage-opt overlay.mount_program=/usr/bin/enter-cowfs`, or `mount_program` in `containers-storage.conf`(5).
    ///
    /// It returns when the filesystem can be used. What serves it stays in the background, and ends when it is unmounted, by `umount`(8) or
    /// `fusermount3 -u`; SIGTERM and SIGINT unmount it. The directories must not be changed by others meanwhile.
    ///
    /// The upper directory has the form that the kernel's overlay filesystem gives it with the option `userxattr`: either can go on with
    /// what the other has left. Whiteouts and opaque directories of fuse-overlayfs are understood in lower directories.
    ///
    /// With `xattr_permissions`, and in containers of `--storage fuse`, a file whose owner is not 0:0, or that could not be what it is on the
    /// host, says so in the attribute `user.cowfs.stat`: `UID GID MODE`, and of a device ` MAJOR:MINOR`; ids in decimal, as the container
    /// has them, the mode in octal with the type. A device, fifo or socket is an empty file with it, a symbolic link a file that holds the target.
    /// Attributes that are not the user's, such as ACLs, are kept as `user.cowfs.`NAME. A file with `user.overlay.metacopy` has the
    /// content of the lower file that `user.overlay.redirect` names. Where the filesystem has no user attributes, all of
    /// them are in the directory `attributes` of the work directory, in a file for each inode, called by its number: names and values in turn, each
    /// after its length as a little-endian 32-bit number.
    #[command(override_usage = "enter cowfs [OPTIONS] -o OPTION[,OPTION]... MOUNTPOINT")]
    Cowfs(CowfsArgs),
    /// Allow a project's file to be used
    ///
    /// A project file, `.enter.toml`, comes with the project, and so perhaps from a stranger: it can show your files to programs, and run some.
    /// `enter` uses it only after you have allowed it, with this content at this place; once it is changed you are asked again. Tells first what
    /// it would do.
    Allow(AllowArgs),
    /// Do not use a project's file any more
    ///
    /// Takes back `enter allow`. The project's box stays as it is, with its own name; `enter rm` removes it.
    Deny(DenyArgs),
    /// Write a first project file
    #[command(long_about = super::project::about())]
    Init(InitArgs),
    /// Print the completions for a shell
    ///
    /// Prints a script that makes bash, zsh or fish complete subcommands, flags, their values, and the images in the store.
    /// A packaged `enter` has it in place already.
    Completion(CompletionArgs),
}
