//! The access log: one line for each request, in Apache's combined format.

use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use http::header;

use crate::exchange::Record;
use crate::limits::ACCESS_LOG_BUFFER_BYTES_MAX;
use crate::query;

/// Takes lines from any number of requests and has a thread of its own write them, so that no
/// request ever waits for a slow or stuck output. When the output falls too far behind, lines are
/// dropped, counted, and the count is reported.
#[derive(Debug)]
pub struct AccessLog {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<u8>,
    dropped: u64,
    closed: bool,
}

impl AccessLog {
    /// Writes to standard output.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn stdout() -> std::io::Result<Self> {
        Self::to(std::io::stdout())
    }

    /// Writes to `output`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn to(output: impl Write + Send + 'static) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let for_writer = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_lines(&for_writer, output))?;
        Ok(Self { shared, writer: Some(writer) })
    }

    /// Adds a line, which `format` appends to what it is given, newline included.
    pub(crate) fn write(&self, format: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.shared.lock();
        if state.lines.len() >= ACCESS_LOG_BUFFER_BYTES_MAX {
            state.dropped += 1;
            return;
        }
        let was_empty = state.lines.is_empty();
        format(&mut state.lines);
        drop(state);
        if was_empty {
            self.shared.wake.notify_one();
        }
    }
}

impl Drop for AccessLog {
    /// Waits until everything is written.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            // The writer does not panic; if it did, there is nobody left to tell.
            let _ = writer.join();
        }
    }
}

impl Shared {
    /// A panic while the lock was held can at worst have left half a line.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_lines(shared: &Shared, mut output: impl Write) {
    let mut batch = Vec::new();
    let mut failing = false;
    loop {
        let dropped = {
            let mut state = shared.lock();
            while state.lines.is_empty() && !state.closed {
                state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            if state.lines.is_empty() {
                return;
            }
            batch.clear();
            std::mem::swap(&mut batch, &mut state.lines);
            std::mem::take(&mut state.dropped)
        };
        if dropped > 0 {
            tracing::warn!(lines = dropped, "the access log's output is too slow: lines dropped");
        }
        match output.write_all(&batch).and_then(|()| output.flush()) {
            Ok(()) => failing = false,
            // Said once, not for each line: the output may be a pipe whose reader is gone.
            Err(error) if !failing => {
                tracing::error!(%error, "the access log can't be written");
                failing = true;
            }
            Err(_) => {}
        }
    }
}

/// Appends the line of a request:
/// `host - - [02/Jan/2026:03:04:05 +0000] "GET /v2/ HTTP/1.1" 200 2 "referer" "agent"`.
pub(crate) fn format(line: &mut Vec<u8>, record: &Record) {
    let call = &record.call;
    let parts = &call.parts;
    let field = |name| call.header(name).unwrap_or("");
    let now = jiff::Timestamp::now().strftime("%d/%b/%Y:%H:%M:%S +0000");
    escape(line, &call.peer_host());
    // A `Vec` takes every write.
    let _ = write!(line, " - - [{now}] \"{} ", parts.method);
    let target = parts.uri.path_and_query().map_or("*", http::uri::PathAndQuery::as_str);
    escape(line, &query::masked(target));
    let _ = write!(
        line,
        " {:?}\" {} {} \"",
        parts.version,
        record.status.as_u16(),
        record.written_bytes
    );
    let (begin, end) = around_userinfo(field(&header::REFERER));
    escape(line, &query::masked(begin));
    escape(line, &query::masked(end));
    line.extend_from_slice(b"\" \"");
    escape(line, field(&header::USER_AGENT));
    line.extend_from_slice(b"\"\n");
}

/// What stands before and after user and password in a URL; everything stands before in one that has
/// none.
fn around_userinfo(url: &str) -> (&str, &str) {
    let Some(begin) = url.find("://").map(|at| at + "://".len()) else { return (url, "") };
    let end = url[begin..].find(['/', '?', '#']).map_or(url.len(), |length| begin + length);
    match url[begin..end].rfind('@') {
        Some(at) => (&url[..begin], &url[begin + at + 1..]),
        None => (url, ""),
    }
}

/// Escapes what would end a field or a line.
fn escape(line: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => line.extend_from_slice(&[b'\\', byte]),
            0x20..=0x7e => line.push(byte),
            _ => {
                let _ = write!(line, "\\x{byte:02x}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn everything_is_written_before_the_end() {
        let sink = Sink::default();
        let log = AccessLog::to(sink.clone()).unwrap();
        let mut expected = String::new();
        for i in 0..1000 {
            log.write(|line| line.extend_from_slice(format!("{i}\n").as_bytes()));
            expected.push_str(&format!("{i}\n"));
        }
        drop(log);
        assert_eq!(String::from_utf8(sink.0.lock().unwrap().clone()).unwrap(), expected);
    }

    /// An output that says when it is first written to, and blocks until told to go on.
    struct Stuck {
        reached: mpsc::Sender<()>,
        go_on: mpsc::Receiver<()>,
        sink: Sink,
    }

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.reached.send(());
            let _ = self.go_on.recv();
            self.sink.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_output_stops_nobody_and_memory_is_bounded() {
        // Declared before what holds its output up, and so dropped after it, also when an assertion
        // fails: it waits for its output.
        let log;
        let (reached, is_stuck) = mpsc::channel();
        let (let_go, go_on) = mpsc::channel::<()>();
        let sink = Sink::default();
        log = AccessLog::to(Stuck { reached, go_on, sink: sink.clone() }).unwrap();
        let line = [b'x'; 1024];
        // A writer that starts late would take what has piled up, and with it the count of what
        // was dropped.
        log.write(|lines| lines.extend_from_slice(&line));
        is_stuck.recv().unwrap();
        for _ in 0..10_000 {
            log.write(|lines| lines.extend_from_slice(&line));
        }
        assert!(log.shared.lock().lines.len() <= ACCESS_LOG_BUFFER_BYTES_MAX + line.len());
        assert!(log.shared.lock().dropped > 0);
        drop(let_go);
        drop(log);
        assert!(sink.0.lock().unwrap().len() <= 2 * (ACCESS_LOG_BUFFER_BYTES_MAX + line.len()));
    }

    #[test]
    fn nothing_in_a_field_can_forge_a_line() {
        let mut line = Vec::new();
        escape(&mut line, "a\"b\\c\nd\u{e4}");
        assert_eq!(String::from_utf8(line).unwrap(), "a\\\"b\\\\c\\x0ad\\xc3\\xa4");
    }
}
