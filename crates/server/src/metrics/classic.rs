//! The classic Prometheus text format, version 0.0.4, for scrapers that don't ask for OpenMetrics.

use std::fmt::Write as _;

/// Rewrites OpenMetrics 1.0 as [`prometheus_client`] writes it: a counter's family has the name of
/// its samples, an info is a gauge, and there are neither units nor an end mark. No metric here has
/// exemplars, which 0.0.4 does not have.
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
            classic.push_str(line);
            classic.push('\n');
        }
    }
    classic
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
}
