//! What comes into the store makes it larger: `max-store-size` is kept right afterwards, by every command that adds an image.

use std::collections::BTreeSet;

use enter::container::Containers;
use enter::container::events::{Event, Journal};
use enter::image::{Digest, Reference};
use enter::store::{Bounds, Dropped, Image, Store};

use super::containers;
use crate::settings::Settings;
use crate::ui::{Ui, human};

/// How much the store may take, in bytes, where that is set.
pub fn most(settings: &Settings) -> Option<u64> {
    settings.max_store_size.map(|bytes| bytes.0)
}

/// How much an image may take on its way in.
pub fn bounds(settings: &Settings) -> Bounds {
    Bounds {
        list_memory: settings.max_list_memory.map(|bytes| bytes.0),
        layer_size: settings.max_layer_size.map(|bytes| bytes.0),
    }
}

/// Keeps the store below `most` bytes, if that is set. The image that has just come stays. What cannot be dropped is a warning: what was
/// asked for has been done.
pub fn keep(ui: &Ui, store: &Store, most: Option<u64>, new: &[&Digest]) {
    let Some(most) = most else { return };
    let users = Containers::below(store.root());
    let new: BTreeSet<Digest> = new.iter().map(|id| (*id).clone()).collect();
    match store.limit(most, &new, &|image| containers::holder(&users, image)) {
        Ok(dropped) => tell(ui, store, most, &dropped),
        Err(error) => ui.warning(&format!("cannot keep the store below {}: {error}", human::size(most))),
    }
}

fn tell(ui: &Ui, store: &Store, most: u64, dropped: &Dropped) {
    let journal = Journal::at(store.root());
    for image in &dropped.images {
        let id = image.id.to_string();
        for name in &image.names {
            journal.add(&Event::of_image(id.clone(), name.familiar(), "untag"));
        }
        journal.add(&Event::of_image(id, "", "delete"));
    }
    let forms = match dropped.forms {
        0 => None,
        1 => Some("the compressed form of a layer".to_owned()),
        forms => Some(format!("the compressed forms of {forms} layers")),
    };
    let what: Vec<String> = forms.into_iter().chain(dropped.images.iter().map(called)).collect();
    if dropped.freed > 0 {
        let what = if what.is_empty() { "what no image needs".to_owned() } else { what.join(", ") };
        ui.note(&format!(
            "dropped {what}: {} freed, to keep the store below {}",
            human::size(dropped.freed),
            human::size(most)
        ));
    }
    if dropped.total > most {
        ui.warning(&format!(
            "the store takes {}, more than max-store-size ({}): what is left is new, pinned, or used by a container",
            human::size(dropped.total),
            human::size(most)
        ));
    }
}

/// An image by its names, or its ID where it has none.
fn called(image: &Image) -> String {
    match &image.names[..] {
        [] => image.id.short().to_owned(),
        names => names.iter().map(Reference::familiar).collect::<Vec<_>>().join(", "),
    }
}
