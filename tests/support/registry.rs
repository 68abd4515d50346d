//! A registry that does what a test tells it to: serve images, ask for tokens, or lie in any of the ways that a pull must survive.
//!
//! HTTP/1.1 by hand, one thread for each connection, on a port of 127.0.0.1: a library for servers would refuse to send most of what is sent here.

// Each test program includes this and uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::thread;
use std::time::Duration;

use enter::image::Digest;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

/// What to do instead of answering properly.
#[derive(Debug, Clone)]
pub enum Lie {
    /// Answers with a status, headers and a body.
    Answer(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Sends the first bytes of the body, then nothing, and keeps the connection open.
    Stall(usize),
    /// Sends the first bytes of the body, then closes the connection.
    Cut(usize),
    /// Sends this body in place of the real one, with a length that is right for it.
    Body(Vec<u8>),
    /// Sends this body in place of the real one in chunks, so that its length is not known before its end.
    Chunked(Vec<u8>),
    /// As `Stall`, of requests that want the whole, or all from a byte on.
    StallWhole(usize),
    /// As `Answer` with this status, of such requests.
    RefuseRest(u16),
    /// Sends the whole body although a range was asked for.
    IgnoreRange,
    /// Sends the range with this header.
    ContentRange(&'static str),
    /// Sends a few bytes at a time.
    Slow(Duration),
    /// Writes whatever it likes, head and all, and closes the connection.
    Act(Act),
}

type Play = dyn Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync;

/// An answer that a test writes by itself.
#[derive(Clone)]
pub struct Act(Arc<Play>);

impl Lie {
    /// An answer that a test writes by itself.
    pub fn act(play: impl Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::Act(Act(Arc::new(play)))
    }

    /// These very bytes, head and all.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self::act(move |_, out| out.write_all(&bytes))
    }
}

impl std::fmt::Debug for Act {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Act")
    }
}

/// Applies to requests whose method and path contain the text, a number of times.
struct Rule {
    on: String,
    times: usize,
    lie: Lie,
}

impl Rule {
    fn is_about(&self, request: &Request) -> bool {
        let some = request.headers.get("range").is_some_and(|range| !range.ends_with('-'));
        request.line.contains(&self.on) && !(some && matches!(self.lie, Lie::StallWhole(_) | Lie::RefuseRest(_)))
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// `GET /v2/…`, with the query.
    pub line: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Of a POST.
    pub body: String,
}

#[derive(Default)]
struct State {
    contents: BTreeMap<String, (String, Vec<u8>)>,
    rules: Vec<Rule>,
    log: Vec<Request>,
    wanted: Option<Wanted>,
    open: Vec<Weak<TcpStream>>,
}

/// What the registry wants to see in a request, or else challenges.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The value of `Authorization`.
    pub authorization: String,
    /// What it says to those who do not show it.
    pub challenge: String,
}

/// A running registry; it ends when dropped.
pub struct Registry {
    port: u16,
    state: Arc<Mutex<State>>,
}

/// An image as it was put there.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// Its manifest's digest.
    pub manifest: Digest,
    /// Its configuration's digest.
    pub id: Digest,
    /// Its layers' blobs.
    pub blobs: Vec<Digest>,
}

impl Registry {
    /// Starts one on a free port, which speaks plain HTTP.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts one that speaks TLS.
    pub fn start_tls(config: ServerConfig) -> Self {
        Self::start_with(Some(Arc::new(config)))
    }

