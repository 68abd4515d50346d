//! Whole archives, uncompressed: what layers may be compressed with ([`Decoder`]), and xz and bzip2, which archives of files and of images are
//! also found in.

use std::io::{self, BufRead, Read};

use bzip2::bufread::MultiBzDecoder;
use lzma_rust2::XzReader;

use super::Decoder;

/// The most memory that xz may ask for, in KiB: `xz -9` takes 65 MiB. What a header asks for is had before anything has proved it.
const XZ_MEMORY: u32 = 96 << 10;

/// An archive's bytes, uncompressed.
pub enum Unpacked<R: BufRead> {
    /// As they are, or from gzip or zstd.
    Common(Decoder<R>),
    /// From xz.
    Xz(Box<XzReader<R>>),
    /// From bzip2.
    Bzip2(Box<MultiBzDecoder<R>>),
}

impl<R: BufRead> Unpacked<R> {
    /// Chooses by the first bytes.
    ///
    /// # Errors
    /// What `reader` says, or the lack of memory.
    pub fn new(mut reader: R) -> io::Result<Self> {
        Ok(match reader.fill_buf()? {
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => {
                Self::Xz(Box::new(XzReader::new_mem_limit(reader, true, XZ_MEMORY)))
            }
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2(Box::new(MultiBzDecoder::new(reader))),
            _ => Self::Common(Decoder::new(reader)?),
        })
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Common(reader) => reader.read(into),
            Self::Xz(reader) => reader.read(into),
            Self::Bzip2(reader) => reader.read(into),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        Unpacked::new(bytes)?.take(1 << 20).read_to_end(&mut all)?;
        Ok(all)
    }

    fn packed(program: &str, bytes: &[u8]) -> Vec<u8> {
        let mut child = Command::new(program)
            .arg("-c")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is installed");
        let mut stdin = child.stdin.take().unwrap();
        // It writes before it has read all: a pipe holds little where the user has many.
        std::thread::scope(|scope| {
            scope.spawn(move || stdin.write_all(bytes).unwrap());
            child.wait_with_output().unwrap().stdout
        })
    }

    #[test]
    fn what_others_compress_is_read() {
        let bytes: Vec<u8> = (0..40_000_u32).flat_map(|number| (number * number / 7).to_le_bytes()).collect();
        for program in ["gzip", "xz", "bzip2"] {
            let packed = packed(program, &bytes);
            assert_eq!(unpack(&packed).unwrap(), bytes, "{program}");
            assert_eq!(unpack(&[&packed[..], &packed].concat()).unwrap().len(), 2 * bytes.len(), "{program}");
            assert!(unpack(&packed[..packed.len() / 2]).is_err(), "{program}");
        }
        assert_eq!(unpack(b"plain").unwrap(), b"plain");
    }

    proptest! {
        #[test]
        fn any_bytes_after_a_magic_number_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), magic in 0usize..3) {
            let start: &[u8] = [&b"\xfd7zXZ\0"[..], b"\xfd7zXZ\0\0\x04\xe6\xd6\xb4\x46", b"BZh91AY&SY"][magic];
            let _ = unpack(&[start, &bytes].concat());
        }
    }
}
