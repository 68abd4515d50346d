//! Channels: RFC 4254. What is asked for comes out as events; what is answered becomes messages.

use std::collections::{BTreeMap, VecDeque};

use crate::key::HostKey;
use crate::transport::Transport;
use crate::wire::{Reader, Writer};
use crate::{Error, message};

/// How much may come for a channel before somebody has taken it.
const WINDOW: u32 = 1 << 21;

/// The most that a message of data holds, both ways.
const PACKET: u32 = 1 << 15;

/// So many channels may be open at once; OpenSSH's own server stops at ten sessions.
const MOST: usize = 1000;

/// The number of a channel, as this side counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(u32);

/// The size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// In characters.
    pub columns: u16,
    /// In characters.
    pub rows: u16,
}

/// What a channel is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// One program.
    Session,
    /// A connection to this host and port, as they are seen from the server.
    Tcp(String, u16),
    /// A connection to this socket of the server's.
    Socket(String),
}

/// What the client wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// To open a channel: to be answered by [`Server::accept`] or [`Server::refuse`].
    Open(Channel, Kind),
    /// A terminal of this kind and size for the program, with these modes of RFC 4254, section 8, as they came. All requests
    /// are to be answered by [`Server::answer`].
    Terminal(Channel, String, Size, Vec<u8>),
    /// A variable for the program.
    Variable(Channel, Vec<u8>, Vec<u8>),
    /// To begin a shell.
    Shell(Channel),
    /// To begin a command, which a shell reads.
    Command(Channel, Vec<u8>),
    /// To begin a subsystem, such as sftp.
    Subsystem(Channel, String),
    /// The terminal has another size.
    Resize(Channel, Size),
    /// A signal for the program, by its name without SIG.
    Signal(Channel, String),
    /// Something that nobody knows.
    Unknown(Channel),
    /// Bytes for the program: [`Server::taken`] says when it has them.
    Data(Channel, Vec<u8>),
    /// There will be no more.
    End(Channel),
    /// The client has no more use for the channel, which is gone.
    Closed(Channel),
}

#[derive(Debug)]
struct State {
    theirs: u32,
    /// How much may still be sent.
    room: u32,
    packet: u32,
    /// How much may still come.
    window: u32,
    /// How much has been taken that was not allowed anew yet.
    taken: u32,
    /// For each request that came with the wish for an answer, in their order, whether it has that wish.
    answers: VecDeque<bool>,
    open: bool,
    ended: bool,
    closed: bool,
}

/// A server, as long as one connection.
#[derive(Debug)]
pub struct Server {
    transport: Transport,
    channels: BTreeMap<Channel, State>,
    next: u32,
    events: VecDeque<Event>,
}

impl Server {
    /// A server that is known by this key.
    ///
    /// # Errors
    /// Without random numbers.
    pub fn new(key: HostKey) -> Result<Self, Error> {
        Ok(Self { transport: Transport::new(key)?, channels: BTreeMap::new(), next: 0, events: VecDeque::new() })
    }

