//! What the operating system says about this process.

use std::sync::OnceLock;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use serde_json::{Value, json};

use super::{gauges, to_f64};

/// `proc_pid_stat(5)` counts time in hundredths of a second on every architecture of Linux that
/// programs see.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads `/proc/self` each time it is asked. What can't be read is left out.
#[derive(Debug)]
pub(super) struct Process;

/// What there is to say.
#[derive(Debug, Default)]
struct Status {
    cpu_seconds: Option<f64>,
    start_time_seconds: Option<f64>,
    resident_bytes: Option<u64>,
    virtual_bytes: Option<u64>,
    /// As the kernel writes it, `u64::MAX` where there is no limit: Distribution does too.
    virtual_max_bytes: Option<u64>,
    threads: Option<u64>,
    open_descriptors: Option<u64>,
    max_descriptors: Option<u64>,
}

impl Status {
    fn read() -> Self {
        let stat = read("self/stat");
        let status = read("self/status").unwrap_or_default();
        let open_descriptors = std::fs::read_dir("/proc/self/fd").ok().map(|entries| {
            // The directory that is being read is itself open.
            entries.count().saturating_sub(1) as u64
        });
        let limits = read("self/limits").unwrap_or_default();
        Self {
            cpu_seconds: stat.as_deref().and_then(cpu_seconds),
            start_time_seconds: start_time_seconds(stat.as_deref()),
            resident_bytes: kibibytes(&status, "VmRSS:"),
            virtual_bytes: kibibytes(&status, "VmSize:"),
            virtual_max_bytes: limit(&limits, "Max address space"),
            threads: number_behind(&status, "Threads:"),
            open_descriptors,
            max_descriptors: limit(&limits, "Max open files"),
        }
    }
}

/// The same as JSON, for `/debug/vars`; `null` for what can't be read.
pub(crate) fn as_json() -> Value {
    let status = Status::read();
    json!({
        "cpu_seconds": status.cpu_seconds,
        "start_time_seconds": status.start_time_seconds,
        "resident_memory_bytes": status.resident_bytes,
        "virtual_memory_bytes": status.virtual_bytes,
        "threads": status.threads,
        "open_fds": status.open_descriptors,
        "max_fds": status.max_descriptors,
    })
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let status = Status::read();
        if let Some(seconds) = status.cpu_seconds {
            let metric = ConstCounter::new(seconds);
            let help = "Total user and system CPU time spent in seconds.";
            let kind = metric.metric_type();
            let descriptor = encoder.encode_descriptor("process_cpu_seconds", help, None, kind)?;
            metric.encode(descriptor)?;
        }
        let rows = [
            (
                "process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.",
                status.start_time_seconds,
            ),
            (
                "process_resident_memory_bytes",
                "Resident memory size in bytes.",
                status.resident_bytes.map(to_f64),
            ),
            (
                "process_virtual_memory_bytes",
                "Virtual memory size in bytes.",
                status.virtual_bytes.map(to_f64),
            ),
            (
                "process_virtual_memory_max_bytes",
                "Maximum amount of virtual memory available in bytes.",
                status.virtual_max_bytes.map(to_f64),
            ),
            ("process_threads", "Number of OS threads.", status.threads.map(to_f64)),
            (
                "process_open_fds",
                "Number of open file descriptors.",
                status.open_descriptors.map(to_f64),
            ),
            (
                "process_max_fds",
                "Maximum number of open file descriptors.",
                status.max_descriptors.map(to_f64),
            ),
        ];
        gauges(&mut encoder, rows)
    }
}

fn read(file: &str) -> Option<String> {
    std::fs::read_to_string(format!("/proc/{file}")).ok()
}

/// The fields of `/proc/self/stat` from the 14th on, counted from behind the name, which may
/// contain anything.
fn fields(stat: &str) -> Option<impl Iterator<Item = &str>> {
    Some(stat.rsplit_once(')')?.1.split_whitespace().skip(11))
}

/// Fields 14 and 15.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = fields(stat)?;
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// Field 22 counts from the boot of the machine, whose time `/proc/stat` has. Looked up once, as
/// that file is long and this does not change.
fn start_time_seconds(stat: Option<&str>) -> Option<f64> {
    static STARTED: OnceLock<Option<f64>> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let boot_seconds = number_behind(&read("stat")?, "btime")?;
        Some(to_f64(boot_seconds) + start_after_boot_seconds(stat?)?)
    })
}

fn start_after_boot_seconds(stat: &str) -> Option<f64> {
    let ticks: f64 = fields(stat)?.nth(8)?.parse().ok()?;
    Some(ticks / TICKS_PER_SECOND)
}

fn kibibytes(status: &str, key: &str) -> Option<u64> {
    Some(number_behind(status, key)? * 1024)
}

/// The soft limit in a line of `/proc/self/limits`; the largest number when there is none.
fn limit(limits: &str, key: &str) -> Option<u64> {
    let rest = limits.lines().find_map(|line| line.strip_prefix(key))?;
    match rest.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
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
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 900 1000 20";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(start_after_boot_seconds(stat), Some(9.0));
        assert_eq!(kibibytes("Name:\tx\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12 * 1024));
        let limits = "Limit  Soft  Hard\nMax open files            1024   4096   files\n";
        assert_eq!(limit(limits, "Max open files"), Some(1024));
        let limits = "Max address space         unlimited            unlimited            bytes\n";
        assert_eq!(limit(limits, "Max address space"), Some(u64::MAX));
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn this_process() {
        let status = Status::read();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let started = status.start_time_seconds.unwrap();
        assert!((0.0..3600.0 * 24.0).contains(&(now.as_secs_f64() - started)), "{started}");
        assert!(status.resident_bytes.unwrap() > 1024 * 1024);
        assert!(status.threads.unwrap() >= 1);
    }
}
