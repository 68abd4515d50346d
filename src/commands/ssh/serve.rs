//! One connection, from its first byte to its last: what the client wants is done in the box, and what programs write is sent, all by one thread
//! that waits for whatever comes first.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{read, write};
use ssh::{Channel, Event, HostKey, Kind, Server};

use super::program::{Asked, Place, Program, What, nonblocking};
use crate::failure::Failure;

/// With this much that the client has not taken, programs wait.
const FULL: usize = 1 << 20;

/// What a channel has behind it.
#[derive(Debug)]
enum State {
    Asked(Asked),
    Runs(Box<Program>),
}

struct Session<'a> {
    server: Server,
    name: &'a str,
    caller: &'a str,
    channels: BTreeMap<Channel, State>,
}

/// Serves the client on the standard streams, until it goes. `caller`: the name under which it is let in as the user himself.
pub fn serve(key: HostKey, name: &str, caller: &str) -> Result<(), Failure> {
    let failed = |errno: Errno| Failure::new("cannot speak to ssh").because(errno);
    let streams = [0, 1].map(|number| sys::descriptor::borrow(number).map_err(failed));
    let [input, output] = streams;
    let (input, output) = (input?, output?);
    for stream in [input, output] {
        nonblocking(stream).map_err(|error| Failure::new("cannot speak to ssh").because(error))?;
    }
    let broken = |error: ssh::Error| Failure::new(format!("cannot go on with ssh for {name}")).because(error);
    let server = Server::new(key).map_err(broken)?;
    let mut session = Session { server, name, caller, channels: BTreeMap::new() };
    loop {
        let came = session.wait(input, output).map_err(failed)?;
        send(&mut session.server, output);
        if came {
            let mut buffer = vec![0; 1 << 16];
            match read(input, &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => match session.server.receive(&buffer[..count]) {
                    Err(ssh::Error::Gone(_)) => return Ok(()),
                    done => done.map_err(broken)?,
                },
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // ssh has been killed.
                Err(Errno::ECONNRESET) => return Ok(()),
                Err(errno) => return Err(failed(errno)),
            }
        }
        while let Some(event) = session.server.event() {
            session.act(event).map_err(broken)?;
        }
        session.pass().map_err(broken)?;
        send(&mut session.server, output);
    }
}

/// Sends what the client takes now.
fn send(server: &mut Server, output: BorrowedFd<'_>) {
    let out = server.out();
    while !out.is_empty() {
        match write(output, out) {
            Ok(count) => drop(out.drain(..count)),
            Err(Errno::EINTR) => {}
            // What cannot be sent any more is seen at the end of what comes.
            Err(_) => return,
        }
    }
}

