//! The classic Prometheus text format, version 0.0.4, for scrapers that don't ask for OpenMetrics.

use std::fmt::Write as _;

/// Rewrites OpenMetrics 1.0 as [`prometheus_client`] writes it: a counter's family has the name of
/// its samples, an info is a gauge, and there are neither units nor an end mark. Numbers look as
/// Go's client library writes them, because queries name buckets by their text: `le="1"`. No metric
/// here has exemplars, which 0.0.4 does not have.
pub(super) fn from_open_metrics(text: &str) -> String {
    let mut classic = String::with_capacity(text.len() + text.len() / 16);
    // `HELP` comes before `TYPE`, and needs to know what that says.
    let mut help = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, help)| help);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let Some((name, kind)) = rest.split_once(' ') else { continue };
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "gauge" | "histogram" | "summary" => ("", kind),
                _ => ("", "untyped"),
            };
            // Writing to a string can't fail.
            if let Some(help) = help.take() {
                let _ = writeln!(classic, "# HELP {name}{suffix} {help}");
            }
            let _ = writeln!(classic, "# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            push_sample(&mut classic, line);
        }
    }
    classic
}

/// A line `name{labels} value`, or `name value`.
fn push_sample(classic: &mut String, line: &str) {
    let (series, value) = line.rsplit_once(' ').unwrap_or((line, ""));
    let bucket = series
        .rsplit_once("le=\"")
        .filter(|_| series.split('{').next().is_some_and(|name| name.ends_with("_bucket")))
        .and_then(|(before, rest)| Some((before, rest.split_once('"')?)));
    match bucket {
        Some((before, (bound, after))) => {
            classic.push_str(before);
            classic.push_str("le=\"");
            push_number(classic, bound);
            classic.push('"');
            classic.push_str(after);
        }
        None => classic.push_str(series),
    }
    classic.push(' ');
    push_number(classic, value);
    classic.push('\n');
}

/// A number as Go's `strconv.FormatFloat(n, 'g', -1, 64)` writes it: as few digits as tell it from
/// others, with an exponent from 1e+06 on and below 1e-04. A whole number that was written as one
/// stays: it may be larger than what a float can tell.
fn push_number(classic: &mut String, text: &str) {
    let number = text.parse::<f64>().ok().filter(|n| n.is_finite());
    let Some(number) = number.filter(|_| text.contains(['.', 'e', 'E'])) else {
        classic.push_str(text);
        return;
    };
    let scientific = format!("{number:e}");
    let exponent = scientific.split_once('e').and_then(|(m, e)| Some((m, e.parse::<i32>().ok()?)));
    // Writing to a string can't fail.
    let _ = match exponent {
        Some((mantissa, e)) if !(-4..6).contains(&e) => {
            let sign = if e < 0 { '-' } else { '+' };
            write!(classic, "{mantissa}e{sign}{:02}", e.unsigned_abs())
        }
        _ => write!(classic, "{number}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_get_the_names_of_their_samples() {
        let open = "# HELP a_requests Requests made.\n\
                    # TYPE a_requests counter\n\
                    a_requests_total{code=\"200\"} 1\n\
                    # HELP b_seconds How long.\n\
                    # TYPE b_seconds histogram\n\
                    # UNIT b_seconds seconds\n\
                    b_seconds_sum 0.5\n\
                    b_seconds_count 1\n\
                    b_seconds_bucket{le=\"+Inf\"} 1\n\
                    # TYPE c unknown\n\
                    c 1\n\
                    # HELP d What is built.\n\
                    # TYPE d info\n\
                    d_info{version=\"1\"} 1\n\
                    # EOF\n";
        let classic = "# HELP a_requests_total Requests made.\n\
                       # TYPE a_requests_total counter\n\
                       a_requests_total{code=\"200\"} 1\n\
                       # HELP b_seconds How long.\n\
                       # TYPE b_seconds histogram\n\
                       b_seconds_sum 0.5\n\
                       b_seconds_count 1\n\
                       b_seconds_bucket{le=\"+Inf\"} 1\n\
                       # TYPE c untyped\n\
                       c 1\n\
                       # HELP d_info What is built.\n\
                       # TYPE d_info gauge\n\
                       d_info{version=\"1\"} 1\n";
        assert_eq!(from_open_metrics(open), classic);
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        for (open, expected) in [
            ("a_bucket{h=\"x\",le=\"1.0\"} 3", "a_bucket{h=\"x\",le=\"1\"} 3"),
            ("a_bucket{le=\"0.005\"} 3", "a_bucket{le=\"0.005\"} 3"),
            ("a_bucket{le=\"524288.0\"} 3", "a_bucket{le=\"524288\"} 3"),
            ("a_bucket{le=\"1048576.0\"} 3", "a_bucket{le=\"1.048576e+06\"} 3"),
            ("a_bucket{le=\"0.00001\"} 3", "a_bucket{le=\"1e-05\"} 3"),
            ("a_bucket{le=\"+Inf\"} 3", "a_bucket{le=\"+Inf\"} 3"),
            ("a_bucket{h=\"le=\",le=\"1.0\"} 3", "a_bucket{h=\"le=\",le=\"1\"} 3"),
            ("a_total{name=\"le=\",b=\"1.0\"} 3", "a_total{name=\"le=\",b=\"1.0\"} 3"),
            ("a_total{name=\"some words 1.0\"} 3", "a_total{name=\"some words 1.0\"} 3"),
            ("a_sum 0.5", "a_sum 0.5"),
            ("a_sum 1795618769.2", "a_sum 1.7956187692e+09"),
            ("a_sum 300000.0", "a_sum 300000"),
            ("a_sum 0.0", "a_sum 0"),
            ("a_total 18446744073709551615", "a_total 18446744073709551615"),
            ("a NaN", "a NaN"),
        ] {
            assert_eq!(from_open_metrics(open), format!("{expected}\n"));
        }
    }
}
