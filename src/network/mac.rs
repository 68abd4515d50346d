//! Hardware addresses of interfaces.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Error;

/// The hardware address of an interface: of one station, never of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac([u8; 6]);

impl Mac {
    /// A random one, marked as given out by nobody.
    ///
    /// # Errors
    /// Where there are no random bytes to be had.
    pub fn random() -> Result<Self, Error> {
        let mut bytes = [0; 6];
        let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        read.map_err(Error::file("read random bytes from", "/dev/urandom"))?;
        // Locally administered, and of one station (IEEE 802, 8.2).
        bytes[0] = bytes[0] & 0xfe | 0x02;
        Ok(Self(bytes))
    }

    /// As the kernel takes it.
    pub fn bytes(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = &'static str;

    /// Reads six pairs of hex digits with colons or dashes between them.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "a hardware address has six pairs of hex digits, such as 02:00:5e:10:00:07";
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut pairs = text.split(separator);
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|c| c.is_ascii_hexdigit()));
            *byte = pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()).ok_or(FORM)?;
        }
        match (pairs.next(), bytes) {
            (Some(_), _) => Err(FORM),
            (None, [0, 0, 0, 0, 0, 0]) => Err("a hardware address is not all zeros"),
            (None, [first, ..]) if first & 1 == 1 => {
                Err("that is the address of a group: the first pair of one interface's is even")
            }
            (None, bytes) => Ok(Self(bytes)),
        }
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_one_interface_is_read_and_shown() {
        assert_eq!("92:D0:c6:00:0a:01".parse::<Mac>().unwrap().to_string(), "92:d0:c6:00:0a:01");
        assert_eq!("02-00-5E-10-00-07".parse::<Mac>().unwrap().to_string(), "02:00:5e:10:00:07");
        for bad in [
            "",
            "02:00:5e:10:00",
            "02:00:5e:10:00:07:08",
            "2:0:5e:10:0:7",
            "zz:00:5e:10:00:07",
            "01:00:5e:10:00:07",
            "00:00:00:00:00:00",
            "+2:00:5e:10:00:07",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_random_one_is_local_and_of_one_station() {
        let mac = Mac::random().unwrap();
        assert_eq!(mac.bytes()[0] & 3, 2);
        assert_eq!(mac.to_string().parse(), Ok(mac));
    }
}
