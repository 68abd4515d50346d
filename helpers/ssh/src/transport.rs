//! From bytes to messages and back: greetings, packets, key exchange as often as the client asks for it, and letting the client in.

use std::collections::VecDeque;

use crate::cipher::{Opener, Sealer};
use crate::exchange::{self, Agreed, Keys, Said};
use crate::key::HostKey;
use crate::wire::{Reader, Writer};
use crate::{Error, message};

/// What this side greets with.
const GREETING: &str = concat!("SSH-2.0-enter_", env!("CARGO_PKG_VERSION"));

/// The longest greeting: RFC 4253, section 4.2.
const LONGEST_GREETING: usize = 255;

/// How far an exchange of keys has come.
#[derive(Debug)]
enum Exchange {
    /// There is none.
    None,
    /// This side's offer has gone; the client's has come, if it is there.
    Offered { ours: Vec<u8>, theirs: Option<(Vec<u8>, Agreed)> },
    /// The answer has gone, and what comes is still by the old keys.
    Answered { opening: crate::cipher::Key, strict: bool },
}

/// The lower half of a connection.
#[derive(Debug)]
pub struct Transport {
    key: HostKey,
    come: Vec<u8>,
    out: Vec<u8>,
    greeting: Option<Vec<u8>>,
    opener: Opener,
    sealer: Sealer,
    exchange: Exchange,
    /// The first exchange's, for all of the session.
    session: Option<Vec<u8>>,
    strict: bool,
    user: Option<String>,
    /// Messages that wait for the end of an exchange.
    waiting: VecDeque<Vec<u8>>,
}

impl Transport {
    /// One that greets, and offers what it can.
    pub fn new(key: HostKey) -> Result<Self, Error> {
        let mut transport = Self {
            key,
            come: Vec::new(),
            out: format!("{GREETING}\r\n").into_bytes(),
            greeting: None,
            opener: Opener::clear(),
            sealer: Sealer::clear(),
            exchange: Exchange::None,
            session: None,
            strict: false,
            user: None,
            waiting: VecDeque::new(),
        };
        transport.offer()?;
        Ok(transport)
    }

