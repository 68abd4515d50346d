//! `enter verify`: is what is stored still what it was? With `--repair`, what is not is put in place again.

mod repair;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::thread;

use enter::image::{Digest, Reference};
use enter::store::{Damage, Owner, Part, Store, Verified};
use serde_json::{Value, json};

use super::tag;
use crate::cli::{VerifyArgs, VerifyForm};
use crate::failure::{Failure, VERB_FAILED};
use crate::settings::Settings;
use crate::ui::{Ui, human};

/// What became of something that was damaged: whether it was mended, or why it was not; nothing where that was not asked for.
type Fate = Option<Result<(), String>>;

/// Verifies, and prints what is damaged. The exit code is 1 if something is, and stays so.
pub fn run(ui: &Ui, settings: &Settings, args: &VerifyArgs) -> Result<ExitCode, Failure> {
    let store = super::state::store()?;
    let only = match args.images.is_empty() {
        true => None,
        false => Some(chosen(settings, &store, &args.images)?),
    };
    let verified = look(ui, &store, only.as_ref())?;
    let fates: Vec<Fate> = match args.repair && !verified.damage.is_empty() {
        true => repair::all(ui, settings, &store, &verified.damage)?.into_iter().map(Some).collect(),
        false => verified.damage.iter().map(|_| None).collect(),
    };
    let whole = fates.iter().all(|fate| matches!(fate, Some(Ok(()))));
    let mut output = ui.output();
    match args.format {
        VerifyForm::Json => output.line(format!("{:#}", as_json(&verified, &fates))),
        VerifyForm::Text => {
            verified.damage.iter().zip(&fates).for_each(|(damage, fate)| output.line(told(damage, fate)))
        }
    }
    output.finish()?;
    if args.format == VerifyForm::Text {
        ui.note(&summary(&verified, &fates));
        if !whole && !args.repair {
            ui.note("`enter verify --repair` fetches again what is damaged");
        }
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(VERB_FAILED) })
}

/// Looks at everything, or at what some images need, by all processors.
fn look(ui: &Ui, store: &Store, only: Option<&BTreeSet<Digest>>) -> Result<Verified, Failure> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    // How much there is to read is only for the line that moves. What is damaged may keep it from being known.
    let total = store.usage().map_or(0, |usage| match only {
        None => usage.total,
        Some(only) => only.iter().filter_map(|id| usage.images.get(id)).map(|share| share.unique + share.shared).sum(),
    });
    let progress = ui.work_progress("verifying", total);
    let verified = store.verify(only, workers, &|bytes| {
        if let Some(progress) = &progress {
            progress.add(bytes);
        }
    });
    if let Some(progress) = &progress {
        progress.finish();
    }
    Ok(verified?)
}

/// The images that are meant. By ID, also one is found whose documents are damaged.
fn chosen(settings: &Settings, store: &Store, typed: &[String]) -> Result<BTreeSet<Digest>, Failure> {
    let mut chosen = BTreeSet::new();
    for text in typed {
        match store.id_of(text) {
            Some(id) => chosen.insert(id),
            None => chosen.insert(tag::find(settings, store, text)?.id),
        };
    }
    Ok(chosen)
}

fn kind(part: &Part) -> &'static str {
    match part {
        Part::Record(_) => "record",
        Part::Document(_) => "document",
        Part::Layer(_) => "layer",
        Part::Index(_) => "index",
        Part::Form(_) => "compressed form",
        Part::Tree(_) => "tree",
    }
}

fn digest(part: &Part) -> &Digest {
    match part {
        Part::Record(digest)
        | Part::Document(digest)
        | Part::Layer(digest)
        | Part::Index(digest)
        | Part::Form(digest)
        | Part::Tree(digest) => digest,
    }
}

fn called(owner: &Owner) -> String {
    match &owner.names[..] {
        [] => owner.id.short().to_owned(),
        names => names.iter().map(Reference::familiar).collect::<Vec<_>>().join(", "),
    }
}

fn told(damage: &Damage, fate: &Fate) -> String {
    let of = match &damage.images[..] {
        [] => "no image needs it".to_owned(),
        images => format!("{} of {}", kind(&damage.part), images.iter().map(called).collect::<Vec<_>>().join(", ")),
    };
    let fate = match fate {
        None => String::new(),
        Some(Ok(())) => "; repaired".to_owned(),
        Some(Err(why)) => format!("; not repaired: {why}"),
    };
    format!("{}: {} ({of}){fate}", damage.path.display(), damage.reason)
}

fn as_json(verified: &Verified, fates: &[Fate]) -> Value {
    let damaged = verified.damage.iter().zip(fates).map(|(damage, fate)| {
        let image = |owner: &Owner| json!({"Id": owner.id, "Names": owner.names.iter().map(Reference::familiar).collect::<Vec<_>>()});
        json!({
            "Kind": kind(&damage.part),
            "Digest": digest(&damage.part),
            "Path": damage.path.display().to_string(),
            "Reason": damage.reason,
            "Images": damage.images.iter().map(image).collect::<Vec<_>>(),
            "Repaired": matches!(fate, Some(Ok(()))),
            "Error": match fate {
                Some(Err(why)) => Value::from(why.as_str()),
                _ => Value::Null,
            },
        })
    });
    json!({"Files": verified.files, "Bytes": verified.bytes, "Damaged": damaged.collect::<Vec<_>>()})
}

fn summary(verified: &Verified, fates: &[Fate]) -> String {
    let mended = fates.iter().filter(|fate| matches!(fate, Some(Ok(())))).count();
    let what = match (fates.len(), mended) {
        (0, _) => "nothing is damaged".to_owned(),
        (damaged, 0) => format!("{damaged} damaged"),
        (damaged, mended) => format!("{damaged} damaged, {mended} of them repaired"),
    };
    format!("{} files, {}: {what}", verified.files, human::size(verified.bytes))
}
