//! Uploads over several requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use oci::Digest;

use super::{Step, Stop, wanted};
use crate::http::{Body, Client, Response};
use crate::ledger::WriteId;
use crate::random;

/// How often and after what time an upload is asked again that another request still holds.
const BUSY_TRIES: u32 = 200;
const BUSY_WAIT: Duration = Duration::from_millis(10);

/// An upload that was acknowledged and not completed.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) repository: Arc<str>,
    pub(crate) digest: Digest,
    pub(crate) seed: u64,
    pub(crate) size_bytes: usize,
    /// The `Location` that the last answer gave.
    pub(crate) location: String,
    /// Bytes whose receipt was acknowledged.
    pub(crate) acknowledged_bytes: usize,
    /// Bytes that were sent, at most.
    pub(crate) sent_bytes: usize,
    /// A request that ends the upload was sent.
    pub(crate) ending: bool,
    pub(crate) write: WriteId,
}

impl Session {
    pub(crate) fn content(&self) -> Vec<u8> {
        random::content(self.seed, self.size_bytes)
    }

    /// Notes what an answer says about the upload, and checks it.
    pub(crate) fn progress(&mut self, response: &Response, received: Option<usize>) -> Step {
        let location = response.location();
        let location = location.ok_or_else(|| Stop::Wrong("an upload without Location".into()))?;
        if let Some(received) = received {
            let range = response.header("range").unwrap_or_default();
            if range != format!("0-{}", received.saturating_sub(1)) {
                return Err(Stop::Wrong(format!(
                    "an upload of {received} bytes was answered with the Range {range:?}"
                )));
            }
            self.acknowledged_bytes = received;
        }
        self.location = location;
        Ok(())
    }

    /// The URL that completes it.
    pub(crate) fn end_url(&self) -> String {
        end_url(&self.location, &self.digest)
    }
}

pub(super) fn end_url(location: &str, digest: &Digest) -> String {
    let sign = if location.contains('?') { '&' } else { '?' };
    format!("{location}{sign}digest={digest}")
}

/// How it went to take up an upload again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resumed {
    /// It was completed.
    Completed,
    /// It is unknown to the server.
    Gone,
}

/// Asks how far an upload is, sends the rest and completes it.
pub(crate) fn resume(address: SocketAddr, session: &mut Session) -> Step<Resumed> {
    let mut client = Client::new(address);
    for _ in 0..BUSY_TRIES {
        let location = session.location.clone();
        let status = client.send("GET", &location, &[], Body::None)?;
        if status.status == 404 {
            return Ok(Resumed::Gone);
        }
        let status = wanted(status, &[204], "GET", &location)?;
        let received = received_bytes(&status)?;
        // A last request that was cut short may have taken the data away already.
        let lost = received < session.acknowledged_bytes && session.acknowledged_bytes > 1;
        if lost && !session.ending {
            return Err(Stop::Wrong(format!(
                "{location}: {} bytes were acknowledged, {received} are left",
                session.acknowledged_bytes
            )));
        }
        if received > session.sent_bytes {
            return Err(Stop::Wrong(format!(
                "{location}: {received} bytes are said to be there, {} were sent",
                session.sent_bytes
            )));
        }
        session.progress(&status, None)?;
        match send_rest(&mut client, session, received)? {
            true => return Ok(Resumed::Completed),
            // The request that broke off may still be at work.
            false => thread::sleep(BUSY_WAIT),
        }
    }
    Err(Stop::Wrong(format!("{}: busy for {:?}", session.location, BUSY_WAIT * BUSY_TRIES)))
}

/// Sends what is missing, and ends the upload. False when the server says that it is elsewhere by
/// now, or busy.
fn send_rest(client: &mut Client, session: &mut Session, received: usize) -> Step<bool> {
    let content = session.content();
    // "0-0" stands for nothing and for one byte; the server knows which.
    let starts = if received == 0 { 0..=1 } else { received..=received };
    let mut moved = false;
    for start in starts.filter(|start| *start < content.len()) {
        let range = format!("{start}-{}", content.len() - 1);
        let location = session.location.clone();
        let headers = [("Content-Range", range.as_str())];
        // From here on the server may have it all, whether or not its answer arrives.
        let sent_before = std::mem::replace(&mut session.sent_bytes, content.len());
        let response = client.send("PATCH", &location, &headers, Body::Whole(&content[start..]))?;
        if matches!(response.status, 409 | 416) {
            session.sent_bytes = sent_before;
        }
        match response.status {
            202 => {
                session.progress(&response, Some(content.len()))?;
                moved = true;
                break;
            }
            409 => return Ok(false),
            416 => {}
            _ => return wanted(response, &[202], "PATCH", &location).map(|_| false),
        }
    }
    if !moved && received < content.len() && content.len() > 1 {
        return Ok(false);
    }
    let ending = std::mem::replace(&mut session.ending, true);
    let url = session.end_url();
    let response = client.send("PUT", &url, &[], Body::Whole(&[]))?;
    if response.status == 409 {
        session.ending = ending;
        return Ok(false);
    }
    wanted(response, &[201], "PUT", &url)?;
    Ok(true)
}

/// The size that a status answer tells; 0 for nothing and for one byte.
fn received_bytes(status: &Response) -> Step<usize> {
    let range = status.header("range").unwrap_or_default();
    let end = range.strip_prefix("0-").and_then(|end| end.parse::<usize>().ok());
    let end = end.ok_or_else(|| Stop::Wrong(format!("an upload's Range is {range:?}")))?;
    Ok(if end == 0 { 0 } else { end + 1 })
}
