//! eStargz layers, honest ones and others (stargz-snapshotter, docs/estargz.md).

// Each test program includes this and uses a part of it.
#![allow(dead_code)]

use enter::image::Digest;
use serde_json::{Value, json};

use super::registry::gzip;

/// The annotation of a manifest's layer that has the digest of its table.
pub const ANNOTATION: &str = "containerd.io/snapshot/stargz/toc.digest";

/// A layer: its compressed form, what that uncompresses to, and its table of contents.
pub struct Layer {
    /// As a registry has it.
    pub blob: Vec<u8>,
    /// The tar.
    pub tar: Vec<u8>,
    /// The digest of the table, for the manifest's annotation.
    pub toc: Digest,
}

/// A layer in the making.
#[derive(Default)]
pub struct Builder {
    blob: Vec<u8>,
    tar: Vec<u8>,
    waiting: Vec<u8>,
    /// The table's entries, to be changed by a test that lies.
    pub entries: Vec<Value>,
}

impl Builder {
    /// Adds a file, in pieces of `chunk` bytes.
    pub fn file(&mut self, name: &str, content: &[u8], chunk: usize) -> &mut Self {
        self.file_as(name, content, chunk, 0o644)
    }

    /// The same, with this mode.
    pub fn file_as(&mut self, name: &str, content: &[u8], chunk: usize, mode: u32) -> &mut Self {
        self.waiting.extend(header(name, content.len(), mode));
        let whole = Digest::of(content);
        let modtime = "1970-01-01T00:00:00Z";
        let mut entry = json!({"name": name, "type": "reg", "size": content.len(), "mode": mode, "modtime": modtime, "digest": whole});
        for (number, piece) in content.chunks(chunk).enumerate() {
            if number > 0 {
                entry = json!({"name": name, "type": "chunk", "chunkOffset": number * chunk});
            }
            if (number + 1) * chunk < content.len() {
                entry["chunkSize"] = json!(chunk);
            }
            self.flush();
            entry["offset"] = json!(self.blob.len());
            entry["chunkDigest"] = json!(Digest::of(piece));
            self.blob.extend(gzip(piece));
            self.tar.extend(piece);
            self.entries.push(entry.take());
        }
        if content.is_empty() {
            self.entries.push(entry);
        }
        self.waiting.extend(vec![0; content.len().next_multiple_of(512) - content.len()]);
        self
    }

    /// Ends the layer with its table and footer.
    pub fn finish(&mut self) -> Layer {
        self.flush();
        let table = json!({"version": 1, "entries": self.entries}).to_string().into_bytes();
        let at = self.blob.len();
        self.waiting.extend(header("stargz.index.json", table.len(), 0o644));
        self.waiting.extend(&table);
        self.waiting.extend(vec![0; table.len().next_multiple_of(512) - table.len() + 1024]);
        self.flush();
        self.blob.extend([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 26, 0, b'S', b'G', 22, 0]);
        self.blob.extend(format!("{at:016x}STARGZ").bytes());
        self.blob.extend([1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
        let (blob, tar) = (std::mem::take(&mut self.blob), std::mem::take(&mut self.tar));
        Layer { blob, tar, toc: Digest::of(&table) }
    }

    fn flush(&mut self) {
        if !self.waiting.is_empty() {
            self.blob.extend(gzip(&self.waiting));
            self.tar.append(&mut self.waiting);
        }
    }
}

fn header(name: &str, size: usize, mode: u32) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_size(size as u64);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_cksum();
    header.as_bytes().to_vec()
}
