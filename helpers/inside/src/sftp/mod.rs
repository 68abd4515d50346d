//! The server's side of sftp, version 3, with the extensions of OpenSSH's that clients use: what `enter ssh-proxy` runs in a box for `sftp`, `scp`,
//! `sshfs` and editors, so that no image has to have one.
//!
//! It reads requests from one stream and answers on another, each in its turn, with the rights of whoever runs it; there is nothing that it
//! would have to protect from its client.

mod files;
mod list;
mod wire;

use std::io::{self, Read, Write};

use files::{Files, Refused};
use wire::{Malformed, Reader, Writer};

/// The longest message that is read: what OpenSSH's server takes.
const LIMIT: u32 = 256 * 1024;

const INIT: u8 = 1;
const VERSION: u8 = 2;
const STATUS: u8 = 101;

/// Serves until the requests end.
pub fn serve(mut requests: impl Read, mut answers: impl Write) -> io::Result<()> {
    let mut files = Files::default();
    let mut message = Vec::new();
    loop {
        let mut length = [0; 4];
        match requests.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            read => read?,
        }
        let length = u32::from_be_bytes(length);
        if !(1..=LIMIT).contains(&length) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message has an impossible length"));
        }
        message.resize(usize::try_from(length).unwrap_or(0), 0);
        requests.read_exact(&mut message)?;
        let answer = answer(&mut files, &message)
            .map_err(|Malformed| io::Error::new(io::ErrorKind::InvalidData, "a message is cut off"))?;
        answers.write_all(&u32::try_from(answer.len()).unwrap_or(u32::MAX).to_be_bytes())?;
        answers.write_all(&answer)?;
        answers.flush()?;
    }
}

fn answer(files: &mut Files, message: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut reader = Reader(message);
    let kind = reader.byte()?;
    if kind == INIT {
        let version = Writer::default().byte(VERSION).number(3);
        return Ok(files::EXTENSIONS.iter().fold(version, |text, (name, value)| text.string(name).string(value)).0);
    }
    let id = reader.number()?;
    Ok(match files.request(kind, reader) {
        Ok(answer) => {
            let (kind, rest) = answer.0.split_first().map_or((STATUS, &[][..]), |(kind, rest)| (*kind, rest));
            let mut whole = Writer::default().byte(kind).number(id);
            whole.0.extend(rest);
            whole.0
        }
        Err(Refused { code, why }) => Writer::default().byte(STATUS).number(id).number(code).string(why).string("").0,
    })
}
