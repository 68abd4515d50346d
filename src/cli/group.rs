//! `enter container`, `enter image` and `enter system`: docker's groups of verbs. What stands alone as well is the same verb,
//! with the same flags and the same words for its help.

use clap::Subcommand;
use clap::builder::StyledStr;

use super::{
    AttachArgs, Command, CommitArgs, ContainerExistsArgs, ContainerPruneArgs, CpArgs, CreateArgs, DfArgs, DiffArgs,
    EventsArgs, ExecArgs, ExportArgs, HistoryArgs, ImageDiffArgs, ImageExistsArgs, ImageMountArgs, ImagePruneArgs,
    ImageTreeArgs, ImageUnmountArgs, ImagesArgs, ImportArgs, InfoArgs, InspectArgs, Inspected, KillArgs, LoadArgs,
    LogsArgs, ObjectKind, PauseArgs, PinArgs, PortArgs, PsArgs, PullArgs, PushArgs, RenameArgs, RestartArgs, RmArgs,
    RmiArgs, RunArgs, SaveArgs, SearchArgs, StartArgs, StatsArgs, StopArgs, SystemPruneArgs, TagArgs, TopArgs,
    TrustCommand, UntagArgs, UpdateArgs, WaitArgs, examples,
};

/// Those whose verbs stand alone under another name: the group, its verb, and that name.
const RENAMED: &[(&str, &str, &str)] = &[("container", "ls", "ps"), ("image", "ls", "images"), ("image", "rm", "rmi")];

/// `enter container`.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "it exists once, and for a moment")]
pub enum ContainerCommand {
    Commit(CommitArgs),
    Create(Box<CreateArgs>),
    Diff(DiffArgs),
    Inspect(Inspected),
    Logs(LogsArgs),
    #[command(visible_aliases = ["list", "ps"])]
    Ls(PsArgs),
    Port(PortArgs),
    /// Remove all containers that do not run
    ///
    /// Asks first. What a removed container has written is gone. Prints the ids of those that are gone, and how much was freed.
    Prune(ContainerPruneArgs),
    Rename(RenameArgs),
    Run(Box<RunArgs>),
    Start(StartArgs),
    Stats(StatsArgs),
    Top(TopArgs),
    Kill(KillArgs),
    Pause(PauseArgs),
    #[command(visible_alias = "remove")]
    Rm(RmArgs),
    Stop(StopArgs),
    Unpause(PauseArgs),
    Wait(WaitArgs),
    Attach(AttachArgs),
    Cp(CpArgs),
    Exec(Box<ExecArgs>),
    /// Tell by the exit code whether there is such a container
    ///
    /// 0: there is. 1: there is not. Nothing is printed.
    Exists(ContainerExistsArgs),
    Export(ExportArgs),
    Update(UpdateArgs),
    Restart(RestartArgs),
}

/// `enter image`.
#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    History(HistoryArgs),
    Inspect(Inspected),
    #[command(visible_alias = "list")]
    Ls(ImagesArgs),
    /// Remove images that nothing needs
    ///
    /// Asks first. Without `--all`, images that have no name any more; with it, every image that no container was made from, running or
    /// stopped; images that are pinned stay. Layers that are left over go too, and without `--filter` also the compressed forms of layers that are
    /// kept for a push. Prints what is gone, and how much was freed.
    Prune(ImagePruneArgs),
    /// Keep images when space is wanted
    ///
    /// A pinned image is not removed by `enter image prune`, nor to keep the store below `max-store-size`; `enter rmi` removes it all the same. A
    /// name that is pinned pins what it stands for, also after the next `enter pull`; by ID an image is pinned itself. A pin goes
    /// with its name.
    ///
    /// Prints what is pinned. `enter images --filter pinned=true` lists it.
    Pin(PinArgs),
    Pull(PullArgs),
    Push(Box<PushArgs>),
    #[command(visible_alias = "remove")]
    Rm(RmiArgs),
    Tag(TagArgs),
    /// Take the pins off images
    ///
    /// What `enter image pin` has pinned may go again when space is wanted.
    Unpin(PinArgs),
    Untag(UntagArgs),
    /// Tell by the exit code whether there is such an image
    ///
    /// 0: it is in the store. 1: it is not. Nothing is printed, and no registry is asked.
    Exists(ImageExistsArgs),
    /// Show what an image changes
    ///
    /// Prints a path a line, sorted, after a letter: `A` for what was added, `C` for what was changed, `D` for what was deleted by its last
    /// layer; or, where two images are given, what the first has that the second has not, and the other way round.
    Diff(ImageDiffArgs),
    /// Show the layers of an image
    ///
    /// The lowest comes first. Behind a layer stand the names of the images whose last layer it is.
    Tree(ImageTreeArgs),
    /// Show or change which images are trusted
    ///
    /// `containers-policy.json`(5) says which images may be taken in, and which of them must be signed. podman, skopeo and others go by the same
    /// file.
    #[command(subcommand)]
    Trust(TrustCommand),
    /// Show images' files at a path
    ///
    /// Mounts an image, read-only, where you alone can look, and prints the path. Files show the owners that they have in the image, and all of
    /// them can be read. It needs `fusermount3` (Debian: fuse3). An image that is mounted is not removed. What is mounted more than once is to
    /// be unmounted as often. Without images, prints which are mounted and where.
    Mount(ImageMountArgs),
    /// Take images' files away again
    ///
    /// Prints the IDs of the images.
    #[command(visible_alias = "umount")]
    Unmount(ImageUnmountArgs),
    Import(ImportArgs),
    Load(LoadArgs),
    Save(SaveArgs),
    Search(SearchArgs),
}

