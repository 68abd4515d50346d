//! System call filters as data.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A program for seccomp(2): `sock_filter` instructions of eight bytes in this machine's byte order.
///
/// In JSON: one string of 16 hex digits for each instruction, so that a plan stays readable around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(pub Vec<u64>);

const DIGITS: usize = 16;

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(self.0.len() * DIGITS);
        for instruction in &self.0 {
            let _ = write!(text, "{instruction:016x}");
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let instruction = |digits: &[u8]| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == DIGITS)?;
            u64::from_str_radix(digits, 16).ok()
        };
        let instructions = text.as_bytes().chunks(DIGITS).map(instruction).collect::<Option<_>>();
        instructions.map(Self).ok_or_else(|| D::Error::custom("a filter that is not hex digits, 16 an instruction"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_survives_json() {
        let filter = Filter(vec![0, u64::MAX, 0x15_0001_0002]);
        let json = serde_json::to_string(&filter).unwrap();
        assert_eq!(serde_json::from_str::<Filter>(&json).unwrap(), filter);
        for wrong in ["\"12\"", "\"g000000000000000\"", "\"é00000000000000\""] {
            assert!(serde_json::from_str::<Filter>(wrong).is_err(), "{wrong}");
        }
    }
}
