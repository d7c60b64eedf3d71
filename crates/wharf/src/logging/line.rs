//! One line of the log.

use std::fmt;

use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::Event;
use tracing::field::{Field, Visit};

use super::level_name;

/// An event with its fields, on the way to one of the forms.
pub(super) struct Line {
    time: String,
    level: &'static str,
    message: String,
    fields: Map<String, Value>,
}

impl Line {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let mut line = Self {
            time: Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string(),
            level: level_name(*event.metadata().level()),
            message: String::new(),
            fields: Map::new(),
        };
        event.record(&mut line);
        line
    }

    /// Adds a field, unless the event has one of that name itself.
    pub(super) fn add(&mut self, name: &str, value: Value) {
        self.fields.entry(name).or_insert(value);
    }

    /// `time="…" level=info msg="…" name=value`: what a person or logfmt reads. Fields are sorted
    /// by name, as Distribution has them.
    pub(super) fn write_text(mut self, out: &mut Vec<u8>) {
        self.fields.sort_keys();
        let head =
            [("time", &self.time), ("level", &self.level.to_owned()), ("msg", &self.message)];
        for (index, (name, value)) in head.into_iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            write_pair(out, name, value);
        }
        for (name, value) in &self.fields {
            out.push(b' ');
            match value {
                Value::String(text) => write_pair(out, name, text),
                other => write_pair(out, name, &other.to_string()),
            }
        }
        out.push(b'\n');
    }

    /// One JSON object with `level`, `msg`, `time` and the fields.
    pub(super) fn write_json(self, out: &mut Vec<u8>) {
        let Self { time, level, message, fields } = self;
        let own = [("level", level.into()), ("msg", message.into()), ("time", time.into())];
        write_object(out, fields, own);
    }

    /// One JSON object in Logstash's names: `@timestamp`, `@version`, `level`, `message`.
    pub(super) fn write_logstash(self, out: &mut Vec<u8>) {
        let Self { time, level, message, fields } = self;
        let own = [
            ("@timestamp", time.into()),
            ("@version", "1".into()),
            ("level", level.into()),
            ("message", message.into()),
        ];
        write_object(out, fields, own);
    }

    fn set(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => {
                // Raw identifiers can't have dots; a quoted name comes as it is.
                self.fields.insert(name.to_owned(), value);
            }
        }
    }
}

/// A field of the line's own names would replace it; it moves aside, as in logrus.
fn write_object<const N: usize>(
    out: &mut Vec<u8>,
    mut fields: Map<String, Value>,
    own: [(&str, Value); N],
) {
    for (name, value) in own {
        if let Some(clash) = fields.remove(name) {
            fields.insert(format!("fields.{name}"), clash);
        }
        fields.insert(name.to_owned(), value);
    }
    fields.sort_keys();
    out.extend(Value::Object(fields).to_string().as_bytes());
    out.push(b'\n');
}

/// `name=value`, the value in quotes where it needs them.
fn write_pair(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend(name.as_bytes());
    out.push(b'=');
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/@^+".contains(&b);
    if !value.is_empty() && value.bytes().all(plain) {
        out.extend(value.as_bytes());
    } else {
        // JSON's escapes are a subset of what Go's %q writes and logfmt parsers read.
        out.extend(Value::from(value).to_string().as_bytes());
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.set(field, value.to_string().into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        let mut line = Line {
            time: "2026-01-02T03:04:05.000000006Z".into(),
            level: "warning",
            message: "a \"quoted\"\nmessage".into(),
            fields: Map::new(),
        };
        line.add("zebra", 1.into());
        line.add("level", "clash".into());
        line.add("path", "/a/b".into());
        line.add("empty", "".into());
        line
    }

    fn written(write: fn(Line, &mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(line(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn text() {
        assert_eq!(
            written(Line::write_text),
            "time=\"2026-01-02T03:04:05.000000006Z\" level=warning msg=\"a \\\"quoted\\\"\\nmessage\" \
             empty=\"\" level=clash path=/a/b zebra=1\n"
        );
    }

    #[test]
    fn json() {
        assert_eq!(
            written(Line::write_json),
            "{\"empty\":\"\",\"fields.level\":\"clash\",\"level\":\"warning\",\"msg\":\"a \\\"quoted\\\"\\nmessage\",\
             \"path\":\"/a/b\",\"time\":\"2026-01-02T03:04:05.000000006Z\",\"zebra\":1}\n"
        );
    }

    #[test]
    fn logstash() {
        let line: Value = serde_json::from_str(&written(Line::write_logstash)).unwrap();
        assert_eq!(line["@timestamp"], "2026-01-02T03:04:05.000000006Z");
        assert_eq!(line["@version"], "1");
        assert_eq!(line["message"], "a \"quoted\"\nmessage");
        assert_eq!(line["fields.level"], "clash");
    }
}
