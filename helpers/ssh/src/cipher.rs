//! Packets: RFC 4253, section 6, in the clear until keys are there, then by `chacha20-poly1305@openssh.com`.

use std::fmt;

use ring::aead::chacha20_poly1305_openssh::{KEY_LEN, OpeningKey, SealingKey, TAG_LEN};
use ring::rand::{SecureRandom as _, SystemRandom};

use crate::Error;

/// The name of the cipher.
pub const NAME: &str = "chacha20-poly1305@openssh.com";

/// The most that a packet may hold: what OpenSSH allows.
const LIMIT: usize = 256 * 1024;

/// Packets are filled up to a multiple of this.
const BLOCK: usize = 8;

/// The bytes of a key.
pub type Key = [u8; KEY_LEN];

/// One direction's keys and count.
pub struct Opener {
    key: Option<OpeningKey>,
    sequence: u32,
}

/// The other direction's.
pub struct Sealer {
    key: Option<SealingKey>,
    sequence: u32,
}

impl fmt::Debug for Opener {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Opener").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sealer").field("sequence", &self.sequence).finish_non_exhaustive()
    }
}

impl Opener {
    /// Without a key.
    pub fn clear() -> Self {
        Self { key: None, sequence: 0 }
    }

    /// Goes on with a key. `restart`: counting from nothing, as strict key exchange has it.
    pub fn take(&mut self, key: &Key, restart: bool) {
        self.key = Some(OpeningKey::new(key));
        if restart {
            self.sequence = 0;
        }
    }

    /// Takes one packet off the front of what has come; `None` where it is not whole yet. Returns what it holds.
    pub fn open(&mut self, come: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        let Some(first) = come.first_chunk::<4>() else { return Ok(None) };
        let (clear, tag) = match &self.key {
            Some(key) => (key.decrypt_packet_length(self.sequence, *first), TAG_LEN),
            None => (*first, 0),
        };
        let length = usize::try_from(u32::from_be_bytes(clear)).unwrap_or(usize::MAX);
        if !(5..=LIMIT).contains(&length) {
            return Err(Error::Malformed("a packet has an impossible length"));
        }
        if come.len() < 4 + length + tag {
            return Ok(None);
        }
        let rest = come.split_off(4 + length + tag);
        let mut packet = std::mem::replace(come, rest);
        let plain = match &self.key {
            Some(key) => {
                let tag: [u8; TAG_LEN] = packet.split_off(4 + length).try_into().unwrap_or_default();
                key.open_in_place(self.sequence, &mut packet, &tag).map_err(|_| Error::Forged)?
            }
            None => &packet[4..],
        };
        self.sequence = next(self.sequence, self.key.is_some())?;
        let (padding, plain) = plain.split_first().ok_or(Error::Malformed("a packet is empty"))?;
        let end = plain.len().checked_sub(usize::from(*padding)).filter(|end| *end > 0);
        Ok(Some(plain[..end.ok_or(Error::Malformed("a packet is nothing but padding"))?].to_vec()))
    }

    /// The number of the packet that came last.
    pub fn last(&self) -> u32 {
        self.sequence.wrapping_sub(1)
    }
}

impl Sealer {
    /// Without a key.
    pub fn clear() -> Self {
        Self { key: None, sequence: 0 }
    }

    /// Goes on with a key.
    pub fn take(&mut self, key: &Key, restart: bool) {
        self.key = Some(SealingKey::new(key));
        if restart {
            self.sequence = 0;
        }
    }

    /// Puts a packet that holds `payload` behind what is to be sent.
    pub fn seal(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        // With a key, the length does not count for the padding.
        let counted = payload.len() + if self.key.is_some() { 1 } else { 5 };
        let short = BLOCK - counted % BLOCK;
        let padding = if short < 4 { short + BLOCK } else { short };
        let length =
            u32::try_from(1 + payload.len() + padding).map_err(|_| Error::Malformed("a packet is too long"))?;
        let start = out.len();
        out.extend(length.to_be_bytes());
        out.push(u8::try_from(padding).unwrap_or(u8::MAX));
        out.extend(payload);
        let mut filling = [0; 2 * BLOCK];
        SystemRandom::new().fill(&mut filling[..padding]).map_err(|_| Error::Random)?;
        out.extend(&filling[..padding]);
        if let Some(key) = &self.key {
            let mut tag = [0; TAG_LEN];
            key.seal_in_place(self.sequence, &mut out[start..], &mut tag);
            out.extend(tag);
        }
        self.sequence = next(self.sequence, self.key.is_some())?;
        Ok(())
    }
}

/// The next number. With one key none may come twice; clients ask for new keys long before.
fn next(sequence: u32, has_key: bool) -> Result<u32, Error> {
    sequence.checked_add(1).or((!has_key).then_some(0)).ok_or(Error::Malformed("too many packets with the same keys"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_sealed_is_opened_whole_in_pieces_or_not_at_all(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..300), 1..5), key in any::<bool>(), flip in any::<prop::sample::Index>(),
        ) {
            let (mut sealer, mut opener) = (Sealer::clear(), Opener::clear());
            if key {
                sealer.take(&[7; KEY_LEN], true);
                opener.take(&[7; KEY_LEN], true);
            }
            let mut sent = Vec::new();
            payloads.iter().for_each(|payload| sealer.seal(payload, &mut sent).unwrap());
            let (mut come, mut seen) = (Vec::new(), Vec::new());
            for byte in &sent {
                come.push(*byte);
                seen.extend(opener.open(&mut come).unwrap());
            }
            prop_assert_eq!(&seen, &payloads);
            if key {
                let at = flip.index(sent.len());
                sent[at] ^= 1;
                let mut opener = Opener::clear();
                opener.take(&[7; KEY_LEN], true);
                let all = (0..payloads.len()).map(|_| opener.open(&mut sent)).collect::<Result<Vec<_>, _>>();
                // Refused, or waiting for more because it is the length that was changed.
                prop_assert!(all.is_err() || all.is_ok_and(|all| all.iter().any(Option::is_none)));
            }
        }

        #[test]
        fn any_bytes_are_survived(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut opener = Opener::clear();
            while let Ok(Some(_)) = opener.open(&mut bytes) {}
        }
    }
}
