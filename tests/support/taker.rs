//! A registry that takes uploads, and breaks, forgets or refuses them as a test tells it to.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use enter::image::Digest;

/// What to do instead of what is asked.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Takes the body, and answers so.
    Answer(u16, Vec<(&'static str, String)>, &'static str),
    /// Takes so many bytes of the body, keeps them, and closes the connection.
    Break(usize),
    /// Does all that is asked, and closes the connection without an answer.
    Swallow,
    /// Forgets all uploads, then closes the connection.
    Forget,
}

/// How the registry is by nature.
#[derive(Debug, Clone, Copy)]
pub struct Nature {
    /// Whether it takes a blob in more than one part.
    pub parts: bool,
    /// Whether it takes blobs over from other repositories.
    pub mounts: bool,
    /// Whether it tells, when asked, that it has a blob.
    pub tells: bool,
    /// Whether the places that it gives are relative.
    pub relative: bool,
    /// What it says that parts must have at least.
    pub least: usize,
    /// Whether it keeps what a part brought whose connection broke; else it forgets the upload altogether.
    pub keeps: bool,
}

impl Default for Nature {
    fn default() -> Self {
        Self { parts: true, mounts: true, tells: true, relative: true, least: 0, keeps: true }
    }
}

#[derive(Default)]
struct State {
    nature: Nature,
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    uploads: BTreeMap<String, Vec<u8>>,
    faults: Vec<(String, usize, Fault)>,
    log: Vec<(String, BTreeMap<String, String>)>,
    taken: usize,
    wanted: Option<(String, String)>,
    open: Vec<TcpStream>,
}

