//! The entries of a table of contents: both forms have the same, in JSON, apart from fields that one of them leaves out.
//!
//! They are read one after the other and never held together, so that a table takes little more memory than its index.

use std::collections::BTreeMap;
use std::fmt;
use std::time::UNIX_EPOCH;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cowfs::layer::{Item, Limits, Listing, Meta, Time, What};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Chunk, Unfit, bytes};
use crate::image::Digest;
use crate::store::time;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    size: u64,
    #[serde(default)]
    link_name: String,
    #[serde(default)]
    mode: i64,
    #[serde(default)]
    uid: u32,
    #[serde(default)]
    gid: u32,
    #[serde(default)]
    modtime: Option<String>,
    #[serde(default)]
    dev_major: i64,
    #[serde(default)]
    dev_minor: i64,
    #[serde(default)]
    xattrs: Option<BTreeMap<String, String>>,
    #[serde(default)]
    digest: String,
    #[serde(default)]
    offset: u64,
    #[serde(default)]
    inner_offset: u64,
    #[serde(default)]
    chunk_offset: u64,
    #[serde(default)]
    chunk_size: u64,
    #[serde(default)]
    chunk_digest: String,
    #[serde(default)]
    chunk_type: String,
}

/// Reads `{"entries": […]}`. The chunks have no ends yet.
pub fn read<'a>(json: &[u8], limits: &'a Limits) -> Result<(Listing<'a>, Vec<Chunk>), Unfit> {
    let mut table = Table { listing: Listing::new(limits), chunks: Vec::new(), open: None, unfit: None };
    let mut from = serde_json::Deserializer::from_slice(json);
    let read = Whole(&mut table).deserialize(&mut from).and_then(|()| from.end());
    if let Some(unfit) = table.unfit {
        return Err(unfit);
    }
    read?;
    table.close()?;
    Ok((table.listing, table.chunks))
}

/// Gives every chunk its end: where the next one begins that is elsewhere, or where content ends.
pub fn set_ends(chunks: &mut [Chunk], end: u64) -> Result<(), Unfit> {
    let mut begins: Vec<u64> = chunks.iter().filter(|chunk| !chunk.zeros).map(|chunk| chunk.blob).collect();
    begins.sort_unstable();
    begins.dedup();
    for chunk in chunks.iter_mut().filter(|chunk| !chunk.zeros) {
        let next = begins.partition_point(|begin| *begin <= chunk.blob);
        chunk.end = begins.get(next).copied().unwrap_or(end);
        if chunk.end > end || chunk.blob >= chunk.end {
            return Err(Unfit::Wrong("it has content behind the end of the layer"));
        }
    }
    Ok(())
}

struct Table<'a> {
    listing: Listing<'a>,
    chunks: Vec<Chunk>,
    open: Option<Open>,
    unfit: Option<Unfit>,
}

/// A file whose chunks are being read.
struct Open {
    name: String,
    listed: u64,
    size: u64,
    done: u64,
}