impl Session<'_> {
    /// Waits until something can be done; says whether the client has said something.
    fn wait(&mut self, input: BorrowedFd<'_>, output: BorrowedFd<'_>) -> Result<bool, Errno> {
        let waiting = self.server.out().len();
        let mut all = vec![PollFd::new(input, PollFlags::POLLIN)];
        if waiting > 0 {
            all.push(PollFd::new(output, PollFlags::POLLOUT));
        }
        for (channel, state) in &self.channels {
            let State::Runs(program) = state else { continue };
            let has_room = waiting < FULL && (program.opening.is_some() || self.server.room(*channel) > 0);
            let outputs = program.outputs.iter().filter(|_| has_room).map(|(source, _)| source.as_fd());
            all.extend(outputs.chain(program.end()).map(|source| PollFd::new(source, PollFlags::POLLIN)));
            all.extend(program.wants().map(|sink| PollFd::new(sink, PollFlags::POLLOUT)));
        }
        match poll(&mut all, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => Ok(all[0].any().unwrap_or(false)),
            Err(errno) => Err(errno),
        }
    }

    fn act(&mut self, event: Event) -> Result<(), ssh::Error> {
        match event {
            Event::Open(channel, Kind::Session) => {
                self.channels.insert(channel, State::Asked(Asked::default()));
                self.server.accept(channel)
            }
            Event::Open(channel, Kind::Tcp(host, port)) => self.connect(channel, vec![host, port.to_string()]),
            Event::Open(channel, Kind::Socket(path)) => self.connect(channel, vec![path]),
            Event::Terminal(channel, term, size, _) => self.ask(channel, |asked| asked.terminal = Some((term, size))),
            // With a name that cannot be one, no program would start.
            Event::Variable(channel, name, value) => {
                let is_name = !name.is_empty() && !name.contains(&b'=') && !name.contains(&0) && !value.contains(&0);
                if is_name {
                    self.ask(channel, |asked| asked.variables.push((name, value)))
                } else {
                    self.server.answer(channel, false)
                }
            }
            Event::Shell(channel) => self.begin(channel, &What::Shell),
            Event::Command(channel, line) if line.contains(&0) => self.server.answer(channel, false),
            Event::Command(channel, line) => self.begin(channel, &What::Line(line)),
            Event::Subsystem(channel, name) if name == "sftp" => self.begin(channel, &What::Files),
            Event::Subsystem(channel, _) | Event::Unknown(channel) => self.server.answer(channel, false),
            Event::Resize(channel, size) => {
                if let Some(program) = self.program(channel) {
                    program.resize(size)
                }
                self.server.answer(channel, true)
            }
            Event::Signal(channel, name) => {
                if let (Some(program), Ok(signal)) = (self.program(channel), format!("SIG{name}").parse::<Signal>()) {
                    program.send(signal);
                }
                self.server.answer(channel, true)
            }
            Event::Data(channel, bytes) => match self.program(channel) {
                Some(program) => {
                    program.take(&bytes);
                    let done = program.feed();
                    self.server.taken(channel, done)
                }
                None => self.server.taken(channel, bytes.len()),
            },
            Event::End(channel) => {
                if let Some(program) = self.program(channel) {
                    program.take_end();
                    program.feed();
                }
                Ok(())
            }
            Event::Closed(channel) => {
                self.channels.remove(&channel);
                Ok(())
            }
        }
    }

    fn program(&mut self, channel: Channel) -> Option<&mut Program> {
        match self.channels.get_mut(&channel)? {
            State::Runs(program) => Some(program),
            State::Asked(_) => None,
        }
    }

    fn ask(&mut self, channel: Channel, set: impl FnOnce(&mut Asked)) -> Result<(), ssh::Error> {
        let asked = match self.channels.get_mut(&channel) {
            Some(State::Asked(asked)) => Some(asked),
            _ => None,
        };
        let done = asked.map(set).is_some();
        self.server.answer(channel, done)
    }

    fn begin(&mut self, channel: Channel, what: &What) -> Result<(), ssh::Error> {
        let started = match self.channels.get(&channel) {
            Some(State::Asked(asked)) => self.start(what, asked).ok(),
            _ => None,
        };
        let done = started.is_some();
        if let Some(program) = started {
            self.channels.insert(channel, State::Runs(Box::new(program)));
        }
        self.server.answer(channel, done)
    }

    fn connect(&mut self, channel: Channel, to: Vec<String>) -> Result<(), ssh::Error> {
        match self.start(&What::Connect(to), &Asked::default()) {
            Ok(program) => {
                self.channels.insert(channel, State::Runs(Box::new(program)));
                Ok(())
            }
            Err(error) => self.server.refuse(channel, &error.to_string()),
        }
    }

    fn start(&self, what: &What, asked: &Asked) -> std::io::Result<Program> {
        let user = self.server.user().filter(|user| *user != self.caller);
        Program::start(&Place { name: self.name, user }, what, asked)
    }

    /// Passes on what programs take and write, and how they end.
    fn pass(&mut self) -> Result<(), ssh::Error> {
        let channels: Vec<Channel> = self.channels.keys().copied().collect();
        for channel in channels {
            let Some(State::Runs(program)) = self.channels.get_mut(&channel) else { continue };
            let taken = program.feed();
            self.server.taken(channel, taken)?;
            program.look();
            let dry = drain(&mut self.server, channel, program)?;
            if dry && program.opening.is_none() && (program.shut || program.outputs.is_empty()) {
                self.server.end(channel)?;
            }
            let Some(ended) = program.ended.filter(|_| dry) else { continue };
            match program.opening.take() {
                Some(why) => self.server.refuse(channel, String::from_utf8_lossy(&why).trim())?,
                None => self.server.exit(channel, ended)?,
            }
            self.channels.remove(&channel);
        }
        Ok(())
    }
}

/// Sends what there is to be read and room for; says whether nothing is left to be read.
fn drain(server: &mut Server, channel: Channel, program: &mut Program) -> Result<bool, ssh::Error> {
    let mut output = 0;
    while output < program.outputs.len() {
        if server.out().len() >= FULL {
            return Ok(false);
        }
        let opens = program.opening.is_some();
        let room = if opens { 1 } else { server.room(channel) };
        if room == 0 {
            return Ok(false);
        }
        let count = program.outputs.len();
        match (program.read(output, room), &mut program.opening) {
            (Some((bytes, false)), Some(_)) if bytes == b"+" => {
                program.opening = None;
                server.accept(channel)?;
            }
            (Some((bytes, _)), Some(why)) => why.extend(bytes),
            // All that the server at the other end has said is in the other pipe.
            (Some((_, true)), None) if program.connects => {
                program.shut = true;
                output = 0;
            }
            (Some((bytes, error)), None) => server.data(channel, &bytes, error)?,
            // Nothing now, or never again.
            (None, _) if program.outputs.len() == count => output += 1,
            (None, _) => {}
        }
    }
    Ok(true)
}