    /// Takes bytes that came from the client.
    ///
    /// # Errors
    /// Where the connection cannot go on.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.transport.receive(bytes);
        while let Some(payload) = self.transport.next()? {
            self.take(&payload)?;
        }
        Ok(())
    }

    /// What the client wants next.
    pub fn event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Bytes for the client. What was sent is to be taken off the front.
    pub fn out(&mut self) -> &mut Vec<u8> {
        self.transport.out()
    }

    /// Who the client says that he is.
    pub fn user(&self) -> Option<&str> {
        self.transport.user()
    }

    /// Opens a channel.
    pub fn accept(&mut self, channel: Channel) -> Result<(), Error> {
        let Some(state) = self.channels.get_mut(&channel) else { return Ok(()) };
        state.open = true;
        let message = Writer::message(message::CHANNEL_OPEN_CONFIRMATION).number(state.theirs).number(channel.0);
        self.transport.send(message.number(WINDOW).number(PACKET).finish())
    }

    /// Does not open it, and says why.
    pub fn refuse(&mut self, channel: Channel, reason: &str) -> Result<(), Error> {
        let Some(state) = self.channels.remove(&channel) else { return Ok(()) };
        self.refuse_other(state.theirs, 2, reason)
    }

    fn refuse_other(&mut self, theirs: u32, code: u32, reason: &str) -> Result<(), Error> {
        let message = Writer::message(message::CHANNEL_OPEN_FAILURE).number(theirs).number(code);
        self.transport.send(message.string(reason).string("").finish())
    }

    /// Answers the oldest request of a channel that was not answered yet.
    pub fn answer(&mut self, channel: Channel, done: bool) -> Result<(), Error> {
        let Some(state) = self.channels.get_mut(&channel) else { return Ok(()) };
        if state.answers.pop_front() != Some(true) || state.closed {
            return Ok(());
        }
        let number = if done { message::CHANNEL_SUCCESS } else { message::CHANNEL_FAILURE };
        let theirs = state.theirs;
        self.transport.send(Writer::message(number).number(theirs).finish())
    }

    /// How much may be sent to a channel now.
    pub fn room(&self, channel: Channel) -> usize {
        let state = self.channels.get(&channel).filter(|state| state.open && !state.closed);
        state.map_or(0, |state| usize::try_from(state.room).unwrap_or(usize::MAX))
    }

    /// Sends what a program wrote, with `error` to its standard error. No more than there is room for: the rest is lost.
    pub fn data(&mut self, channel: Channel, bytes: &[u8], error: bool) -> Result<(), Error> {
        let Some(state) = self.channels.get_mut(&channel).filter(|state| state.open && !state.closed) else {
            return Ok(());
        };
        let fits = bytes.len().min(usize::try_from(state.room).unwrap_or(usize::MAX));
        state.room -= u32::try_from(fits).unwrap_or(state.room);
        let theirs = state.theirs;
        let most = usize::try_from(state.packet.min(PACKET)).unwrap_or(1).max(1);
        for piece in bytes[..fits].chunks(most) {
            let message = if error {
                // 1 is the only kind of data beside the usual that there is.
                Writer::message(message::CHANNEL_EXTENDED_DATA).number(theirs).number(1)
            } else {
                Writer::message(message::CHANNEL_DATA).number(theirs)
            };
            self.transport.send(message.string(piece).finish())?;
        }
        Ok(())
    }

    /// So many bytes of those that came for a channel have found their reader: as many may come again.
    pub fn taken(&mut self, channel: Channel, count: usize) -> Result<(), Error> {
        let Some(state) = self.channels.get_mut(&channel) else { return Ok(()) };
        state.taken = state.taken.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        if state.taken < WINDOW / 4 || state.closed {
            return Ok(());
        }
        let more = std::mem::take(&mut state.taken);
        state.window = state.window.saturating_add(more);
        let message = Writer::message(message::CHANNEL_WINDOW_ADJUST).number(state.theirs).number(more);
        self.transport.send(message.finish())
    }

    /// Nothing more will be sent to a channel.
    pub fn end(&mut self, channel: Channel) -> Result<(), Error> {
        match self.channels.get_mut(&channel) {
            Some(state) if state.open && !state.ended && !state.closed => {
                state.ended = true;
                let theirs = state.theirs;
                self.transport.send(Writer::message(message::CHANNEL_EOF).number(theirs).finish())
            }
            _ => Ok(()),
        }
    }

    /// Says how a program ended, and closes its channel: `Ok` with its code, `Err` with the name of a signal, without SIG.
    pub fn exit(&mut self, channel: Channel, how: Result<u8, &str>) -> Result<(), Error> {
        if let Some(state) = self.channels.get(&channel).filter(|state| !state.closed) {
            let message = Writer::message(message::CHANNEL_REQUEST).number(state.theirs);
            let message = match how {
                Ok(code) => message.string("exit-status").byte(0).number(code.into()),
                Err(signal) => message.string("exit-signal").byte(0).string(signal).byte(0).string("").string(""),
            };
            self.end(channel)?;
            self.transport.send(message.finish())?;
        }
        self.close(channel)
    }

    /// Closes a channel. It is gone when the client has closed it too.
    pub fn close(&mut self, channel: Channel) -> Result<(), Error> {
        match self.channels.get_mut(&channel) {
            Some(state) if state.open && !state.closed => {
                state.closed = true;
                let theirs = state.theirs;
                self.transport.send(Writer::message(message::CHANNEL_CLOSE).number(theirs).finish())
            }
            _ => Ok(()),
        }
    }

    fn take(&mut self, payload: &[u8]) -> Result<(), Error> {
        let mut reader = Reader::new(payload);
        match reader.byte()? {
            message::GLOBAL_REQUEST => {
                reader.bytes()?;
                // Whether somebody is there is asked this way, too; that there is an answer is enough.
                if reader.truth()? {
                    self.transport.send(vec![message::REQUEST_FAILURE])?;
                }
                Ok(())
            }
            message::CHANNEL_OPEN => self.open(reader),
            number => self.of_channel(number, reader),
        }
    }

    fn open(&mut self, mut reader: Reader<'_>) -> Result<(), Error> {
        let name = reader.text()?;
        let (theirs, room, packet) = (reader.number()?, reader.number()?, reader.number()?);
        let kind = match name {
            "session" => Kind::Session,
            "direct-tcpip" => {
                let (host, port) = (reader.text()?.to_owned(), reader.number()?);
                match u16::try_from(port) {
                    Ok(port) if port > 0 => Kind::Tcp(host, port),
                    _ => return self.refuse_other(theirs, 2, "there is no such port"),
                }
            }
            "direct-streamlocal@openssh.com" => Kind::Socket(reader.text()?.to_owned()),
            _ => return self.refuse_other(theirs, 3, "there are no such channels here"),
        };
        if self.channels.len() >= MOST {
            return self.refuse_other(theirs, 4, "too many channels are open");
        }
        let channel = Channel(self.next);
        self.next = self.next.wrapping_add(1);
        let state = State {
            theirs,
            room,
            packet,
            window: WINDOW,
            taken: 0,
            answers: VecDeque::new(),
            open: false,
            ended: false,
            closed: false,
        };
        self.channels.insert(channel, state);
        self.events.push_back(Event::Open(channel, kind));
        Ok(())
    }

    fn of_channel(&mut self, number: u8, mut reader: Reader<'_>) -> Result<(), Error> {
        let channel = Channel(reader.number()?);
        let unknown = Error::Malformed("a message is for a channel that is not open");
        let state = self.channels.get_mut(&channel).filter(|state| state.open).ok_or(unknown)?;
        match number {
            message::CHANNEL_WINDOW_ADJUST => state.room = state.room.saturating_add(reader.number()?),
            message::CHANNEL_DATA => {
                let bytes = reader.bytes()?;
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                let too_much = Error::Malformed("more came than was allowed");
                state.window = state.window.checked_sub(length).ok_or(too_much)?;
                if !state.closed {
                    self.events.push_back(Event::Data(channel, bytes.to_vec()));
                }
            }
            message::CHANNEL_EOF => self.events.push_back(Event::End(channel)),
            message::CHANNEL_CLOSE => {
                self.close(channel)?;
                self.channels.remove(&channel);
                self.events.push_back(Event::Closed(channel));
            }
            message::CHANNEL_REQUEST => {
                let (name, wants_answer) = (reader.text()?, reader.truth()?);
                state.answers.push_back(wants_answer);
                let event = request(channel, name, reader)?;
                self.events.push_back(event);
            }
            _ => {}
        }
        Ok(())
    }
}

fn request(channel: Channel, name: &str, mut reader: Reader<'_>) -> Result<Event, Error> {
    let size = |reader: &mut Reader<'_>| -> Result<Size, Error> {
        let side = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
        let size = Size { columns: side(reader.number()?), rows: side(reader.number()?) };
        // In pixels, which nobody asks for.
        reader.skip(8)?;
        Ok(size)
    };
    Ok(match name {
        "pty-req" => {
            let term = reader.text()?.to_owned();
            let size = size(&mut reader)?;
            Event::Terminal(channel, term, size, reader.bytes()?.to_vec())
        }
        "env" => Event::Variable(channel, reader.bytes()?.to_vec(), reader.bytes()?.to_vec()),
        "shell" => Event::Shell(channel),
        "exec" => Event::Command(channel, reader.bytes()?.to_vec()),
        "subsystem" => Event::Subsystem(channel, reader.text()?.to_owned()),
        "window-change" => Event::Resize(channel, size(&mut reader)?),
        "signal" => Event::Signal(channel, reader.text()?.to_owned()),
        _ => Event::Unknown(channel),
    })
}
