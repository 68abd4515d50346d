//! `enter commit CONTAINER [NAME]`: a container's changes become a layer, and with its image's layers an image.

use std::fs::File;
use std::process::ExitCode;

use enter::container::events::{Event, Journal};
use enter::container::files::{self, Access, Base, Hidden};
use enter::container::record::Status;
use enter::container::{self, Container, Remote};
use enter::image::{Amended, Form, History, Reference};
use enter::store::{self, Draft, Image, Store};

use super::{containers, room, state::State};
use crate::cli::{CommitArgs, ManifestForm};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::{Ui, human};

/// Makes the image, and prints its ID.
pub fn run(ui: &Ui, settings: &Settings, args: &CommitArgs) -> Result<ExitCode, Failure> {
    let failed = |failure: Failure| failure.with_code(VERB_FAILED);
    let names: Vec<Reference> =
        args.image.iter().map(|name| super::tag::new_name(name)).collect::<Result<_, _>>().map_err(failed)?;
    let container = containers::find(&containers::of_user()?, &args.container)?;
    let state = State::of_user()?;
    let store = state.store()?.bounded(room::bounds(settings));
    let base = super::files::image(&store, &container)?.ok_or_else(|| no_image(&container))?;
    let _lease = base.lease()?;

    // What is wrong with a change is said before anything is written.
    let mut config = Amended::from(&store.config_of(&base)?)?;
    files::configure(&mut config, &container.record.spec);
    config.apply_all(args.change.iter().map(String::as_str)).map_err(|error| failed(error.into()))?;

    let access = super::files::access(&store, &container)?;
    let hint = "with --pause=false it goes on, and its files may be of different moments";
    let draft = held(&container, args.pause, hint, || layer(&store, &container, &access, args))?;
    if args.squash {
        config.forget_layers();
    }
    let history = History {
        created: jiff::Timestamp::now().to_string(),
        created_by: containers::command(&container).join(" "),
        author: args.author.clone().unwrap_or_default(),
        comment: args.message.clone().unwrap_or_default(),
    };
    let image = image(ui, &store, args, Parts { config, history, base: &base, draft, names: &names })?;
    if let Some(file) = &args.iidfile {
        std::fs::write(file, image.id.to_string()).map_err(|error| {
            Failure::new(format!("cannot write the image's ID to {}", file.display()))
                .because(error)
                .with_code(VERB_FAILED)
        })?;
    }
    Journal::at(state.root())
        .add(&Event::of_container(&container.record, "commit").with("comment", args.message.as_deref().unwrap_or("")));
    room::keep(ui, &store, room::most(settings), &[&image.id]);
    let mut output = ui.output();
    output.line(image.id.to_string());
    output.finish()?;
    Ok(ExitCode::SUCCESS)
}

/// Does `work` while a container that runs is held, if it is to be.
/// `hint`: what to do where it cannot be held.
pub fn held<T>(
    container: &Container,
    pause: bool,
    hint: &str,
    work: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    if !pause || container.state.status != Status::Running {
        return work();
    }
    let remote = match Remote::of(container).and_then(|remote| remote.pause().map(|()| remote)) {
        Ok(remote) => remote,
        // It has just ended by itself.
        Err(container::Error::NotRunning(_)) => return work(),
        Err(error) => {
            return Err(Failure::new(format!("cannot hold container {} meanwhile", container.record.name))
                .because(error)
                .with_hint(hint)
                .with_code(VERB_FAILED));
        }
    };
    let done = work();
    match remote.resume() {
        Ok(()) | Err(container::Error::NotRunning(_)) => done,
        Err(error) => Err(Failure::new(format!("cannot let container {} go on", container.record.name))
            .because(error)
            .with_hint(format!("try again: enter unpause {}", container.record.name))
            .with_code(VERB_FAILED)),
    }
}

fn no_image(container: &Container) -> Failure {
    Failure::new(format!("container {} was made from this machine, and not from an image", container.record.name))
        .with_code(VERB_FAILED)
        .with_hint("its files can be had by `enter export` or `enter cp`")
}

/// The container's changes, or with `--squash` all its files, written down in the store.
fn layer<'a>(
    store: &'a Store,
    container: &Container,
    access: &Access,
    args: &CommitArgs,
) -> Result<Draft<'a>, Failure> {
    let base = Base::open(access.lower())?;
    let plan = files::plan_of(&container.folder)?;
    let hidden = Hidden::of(plan.as_ref(), base.image());
    let what = format!("the files of container {}", container.record.name);
    let (tar, worker) =
        if args.squash { files::whole(access, Some(&hidden))? } else { files::layer(access, &base, &hidden)? };
    let (written, told) = take(store, &what, tar, worker);
    match (written, told) {
        // The disk is full, or the like: the worker has only noticed that nobody reads any more.
        (Err(error @ store::Error::Io { .. }), _) => Err(error.into()),
        (_, Err(told)) => Err(Failure::from(told).with_code(VERB_FAILED)),
        (written, Ok(_)) => Ok(written?),
    }
}

fn take<'a>(
    store: &'a Store,
    what: &str,
    mut tar: File,
    worker: files::Worker<bool>,
) -> (Result<Draft<'a>, store::Error>, Result<bool, container::Error>) {
    let written = store.draft(what, &mut tar);
    drop(tar);
    (written, worker.finish())
}

struct Parts<'a> {
    config: Amended,
    history: History,
    base: &'a Image,
    draft: Draft<'a>,
    names: &'a [Reference],
}

/// Puts the layer in its place, if it says anything, and makes the image.
fn image(ui: &Ui, store: &Store, args: &CommitArgs, parts: Parts<'_>) -> Result<Image, Failure> {
    let Parts { mut config, history, base, draft, names } = parts;
    // Held until the image's record says that it is needed.
    let layer = if draft.is_empty() { None } else { Some(draft.publish()?) };
    config.add_layer(layer.as_ref().map(store::Layer::diff_id), &history)?;
    if let (Some(layer), false) = (&layer, args.quiet) {
        ui.note(&format!("layer {}: {}", layer.diff_id().short(), human::size(layer.size()?)));
    }
    let form = match args.format {
        ManifestForm::Oci => Form::Oci,
        ManifestForm::Docker => Form::Docker,
    };
    let base = if args.squash { None } else { Some(base) };
    Ok(store.make(&config.to_bytes(), base, form, names)?)
}
