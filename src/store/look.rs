//! A reader that can be looked into before it is read: where a piece of a stream ends is seen by what lies ahead.

use std::io::{self, BufRead, Read};

/// A reader in front of which stands what was looked at.
pub struct Look<R> {
    head: Vec<u8>,
    at: usize,
    reader: R,
    taken: u64,
}

impl<R: BufRead> Look<R> {
    /// Looks into this one.
    pub fn new(reader: R) -> Self {
        Self { head: Vec::new(), at: 0, reader, taken: 0 }
    }

    /// Reads on until so many bytes are there to be looked at; what is there, and whether that is all.
    ///
    /// # Errors
    /// What the reader says.
    pub fn look(&mut self, wanted: usize) -> io::Result<(&[u8], bool)> {
        let mut ended = false;
        self.head.drain(..self.at);
        self.at = 0;
        while self.head.len() < wanted && !ended {
            let more = self.reader.fill_buf()?;
            let length = more.len();
            self.head.extend_from_slice(more);
            self.reader.consume(length);
            ended = length == 0;
        }
        Ok((&self.head, ended))
    }

    /// Takes so many bytes, which have been looked at, out of what is to be read.
    pub fn cut(&mut self, length: usize) -> Vec<u8> {
        self.head.drain(..self.at);
        self.at = 0;
        let rest = self.head.split_off(length);
        std::mem::replace(&mut self.head, rest)
    }

    /// Puts bytes in front of all others.
    pub fn put_back(&mut self, bytes: &[u8]) {
        self.head.splice(..self.at, bytes.iter().copied());
        self.at = 0;
    }

    /// How many bytes have been read, those that were cut out not counted.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Whether nothing that was looked at is still to be read.
    pub fn is_bare(&self) -> bool {
        self.at == self.head.len()
    }
}

impl<R: BufRead> BufRead for Look<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at < self.head.len() { Ok(&self.head[self.at..]) } else { self.reader.fill_buf() }
    }

    fn consume(&mut self, amount: usize) {
        self.taken += amount as u64;
        if self.is_bare() {
            return self.reader.consume(amount);
        }
        self.at += amount;
        if self.is_bare() {
            (self.head, self.at) = (Vec::new(), 0);
        }
    }
}

impl<R: BufRead> Read for Look<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let got = self.fill_buf()?.read(into)?;
        self.consume(got);
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_looked_at_is_read_all_the_same() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut look = Look::new(io::BufReader::with_capacity(10, &bytes[..]));
        assert_eq!(look.look(25).unwrap().0[..25], bytes[..25]);
        assert_eq!(look.cut(5), bytes[..5]);
        let mut ten = [0; 10];
        look.read_exact(&mut ten).unwrap();
        assert_eq!((&ten[..], look.taken()), (&bytes[5..15], 10));
        assert_eq!(look.look(3).unwrap().0[..3], bytes[15..18]);
        look.put_back(b"back");
        let mut rest = Vec::new();
        look.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, [b"back", &bytes[15..]].concat());
        assert!(look.is_bare());
        assert_eq!(look.look(1).unwrap(), (&[][..], true));
    }
}
