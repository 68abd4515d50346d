//! Sound inputs, damaged: bytes flipped, pieces cut out, doubled and brought over from others, numbers made extreme.

/// Numbers at which arithmetic goes wrong.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "1e309",
    "0.1",
    "00",
    "99999999999999999999999999",
];
/// Pieces that mean something to some parser.
const PIECES: &[&[u8]] = &[
    b"\0",
    b"\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
    b"\xe2\x80\xae",
    b"\x1b[2J",
    b"../",
    b"/",
    b"..",
    b".wh.",
    b".wh..wh..opq",
    b"{",
    b"}",
    b"[",
    b"]",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b",",
    b":",
    b"=",
    b"@sha256:",
    b"null",
    b"true",
    b"{}",
    b"[]",
    b" ",
    b"%",
    b"'",
    b"GNU.sparse.map=",
    b"SCHILY.xattr.user.",
    b"ustar\x0000",
    b"ustar  \0",
];

/// Makes inputs, the same ones for the same seed.
pub struct Damage<'a> {
    state: u64,
    sound: &'a [Vec<u8>],
    input: Vec<u8>,
}

impl<'a> Damage<'a> {
    pub fn new(seed: u64, sound: &'a [Vec<u8>]) -> Self {
        Self { state: seed, sound, input: Vec::new() }
    }

    /// The next input.
    pub fn next(&mut self) -> &[u8] {
        let sound = self.sound;
        let chosen = self.below(sound.len());
        self.input.clone_from(&sound[chosen]);
        // Mostly little, so that what comes behind the damage is reached, too.
        for _ in 0..1 << self.below(5) {
            self.damage();
        }
        self.input.truncate(1 << 20);
        if self.below(2) == 0 {
            mend_checksums(&mut self.input);
        }
        &self.input
    }

    /// splitmix64.
    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.random() % end.max(1) as u64) as usize
    }

    /// A place and a length within the input.
    fn part(&mut self) -> std::ops::Range<usize> {
        let start = self.below(self.input.len() + 1);
        let longest = if self.below(4) == 0 { self.input.len() } else { 64 };
        let length = self.below((self.input.len() - start).min(longest) + 1);
        start..start + length
    }

    fn damage(&mut self) {
        let at = self.below(self.input.len());
        match self.below(12) {
            0 if !self.input.is_empty() => self.input[at] ^= 1 << self.below(8),
            1 if !self.input.is_empty() => self.input[at] = [0, 0x7f, 0x80, 0xff, b'0', b'/'][self.below(6)],
            2 if !self.input.is_empty() => self.input[at] = self.random() as u8,
            3 => {
                let part = self.part();
                self.input.drain(part);
            }
            4 => {
                let part = self.part();
                let copy = self.input[part.clone()].to_vec();
                let times = 1 + self.below(4);
                self.input.splice(part.start..part.start, copy.repeat(times));
            }
            5 => {
                let sound = self.sound;
                let other = &sound[self.below(sound.len())];
                let start = self.below(other.len() + 1);
                let length = self.below(other.len() - start + 1);
                let part = self.part();
                self.input.splice(part, other[start..start + length].iter().copied());
            }
            6 => {
                let piece = PIECES[self.below(PIECES.len())];
                let part = if self.below(2) == 0 { at..at } else { self.part() };
                self.input.splice(part, piece.iter().copied());
            }
            7 | 8 => self.number(),
            9 => {
                let end = self.below(self.input.len() + 1);
                self.input.truncate(end);
            }
            // Little-endian numbers of formats that are not text.
            10 if self.input.len() >= 8 => {
                let at = self.below(self.input.len() - 7);
                let value =
                    [0, 1, u64::from(u32::MAX), u64::MAX, 1 << 31, 1 << 63, self.input.len() as u64][self.below(7)];
                let width = [1, 2, 4, 8][self.below(4)];
                self.input[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
            }
            _ => {
                let (one, two) = (self.part(), self.part());
                let copy = self.input[one].to_vec();
                self.input.splice(two, copy);
            }
        }
    }

    /// Replaces a number in digits by an extreme one.
    fn number(&mut self) {
        let from = self.below(self.input.len());
        let Some(start) = self.input[from..].iter().position(u8::is_ascii_digit).map(|at| from + at) else { return };
        let length = self.input[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = NUMBERS[self.below(NUMBERS.len())];
        self.input.splice(start..start + length, number.bytes());
    }
}

/// Makes the checksums of what looks like the headers of a tar right, so that damage reaches further in.
fn mend_checksums(input: &mut [u8]) {
    for block in input.chunks_exact_mut(512) {
        if block[257..262] == *b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}
