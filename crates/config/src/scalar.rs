//! The text of a scalar as the schema's type, by the rules of yaml.v2 (YAML 1.1) and of Go.

use std::time::Duration;

/// A YAML 1.1 boolean: `y`, `yes`, `on`, `true` and their opposites in the usual cases.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            Some(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            Some(false)
        }
        _ => None,
    }
}

/// A YAML 1.1 integer: decimal, `0777` and `0o777` octal, `0x`, `0b`, with `_` between digits.
pub(crate) fn integer(text: &str) -> Option<i64> {
    let plain: String = text.chars().filter(|c| *c != '_').collect();
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (16, &digits[2..]),
        [b'0', b'b' | b'B', _, ..] => (2, &digits[2..]),
        [b'0', b'o' | b'O', _, ..] => (8, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    // from_str_radix would take a second sign.
    if !digits.chars().all(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// A duration in nanoseconds: Go's `time.ParseDuration` (`1h30m`, `1.5s`, `100ms`, `-1s`), or a
/// bare integer of nanoseconds.
pub(crate) fn nanoseconds(text: &str) -> Option<i64> {
    if let Some(bare) = integer(text) {
        return Some(bare);
    }
    sum_of_units(text, in_nanoseconds)
}

/// The same in days (`d`) and weeks (`w`) as well, and never without a unit.
pub(crate) fn nanoseconds_with_days(text: &str) -> Option<i64> {
    sum_of_units(text, |number, unit| match unit {
        "d" => in_nanoseconds(number, "h")?.checked_mul(24),
        "w" => in_nanoseconds(number, "h")?.checked_mul(7 * 24),
        _ => in_nanoseconds(number, unit),
    })
}

fn sum_of_units(text: &str, in_nanoseconds: impl Fn(&str, &str) -> Option<i128>) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        total += in_nanoseconds(number, unit)?;
        if total > i128::from(i64::MAX) {
            return None;
        }
        rest = tail;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

fn in_nanoseconds(number: &str, unit: &str) -> Option<i128> {
    let unit_nanoseconds: i128 = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 19 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut total = whole.checked_mul(unit_nanoseconds)?;
    let mut scale = unit_nanoseconds;
    for digit in fraction.bytes() {
        scale /= 10;
        total += i128::from(digit - b'0') * scale;
    }
    Some(total)
}

/// Reads a duration of a command line: `1h30m`, `90s`, `0`. A bare number would be nanoseconds in a
/// configuration, which nobody means here.
///
/// # Errors
/// What to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let advice = || "write a duration with its unit, such as 1h30m, 90s or 0".to_owned();
    if text != "0" && integer(text).is_some() {
        return Err(advice());
    }
    let nanoseconds = nanoseconds(text).ok_or_else(advice)?;
    u64::try_from(nanoseconds).map(Duration::from_nanos).map_err(|_| advice())
}

/// Writes a duration as Go does: `1h30m0s`, `1.5s`, `250ms`, `0s`.
pub(crate) fn format_duration(duration: Duration) -> String {
    let nanoseconds = duration.as_nanos();
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    for (unit, size) in [("ns", 1_u128), ("\u{b5}s", 1_000), ("ms", 1_000_000)] {
        if nanoseconds < size * 1_000 {
            return format!("{}{unit}", decimal(nanoseconds, size));
        }
    }
    let second = 1_000_000_000;
    let (minutes, rest) = (nanoseconds / (60 * second), nanoseconds % (60 * second));
    let seconds = decimal(rest, second);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

/// `value / size` in decimal notation without trailing zeros; `size` is a power of ten.
fn decimal(value: u128, size: u128) -> String {
    let (whole, fraction) = (value / size, value % size);
    if fraction == 0 {
        return whole.to_string();
    }
    let digits = size.ilog10() as usize;
    let fraction = format!("{fraction:0digits$}");
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}