/// `enter system`.
#[derive(Debug, Subcommand)]
pub enum SystemCommand {
    Df(DfArgs),
    Events(EventsArgs),
    /// Remove all that nothing needs
    ///
    /// Asks first. Removes the containers that do not run, the networks that no container is on, then the images without a name, or with `--all` every image that no container
    /// was made from and that is not pinned, what pulls that failed have left, and without `--filter` the compressed forms of layers that are
    /// kept for a push. Prints what is gone, and how much was freed.
    Prune(SystemPruneArgs),
    Info(InfoArgs),
}

impl From<ContainerCommand> for Command {
    fn from(command: ContainerCommand) -> Self {
        match command {
            ContainerCommand::Commit(args) => Self::Commit(args),
            ContainerCommand::Create(args) => Self::Create(args),
            ContainerCommand::Diff(args) => Self::Diff(args),
            ContainerCommand::Inspect(what) => inspect(what, ObjectKind::Container),
            ContainerCommand::Logs(args) => Self::Logs(args),
            ContainerCommand::Ls(args) => Self::Ps(args),
            ContainerCommand::Port(args) => Self::Port(args),
            ContainerCommand::Rename(args) => Self::Rename(args),
            ContainerCommand::Run(args) => Self::Run(args),
            ContainerCommand::Start(args) => Self::Start(args),
            ContainerCommand::Stats(args) => Self::Stats(args),
            ContainerCommand::Top(args) => Self::Top(args),
            ContainerCommand::Kill(args) => Self::Kill(args),
            ContainerCommand::Pause(args) => Self::Pause(args),
            ContainerCommand::Rm(args) => Self::Rm(args),
            ContainerCommand::Stop(args) => Self::Stop(args),
            ContainerCommand::Unpause(args) => Self::Unpause(args),
            ContainerCommand::Wait(args) => Self::Wait(args),
            ContainerCommand::Attach(args) => Self::Attach(args),
            ContainerCommand::Cp(args) => Self::Cp(args),
            ContainerCommand::Exec(args) => Self::Exec(args),
            ContainerCommand::Export(args) => Self::Export(args),
            ContainerCommand::Update(args) => Self::Update(args),
            ContainerCommand::Restart(args) => Self::Restart(args),
            own @ (ContainerCommand::Exists(_) | ContainerCommand::Prune(_)) => Self::Container(own),
        }
    }
}

impl From<ImageCommand> for Command {
    fn from(command: ImageCommand) -> Self {
        match command {
            ImageCommand::History(args) => Self::History(args),
            ImageCommand::Inspect(what) => inspect(what, ObjectKind::Image),
            ImageCommand::Ls(args) => Self::Images(args),
            ImageCommand::Pull(args) => Self::Pull(args),
            ImageCommand::Push(args) => Self::Push(args),
            ImageCommand::Rm(args) => Self::Rmi(args),
            ImageCommand::Tag(args) => Self::Tag(args),
            ImageCommand::Untag(args) => Self::Untag(args),
            ImageCommand::Import(args) => Self::Import(args),
            ImageCommand::Load(args) => Self::Load(args),
            ImageCommand::Save(args) => Self::Save(args),
            ImageCommand::Search(args) => Self::Search(args),
            own @ (ImageCommand::Exists(_)
            | ImageCommand::Pin(_)
            | ImageCommand::Prune(_)
            | ImageCommand::Unpin(_)
            | ImageCommand::Diff(_)
            | ImageCommand::Tree(_)
            | ImageCommand::Trust(_)
            | ImageCommand::Mount(_)
            | ImageCommand::Unmount(_)) => Self::Image(own),
        }
    }
}

