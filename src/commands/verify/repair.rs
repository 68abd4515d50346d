//! Mending what is damaged: made again of what is whole here, or fetched again from where its image came.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use enter::image::{Digest, Reference};
use enter::registry::{self, Policy, PullOptions, Silent};
use enter::store::{self, Damage, Owner, Part, Shadow, Store};

use crate::commands::resolve;
use crate::failure::Failure;
use crate::settings::Settings;
use crate::ui::Ui;

/// Mends what can be mended, and says of each whether it was, or why not. What is there now has been looked at again.
pub fn all(ui: &Ui, settings: &Settings, store: &Store, damage: &[Damage]) -> Result<Vec<Result<(), String>>, Failure> {
    let mut reasons = BTreeMap::new();
    let shadow = store.shadow()?;
    let mut repair = Repair { ui, options: options(settings), store, shadow: &shadow, reasons: &mut reasons };
    repair.layers(damage)?;
    repair.fetch(damage);
    repair.made_of_others(damage);
    repair.clear(damage)?;
    let left = repair.left(damage)?;
    Ok(damage
        .iter()
        .map(|one| match left.contains(&one.part) {
            false => Ok(()),
            true => Err(reasons.remove(&one.part).unwrap_or_else(|| "nothing is known to make it from".into())),
        })
        .collect())
}

/// How images are fetched again: by digest, whatever is here.
fn options(settings: &Settings) -> PullOptions {
    PullOptions { policy: Policy::Always, keep_compressed: false, max_size: None, ..resolve::options(settings) }
}

struct Repair<'a> {
    ui: &'a Ui,
    options: PullOptions,
    store: &'a Store,
    shadow: &'a Shadow<'a>,
    reasons: &'a mut BTreeMap<Part, String>,
}

impl Repair<'_> {
    /// What is left of a layer here may be enough.
    fn layers(&mut self, damage: &[Damage]) -> Result<(), Failure> {
        let forms = |one: &Damage| matches!(one.part, Part::Form(_)).then(|| one.path.clone());
        let rotten: Vec<PathBuf> = damage.iter().filter_map(forms).collect();
        for one in damage.iter().filter(|one| !one.images.is_empty()) {
            if let Part::Layer(diff_id) = &one.part
                && self.shadow.unpack(diff_id, &rotten)?
            {
                self.shadow.adopt_layer(diff_id)?;
            }
        }
        for path in &rotten {
            self.store.drop_form(path)?;
        }
        Ok(())
    }

    /// Fetches each image again that lacks something still, until nothing is lacking.
    fn fetch(&mut self, damage: &[Damage]) {
        let owners: BTreeMap<&Digest, &Owner> =
            damage.iter().flat_map(|one| &one.images).map(|owner| (&owner.id, owner)).collect();
        for owner in owners.into_values() {
            // What a configuration leads to is known when it is whole again.
            for _ in 0..2 {
                match self.fetch_image(owner, damage) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        self.note(damage, &error.to_string());
                        break;
                    }
                }
            }
        }
    }

    /// Fetches an image again, if it lacks something still that can be fetched.
    fn fetch_image(&mut self, owner: &Owner, damage: &[Damage]) -> Result<bool, store::Error> {
        let lacking = self.store.verify(Some(&BTreeSet::from([owner.id.clone()])), 1, &|_| ())?.damage;
        let fetched = |one: &Damage| matches!(one.part, Part::Layer(_) | Part::Document(_) | Part::Record(_));
        if !lacking.iter().any(fetched) {
            return Ok(false);
        }
        let rotten = |layer: &Digest| {
            let is = |one: &Damage| matches!(&one.part, Part::Layer(other) | Part::Index(other) if other == layer);
            damage.iter().chain(&lacking).any(is)
        };
        let whole: Vec<Digest> = self.store.whole_layers()?.into_iter().filter(|layer| !rotten(layer)).collect();
        let mut why = "where it came from is not known".to_owned();
        for offered in &owner.offered {
            match self.fetch_from(owner, offered, &whole, &lacking) {
                Ok(()) => return Ok(true),
                Err(reason) => why = reason,
            }
        }
        self.note(&lacking, &why);
        Ok(false)
    }

    fn note(&mut self, damage: &[Damage], why: &str) {
        for one in damage {
            self.reasons.entry(one.part.clone()).or_insert_with(|| why.to_owned());
        }
    }

    /// Fetches an image as it was offered, and takes from it what is lacking.
    fn fetch_from(
        &self,
        owner: &Owner,
        offered: &Reference,
        whole: &[Digest],
        lacking: &[Damage],
    ) -> Result<(), String> {
        let failure = |error: &dyn std::error::Error| {
            let causes =
                std::iter::successors(error.source(), |cause| cause.source()).map(|cause| format!(": {cause}"));
            format!("{error}{}", causes.collect::<String>())
        };
        self.shadow.lend(whole).map_err(|error| failure(&error))?;
        let options = PullOptions { platform: owner.platform.clone(), ..self.options.clone() };
        let pulled = match self.ui.pull_progress() {
            None => registry::pull(self.shadow.store(), offered, &options, &Silent),
            Some(progress) => {
                let pulled = registry::pull(self.shadow.store(), offered, &options, &progress);
                progress.finish();
                pulled
            }
        };
        let image = pulled.map_err(|error| failure(&error))?;
        for one in lacking {
            let adopted = match &one.part {
                Part::Layer(diff_id) => self.shadow.adopt_layer(diff_id),
                // A document that its image does not have is one that a damaged record names.
                Part::Document(digest) => match self.shadow.adopt_document(digest) {
                    Ok(false) => self.shadow.adopt_record(&image.id),
                    adopted => adopted,
                },
                Part::Record(id) if *id == image.id => self.shadow.adopt_record(id),
                _ => Ok(true),
            };
            adopted.map_err(|error| failure(&error))?;
        }
        Ok(())
    }

    /// Indexes and trees, once that which they are made of is whole.
    fn made_of_others(&mut self, damage: &[Damage]) {
        for one in damage {
            let mended = match &one.part {
                Part::Index(diff_id) => self.store.mend_index(diff_id),
                _ => Ok(()),
            };
            if let Err(error) = mended {
                self.reasons.entry(one.part.clone()).or_insert_with(|| error.to_string());
            }
        }
        let images: BTreeSet<&Digest> = damage.iter().flat_map(|one| &one.images).map(|owner| &owner.id).collect();
        for id in images {
            // What cannot be made now is said by the last look.
            let _ = self.store.mend_tree(id);
        }
    }

    /// A layer that nobody needs is in nobody's way once it is gone.
    fn clear(&mut self, damage: &[Damage]) -> Result<(), Failure> {
        for one in damage.iter().filter(|one| one.images.is_empty()) {
            if let Part::Layer(diff_id) | Part::Index(diff_id) = &one.part {
                self.store.drop_layer(diff_id)?;
            }
        }
        Ok(())
    }

    /// What is damaged still.
    fn left(&self, damage: &[Damage]) -> Result<BTreeSet<Part>, Failure> {
        let images: BTreeSet<Digest> =
            damage.iter().flat_map(|one| &one.images).map(|owner| owner.id.clone()).collect();
        let everything = damage.iter().any(|one| one.images.is_empty());
        let still = super::look(self.ui, self.store, (!everything).then_some(&images))?.damage;
        Ok(still.into_iter().map(|one| one.part).collect())
    }
}