impl Table<'_> {
    fn add(&mut self, entry: &Entry) -> Result<(), Unfit> {
        // What JSON could not hold was replaced by this: the tar has other names.
        if entry.name.contains('\u{fffd}') || entry.link_name.contains('\u{fffd}') {
            return Err(Unfit::Wrong("it has names that are no UTF-8"));
        }
        if entry.kind == "chunk" {
            return self.chunk(entry);
        }
        self.close()?;
        let device = || {
            let number = |number: i64| u32::try_from(number).map_err(|_| Unfit::Wrong("it has an impossible device"));
            Ok::<_, Unfit>((number(entry.dev_major)?, number(entry.dev_minor)?))
        };
        let link = entry.link_name.as_bytes();
        let what = match &*entry.kind {
            "reg" => What::File(entry.size),
            "hardlink" => What::HardLink(link),
            "symlink" => What::Symlink(link),
            "dir" => What::Directory,
            "fifo" => What::Fifo,
            "char" => device().map(|(major, minor)| What::CharDevice(major, minor))?,
            "block" => device().map(|(major, minor)| What::BlockDevice(major, minor))?,
            _ => return Err(Unfit::Wrong("it has an entry of a type that is none")),
        };
        let xattrs = xattrs(entry)?;
        let before = self.listing.content_bytes();
        self.listing.add(&Item { path: entry.name.as_bytes(), what, meta: meta(entry)?, xattrs: &xattrs })?;
        if entry.kind == "reg" && entry.size > 0 {
            self.open = Some(Open { name: entry.name.clone(), listed: before, size: entry.size, done: 0 });
            self.chunk(entry)?;
        }
        Ok(())
    }

    /// A piece of the open file: the first is in the file's own entry.
    fn chunk(&mut self, entry: &Entry) -> Result<(), Unfit> {
        let open = self.open.as_mut().filter(|open| open.name == entry.name);
        let open = open.ok_or(Unfit::Wrong("it has a piece of no file"))?;
        let left = open.size - open.done;
        let len = if entry.chunk_size == 0 { left } else { entry.chunk_size };
        if entry.chunk_offset != open.done || len > left || len == 0 {
            return Err(Unfit::Wrong("the pieces of a file do not make the file"));
        }
        let whole = open.done == 0 && len == open.size;
        let said = if entry.chunk_digest.is_empty() && whole { &entry.digest } else { &entry.chunk_digest };
        let digest = match &**said {
            "" => None,
            text => Some(
                Digest::parse(text)
                    .ok()
                    .as_ref()
                    .and_then(bytes)
                    .ok_or(Unfit::Wrong("it has a digest that is no SHA-256"))?,
            ),
        };
        let zeros = match &*entry.chunk_type {
            "" => false,
            "zeros" => true,
            _ => return Err(Unfit::Wrong("it has a piece of a type that is none")),
        };
        let listed = open.listed + open.done;
        open.done += len;
        self.chunks.push(Chunk { listed, len, blob: entry.offset, end: 0, inner: entry.inner_offset, digest, zeros });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Unfit> {
        match self.open.take() {
            Some(open) if open.done != open.size => Err(Unfit::Wrong("the pieces of a file do not make the file")),
            _ => Ok(()),
        }
    }
}

fn meta(entry: &Entry) -> Result<Meta, Unfit> {
    let mtime =
        match entry.modtime.as_deref().and_then(time::parse).and_then(|time| time.duration_since(UNIX_EPOCH).ok()) {
            Some(since) => {
                Time { secs: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nanos: since.subsec_nanos() }
            }
            None => Time::default(),
        };
    let mode = u32::try_from(entry.mode & 0o7777).map_err(|_| Unfit::Wrong("it has an impossible mode"))?;
    Ok(Meta { mode, uid: entry.uid, gid: entry.gid, mtime })
}

/// A name and a value.
type Xattr = (Vec<u8>, Vec<u8>);

fn xattrs(entry: &Entry) -> Result<Vec<Xattr>, Unfit> {
    let pair = |(name, value): (&String, &String)| {
        let value = STANDARD.decode(value).map_err(|_| Unfit::Wrong("it has an attribute that is no base64"))?;
        Ok((name.clone().into_bytes(), value))
    };
    entry.xattrs.iter().flatten().map(pair).collect()
}

struct Whole<'t, 'a>(&'t mut Table<'a>);

impl<'de> DeserializeSeed<'de> for Whole<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Whole<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of contents")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = false;
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                // Of two lists each reader might take another one.
                "entries" if seen => return Err(A::Error::duplicate_field("entries")),
                "entries" => {
                    seen = true;
                    map.next_value_seed(Entries(self.0))?;
                }
                "version" => match map.next_value::<u64>()? {
                    1 => {}
                    _ => return Err(A::Error::custom("a version that is not known")),
                },
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if seen { Ok(()) } else { Err(A::Error::missing_field("entries")) }
    }
}

struct Entries<'t, 'a>(&'t mut Table<'a>);

impl<'de> DeserializeSeed<'de> for Entries<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element::<Entry>()? {
            if let Err(unfit) = self.0.add(&entry) {
                self.0.unfit = Some(unfit);
                return Err(A::Error::custom("an entry that cannot be"));
            }
        }
        Ok(())
    }
}
