//! A bounded pipe of buffers between two threads of the pipeline that takes a layer in.
//!
//! Buffers go round and are not allocated anew. An end that is dropped without [`Writer::finish`] is a failure to the
//! reader, so that a stream which broke off is never taken for a short one.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// How many bytes a buffer holds.
pub const BUFFER: usize = 128 << 10;
/// How many full buffers may wait.
const DEPTH: usize = 8;

/// The end that bytes go in at.
pub struct Writer {
    full: SyncSender<Option<Vec<u8>>>,
    empty: Receiver<Vec<u8>>,
}

/// The end that they come out of.
pub struct Reader {
    full: Receiver<Option<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    current: Vec<u8>,
    taken: usize,
    ended: bool,
}

/// The other end is gone; its own error says why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the other end of the pipe is gone")]
pub struct Gone;

impl Gone {
    /// Whether a reader's error is this one.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Gone>())
    }
}

/// Makes a pipe.
pub fn pipe() -> (Writer, Reader) {
    let (full_in, full_out) = sync_channel(DEPTH);
    let (empty_in, empty_out) = channel();
    let reader = Reader { full: full_out, empty: empty_in, current: Vec::new(), taken: 0, ended: false };
    (Writer { full: full_in, empty: empty_out }, reader)
}

impl Writer {
    /// A buffer of [`BUFFER`] bytes to fill.
    pub fn buffer(&self) -> Vec<u8> {
        let mut buffer = self.empty.try_recv().unwrap_or_default();
        buffer.resize(BUFFER, 0);
        buffer
    }

    /// Passes on the first `len` bytes of a buffer; waits while too many are on the way.
    pub fn send(&self, mut buffer: Vec<u8>, len: usize) -> Result<(), Gone> {
        buffer.truncate(len);
        self.full.send(Some(buffer)).map_err(|_| Gone)
    }

    /// Says that this was all.
    pub fn finish(self) -> Result<(), Gone> {
        self.full.send(None).map_err(|_| Gone)
    }
}

impl BufRead for Reader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.taken == self.current.len() && !self.ended {
            let used = std::mem::take(&mut self.current);
            // Nobody may want it back any more.
            let _ = self.empty.send(used);
            self.taken = 0;
            match self.full.recv() {
                Ok(Some(buffer)) => self.current = buffer,
                Ok(None) => self.ended = true,
                Err(_) => return Err(io::Error::other(Gone)),
            }
        }
        Ok(&self.current[self.taken..])
    }

    fn consume(&mut self, amount: usize) {
        self.taken = (self.taken + amount).min(self.current.len());
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let amount = available.len().min(into.len());
        into[..amount].copy_from_slice(&available[..amount]);
        self.consume(amount);
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carries_all_bytes_in_order() {
        let (writer, mut reader) = pipe();
        let bytes: Vec<u8> = (0..BUFFER * 20 + 7).map(|at| u8::try_from(at % 251).unwrap()).collect();
        std::thread::scope(|scope| {
            let bytes = &bytes;
            scope.spawn(move || {
                for part in bytes.chunks(BUFFER - 3) {
                    let mut buffer = writer.buffer();
                    buffer[..part.len()].copy_from_slice(part);
                    writer.send(buffer, part.len()).unwrap();
                }
                writer.finish().unwrap();
            });
            let mut received = Vec::new();
            reader.read_to_end(&mut received).unwrap();
            assert!(received == *bytes);
        });
    }

    #[test]
    fn an_end_without_finish_is_an_error() {
        let (writer, mut reader) = pipe();
        writer.send(vec![1, 2, 3], 3).unwrap();
        drop(writer);
        let mut received = Vec::new();
        let error = reader.read_to_end(&mut received).unwrap_err();
        assert!(Gone::is(&error));
        assert_eq!(received, [1, 2, 3]);
    }

    #[test]
    fn a_reader_that_left_is_noticed() {
        let (writer, reader) = pipe();
        drop(reader);
        assert_eq!(writer.send(vec![1], 1), Err(Gone));
    }
}
