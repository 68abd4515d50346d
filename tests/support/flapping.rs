//! A registry that dies and comes back all the time, as seen through a proxy: it listens for a while, then every connection is cut and none is
//! accepted, and then it listens on the same port again.

#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The proxy; it ends when dropped.
pub struct Flapping {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    ended: AtomicBool,
    deaths: AtomicUsize,
    /// Bytes that went to the client, and bytes that came from it.
    down: AtomicU64,
    up: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

/// How much goes through at once, and how long it rests after that: so that a transfer meets several deaths.
const PIECE: usize = 64 << 10;

impl Flapping {
    /// One before `host`, which lives for `life` and is away for `away`, and lets through a piece of 64 KiB each `pause` in each direction.
    pub fn before(host: &str, life: Duration, away: Duration, pause: Duration) -> Self {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let shared = Arc::<Shared>::default();
        let (state, host) = (Arc::clone(&shared), host.to_owned());
        thread::spawn(move || {
            let mut listener = Some(first);
            while !state.ended.load(Ordering::Relaxed) {
                // The port is ours as long as nobody else asks for this very one.
                let Some(here) = listener.take().or_else(|| TcpListener::bind(("127.0.0.1", port)).ok()) else {
                    continue;
                };
                here.set_nonblocking(true).unwrap();
                let until = Instant::now() + life;
                while Instant::now() < until {
                    match here.accept() {
                        Ok((client, _)) => connect(client, &host, &state, pause),
                        Err(_) => thread::sleep(Duration::from_millis(2)),
                    }
                }
                drop(here);
                for stream in state.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                    let _ = stream.shutdown(Shutdown::Both);
                }
                state.deaths.fetch_add(1, Ordering::Relaxed);
                thread::sleep(away);
            }
        });
        Self { port, shared }
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// How often it has died.
    pub fn deaths(&self) -> usize {
        self.shared.deaths.load(Ordering::Relaxed)
    }

    /// Bytes that went to the client.
    pub fn sent(&self) -> u64 {
        self.shared.down.load(Ordering::Relaxed)
    }

    /// Bytes that came from the client.
    pub fn received(&self) -> u64 {
        self.shared.up.load(Ordering::Relaxed)
    }
}

impl Drop for Flapping {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

fn connect(client: TcpStream, host: &str, shared: &Arc<Shared>, pause: Duration) {
    let Ok(server) = TcpStream::connect(host) else { return };
    client.set_nonblocking(false).unwrap();
    let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
    for (from, to, is_down) in [(&server, &client, true), (&client, &server, false)] {
        let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        open.extend([from.try_clone().unwrap(), to.try_clone().unwrap()]);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            let mut piece = vec![0; PIECE];
            while let Ok(got @ 1..) = from.read(&mut piece) {
                if to.write_all(&piece[..got]).is_err() {
                    break;
                }
                let count = if is_down { &shared.down } else { &shared.up };
                count.fetch_add(got as u64, Ordering::Relaxed);
                if got > PIECE / 4 {
                    thread::sleep(pause);
                }
            }
            // Whoever is still there is to notice.
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
}
