//! What the operating system says about this process.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// `proc_pid_stat(5)` counts time in hundredths of a second on every architecture of Linux that
/// programs see.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads `/proc/self` each time it is asked. What can't be read is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        if let Some(seconds) = read("stat").as_deref().and_then(cpu_seconds) {
            let metric = ConstCounter::new(seconds);
            let help = "Total user and system CPU time spent in seconds.";
            let descriptor = encoder.encode_descriptor(
                "process_cpu_seconds",
                help,
                None,
                metric.metric_type(),
            )?;
            metric.encode(descriptor)?;
        }
        let status = read("status").unwrap_or_default();
        let descriptors = std::fs::read_dir("/proc/self/fd").ok().map(|entries| {
            // The directory that is being read is itself open.
            entries.count().saturating_sub(1) as u64
        });
        let limits = read("limits").unwrap_or_default();
        for (name, help, value) in [
            (
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
                kibibytes(&status, "VmRSS:"),
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes.",
                kibibytes(&status, "VmSize:"),
            ),
            ("process_open_fds", "Number of open file descriptors.", descriptors),
            (
                "process_max_fds",
                "Maximum number of open file descriptors.",
                number_behind(&limits, "Max open files"),
            ),
        ] {
            let Some(value) = value else { continue };
            let metric = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
            let descriptor = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
            metric.encode(descriptor)?;
        }
        Ok(())
    }
}

fn read(file: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/self/{file}")).ok()
}

/// Fields 14 and 15, counted from behind the name, which may contain anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

fn kibibytes(status: &str, key: &str) -> Option<u64> {
    Some(number_behind(status, key)? * 1024)
}

/// The first number of the line that begins with `key`.
fn number_behind(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_kernel() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 9 1000 20";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(kibibytes("Name:\tx\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12 * 1024));
        let limits = "Limit  Soft  Hard\nMax open files            1024   4096   files\n";
        assert_eq!(number_behind(limits, "Max open files"), Some(1024));
        assert_eq!(cpu_seconds(""), None);
    }
}
