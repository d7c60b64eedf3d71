//! A registry that other tests ask: what it has is put into it, what it does wrong is told to it,
//! and it remembers what it was asked. Plain HTTP/1.1, written by hand, so that it can do anything.
#![allow(dead_code, reason = "not every test needs all of it")]

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use oci::{Algorithm, Digest};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What a request was.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: String,
    /// The same as it came.
    pub(crate) bytes: Vec<u8>,
}

impl Seen {
    pub(crate) fn authorization(&self) -> Option<&str> {
        self.headers.get("authorization").map(String::as_str)
    }
}

/// What goes wrong.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// Another answer.
    Answer(u16, Vec<(String, String)>, Vec<u8>),
    /// The connection ends after so many bytes of the body.
    CutAt(usize),
    /// This byte of the body is another.
    Corrupt(usize),
    /// So many bytes at a time, and a pause after each.
    Pace(usize, Duration),
    /// Nothing is answered.
    Hang,
    /// The head is answered, and so many bytes of the body; then nothing more.
    HangAt(usize),
    /// The length that is said is off by so much.
    LengthOff(i64),
    /// `Range` is ignored.
    WholeBody,
    /// A header is missing.
    Without(&'static str),
    /// A header is another.
    Header(&'static str, String),
    /// The body is sent in chunks, without a length.
    Chunked,
}

impl Act {
    /// An answer with nothing but a status.
    pub(crate) fn status(status: u16) -> Self {
        Self::Answer(status, Vec::new(), Vec::new())
    }

    /// An answer that leads elsewhere.
    pub(crate) fn redirect(to: impl Into<String>) -> Self {
        Self::Answer(307, vec![("location".to_owned(), to.into())], Vec::new())
    }
}

#[derive(Debug)]
struct Fault {
    on: String,
    left: usize,
    act: Act,
}

/// Who may ask.
#[derive(Debug, Clone, Default)]
pub(crate) enum Admission {
    #[default]
    Everybody,
    /// Whoever has this name and password.
    Basic(&'static str, &'static str),
    /// Whoever has a token.
    Token {
        /// The token service, when it is not at `/token` here.
        realm: Option<String>,
        /// Whom it gives tokens to: everybody, or whoever has this name and password.
        to: Option<(&'static str, &'static str)>,
        /// What it says of their lifetime.
        expires_in: Option<u64>,
    },
}

impl Admission {
    /// Whoever has a token, which everybody gets.
    pub(crate) const fn tokens() -> Self {
        Self::Token { realm: None, to: None, expires_in: Some(300) }
    }

    /// Whoever has a token, for a name and a password.
    pub(crate) const fn tokens_for(name: &'static str, password: &'static str) -> Self {
        Self::Token { realm: None, to: Some((name, password)), expires_in: Some(300) }
    }
}

#[derive(Debug, Default)]
struct State {
    blobs: HashMap<(String, String), Vec<u8>>,
    manifests: HashMap<(String, String), (String, Vec<u8>)>,
    tags: HashMap<String, Vec<String>>,
    /// Whether tags are listed as in a dictionary.
    tags_ignore_case: bool,
    referrers: HashMap<(String, String), Vec<u8>>,
    admission: Admission,
    /// The tokens that count, and the repository that each is for, with what is allowed there.
    tokens: HashMap<String, (String, String)>,
    uploads: usize,
    /// Where uploads are to be sent, if not here.
    uploads_at: Option<String>,
    tokens_issued: usize,
    faults: Vec<Fault>,
    seen: Vec<Seen>,
}

/// The registry.
#[derive(Debug, Clone)]
pub(crate) struct FakeRegistry {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
}

impl FakeRegistry {
    /// A registry over plain HTTP.
    pub(crate) async fn start() -> Self {
        Self::listen(None).await
    }

    /// A registry over TLS.
    pub(crate) async fn start_tls(config: tokio_rustls::rustls::ServerConfig) -> Self {
        Self::listen(Some(tokio_rustls::TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn listen(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let address = listener.local_addr().unwrap();
        let registry = Self { address, scheme, state: Arc::default() };
        let this = registry.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (this, tls) = (this.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => this.serve(stream).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                this.serve(stream).await;
                            }
                        }
                    }
                });
            }
        });
        registry
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Its URL with another name of its host.
    pub(crate) fn url_as_localhost(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// Puts a blob into it.
    pub(crate) fn put_blob(&self, repository: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(Algorithm::Sha256, content);
        let key = (repository.to_owned(), digest.to_string());
        self.lock().blobs.insert(key, content.to_vec());
        digest
    }

    /// Lists tags as in a dictionary from now on, whether they are written large or small.
    pub(crate) fn ignore_case_of_tags(&self) {
        self.lock().tags_ignore_case = true;
    }

    /// Puts a blob into it under a digest, be it that of its content or not.
    pub(crate) fn put_blob_as(&self, repository: &str, digest: &Digest, content: &[u8]) {
        let key = (repository.to_owned(), digest.to_string());
        self.lock().blobs.insert(key, content.to_vec());
    }

    /// Puts a manifest into it under another digest, be it that of its content or not.
    pub(crate) fn put_manifest_as(
        &self,
        repository: &str,
        digest: &Digest,
        media_type: &str,
        content: &[u8],
    ) {
        let key = (repository.to_owned(), digest.to_string());
        self.lock().manifests.insert(key, (media_type.to_owned(), content.to_vec()));
    }

    /// Takes a manifest out of it, or a tag.
    pub(crate) fn take_manifest(&self, repository: &str, reference: &str) {
        let key = (repository.to_owned(), reference.to_owned());
        self.lock().manifests.remove(&key);
    }

    /// Puts a manifest into it.
    pub(crate) fn put_manifest(
        &self,
        repository: &str,
        tag: Option<&str>,
        media_type: &str,
        content: &[u8],
    ) -> Digest {
        let digest = Digest::of(Algorithm::Sha256, content);
        let mut state = self.lock();
        for reference in tag.into_iter().chain([digest.to_string().as_str()]) {
            let key = (repository.to_owned(), reference.to_owned());
            state.manifests.insert(key, (media_type.to_owned(), content.to_vec()));
        }
        if let Some(tag) = tag {
            let tags = state.tags.entry(repository.to_owned()).or_default();
            if !tags.iter().any(|known| known == tag) {
                tags.push(tag.to_owned());
            }
        }
        digest
    }

    /// What it answers when it is asked for referrers; otherwise it knows no such request.
    pub(crate) fn put_referrers(&self, repository: &str, subject: &Digest, index: &str) {
        let key = (repository.to_owned(), subject.to_string());
        self.lock().referrers.insert(key, index.as_bytes().to_vec());
    }

    /// Whom it answers.
    pub(crate) fn admit(&self, admission: Admission) {
        self.lock().admission = admission;
    }

    /// From now on, no token that was given counts.
    pub(crate) fn revoke_tokens(&self) {
        self.lock().tokens.clear();
    }

    /// How many tokens were given.
    pub(crate) fn tokens_issued(&self) -> usize {
        self.lock().tokens_issued
    }

    /// What goes wrong with the next requests, so many times, whose line (`GET /v2/...`) has this
    /// text in it.
    pub(crate) fn fail(&self, on: &str, times: usize, act: Act) {
        self.lock().faults.push(Fault { on: on.to_owned(), left: times, act });
    }

    /// Nothing goes wrong any more.
    pub(crate) fn mend(&self) {
        self.lock().faults.clear();
    }

    /// What it was asked.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// How often it was asked what has this text in its line.
    pub(crate) fn count(&self, text: &str) -> usize {
        let is_it = |seen: &&Seen| format!("{} {}", seen.method, seen.path).contains(text);
        self.lock().seen.iter().filter(is_it).count()
    }

    /// Waits until it was asked that often.
    pub(crate) async fn wait_for(&self, text: &str, times: usize) {
        let started = Instant::now();
        while self.count(text) < times {
            assert!(started.elapsed() < Duration::from_secs(10), "{text} was not asked for");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        while let Some(seen) = read_request(&mut stream).await {
            let acts = self.acts(&seen);
            let reply = self.reply(&seen, &acts);
            if reply.send(&mut stream, &acts, seen.method == "HEAD").await.is_none() {
                return;
            }
        }
    }

    fn acts(&self, seen: &Seen) -> Vec<Act> {
        let line = format!("{} {}", seen.method, seen.path);
        let mut state = self.lock();
        state.seen.push(seen.clone());
        let mut acts = Vec::new();
        for fault in state.faults.iter_mut().filter(|fault| line.contains(&fault.on)) {
            if fault.left > 0 {
                fault.left -= 1;
                acts.push(fault.act.clone());
            }
        }
        acts
    }

    fn reply(&self, seen: &Seen, acts: &[Act]) -> Reply {
        for act in acts {
            if let Act::Answer(status, headers, body) = act {
                return Reply { status: *status, headers: headers.clone(), body: body.clone() };
            }
        }
        let (path, query) = seen.path.split_once('?').unwrap_or((&seen.path, ""));
        if path == "/token" {
            return self.token(seen, query);
        }
        // Whatever is in front, as the path of the endpoint's URL.
        let Some(at) = path.find("/v2/") else { return Reply::error(404, "NOT_FOUND", "") };
        let rest = &path[at + "/v2/".len()..];
        if rest == "_catalog" {
            return self.catalog(query);
        }
        let known = ["/manifests/", "/blobs/", "/tags/", "/referrers/"];
        let Some((kind, at)) = known.iter().find_map(|kind| Some((*kind, rest.rfind(kind)?)))
        else {
            return Reply::error(404, "NOT_FOUND", "");
        };
        let (repository, what) = (&rest[..at], &rest[at + kind.len()..]);
        if let Some(refusal) = self.refusal(seen, repository) {
            return refusal;
        }
        if !matches!(seen.method.as_str(), "GET" | "HEAD") {
            return self.write(seen, (repository, kind, what), query);
        }
        let key = (repository.to_owned(), what.to_owned());
        let state = self.lock();
        let found = match kind {
            "/manifests/" => state.manifests.get(&key).map(|(media_type, content)| {
                let digest = Digest::of(Algorithm::Sha256, content).to_string();
                let reply = Reply::ok(content).header("content-type", media_type);
                reply.header("docker-content-digest", &digest)
            }),
            "/blobs/" => state.blobs.get(&key).map(|content| {
                let whole = acts.iter().any(|act| matches!(act, Act::WholeBody));
                let range = seen.headers.get("range").filter(|_| !whole);
                Reply::part(content, range.map(String::as_str))
            }),
            "/tags/" => {
                let ignore_case = state.tags_ignore_case;
                let tags = state.tags.get(repository);
                tags.map(|tags| tags_page(repository, tags, query, ignore_case))
            }
            _ => state.referrers.get(&key).map(|index| {
                let media_type = "application/vnd.oci.image.index.v1+json";
                Reply::ok(index).header("content-type", media_type)
            }),
        };
        found.unwrap_or_else(|| Reply::error(404, "MANIFEST_UNKNOWN", "there is no such thing"))
    }

    /// Where uploads are to be sent from now on.
    pub(crate) fn take_uploads_at(&self, url: &str) {
        self.lock().uploads_at = Some(url.to_owned());
    }

    /// A blob that it has.
    pub(crate) fn blob(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        let key = (repository.to_owned(), digest.to_string());
        self.lock().blobs.get(&key).cloned()
    }

    /// A manifest that it has, and its media type.
    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Option<(String, Vec<u8>)> {
        let key = (repository.to_owned(), reference.to_owned());
        self.lock().manifests.get(&key).cloned()
    }

    /// What is written to it: uploads as a whole, mounts, manifests.
    fn write(&self, seen: &Seen, at: (&str, &str, &str), query: &str) -> Reply {
        let field = |name: &str| query.split('&').find_map(|field| field.strip_prefix(name));
        let decoded = |text: &str| text.replace("%3A", ":").replace("%2F", "/");
        let reply = |status| Reply { status, headers: Vec::new(), body: Vec::new() };
        let digest = Digest::of(Algorithm::Sha256, &seen.bytes).to_string();
        let mut state = self.lock();
        match (seen.method.as_str(), at) {
            ("POST", (repository, "/blobs/", "uploads/")) => {
                if let (Some(mount), Some(from)) = (field("mount="), field("from=")) {
                    let (mount, from) = (decoded(mount), decoded(from));
                    if let Some(content) = state.blobs.get(&(from, mount.clone())).cloned() {
                        state.blobs.insert((repository.to_owned(), mount), content);
                        return reply(201);
                    }
                }
                state.uploads += 1;
                let base = state.uploads_at.clone().unwrap_or_default();
                let location =
                    format!("{base}/v2/{repository}/blobs/uploads/{}?s=1", state.uploads);
                reply(202).header("location", &location)
            }
            ("PUT", (repository, "/blobs/", _)) => {
                if field("digest=").map(decoded) != Some(digest.clone()) {
                    return Reply::error(400, "DIGEST_INVALID", "another digest");
                }
                let key = (repository.to_owned(), digest.clone());
                state.blobs.insert(key, seen.bytes.clone());
                reply(201).header("docker-content-digest", &digest)
            }
            ("PUT", (repository, "/manifests/", reference)) => {
                let media_type = seen.headers.get("content-type").cloned().unwrap_or_default();
                for name in [reference, &digest] {
                    let key = (repository.to_owned(), name.to_owned());
                    state.manifests.insert(key, (media_type.clone(), seen.bytes.clone()));
                }
                reply(201).header("docker-content-digest", &digest)
            }
            ("DELETE", _) => reply(204),
            _ => Reply::error(405, "UNSUPPORTED", ""),
        }
    }

    fn catalog(&self, query: &str) -> Reply {
        let state = self.lock();
        let mut names: Vec<_> = state.tags.keys().cloned().collect();
        names.sort();
        let field = |name: &str| query.split('&').find_map(|field| field.strip_prefix(name));
        let last = field("last=").unwrap_or_default().replace("%2F", "/");
        let behind: Vec<_> = names.into_iter().filter(|name| *name > last).collect();
        let n = field("n=").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
        let page: Vec<_> = behind.iter().take(n).collect();
        let reply = Reply::ok(serde_json::json!({ "repositories": page }).to_string().as_bytes());
        match page.last() {
            Some(last) if page.len() < behind.len() => {
                reply.header("link", &format!("</v2/_catalog?last={last}&n={n}>; rel=\"next\""))
            }
            _ => reply,
        }
    }

    /// Whether whoever asks may not.
    fn refusal(&self, seen: &Seen, repository: &str) -> Option<Reply> {
        let state = self.lock();
        let challenge = match &state.admission {
            Admission::Everybody => return None,
            Admission::Basic(name, password) => {
                if seen.authorization() == Some(&basic(name, password)) {
                    return None;
                }
                "Basic realm=\"fake\"".to_owned()
            }
            Admission::Token { realm, .. } => {
                let token = seen.authorization().and_then(|text| text.strip_prefix("Bearer "));
                let writes = !matches!(seen.method.as_str(), "GET" | "HEAD");
                let is_enough = |(of, actions): &(String, String)| {
                    of == repository && (!writes || actions.contains("push"))
                };
                if token.and_then(|token| state.tokens.get(token)).is_some_and(is_enough) {
                    return None;
                }
                let own = format!("{}/token", self.url());
                let realm = realm.as_deref().unwrap_or(&own);
                let actions = if writes { "push,pull" } else { "pull" };
                let scope = format!("repository:{repository}:{actions}");
                format!("Bearer realm=\"{realm}\",service=\"fake\",scope=\"{scope}\"")
            }
        };
        let refusal = Reply::error(401, "UNAUTHORIZED", "authentication required");
        Some(refusal.header("www-authenticate", &challenge))
    }

    /// The token service. It gives one for whatever is asked for, to whom it may.
    fn token(&self, seen: &Seen, query: &str) -> Reply {
        let mut state = self.lock();
        let Admission::Token { to, expires_in, .. } = state.admission.clone() else {
            return Reply::error(404, "NOT_FOUND", "");
        };
        let is_known = match to {
            None => true,
            Some((name, password)) if seen.method == "POST" => {
                let _ = name;
                seen.body.contains(&format!("refresh_token={password}"))
            }
            Some((name, password)) => seen.authorization() == Some(&basic(name, password)),
        };
        if !is_known {
            return Reply::error(401, "UNAUTHORIZED", "wrong password");
        }
        let form = if seen.method == "POST" { seen.body.as_str() } else { query };
        let scope = form.split('&').find_map(|field| field.strip_prefix("scope="));
        let scope = scope.unwrap_or_default().replace("%3A", ":").replace("%2F", "/");
        let scope = scope.replace("%2C", ",");
        let part = |at| scope.split(':').nth(at).unwrap_or_default().to_owned();
        let allowed = (part(1), part(2));
        state.tokens_issued += 1;
        let token = format!("token-{}-{}", self.address.port(), state.tokens_issued);
        state.tokens.insert(token.clone(), allowed);
        let expires = expires_in.map(|secs| format!(",\"expires_in\":{secs}")).unwrap_or_default();
        // Both names of it are met.
        let name = if state.tokens_issued.is_multiple_of(2) { "token" } else { "access_token" };
        Reply::ok(format!("{{\"{name}\":\"{token}\"{expires}}}").as_bytes())
    }
}

fn tags_page(repository: &str, tags: &[String], query: &str, ignore_case: bool) -> Reply {
    let field = |name: &str| query.split('&').find_map(|field| field.strip_prefix(name));
    let last = field("last=").unwrap_or_default();
    let n = field("n=").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let key = |tag: &str| match ignore_case {
        true => tag.to_ascii_lowercase(),
        false => tag.to_owned(),
    };
    let mut behind: Vec<_> = tags.iter().filter(|tag| key(tag) > key(last)).collect();
    behind.sort_by_key(|tag| key(tag));
    let page: Vec<_> = behind.iter().take(n).collect();
    let body = serde_json::json!({ "name": repository, "tags": page }).to_string();
    let reply = Reply::ok(body.as_bytes());
    match page.last() {
        Some(last) if page.len() < behind.len() => {
            let url = format!("<http://wrong.invalid/v2/{repository}/tags/list?last={last}&n={n}>");
            reply.header("link", &format!("{url}; rel=\"next\""))
        }
        _ => reply,
    }
}

/// The header of a name and a password.
pub(crate) fn basic(name: &str, password: &str) -> String {
    use base64::Engine as _;
    let text = base64::prelude::BASE64_STANDARD.encode(format!("{name}:{password}"));
    format!("Basic {text}")
}

#[derive(Debug)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn ok(body: &[u8]) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.to_vec() }
    }

    fn error(status: u16, code: &str, message: &str) -> Self {
        let errors = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        Self { status, headers: Vec::new(), body: errors.to_string().into_bytes() }
    }

    fn part(content: &[u8], range: Option<&str>) -> Self {
        let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
        let Some((start, end)) = range else { return Self::ok(content) };
        let start: usize = start.parse().unwrap();
        let end = end.parse().map_or(content.len(), |end: usize| (end + 1).min(content.len()));
        if start >= content.len() {
            let said = format!("bytes */{}", content.len());
            let headers = vec![("content-range".to_owned(), said)];
            return Self { status: 416, headers, body: Vec::new() };
        }
        let said = format!("bytes {start}-{}/{}", end - 1, content.len());
        let body = content[start..end].to_vec();
        Self { status: 206, headers: vec![("content-range".to_owned(), said)], body }
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sends it; `None` when the connection is at its end.
    async fn send(
        mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        acts: &[Act],
        is_head: bool,
    ) -> Option<()> {
        let mut length = Some(self.body.len() as i64);
        let (mut stop, mut pace, mut hangs) = (None, None, false);
        for act in acts {
            match act {
                Act::CutAt(at) => stop = Some(*at),
                Act::HangAt(at) => (stop, hangs) = (Some(*at), true),
                Act::Corrupt(at) if *at < self.body.len() => self.body[*at] ^= 1,
                Act::Pace(bytes, every) => pace = Some((*bytes, *every)),
                Act::Hang => std::future::pending().await,
                Act::LengthOff(by) => length = length.map(|length| length + by),
                Act::Without(name) => self.headers.retain(|(known, _)| known != name),
                Act::Header(name, value) => {
                    self.headers.retain(|(known, _)| known != name);
                    self.headers.push(((*name).to_owned(), value.clone()));
                }
                Act::Chunked => length = None,
                Act::Corrupt(_) | Act::WholeBody | Act::Answer(..) => {}
            }
        }
        let mut head = format!("HTTP/1.1 {} x\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &match length {
            Some(length) => format!("content-length: {length}\r\n\r\n"),
            None => "transfer-encoding: chunked\r\n\r\n".to_owned(),
        };
        stream.write_all(head.as_bytes()).await.ok()?;
        if is_head {
            return Some(());
        }
        let end = stop.unwrap_or(self.body.len()).min(self.body.len());
        let (bytes, every) = pace.unwrap_or((64 << 10, Duration::ZERO));
        for piece in self.body[..end].chunks(bytes) {
            if length.is_none() {
                let size = format!("{:x}\r\n", piece.len());
                stream.write_all(size.as_bytes()).await.ok()?;
            }
            stream.write_all(piece).await.ok()?;
            if length.is_none() {
                stream.write_all(b"\r\n").await.ok()?;
            }
            stream.flush().await.ok()?;
            if !every.is_zero() {
                tokio::time::sleep(every).await;
            }
        }
        if hangs {
            std::future::pending::<()>().await;
        }
        if length.is_none() && stop.is_none() {
            stream.write_all(b"0\r\n\r\n").await.ok()?;
        }
        let is_whole = stop.is_none() && length.is_none_or(|said| said == end as i64);
        if !is_whole {
            let _ = stream.shutdown().await;
            return None;
        }
        Some(())
    }
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<Seen> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let text = String::from_utf8(head).ok()?;
    let mut lines = text.trim_end().split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let header = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    let headers: HashMap<_, _> = lines.filter_map(header).collect();
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let text = String::from_utf8_lossy(&body).into_owned();
    Some(Seen { method, path, headers, body: text, bytes: body })
}
