//! The protocol's values: draft-ietf-secsh-filexfer-02, sections 3 and 5.

use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

/// A message that is cut off, or is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Takes values off the front of a message.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn byte(&mut self) -> Result<u8, Malformed> {
        Ok(self.take(1)?[0])
    }

    pub fn number(&mut self) -> Result<u32, Malformed> {
        self.take(4)?.try_into().map(u32::from_be_bytes).map_err(|_| Malformed)
    }

    pub fn large(&mut self) -> Result<u64, Malformed> {
        self.take(8)?.try_into().map(u64::from_be_bytes).map_err(|_| Malformed)
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.number()?;
        self.take(usize::try_from(length).map_err(|_| Malformed)?)
    }

    /// A name; the empty one is the directory that the server runs in.
    pub fn path(&mut self) -> Result<PathBuf, Malformed> {
        let bytes = self.bytes()?;
        Ok(std::ffi::OsStr::from_bytes(if bytes.is_empty() { b"." } else { bytes }).into())
    }

    pub fn attributes(&mut self) -> Result<Attributes, Malformed> {
        let flags = self.number()?;
        let has = |bit: u32| flags & bit != 0;
        let mut attributes = Attributes::default();
        if has(SIZE) {
            attributes.size = Some(self.large()?);
        }
        if has(OWNER) {
            attributes.owner = Some((self.number()?, self.number()?));
        }
        if has(MODE) {
            attributes.mode = Some(self.number()?);
        }
        if has(TIMES) {
            attributes.times = Some((self.number()?, self.number()?));
        }
        // What else there may be is said by extensions that this side does not know.
        Ok(attributes)
    }
}

const SIZE: u32 = 1;
const OWNER: u32 = 2;
const MODE: u32 = 4;
const TIMES: u32 = 8;

/// What a client says of a file; `None` where it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    pub size: Option<u64>,
    pub owner: Option<(u32, u32)>,
    pub mode: Option<u32>,
    /// Of the last read and the last write, in seconds since 1970.
    pub times: Option<(u32, u32)>,
}

/// Puts values behind each other.
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub fn number(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub fn large(mut self, number: u64) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub fn string(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend(bytes);
        self
    }

    /// What is known of a file.
    pub fn attributes(self, data: &Metadata) -> Self {
        // Version 3 of the protocol ends in 2106, and begins in 1970.
        let time = |seconds: i64| u32::try_from(seconds.max(0)).unwrap_or(u32::MAX);
        self.number(SIZE | OWNER | MODE | TIMES)
            .large(data.size())
            .number(data.uid())
            .number(data.gid())
            .number(data.mode())
            .number(time(data.atime()))
            .number(time(data.mtime()))
    }

    /// Nothing of a file.
    pub fn no_attributes(self) -> Self {
        self.number(0)
    }
}
