//! One line of the list: an image under one of its names.

use std::time::SystemTime;

use enter::image::Reference;
use enter::store::{Image, Share};
use serde_json::{Value, json};

use crate::ui::human;

/// An image under one name, or under none.
pub struct Row<'a> {
    /// The image.
    pub image: &'a Image,
    /// The name, if it has any.
    pub name: Option<&'a Reference>,
}

impl<'a> Row<'a> {
    /// A row for each name; one for an image without names.
    pub fn of(image: &'a Image) -> Vec<Self> {
        if image.names.is_empty() {
            return vec![Self { image, name: None }];
        }
        image.names.iter().map(|name| Self { image, name: Some(name) }).collect()
    }

    /// The image's ID, in full.
    pub fn id(&self) -> String {
        self.image.id.to_string()
    }

    /// What a template can name. All of them are text, as docker has it.
    pub fn fields(&self, truncate: bool, now: SystemTime) -> Value {
        const NONE: &str = "<none>";
        const UNKNOWN: &str = "N/A";
        let image = self.image;
        let id = if truncate { image.id.short().to_owned() } else { image.id.to_string() };
        let digest = self.name.and_then(|name| image.digests.get(&name.repository()));
        let size = human::size(image.size);
        json!({
            "Containers": UNKNOWN,
            "CreatedAt": image.created.map_or_else(|| UNKNOWN.to_owned(), human::local),
            "CreatedSince": image.created.map_or_else(|| UNKNOWN.to_owned(), |then| human::ago(then, now)),
            "Digest": digest.map_or_else(|| NONE.to_owned(), ToString::to_string),
            "ID": id,
            "Pinned": image.pinned.to_string(),
            "Repository": self.name.map_or_else(|| NONE.to_owned(), repository),
            "SharedSize": UNKNOWN,
            "Size": size,
            "Tag": self.name.and_then(Reference::tag).unwrap_or(NONE),
            "UniqueSize": UNKNOWN,
            "VirtualSize": size,
        })
    }
}

/// What the image takes on the disk, for a template.
pub fn measure(fields: &mut Value, share: Share) {
    fields["SharedSize"] = human::size(share.shared).into();
    fields["UniqueSize"] = human::size(share.unique).into();
}

/// The name as people write it, without tag and digest: `debian`.
pub fn repository(name: &Reference) -> String {
    let familiar = name.familiar();
    let without_digest = familiar.split('@').next().unwrap_or(&familiar);
    let tag = name.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    without_digest.strip_suffix(&tag).unwrap_or(without_digest).to_owned()
}
