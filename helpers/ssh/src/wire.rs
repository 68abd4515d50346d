//! How values are written: RFC 4251, section 5. The reader is given what a peer sent, and trusts none of it.

use crate::Error;

/// Takes values off the front of a message.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A reader of one message.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Error::Malformed("a message is cut off"))?;
        self.0 = rest;
        Ok(taken)
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Error> {
        Ok(self.take(1)?[0])
    }

    /// A truth value: all but 0 is true.
    pub fn truth(&mut self) -> Result<bool, Error> {
        Ok(self.byte()? != 0)
    }

    /// A number of four bytes.
    pub fn number(&mut self) -> Result<u32, Error> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    /// A string of any bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = self.number()?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    /// A string that is to be text.
    pub fn text(&mut self) -> Result<&'a str, Error> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Error::Malformed("a name is not UTF-8"))
    }

    /// A list of names, the preferred one first.
    pub fn names(&mut self) -> Result<Vec<&'a str>, Error> {
        Ok(self.text()?.split(',').filter(|name| !name.is_empty()).collect())
    }

    /// Goes past bytes that mean nothing.
    pub fn skip(&mut self, length: usize) -> Result<(), Error> {
        self.take(length).map(drop)
    }
}

/// Puts values behind each other.
#[derive(Debug, Default, Clone)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// A message that begins with its number.
    pub fn message(number: u8) -> Self {
        Self(vec![number])
    }

    /// One byte.
    pub fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    /// A number of four bytes.
    pub fn number(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    /// A string.
    pub fn string(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend(bytes);
        self
    }

    /// Bytes as they are.
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// A number of any size that is not negative, given with its most significant byte first.
    pub fn large(self, bytes: &[u8]) -> Self {
        let digits = &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..];
        // With its highest bit set it would be negative.
        let padded = digits.first().is_some_and(|byte| *byte >= 0x80);
        let digits = [&[0][..usize::from(padded)], digits].concat();
        self.string(digits)
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_as_they_were_written() {
        let bytes = Writer::message(7).number(5).string("a,b,,c").byte(2).string([0xff]).finish();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.byte().unwrap(), 7);
        assert_eq!(reader.number().unwrap(), 5);
        assert_eq!(reader.names().unwrap(), ["a", "b", "c"]);
        assert!(reader.truth().unwrap());
        assert!(reader.clone().text().is_err());
        assert_eq!(reader.bytes().unwrap(), [0xff]);
        assert!(reader.byte().is_err());
    }

    #[test]
    fn large_numbers_are_those_of_the_rfc() {
        let large = |bytes: &[u8]| Writer::default().large(bytes).finish();
        assert_eq!(large(&[0, 0]), [0, 0, 0, 0]);
        assert_eq!(large(&[0x80]), [0, 0, 0, 2, 0, 0x80]);
        assert_eq!(large(&[0, 0x7f, 1]), [0, 0, 0, 2, 0x7f, 1]);
    }
}