    /// What is to be sent; whoever has sent a part of it takes that part away.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Who the client says that he is, once he is let in.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// Takes what has come.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.come.extend(bytes);
    }

    /// The next message for the upper half; `None` where all is done that has come.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Error> {
        if self.greeting.is_none() && !self.greet()? {
            return Ok(None);
        }
        while let Some(payload) = self.opener.open(&mut self.come)? {
            if let Some(payload) = self.take(payload)? {
                return Ok(Some(payload));
            }
        }
        Ok(None)
    }

    /// Sends a message, behind those that wait.
    pub fn send(&mut self, payload: Vec<u8>) -> Result<(), Error> {
        if matches!(self.exchange, Exchange::None) {
            return self.sealer.seal(&payload, &mut self.out);
        }
        self.waiting.push_back(payload);
        Ok(())
    }

    /// Reads the client's greeting; false where it is not whole yet.
    fn greet(&mut self) -> Result<bool, Error> {
        let Some(end) = self.come.iter().position(|byte| *byte == b'\n') else {
            let fits = self.come.len() < LONGEST_GREETING;
            return fits.then_some(false).ok_or(Error::Malformed("it does not greet"));
        };
        let mut line: Vec<u8> = self.come.drain(..=end).collect();
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if !line.starts_with(b"SSH-2.0-") {
            return Err(Error::Malformed("it does not greet as a client of version 2.0 does"));
        }
        self.greeting = Some(line);
        Ok(true)
    }

    /// Does what is the lower half's own; gives back what is not.
    fn take(&mut self, payload: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        let number = payload[0];
        let first = self.session.is_none();
        match number {
            message::KEXINIT | message::KEX_INIT | message::NEWKEYS => self.exchange(&payload).map(|()| None),
            message::DISCONNECT => {
                let mut reader = Reader::new(&payload[1..]);
                reader.number()?;
                Err(Error::Gone(reader.text().unwrap_or_default().to_owned()))
            }
            // Nothing but the exchange may come before the first keys, or what somebody put in between would go unseen.
            _ if first && self.strict => Err(Error::Malformed("something else came before the first keys")),
            message::IGNORE | message::DEBUG | message::UNIMPLEMENTED | message::EXT_INFO => Ok(None),
            _ if first => Err(Error::Malformed("something came before the first keys that needs them")),
            message::SERVICE_REQUEST => {
                let name = Reader::new(&payload[1..]).bytes()?;
                self.send(Writer::message(message::SERVICE_ACCEPT).string(name).finish())?;
                Ok(None)
            }
            message::USERAUTH_REQUEST => {
                let user = Reader::new(&payload[1..]).text()?;
                self.user.get_or_insert_with(|| user.to_owned());
                self.send(vec![message::USERAUTH_SUCCESS])?;
                Ok(None)
            }
            message::GLOBAL_REQUEST.. if self.user.is_none() => Err(Error::Malformed("it says not who it is")),
            message::GLOBAL_REQUEST..=message::CHANNEL_FAILURE => Ok(Some(payload)),
            _ => {
                let answer = Writer::message(message::UNIMPLEMENTED).number(self.opener.last()).finish();
                self.send(answer)?;
                Ok(None)
            }
        }
    }

    fn offer(&mut self) -> Result<(), Error> {
        let ours = exchange::offer()?;
        self.sealer.seal(&ours, &mut self.out)?;
        self.exchange = Exchange::Offered { ours, theirs: None };
        Ok(())
    }

    fn exchange(&mut self, payload: &[u8]) -> Result<(), Error> {
        let unexpected = Error::Malformed("a message of the key exchange came out of turn");
        if matches!((&self.exchange, payload[0]), (Exchange::None, message::KEXINIT)) {
            self.offer()?;
        }
        match (std::mem::replace(&mut self.exchange, Exchange::None), payload[0]) {
            (Exchange::Offered { ours, theirs: None }, message::KEXINIT) => {
                let agreed = exchange::agree(payload)?;
                if self.session.is_none() {
                    self.strict = agreed.strict;
                }
                self.exchange = Exchange::Offered { ours, theirs: Some((payload.to_vec(), agreed)) };
                Ok(())
            }
            (Exchange::Offered { ours, theirs: Some((theirs, agreed)) }, message::KEX_INIT) => {
                if agreed.guessed_wrong {
                    let agreed = Agreed { guessed_wrong: false, ..agreed };
                    self.exchange = Exchange::Offered { ours, theirs: Some((theirs, agreed)) };
                    return Ok(());
                }
                self.answer(&ours, &theirs, Reader::new(&payload[1..]).bytes()?)
            }
            (Exchange::Answered { opening, strict }, message::NEWKEYS) => {
                self.opener.take(&opening, strict);
                while let Some(payload) = self.waiting.pop_front() {
                    self.sealer.seal(&payload, &mut self.out)?;
                }
                Ok(())
            }
            _ => Err(unexpected),
        }
    }

    fn answer(&mut self, ours: &[u8], theirs: &[u8], half: &[u8]) -> Result<(), Error> {
        let said = Said {
            greetings: [self.greeting.as_deref().unwrap_or_default(), GREETING.as_bytes()],
            offers: [theirs, ours],
            session: self.session.as_deref(),
        };
        let (reply, Keys { opening, sealing, hash }) = exchange::answer(&said, half, &self.key)?;
        self.sealer.seal(&reply, &mut self.out)?;
        self.sealer.seal(&[message::NEWKEYS], &mut self.out)?;
        self.sealer.take(&sealing, self.strict);
        self.session.get_or_insert(hash);
        self.exchange = Exchange::Answered { opening, strict: self.strict };
        Ok(())
    }
}