    fn start_with(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let registry = Self { port: listener.local_addr().unwrap().port(), state: Arc::default() };
        let state = Arc::clone(&registry.state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(socket), state) = (stream, Arc::clone(&state)) else { continue };
                let copy = socket.try_clone().map(Arc::new).ok();
                lock(&state).open.extend(copy.as_ref().map(Arc::downgrade));
                let stream: Box<dyn Stream> = match &tls {
                    Some(config) => {
                        let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                        Box::new(StreamOwned::new(connection, socket))
                    }
                    None => Box::new(socket),
                };
                // A client that goes away in the middle is no fault of the test's.
                thread::spawn(move || (serve(stream, &state), drop(copy)));
            }
        });
        registry
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Lies from now on when a request's line contains `on`, so many times. Of several lies about a request the one told first goes first.
    pub fn lie(&self, on: &str, times: usize, lie: Lie) {
        lock(&self.state).rules.push(Rule { on: on.to_owned(), times, lie });
    }

    /// Tells the truth again.
    pub fn repent(&self) {
        lock(&self.state).rules.clear();
    }

    /// Wants an authorization from now on.
    pub fn want(&self, authorization: &str, challenge: &str) {
        lock(&self.state).wanted =
            Some(Wanted { authorization: authorization.to_owned(), challenge: challenge.to_owned() });
    }

    /// All requests so far.
    pub fn log(&self) -> Vec<Request> {
        lock(&self.state).log.clone()
    }

    /// How many requests contained a text.
    pub fn count(&self, on: &str) -> usize {
        self.log().iter().filter(|request| request.line.contains(on)).count()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        lock(&self.state).log.clear();
    }

    /// Puts something at a path.
    pub fn put(&self, path: &str, media_type: &str, bytes: &[u8]) {
        lock(&self.state).contents.insert(path.to_owned(), (media_type.to_owned(), bytes.to_vec()));
    }

    /// How long what was put at a path is.
    pub fn size(&self, path: &str) -> usize {
        lock(&self.state).contents[path].1.len()
    }

    /// What was put at a path.
    pub fn content(&self, path: &str) -> Vec<u8> {
        lock(&self.state).contents[path].1.clone()
    }

    /// Puts a blob into a repository.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        self.put(&format!("/v2/{repository}/blobs/{digest}"), "application/octet-stream", bytes);
        digest
    }

    /// Puts a manifest or index under a tag and its digest.
    pub fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        for selector in [tag, &digest.to_string()] {
            self.put(&format!("/v2/{repository}/manifests/{selector}"), media_type, bytes);
        }
        digest
    }

    /// Puts an image of gzipped tars there.
    pub fn push(&self, repository: &str, tag: &str, tars: &[Vec<u8>]) -> Pushed {
        let blobs: Vec<Vec<u8>> = tars.iter().map(|tar| gzip(tar)).collect();
        self.push_as(&format!("{repository}:{tag}"), "amd64", tars, &blobs, |_| {})
    }

    /// Puts an image under `repository:tag` whose compressed layers are given, and whose manifest may be changed first.
    pub fn push_as(
        &self,
        name: &str,
        architecture: &str,
        tars: &[Vec<u8>],
        blobs: &[Vec<u8>],
        change: impl FnOnce(&mut serde_json::Value),
    ) -> Pushed {
        let (repository, tag) = name.split_once(':').unwrap();
        let diff_ids: Vec<Digest> = tars.iter().map(|tar| Digest::of(tar)).collect();
        let config =
            json!({"os": "linux", "architecture": architecture, "rootfs": {"type": "layers", "diff_ids": diff_ids}})
                .to_string();
        let id = self.put_blob(repository, config.as_bytes());
        let digests: Vec<Digest> = blobs.iter().map(|blob| self.put_blob(repository, blob)).collect();
        let layer = |(digest, blob): (&Digest, &Vec<u8>)| json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": blob.len()});
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": id, "size": config.len()},
            "layers": digests.iter().zip(blobs).map(layer).collect::<Vec<_>>(),
        });
        change(&mut manifest);
        let manifest = self.put_manifest(repository, tag, OCI_MANIFEST, manifest.to_string().as_bytes());
        Pushed { manifest, id, blobs: digests }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        for stream in lock(&self.state).open.iter().filter_map(Weak::upgrade) {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// The media type of OCI's manifests.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of OCI's indexes.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A layer with one file.
pub fn tar(name: &str, content: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap()
}

/// Compresses.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that do not compress, the same for the same seed.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..len).map(next).collect()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A connection, with TLS or without.
trait Stream: Read + Write + Send {
    /// Ends it. The copy that the registry keeps of the socket would keep it open.
    fn end(&mut self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn end(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Both)
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn end(&mut self) -> io::Result<()> {
        self.sock.shutdown(Shutdown::Both)
    }
}

/// A stream as something to write to, flushed after each piece, so that pauses between them are seen.
struct PassOn<'a>(&'a mut dyn Stream);

impl Write for PassOn<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.0.flush()?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn serve(stream: Box<dyn Stream>, state: &Mutex<State>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read_request(&mut reader)? {
        let lie = {
            let mut state = lock(state);
            state.log.push(request.clone());
            let rule = state.rules.iter_mut().find(|rule| rule.times > 0 && rule.is_about(&request));
            rule.map(|rule| {
                rule.times -= 1;
                rule.lie.clone()
            })
        };
        let out = &mut **reader.get_mut();
        if !answer(out, state, &request, lie)? {
            break;
        }
        out.flush()?;
    }
    reader.get_mut().end()
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    // The first byte of TLS: this registry does not speak it.
    if reader.fill_buf()?.first() == Some(&0x16) {
        return Ok(None);
    }
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let line = line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    Ok(Some(Request { line, headers, body: String::from_utf8_lossy(&body).into_owned() }))
}

/// `false` where the connection is to be closed.
fn answer(out: &mut dyn Stream, state: &Mutex<State>, request: &Request, lie: Option<Lie>) -> io::Result<bool> {
    let (method, target) = request.line.split_once(' ').unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    let (wanted, found) = {
        let state = lock(state);
        (state.wanted.clone(), state.contents.get(path).cloned())
    };
    if let Some(Lie::Answer(status, headers, body)) = lie {
        return respond(out, method, status, &headers, &body).map(|()| true);
    }
    if let Some(Lie::Act(Act(play))) = lie {
        play(request, &mut PassOn(out))?;
        out.flush()?;
        return Ok(false);
    }
    if let Some(wanted) = wanted.filter(|_| path.starts_with("/v2/"))
        && request.headers.get("authorization") != Some(&wanted.authorization)
    {
        return respond(out, method, 401, &[("WWW-Authenticate", wanted.challenge)], b"{}").map(|()| true);
    }
    let Some((media_type, body)) = found else {
        let body = br#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry"}]}"#;
        return respond(out, method, 404, &[], body).map(|()| true);
    };
    let mut headers = vec![("Content-Type", media_type)];
    if path.contains("/manifests/") {
        headers.push(("Docker-Content-Digest", Digest::of(&body).to_string()));
    }
    let range = match &lie {
        Some(Lie::IgnoreRange) => None,
        _ => request.headers.get("range").and_then(|range| {
            let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
            let last = if last.is_empty() { body.len() - 1 } else { last.parse().ok()? };
            Some((first.parse::<usize>().ok()?, last.min(body.len() - 1)))
        }),
    };
    let status = if range.is_some() { 206 } else { 200 };
    let (first, end) = range.map_or((0, body.len()), |(first, last)| (first.min(body.len()), last + 1));
    if range.is_some() {
        let range = format!("bytes {first}-{}/{}", end - 1, body.len());
        let range = if let Some(Lie::ContentRange(range)) = lie { range.to_owned() } else { range };
        headers.push(("Content-Range", range));
    }
    let rest = &body[first..end.max(first)];
    match lie {
        Some(Lie::Cut(bytes)) => {
            head(out, status, &headers, Some(rest.len()))?;
            out.write_all(&rest[..bytes.min(rest.len())])?;
            Ok(false)
        }
        Some(Lie::RefuseRest(status)) => respond(out, method, status, &[], b"").map(|()| true),
        Some(Lie::Stall(bytes) | Lie::StallWhole(bytes)) => {
            head(out, status, &headers, Some(rest.len()))?;
            out.write_all(&rest[..bytes.min(rest.len())])?;
            out.flush()?;
            let _ = out.read(&mut [0]);
            Ok(false)
        }
        Some(Lie::Slow(pause)) => {
            head(out, status, &headers, Some(rest.len()))?;
            for part in rest.chunks(rest.len().div_ceil(10).max(1)) {
                out.write_all(part)?;
                thread::sleep(pause);
            }
            Ok(true)
        }
        Some(Lie::Body(other)) => respond(out, method, status, &headers, &other).map(|()| true),
        Some(Lie::Chunked(other)) => {
            headers.push(("Transfer-Encoding", "chunked".into()));
            head(out, status, &headers, None)?;
            for part in other.chunks(10_000) {
                write!(out, "{:x}\r\n", part.len())?;
                out.write_all(part)?;
                out.write_all(b"\r\n")?;
            }
            out.write_all(b"0\r\n\r\n")?;
            Ok(true)
        }
        _ => respond(out, method, status, &headers, rest).map(|()| true),
    }
}

fn respond(
    out: &mut dyn Stream,
    method: &str,
    status: u16,
    headers: &[(&'static str, String)],
    body: &[u8],
) -> io::Result<()> {
    head(out, status, headers, Some(body.len()))?;
    if method == "HEAD" { Ok(()) } else { out.write_all(body) }
}

fn head(
    out: &mut dyn Stream,
    status: u16,
    headers: &[(&'static str, String)],
    length: Option<usize>,
) -> io::Result<()> {
    write!(out, "HTTP/1.1 {status} Said\r\n")?;
    for (name, value) in headers {
        write!(out, "{name}: {value}\r\n")?;
    }
    if let Some(length) = length {
        write!(out, "Content-Length: {length}\r\n")?;
    }
    out.write_all(b"\r\n")
}
