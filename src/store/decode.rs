//! Decompression: gzip (RFC 1952, with several members), zstd (RFC 8878, with several frames), or none.
//!
//! The first bytes say which, not the media type, which is often wrong.

use std::io::{self, BufRead, Read};

use flate2::bufread::MultiGzDecoder;

use super::frames::{self, Frames};
use super::members::Members;

/// A layer's bytes, uncompressed.
pub enum Decoder<R: BufRead> {
    /// As they are.
    Plain(R),
    /// From gzip.
    Gzip(Box<MultiGzDecoder<R>>),
    /// From gzip, by several threads where it has several members.
    Members(Box<Members<R>>),
    /// From zstd, perhaps by several threads.
    Zstd(Box<Frames<R>>),
}

impl<R: BufRead> Decoder<R> {
    /// Chooses by the first bytes.
    ///
    /// # Errors
    /// What `reader` says, or the lack of memory.
    pub fn new(reader: R) -> io::Result<Self> {
        Self::by(
            reader,
            |reader| Self::Gzip(Box::new(MultiGzDecoder::new(reader))),
            |reader| Self::Zstd(Box::new(Frames::new(reader))),
        )
    }

    /// The same for much, which several threads may be busy with.
    ///
    /// # Errors
    /// As [`Decoder::new`].
    pub fn of_much(reader: R) -> io::Result<Self> {
        Self::by(
            reader,
            |reader| Self::Members(Box::new(Members::new(reader))),
            |reader| Self::Zstd(Box::new(Frames::of_much(reader))),
        )
    }

    fn by(mut reader: R, gzip: impl FnOnce(R) -> Self, zstd: impl FnOnce(R) -> Self) -> io::Result<Self> {
        // Senders fill whole buffers, so that only a blob shorter than this shows less than the four bytes.
        let start = reader.fill_buf()?;
        match start {
            [0x1f, 0x8b, ..] => Ok(gzip(reader)),
            start if frames::begins(start) => Ok(zstd(reader)),
            _ => Ok(Self::Plain(reader)),
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(into),
            Self::Gzip(reader) => reader.read(into),
            Self::Members(reader) => reader.read(into),
            Self::Zstd(reader) => reader.read(into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn decode(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        Decoder::new(bytes)?.read_to_end(&mut all)?;
        Ok(all)
    }

    #[test]
    fn several_members_and_frames_are_one_stream() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(decode(&two).unwrap(), b"one two");
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        let frames =
            [skippable, zstd::encode_all(&b"one "[..], 1).unwrap(), zstd::encode_all(&b"two"[..], 1).unwrap()].concat();
        assert_eq!(decode(&frames).unwrap(), b"one two");
        assert_eq!(decode(b"plain").unwrap(), b"plain");
        assert_eq!(decode(b"").unwrap(), b"");
    }

    #[test]
    fn a_cut_stream_is_an_error() {
        let whole = gzip(&[7; 5000]);
        assert!(decode(&whole[..whole.len() - 4]).is_err());
        let whole = zstd::encode_all(&[7; 5000][..], 1).unwrap();
        assert!(decode(&whole[..whole.len() - 1]).is_err());
    }

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            prop_assert_eq!(&decode(&gzip(&bytes)).unwrap(), &bytes);
            prop_assert_eq!(&decode(&zstd::encode_all(&bytes[..], 1).unwrap()).unwrap(), &bytes);
        }

        #[test]
        fn any_bytes_after_a_magic_number_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), magic in 0usize..2) {
            let start: &[u8] = [&[0x1f, 0x8b, 8][..], &[0x28, 0xb5, 0x2f, 0xfd]][magic];
            let _ = decode(&[start, &bytes].concat());
        }
    }
}