impl From<SystemCommand> for Command {
    fn from(command: SystemCommand) -> Self {
        match command {
            SystemCommand::Events(args) => Self::Events(args),
            SystemCommand::Info(args) => Self::Info(args),
            SystemCommand::Df(args) => Self::Df(args),
            own @ SystemCommand::Prune(_) => Self::System(own),
        }
    }
}

fn inspect(what: Inspected, kind: ObjectKind) -> Command {
    Command::Inspect(InspectArgs { what, kind: Some(kind) })
}

/// Groups whose verbs are their own, also where one that stands alone has the same name.
const OWN: &[&str] = &["manifest", "network", "volume"];

/// The command that stands alone and is the same as a group's verb; `None` for a verb of the group's own.
pub fn namesake<'a>(root: &'a clap::Command, group: &str, verb: &str) -> Option<&'a clap::Command> {
    if OWN.contains(&group) {
        return None;
    }
    let renamed = RENAMED.iter().find(|(of, from, _)| *of == group && *from == verb);
    let name = renamed.map_or(verb, |(_, _, name)| name);
    root.get_subcommands().find(|command| command.get_name() == name && !command.has_subcommands())
}

/// Gives the verbs of the groups the descriptions and examples of their namesakes, and to the others the examples of their own.
pub fn describe(root: clap::Command) -> clap::Command {
    let alone = root.clone();
    let groups = alone.get_subcommands().filter(|command| command.has_subcommands());
    groups.fold(root, |root, group| {
        let name = group.get_name();
        root.mut_subcommand(name, |described| {
            group.get_subcommands().fold(described, |described, verb| {
                let (inner, verb) = (verb, verb.get_name());
                described.mut_subcommand(verb, |described| match namesake(&alone, name, verb) {
                    Some(namesake) => {
                        let text = |text: Option<&StyledStr>| text.cloned().unwrap_or_default();
                        let described = described.about(text(namesake.get_about()));
                        with_examples(described.long_about(text(namesake.get_long_about())), namesake.get_name())
                    }
                    None => {
                        let verb = format!("{name}-{verb}");
                        inner.get_subcommands().fold(with_examples(described, &verb), |described, inner| {
                            let inner = inner.get_name();
                            described.mut_subcommand(inner, |inner| {
                                let name = format!("{verb}-{}", inner.get_name());
                                with_examples(inner, &name)
                            })
                        })
                    }
                })
            })
        })
    })
}

/// A command with the examples that are known by `name` at the end of its help.
pub fn with_examples(command: clap::Command, name: &str) -> clap::Command {
    match examples::help(name) {
        Some(examples) => command.after_long_help(examples),
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{definition, parse};
    use super::*;

    #[test]
    fn a_verb_of_a_group_is_the_one_that_stands_alone() {
        let parsed = |line: &str| {
            let words: Vec<_> = line.split(' ').map(Into::into).collect();
            let command = match parse(&words).unwrap().command.unwrap() {
                Command::Container(verb) => verb.into(),
                Command::Image(verb) => verb.into(),
                Command::System(verb) => verb.into(),
                alone => alone,
            };
            format!("{command:?}")
        };
        for (grouped, alone) in [
            ("enter container ls -a", "enter ps -a"),
            ("enter container list -q", "enter ps -q"),
            ("enter container ps", "enter ps"),
            ("enter container inspect a", "enter inspect --type container a"),
            ("enter image inspect -f x a", "enter inspect --type image -f x a"),
            ("enter image ls", "enter images"),
            ("enter image rm -f a", "enter rmi -f a"),
            ("enter image remove a", "enter rmi a"),
            ("enter system events", "enter events"),
        ] {
            assert_eq!(parsed(grouped), parsed(alone), "{grouped}");
        }
    }

    #[test]
    fn a_verb_with_the_name_of_another_is_not_described_as_that() {
        let definition = definition();
        let manifest = definition.find_subcommand("manifest").unwrap();
        let about = |verb| manifest.find_subcommand(verb).unwrap().get_about().unwrap().to_string();
        assert_eq!(about("create"), "Begin a list of images");
        assert_eq!(about("rm"), "Remove lists");
    }

    #[test]
    fn every_verb_of_a_group_is_described() {
        for group in definition().get_subcommands() {
            for verb in group.get_subcommands() {
                assert!(verb.get_about().is_some(), "enter {} {}", group.get_name(), verb.get_name());
                assert!(verb.get_long_about().is_some(), "enter {} {}", group.get_name(), verb.get_name());
            }
        }
    }
}
