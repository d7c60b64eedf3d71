//! `log`: what is logged, how, and where to.

use crate::{
    reader::Reader,
    scalar,
    schema::{self, Section},
    secret::Secret,
    tree::{Node, Value},
};

/// Levels from the quietest to the loudest.
pub(crate) const LEVELS: &[&str] = &["error", "warn", "info", "debug"];

pub(crate) static SECTION: Section = Section::new(&[
    schema::section(
        "accesslog",
        &ACCESS_LOG,
        "Access log in Apache's combined form on standard output.",
    ),
    schema::choice("level", LEVELS, "What is logged to standard error.").default("info"),
    schema::choice("formatter", &["text", "json", "logstash"], "Form of the log lines.")
        .default("text"),
    schema::text_map("fields", false, "Static fields on every log line."),
    schema::list("hooks", &HOOK, "Mails on log lines."),
    schema::boolean("reportcaller", "Adds the place in the code to each line.").default("false"),
]);

static ACCESS_LOG: Section =
    Section::new(&[schema::boolean("disabled", "Turns the access log off.").default("false")]);

static HOOK: Section = Section::new(&[
    schema::boolean("disabled", "Turns the hook off.").default("false"),
    schema::text("type", "Type of the hook; only `mail` exists."),
    schema::texts("levels", "Levels that are mailed."),
    schema::section("options", &MAIL, "Options of the mail hook.").variable("mailoptions"),
]);

static MAIL: Section = Section::new(&[
    schema::section("smtp", &SMTP, "The mail server."),
    schema::text("from", "Sender of the mail."),
    schema::texts("to", "Receivers of the mail."),
]);

static SMTP: Section = Section::new(&[
    schema::text("addr", "`host:port` of the mail server."),
    schema::text("username", "User at the mail server."),
    schema::secret("password", "Password at the mail server."),
    schema::boolean("insecure", "Skips the check of the server's certificate.").default("false"),
]);

/// How much is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Errors only.
    Error,
    /// Warnings and errors.
    Warn,
    /// Normal operation.
    #[default]
    Info,
    /// Everything.
    Debug,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value` text.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
    /// One JSON object a line in Logstash's field names.
    Logstash,
}

/// A value of a static log field, typed as YAML has it.
#[derive(Clone, Debug, PartialEq)]
pub enum FieldValue {
    /// Text.
    Text(String),
    /// An integer.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// A boolean.
    Boolean(bool),
}

/// `log`.
#[derive(Clone, Debug)]
pub struct Log {
    /// Whether the access log is written to standard output.
    pub access_log: bool,
    /// How much is logged.
    pub level: LogLevel,
    /// The form of the lines.
    pub format: LogFormat,
    /// Static fields on every line, in the order of the file.
    pub fields: Vec<(String, FieldValue)>,
    /// Mail hooks, disabled ones included.
    pub hooks: Vec<LogHook>,
    /// Whether the place in the code is added to each line.
    pub report_caller: bool,
}

/// One of `log.hooks`.
#[derive(Clone, Debug)]
pub struct LogHook {
    /// Whether it is turned off.
    pub disabled: bool,
    /// Its type; only `mail` exists.
    pub kind: String,
    /// Levels that are mailed.
    pub levels: Vec<String>,
    /// `host:port` of the mail server.
    pub smtp_addr: String,
    /// User at the mail server.
    pub smtp_username: String,
    /// Password at the mail server.
    pub smtp_password: Option<Secret>,
    /// Whether the server's certificate goes unchecked.
    pub smtp_insecure: bool,
    /// Sender.
    pub from: String,
    /// Receivers.
    pub to: Vec<String>,
}

pub(crate) fn read(log: Reader<'_>) -> Log {
    Log {
        access_log: !log.section("accesslog").boolean("disabled"),
        level: match log.text("level").as_str() {
            "error" => LogLevel::Error,
            "warn" => LogLevel::Warn,
            "debug" => LogLevel::Debug,
            _ => LogLevel::Info,
        },
        format: match log.text("formatter").as_str() {
            "json" => LogFormat::Json,
            "logstash" => LogFormat::Logstash,
            _ => LogFormat::Text,
        },
        fields: log
            .entries("fields")
            .map(|(name, node)| (name.to_owned(), value_of(node)))
            .collect(),
        hooks: log.items("hooks").map(read_hook).collect(),
        report_caller: log.boolean("reportcaller"),
    }
}

fn read_hook(hook: Reader<'_>) -> LogHook {
    let options = hook.section("options");
    let smtp = options.section("smtp");
    LogHook {
        disabled: hook.boolean("disabled"),
        kind: hook.text("type"),
        levels: hook.texts("levels"),
        smtp_addr: smtp.text("addr"),
        smtp_username: smtp.text("username"),
        smtp_password: smtp.secret("password"),
        smtp_insecure: smtp.boolean("insecure"),
        from: options.text("from"),
        to: options.texts("to"),
    }
}

fn value_of(node: &Node) -> FieldValue {
    let Value::Scalar(value) = &node.value else { return FieldValue::Text(String::new()) };
    let text = &value.text;
    if value.quoted {
        return FieldValue::Text(text.clone());
    }
    if let Some(number) = scalar::integer(text) {
        return FieldValue::Integer(number);
    }
    // Go's YAML leaves `y` and `n` alone in untyped places, and so do we.
    if let Some(truth) = scalar::boolean(text).filter(|_| text.len() > 1) {
        return FieldValue::Boolean(truth);
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => FieldValue::Float(number),
        _ => FieldValue::Text(text.clone()),
    }
}
