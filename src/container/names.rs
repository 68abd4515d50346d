//! Names of containers: which can be one, and random ones of two words.

use std::fs::File;
use std::io::Read;

use super::Error;

/// The longest name.
const LONGEST: usize = 255;

const LEFT: [&str; 64] = [
    "able", "amber", "ample", "bold", "brave", "bright", "brisk", "calm", "candid", "clear", "clever", "cosy", "crisp",
    "curious", "daring", "deft", "eager", "early", "fair", "fond", "frank", "free", "fresh", "gentle", "glad",
    "golden", "grand", "happy", "hardy", "humble", "jolly", "keen", "kind", "lively", "lucid", "lucky", "mellow",
    "merry", "mild", "modest", "neat", "nimble", "noble", "patient", "placid", "plucky", "polite", "proud", "quick",
    "quiet", "ready", "robust", "serene", "sharp", "silent", "smooth", "snug", "steady", "sunny", "swift", "tidy",
    "vivid", "warm", "wise",
];

const RIGHT: [&str; 64] = [
    "alder", "aspen", "badger", "beech", "birch", "bramble", "brook", "cedar", "clover", "crane", "curlew", "dale",
    "delta", "dove", "elm", "falcon", "fern", "finch", "fjord", "forest", "fox", "glade", "grove", "harbour", "hare",
    "hazel", "heath", "heron", "hill", "ibis", "isle", "ivy", "juniper", "kestrel", "lake", "larch", "lark", "linden",
    "lynx", "maple", "marten", "meadow", "mole", "moor", "oak", "orchard", "otter", "owl", "pine", "plover", "pond",
    "raven", "reed", "ridge", "river", "robin", "rowan", "sparrow", "spruce", "swan", "thrush", "valley", "willow",
    "wren",
];

/// Whether text can name a container: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, as docker has it.
pub fn is_valid(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
        && name.len() <= LONGEST
}

/// A random name, such as `calm_otter`; from the fourth `attempt` on with digits, as most are taken then: `calm_otter57`.
pub fn random(attempt: usize) -> Result<String, Error> {
    const PLAIN: usize = 3;
    let mut random = [0_u8; 3];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random));
    read.map_err(Error::file("read random bytes from", "/dev/urandom"))?;
    let [left, right, tail] = random;
    let word = |words: &[&'static str; 64], number: u8| words[usize::from(number % 64)];
    let digits = if attempt < PLAIN { String::new() } else { tail.to_string() };
    Ok(format!("{}_{}{digits}", word(&LEFT, left), word(&RIGHT, right)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dockers() {
        for good in ["a", "web-1", "A.b_c", "0", &"x".repeat(255)] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "-a", ".a", "_a", "a/b", "a b", "ä", "a\n", &"x".repeat(256)] {
            assert!(!is_valid(bad), "{bad}");
        }
        assert!(is_valid(&random(9).unwrap()));
    }
}
