//! The keys that leave a container: docker's `ctrl-p,ctrl-q`, and finding them among what is typed.

/// A sequence of keys; an empty one never leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

/// What docker uses.
const DEFAULT: [u8; 2] = [0x10, 0x11];

impl Default for DetachKeys {
    fn default() -> Self {
        Self(DEFAULT.to_vec())
    }
}

/// Text that names no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no key: write single characters and `ctrl-` with one of a-z @ [ \\ ] ^ _, with commas between, as in ctrl-p,ctrl-q"
)]
pub struct NoKey(String);

impl DetachKeys {
    /// Those of nobody: everything that is typed is the payload's.
    pub fn none() -> Self {
        Self(Vec::new())
    }
}

impl std::str::FromStr for DetachKeys {
    type Err = NoKey;

    /// Reads docker's form; an empty text is the default.
    fn from_str(text: &str) -> Result<Self, NoKey> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        text.split(',').map(key).collect::<Result<_, _>>().map(Self)
    }
}

fn key(word: &str) -> Result<u8, NoKey> {
    let wrong = || NoKey(word.to_owned());
    match (word.as_bytes(), word.strip_prefix("ctrl-").map(str::as_bytes)) {
        ([key @ 1..=0x7f], _) => Ok(*key),
        (_, Some([key @ b'a'..=b'z'])) => Ok(key - b'a' + 1),
        (_, Some([b'@'])) => Ok(0),
        (_, Some([key @ (b'[' | b'\\' | b']' | b'^' | b'_')])) => Ok(key - b'@'),
        _ => Err(wrong()),
    }
}

/// Watches what is typed for the keys.
#[derive(Debug)]
pub struct Watcher {
    keys: DetachKeys,
    /// How many of them have been typed in a row; held back until it is clear whether the rest follows.
    seen: usize,
}

impl Watcher {
    /// Looks for `keys`.
    pub fn new(keys: DetachKeys) -> Self {
        Self { keys, seen: 0 }
    }

    /// Takes what was typed: what the payload is to get of it, and whether the keys were among it. What follows them is nobody's.
    pub fn take(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let keys = &self.keys.0;
        if keys.is_empty() {
            return (typed.to_vec(), false);
        }
        let mut passed = Vec::with_capacity(typed.len());
        for &byte in typed {
            while self.seen > 0 && byte != keys[self.seen] {
                // The longest end of what was held back that may yet be the beginning of the keys.
                let held = &keys[..self.seen];
                let shorter = (0..self.seen).rev().find(|length| held.ends_with(&keys[..*length])).unwrap_or(0);
                passed.extend_from_slice(&held[..self.seen - shorter]);
                self.seen = shorter;
            }
            if byte == keys[self.seen] {
                self.seen += 1;
            } else {
                passed.push(byte);
            }
            if self.seen == keys.len() {
                self.seen = 0;
                return (passed, true);
            }
        }
        (passed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn docker_s_form_is_read() {
        for (text, keys) in [
            ("", &[16, 17][..]),
            ("ctrl-p,ctrl-q", &[16, 17]),
            ("ctrl-@", &[0]),
            ("a,B,ctrl-z", &[97, 66, 26]),
            ("ctrl-[,ctrl-\\,ctrl-],ctrl-^,ctrl-_", &[27, 28, 29, 30, 31]),
            ("-", &[45]),
        ] {
            assert_eq!(text.parse::<DetachKeys>().unwrap(), DetachKeys(keys.to_vec()), "{text}");
        }
        for text in ["bogus", "ctrl-", "ctrl-P", "ctrl-pp", "a,,b", ",", "é", "ctrl-1", "Ctrl-p"] {
            assert!(text.parse::<DetachKeys>().is_err(), "{text}");
        }
    }

    #[test]
    fn keys_are_found_across_reads_and_everything_else_is_passed() {
        let mut watcher = Watcher::new(DetachKeys::default());
        assert_eq!(watcher.take(b"ls\x10"), (b"ls".to_vec(), false));
        assert_eq!(watcher.take(b"x\x10\x10"), (b"\x10x\x10".to_vec(), false));
        assert_eq!(watcher.take(b"\x11rest"), (Vec::new(), true));
        let mut none = Watcher::new(DetachKeys::none());
        assert_eq!(none.take(b"\x10\x11"), (b"\x10\x11".to_vec(), false));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_before_the_keys(typed in proptest::collection::vec(0_u8..3, 0..40), keys in proptest::collection::vec(0_u8..3, 1..5)) {
            let mut watcher = Watcher::new(DetachKeys(keys.clone()));
            let mut passed = Vec::new();
            let mut left = false;
            for byte in &typed {
                let (more, found) = watcher.take(std::slice::from_ref(byte));
                passed.extend(more);
                if found { left = true; break; }
            }
            let first = typed.windows(keys.len()).position(|window| window == keys);
            prop_assert_eq!(left, first.is_some());
            match first {
                Some(at) => prop_assert_eq!(&passed[..], &typed[..at]),
                None => prop_assert_eq!(&passed[..], &typed[..passed.len()]),
            }
        }
    }
}
