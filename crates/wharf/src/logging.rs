//! The log on standard error, in the forms that Distribution's `log.formatter` names.

mod line;

use std::io::Write as _;
use std::sync::Mutex;

use config::{FieldValue, Log, LogFormat, LogLevel};
use line::Line;
use serde_json::Value;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::telemetry::Telemetry;

/// Starts logging as configured, beside the traces, if there are any. Neither decides what the
/// other gets.
///
/// # Errors
/// When something else in the process has started logging before.
pub(crate) fn start(log: &Log, traces: Option<&Telemetry>) -> anyhow::Result<()> {
    let level = match log.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let fields = log.fields.iter().map(|(name, value)| (name.clone(), json(value))).collect();
    let output = Output {
        format: log.format,
        fields,
        report_caller: log.report_caller,
        buffer: Mutex::new(Vec::new()),
    };
    let filter = filter_fn(move |metadata| is_logged(metadata, level));
    let output = output.with_filter(filter.with_max_level_hint(level));
    let subscriber = tracing_subscriber::registry().with(output);
    match traces {
        Some(traces) => subscriber.with(traces.layer()).try_init()?,
        None => subscriber.try_init()?,
    }
    Ok(())
}

/// Events of the level that is wanted. Spans are none: were they let in here, each would cost
/// something although nobody listens. Of what the OpenTelemetry libraries say about themselves,
/// only that spans are dropped is news; failed exports are reported once by the exporter.
fn is_logged(metadata: &Metadata<'_>, level: LevelFilter) -> bool {
    // Not `is_event`: who asks `enabled!` before making one is neither.
    !metadata.is_span()
        && *metadata.level() <= level
        && (!metadata.target().starts_with("opentelemetry")
            || matches!(
                metadata.name(),
                "BatchSpanProcessor.SpanDroppingStarted" | "BatchSpanProcessor.SpansDropped"
            ))
}

fn json(value: &FieldValue) -> Value {
    match value {
        FieldValue::Text(text) => text.clone().into(),
        FieldValue::Integer(number) => (*number).into(),
        FieldValue::Float(number) => (*number).into(),
        FieldValue::Boolean(truth) => (*truth).into(),
    }
}

/// Writes each event as one line.
struct Output {
    format: LogFormat,
    /// On every line.
    fields: Vec<(String, Value)>,
    report_caller: bool,
    /// Reused from line to line; the lock also keeps lines whole.
    buffer: Mutex<Vec<u8>>,
}

impl<S: Subscriber> Layer<S> for Output {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::of(event);
        for (name, value) in &self.fields {
            line.add(name, value.clone());
        }
        if self.report_caller
            && let (Some(file), Some(number)) = (event.metadata().file(), event.metadata().line())
        {
            line.add("file", format!("{file}:{number}").into());
            line.add("func", event.metadata().target().into());
        }
        let mut buffer = self.buffer.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        buffer.clear();
        match self.format {
            LogFormat::Text => line.write_text(&mut buffer),
            LogFormat::Json => line.write_json(&mut buffer),
            LogFormat::Logstash => line.write_logstash(&mut buffer),
        }
        // Nowhere to report that the log can't be written.
        let _ = std::io::stderr().lock().write_all(&buffer);
    }
}

/// Distribution's names of the levels.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG | Level::TRACE => "debug",
    }
}
