//! Events as they are sent: byte for byte what Go's `json.MarshalIndent(envelope, "", "   ")`
//! makes of Distribution's envelope.

use std::io;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};
use uuid::Uuid;

use crate::event::{Action, Actor, Event, RequestRecord, Source, Target};

/// The media type of an envelope.
pub const MEDIA_TYPE: &str = "application/vnd.docker.distribution.events.v2+json";

/// A body with one event.
#[derive(Serialize)]
struct Envelope<'a> {
    events: [Sent<'a>; 1],
}

/// An event with all that belongs to it.
#[derive(Serialize)]
struct Sent<'a> {
    id: String,
    /// RFC 3339 with as many digits of the second as there are, in UTC.
    timestamp: String,
    action: Action,
    target: &'a Target,
    request: &'a RequestRecord,
    actor: &'a Actor,
    source: &'a Source,
}

/// The body of the POST about one event.
///
/// # Errors
/// None that is known: everything in an event can be written as JSON.
pub(crate) fn render(
    event: &Event,
    source: &Source,
    id: Uuid,
    at: Timestamp,
) -> serde_json::Result<Vec<u8>> {
    let sent = Sent {
        id: id.to_string(),
        timestamp: at.to_string(),
        action: event.action,
        target: &event.target,
        request: &event.request,
        actor: &event.actor,
        source,
    };
    let mut body = Vec::with_capacity(1024);
    let mut serializer = Serializer::with_formatter(&mut body, GoFormatter::new());
    Envelope { events: [sent] }.serialize(&mut serializer)?;
    Ok(body)
}

/// Indents by three spaces and escapes what Go's encoder escapes beyond what JSON demands: `<`,
/// `>` and `&`, because of HTML, and the line separators U+2028 and U+2029, because of JavaScript.
struct GoFormatter(PrettyFormatter<'static>);

impl GoFormatter {
    fn new() -> Self {
        Self(PrettyFormatter::with_indent(b"   "))
    }
}

/// What Go writes for a character, if that is not the character itself.
fn escaped(character: char) -> Option<&'static [u8]> {
    match character {
        '<' => Some(b"\\u003c"),
        '>' => Some(b"\\u003e"),
        '&' => Some(b"\\u0026"),
        '\u{2028}' => Some(b"\\u2028"),
        '\u{2029}' => Some(b"\\u2029"),
        _ => None,
    }
}

impl Formatter for GoFormatter {
    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(|c| escaped(c).is_some()) {
            let (plain, special) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut characters = special.chars();
            if let Some(escape) = characters.next().and_then(escaped) {
                writer.write_all(escape)?;
            }
            rest = characters.as_str();
        }
        writer.write_all(rest.as_bytes())
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_array(writer)
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array(writer)
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_array_value(writer)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object(writer)
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object(writer)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.0.begin_object_key(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.begin_object_value(writer)
    }

    fn end_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.0.end_object_value(writer)
    }
}
