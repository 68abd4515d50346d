//! Threads that make something of pieces of a stream, several at once, for a reader who takes the results in order.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The most threads for one stream.
const MOST: usize = 4;

/// A piece, and who waits for what becomes of it.
type Work<I, O> = (I, Sender<O>);

/// The threads; they end when this is dropped.
pub struct Workers<I, O>(Sender<Work<I, O>>);

/// How many threads one stream is worth on this machine.
pub fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MOST)
}

impl<I: Send + 'static, O: Send + 'static> Workers<I, O> {
    /// Starts so many threads of this name, each of which works as `make` says.
    ///
    /// # Errors
    /// Where no thread can be had.
    pub fn start<F: FnMut(I) -> O + Send + 'static>(
        threads: usize,
        name: &str,
        make: impl Fn() -> F,
    ) -> io::Result<Self> {
        let (send, receive) = mpsc::channel::<Work<I, O>>();
        let receive = Arc::new(Mutex::new(receive));
        for _ in 0..threads {
            let (receive, mut work) = (Arc::clone(&receive), make());
            let run = move || {
                loop {
                    let next = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((piece, tell)) = next else { return };
                    // Whoever wanted it may have gone.
                    let _ = tell.send(work(piece));
                }
            };
            thread::Builder::new().name(name.into()).spawn(run)?;
        }
        Ok(Self(send))
    }

    /// Has something made of a piece. Where nobody takes it, nobody answers: then the receiver says so.
    pub fn give(&self, piece: I) -> Receiver<O> {
        let (tell, becomes) = mpsc::channel();
        let _ = self.0.send((piece, tell));
        becomes
    }
}
