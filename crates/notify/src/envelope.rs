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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptor::references;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn rendered(event: &Event, source: &Source, time: &str) -> String {
        let id = Uuid::from_u128(0xccf4_d37e_7b82_4b1f_b74d_8542_b0cd_3e0b);
        String::from_utf8(render(event, source, id, at(time)).unwrap()).unwrap()
    }

    fn source() -> Source {
        Source {
            address: "vm:5000".to_owned(),
            instance_id: "09f79a10-80dc-4190-a459-0d323170c037".to_owned(),
        }
    }

    fn request(method: &str, user_agent: &str) -> RequestRecord {
        RequestRecord {
            id: "ab1228ce-78e3-493a-a40e-645c4e041768".to_owned(),
            address: "127.0.0.1:51668".to_owned(),
            host: "127.0.0.1:5000".to_owned(),
            method: method.to_owned(),
            user_agent: user_agent.to_owned(),
        }
    }

    /// What Distribution 2.8.2 sent for the same push, with the fields in the order of version 3.
    const PUSH: &str = r#"{
   "events": [
      {
         "id": "ccf4d37e-7b82-4b1f-b74d-8542b0cd3e0b",
         "timestamp": "2026-11-23T19:47:02.645207198Z",
         "action": "push",
         "target": {
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": "sha256:e7787ccdee9fb655b6c0bbf13aac85020cf526d6f65d3303a7fb9da783617581",
            "size": 278,
            "length": 278,
            "repository": "a/b",
            "url": "http://127.0.0.1:5000/v2/a/b/manifests/sha256:e7787ccdee9fb655b6c0bbf13aac85020cf526d6f65d3303a7fb9da783617581",
            "tag": "t1",
            "references": [
               {
                  "mediaType": "application/vnd.oci.image.config.v1+json",
                  "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
                  "size": 2,
                  "annotations": {
                     "a": "1",
                     "b": "\u003c"
                  }
               }
            ]
         },
         "request": {
            "id": "ab1228ce-78e3-493a-a40e-645c4e041768",
            "addr": "127.0.0.1:51668",
            "host": "127.0.0.1:5000",
            "method": "PUT",
            "useragent": "x\u003cy\u003e\u0026\"é"
         },
         "actor": {},
         "source": {
            "addr": "vm:5000",
            "instanceID": "09f79a10-80dc-4190-a459-0d323170c037"
         }
      }
   ]
}"#;

    #[test]
    fn a_push_is_what_distribution_sends() {
        let manifest = br#"{"config":{"annotations":{"b":"<","a":"1"},"size":2,
            "mediaType":"application/vnd.oci.image.config.v1+json",
            "digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
            "layers":[]}"#;
        let digest = "sha256:e7787ccdee9fb655b6c0bbf13aac85020cf526d6f65d3303a7fb9da783617581";
        let event = Event {
            action: Action::Push,
            target: Target {
                media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
                digest: digest.to_owned(),
                size_bytes: 278,
                length_bytes: 278,
                repository: "a/b".to_owned(),
                url: format!("http://127.0.0.1:5000/v2/a/b/manifests/{digest}"),
                tag: "t1".to_owned(),
                references: references(manifest),
                ..Target::default()
            },
            request: request("PUT", "x<y>&\"é"),
            actor: Actor::default(),
        };
        assert_eq!(rendered(&event, &source(), "2026-11-23T19:47:02.645207198Z"), PUSH);
    }

    #[test]
    fn the_deletion_of_a_tag_has_an_empty_descriptor() {
        let target =
            Target { repository: "a/b".to_owned(), tag: "t1".to_owned(), ..Target::default() };
        let event = Event {
            action: Action::Delete,
            target,
            request: RequestRecord { method: "DELETE".to_owned(), ..RequestRecord::default() },
            actor: Actor { name: "alice".to_owned() },
        };
        let expected = r#"{
   "events": [
      {
         "id": "ccf4d37e-7b82-4b1f-b74d-8542b0cd3e0b",
         "timestamp": "2026-11-23T19:47:02.6Z",
         "action": "delete",
         "target": {
            "mediaType": "",
            "digest": "",
            "size": 0,
            "repository": "a/b",
            "tag": "t1"
         },
         "request": {
            "id": "",
            "method": "DELETE",
            "useragent": ""
         },
         "actor": {
            "name": "alice"
         },
         "source": {}
      }
   ]
}"#;
        assert_eq!(rendered(&event, &Source::default(), "2026-11-23T19:47:02.600Z"), expected);
    }

    #[test]
    fn a_whole_second_has_no_fraction() {
        assert_eq!(at("2026-01-02T03:04:05.000Z").to_string(), "2026-01-02T03:04:05Z");
        assert_eq!(
            at("2026-01-02T03:04:05.000000010Z").to_string(),
            "2026-01-02T03:04:05.00000001Z"
        );
    }

    #[test]
    fn texts_are_escaped_as_go_escapes_them() {
        // Go: json.Marshal("\x01\b\f\n\r\t\"\\/\x7f<>&\u2028\u2029é")
        let text = "\u{1}\u{8}\u{c}\n\r\t\"\\/\u{7f}<>&\u{2028}\u{2029}é";
        let mut out = Vec::new();
        let mut serializer = Serializer::with_formatter(&mut out, GoFormatter::new());
        text.serialize(&mut serializer).unwrap();
        let expected =
            "\"\\u0001\\b\\f\\n\\r\\t\\\"\\\\/\u{7f}\\u003c\\u003e\\u0026\\u2028\\u2029é\"";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