/// A running one; it ends when dropped.
pub struct Taker {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Taker {
    /// Starts one on a free port.
    pub fn start(nature: Nature) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::new(Mutex::new(State { nature, ..State::default() }));
        let taker = Self { port: listener.local_addr().unwrap().port(), state: Arc::clone(&state) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                lock(&state).open.extend(stream.try_clone());
                // A client that goes away in the middle is no fault of the test's.
                thread::spawn(move || serve(stream, &state));
            }
        });
        taker
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Does otherwise from now on when a request's line contains `on`, so many times.
    pub fn fault(&self, on: &str, times: usize, fault: Fault) {
        lock(&self.state).faults.push((on.to_owned(), times, fault));
    }

    /// Wants an authorization from now on, or challenges.
    pub fn want(&self, authorization: &str, challenge: &str) {
        lock(&self.state).wanted = Some((authorization.to_owned(), challenge.to_owned()));
    }

    /// A blob that was taken.
    pub fn blob(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        lock(&self.state).blobs.get(&format!("{repository}@{digest}")).cloned()
    }

    /// Loses a blob.
    pub fn lose(&self, repository: &str, digest: &Digest) {
        lock(&self.state).blobs.remove(&format!("{repository}@{digest}"));
    }

    /// A manifest that was taken, and its type.
    pub fn manifest(&self, repository: &str, selector: &str) -> Option<(String, Vec<u8>)> {
        lock(&self.state).manifests.get(&format!("{repository}:{selector}")).cloned()
    }

    /// The lines of all requests that contain a text, with their headers.
    pub fn asked(&self, on: &str) -> Vec<(String, BTreeMap<String, String>)> {
        lock(&self.state).log.iter().filter(|(line, _)| line.contains(on)).cloned().collect()
    }

    /// How many requests contained a text.
    pub fn count(&self, on: &str) -> usize {
        self.asked(on).len()
    }

    /// How many bytes of bodies came.
    pub fn taken(&self) -> usize {
        lock(&self.state).taken
    }

    /// Forgets what was asked so far.
    pub fn forget(&self) {
        let mut state = lock(&self.state);
        state.log.clear();
        state.taken = 0;
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        for stream in &lock(&self.state).open {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Said {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn said(status: u16, headers: Vec<(&'static str, String)>) -> Said {
    Said { status, headers, body: Vec::new() }
}

fn refused(status: u16, code: &str) -> Said {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{}"}}]}}"#, code.to_lowercase()).into_bytes();
    Said { status, headers: Vec::new(), body }
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        // The first byte of TLS: this registry does not speak it.
        if reader.fill_buf()?.first().is_none_or(|byte| *byte == 0x16) || reader.read_line(&mut line)? == 0 {
            return reader.get_ref().shutdown(Shutdown::Both);
        }
        let line = line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let length: usize = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        let fault = {
            let mut state = lock(state);
            state.log.push((line.clone(), headers.clone()));
            let rule = state.faults.iter_mut().find(|(on, times, _)| *times > 0 && line.contains(on.as_str()));
            rule.map(|(_, times, fault)| {
                *times -= 1;
                fault.clone()
            })
        };
        let wanted = if let Some(Fault::Break(bytes)) = fault { bytes.min(length) } else { length };
        let mut body = Vec::with_capacity(wanted);
        // A connection that breaks has brought what it has brought.
        let came = reader.by_ref().take(wanted as u64).read_to_end(&mut body);
        let mut state = lock(state);
        state.taken += body.len();
        if body.len() < wanted {
            let keeps = state.nature.keeps && line.starts_with("PATCH");
            match state.uploads.get_mut(id_of(&line)) {
                Some(upload) if keeps => upload.extend_from_slice(&body),
                _ => drop(state.uploads.remove(id_of(&line))),
            }
            return came.map(drop);
        }
        let answer = match fault {
            Some(Fault::Answer(status, headers, body)) => Said { status, headers, body: body.into() },
            Some(Fault::Break(_)) => {
                if let Some(upload) = state.uploads.get_mut(id_of(&line)) {
                    upload.extend_from_slice(&body);
                }
                return reader.get_ref().shutdown(Shutdown::Both);
            }
            Some(Fault::Forget) => {
                state.uploads.clear();
                return reader.get_ref().shutdown(Shutdown::Both);
            }
            Some(Fault::Swallow) => {
                answer(&mut state, &line, &headers, body);
                return reader.get_ref().shutdown(Shutdown::Both);
            }
            None => answer(&mut state, &line, &headers, body),
        };
        drop(state);
        let out = reader.get_mut();
        write!(out, "HTTP/1.1 {} Said\r\nContent-Length: {}\r\n", answer.status, answer.body.len())?;
        for (name, value) in &answer.headers {
            write!(out, "{name}: {value}\r\n")?;
        }
        out.write_all(b"\r\n")?;
        if !line.starts_with("HEAD") {
            out.write_all(&answer.body)?;
        }
    }
}

/// The last part of an upload's path.
fn id_of(line: &str) -> &str {
    line.split('?').next().and_then(|path| path.rsplit('/').next()).unwrap_or_default()
}

fn query<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    line.split_once('?')?.1.split('&').find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
}

fn decoded(text: &str) -> String {
    text.replace("%3A", ":").replace("%2F", "/")
}

fn answer(state: &mut State, line: &str, headers: &BTreeMap<String, String>, body: Vec<u8>) -> Said {
    let (method, target) = line.split_once(' ').unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    if let Some((authorization, challenge)) = &state.wanted
        && headers.get("authorization") != Some(authorization)
    {
        return said(401, vec![("WWW-Authenticate", challenge.clone())]);
    }
    let Some(rest) = path.strip_prefix("/v2/") else { return refused(404, "NOT_FOUND") };
    if rest.is_empty() {
        return said(200, Vec::new());
    }
    if let Some((repository, _)) = rest.split_once("/blobs/uploads/") {
        return upload(state, method, line, repository, headers, body);
    }
    if let Some((repository, digest)) = rest.split_once("/blobs/") {
        return match state.blobs.get(&format!("{repository}@{digest}")) {
            Some(blob) if state.nature.tells || method == "GET" => {
                Said { status: 200, headers: Vec::new(), body: blob.clone() }
            }
            _ => refused(404, "BLOB_UNKNOWN"),
        };
    }
    let Some((repository, selector)) = rest.split_once("/manifests/") else { return refused(404, "NOT_FOUND") };
    if method == "PUT" {
        let digest = Digest::of(&body);
        let kind = headers.get("content-type").cloned().unwrap_or_default();
        for selector in [selector, &digest.to_string()] {
            state.manifests.insert(format!("{repository}:{selector}"), (kind.clone(), body.clone()));
        }
        return said(201, vec![("Docker-Content-Digest", digest.to_string())]);
    }
    match state.manifests.get(&format!("{repository}:{selector}")) {
        Some((kind, bytes)) => Said { status: 200, headers: vec![("Content-Type", kind.clone())], body: bytes.clone() },
        None => refused(404, "MANIFEST_UNKNOWN"),
    }
}

fn upload(
    state: &mut State,
    method: &str,
    line: &str,
    repository: &str,
    headers: &BTreeMap<String, String>,
    body: Vec<u8>,
) -> Said {
    let host = headers.get("host").cloned().unwrap_or_default();
    let relative = state.nature.relative;
    let place = |id: &str, size: usize| {
        let path = format!("/v2/{repository}/blobs/uploads/{id}?_state=a%2Fb%3D%3D&size={size}");
        ("Location", if relative { path } else { format!("http://{host}{path}") })
    };
    let range = |size: usize| ("Range", format!("0-{}", size.saturating_sub(1)));
    let id = id_of(line).to_owned();
    if method == "POST" {
        if let (true, Some(digest), Some(from)) = (state.nature.mounts, query(line, "mount"), query(line, "from"))
            && let Some(blob) = state.blobs.get(&format!("{}@{}", decoded(from), decoded(digest))).cloned()
        {
            state.blobs.insert(format!("{repository}@{}", decoded(digest)), blob);
            return said(201, Vec::new());
        }
        let id = format!("u{}", state.log.len());
        state.uploads.insert(id.clone(), Vec::new());
        let mut headers = vec![place(&id, 0), range(0)];
        if state.nature.least > 0 {
            headers.push(("OCI-Chunk-Min-Length", state.nature.least.to_string()));
        }
        return said(202, headers);
    }
    let parts = state.nature.parts;
    let Some(upload) = state.uploads.get_mut(&id) else { return refused(404, "BLOB_UPLOAD_UNKNOWN") };
    match method {
        "GET" => said(204, vec![place(&id, upload.len()), range(upload.len())]),
        "PATCH" => {
            let from = headers.get("content-range").and_then(|range| range.split('-').next()?.parse::<usize>().ok());
            if from.is_some_and(|from| from != upload.len()) {
                return said(416, vec![place(&id, upload.len()), range(upload.len())]);
            }
            if !parts && !upload.is_empty() {
                return refused(400, "BLOB_UPLOAD_INVALID");
            }
            upload.extend_from_slice(&body);
            said(202, vec![place(&id, upload.len()), range(upload.len())])
        }
        "PUT" => {
            let mut blob = state.uploads.remove(&id).unwrap_or_default();
            blob.extend_from_slice(&body);
            let digest = decoded(query(line, "digest").unwrap_or_default());
            if Digest::of(&blob).to_string() != digest {
                return refused(400, "DIGEST_INVALID");
            }
            state.blobs.insert(format!("{repository}@{digest}"), blob);
            said(201, vec![("Docker-Content-Digest", digest)])
        }
        _ => {
            state.uploads.remove(&id);
            said(204, Vec::new())
        }
    }
}
