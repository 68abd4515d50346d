//! Tars, written block by block, so that a test can say exactly what is in them.
#![allow(dead_code)]

/// A tar being written.
#[derive(Default)]
pub struct Tar(pub Vec<u8>);

/// A header's fields; the rest is 0.
pub struct Head<'a> {
    pub name: &'a [u8],
    pub kind: u8,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime: u64,
    pub size: u64,
    pub link: &'a [u8],
    pub device: (u32, u32),
}

impl Default for Head<'_> {
    fn default() -> Self {
        Head { name: b"", kind: b'0', mode: 0o644, uid: 0, gid: 0, mtime: 0, size: 0, link: b"", device: (0, 0) }
    }
}

impl Tar {
    /// Appends a header block, names of up to 100 bytes as they are, longer ones by GNU's long names.
    pub fn head(&mut self, head: &Head<'_>) -> &mut Self {
        for (kind, text) in [(b'L', head.name), (b'K', head.link)] {
            if text.len() > 100 {
                let body = [text, b"\0"].concat();
                self.block(&Head { name: b"././@LongLink", kind, size: body.len() as u64, ..Head::default() });
                self.body(&body);
            }
        }
        self.block(head)
    }

    /// Appends a header block with names cut off at 100 bytes.
    pub fn block(&mut self, head: &Head<'_>) -> &mut Self {
        let mut block = [0u8; 512];
        let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &head.name[..head.name.len().min(100)]);
        put(100, format!("{:07o}\0", head.mode).as_bytes());
        put(108, &number::<8>(head.uid));
        put(116, &number::<8>(head.gid));
        put(124, &number::<12>(head.size));
        put(136, &number::<12>(head.mtime));
        put(156, &[head.kind]);
        put(157, &head.link[..head.link.len().min(100)]);
        put(257, b"ustar  \0");
        put(329, format!("{:07o}\0", head.device.0).as_bytes());
        put(337, format!("{:07o}\0", head.device.1).as_bytes());
        self.raw(block)
    }

    /// Appends a block whose checksum is still to be made.
    pub fn raw(&mut self, mut block: [u8; 512]) -> &mut Self {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&b| u32::from(b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&block);
        self
    }

    /// Appends content, padded to whole blocks.
    pub fn body(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// Appends an extended header.
    pub fn pax(&mut self, records: &[(&str, &[u8])]) -> &mut Self {
        let body: Vec<u8> = records.iter().flat_map(|(key, value)| pax_record(key, value)).collect();
        self.block(&Head { name: b"pax", kind: b'x', size: body.len() as u64, ..Head::default() });
        self.body(&body)
    }

    pub fn file(&mut self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> &mut Self {
        let content = content.as_ref();
        self.head(&Head { name: name.as_ref(), size: content.len() as u64, ..Head::default() });
        self.body(content)
    }

    pub fn dir(&mut self, name: impl AsRef<[u8]>) -> &mut Self {
        self.head(&Head { name: name.as_ref(), kind: b'5', mode: 0o755, ..Head::default() })
    }

    pub fn symlink(&mut self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> &mut Self {
        self.head(&Head { name: name.as_ref(), kind: b'2', mode: 0o777, link: target.as_ref(), ..Head::default() })
    }

    pub fn hard_link(&mut self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> &mut Self {
        self.head(&Head { name: name.as_ref(), kind: b'1', link: target.as_ref(), ..Head::default() })
    }

    /// The tar, ended by its two empty blocks.
    pub fn end(&self) -> Vec<u8> {
        [&self.0[..], &[0; 1024]].concat()
    }
}

/// Octal where it fits, else base-256.
fn number<const N: usize>(value: u64) -> [u8; N] {
    let octal = format!("{value:0width$o}", width = N - 1);
    let mut field = [0; N];
    if octal.len() < N {
        field[..N - 1].copy_from_slice(octal.as_bytes());
    } else {
        field[N - 8..].copy_from_slice(&value.to_be_bytes());
        field[0] |= 0x80;
    }
    field
}

pub fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = key.len() + value.len() + 3;
    let mut length = body + 1;
    while length.to_string().len() + body != length {
        length = length.to_string().len() + body;
    }
    [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
}
