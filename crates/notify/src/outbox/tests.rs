//! The outbox against a list in memory, with the process killed at any byte.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::error::NotifyError;
use crate::event::Action;
use crate::record::tests::record;

fn endpoints(names: &[&str]) -> Arc<[EndpointOptions]> {
    names
        .iter()
        .map(|name| EndpointOptions { name: (*name).to_owned(), ..EndpointOptions::default() })
        .collect()
}

fn open(path: &Path, names: &[&str]) -> Outbox {
    Outbox::open(path, endpoints(names), OutboxBounds::default()).unwrap()
}

fn body(number: u128) -> String {
    format!("event {number} {}", "x".repeat(usize::try_from(number % 50).unwrap()))
}

fn append(outbox: &Outbox, numbers: impl IntoIterator<Item = u128>) -> Appended {
    let records: Vec<_> = numbers.into_iter().map(|n| record(n, &body(n))).collect();
    outbox.append(&records, false).unwrap()
}

/// Delivers at most `count` events and says which.
fn deliver(outbox: &Outbox, endpoint: usize, position: &mut Position, count: usize) -> Vec<u128> {
    let mut delivered = Vec::new();
    while delivered.len() < count {
        let unread = position.clone();
        let found = outbox.read(endpoint, position).unwrap();
        if found.is_empty() {
            break;
        }
        let mut is_all = true;
        for (sequence, record) in found {
            if delivered.len() == count {
                is_all = false;
                break;
            }
            if sequence < position.from || !outbox.wants(endpoint, &record) {
                continue;
            }
            if outbox.begin(endpoint, sequence) {
                assert_eq!(record.body, body(record.id.as_u128()));
                delivered.push(record.id.as_u128());
                outbox.finish(endpoint, sequence).delete();
            }
            outbox.save_cursor(endpoint, sequence + 1).unwrap();
            position.from = sequence + 1;
        }
        if !is_all {
            // What was read ahead is read again.
            let from = position.from;
            *position = unread;
            position.from = from;
        }
    }
    delivered
}

fn deliver_all(outbox: &Outbox, endpoint: usize) -> Vec<u128> {
    deliver(outbox, endpoint, &mut outbox.position(endpoint), usize::MAX)
}

fn logs(path: &Path) -> Vec<PathBuf> {
    let mut logs: Vec<_> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    logs.retain(|path| path.extension().is_some_and(|e| e == "log"));
    logs.sort();
    logs
}

#[test]
fn what_was_not_delivered_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path(), &["a", "b"]);
    append(&outbox, 1..=5);
    assert_eq!(deliver(&outbox, 0, &mut outbox.position(0), 3), [1, 2, 3]);
    assert_eq!((outbox.pending(0), outbox.pending(1)), (2, 5));
    drop(outbox);
    let outbox = open(directory.path(), &["b", "a"]);
    assert_eq!((outbox.pending(0), outbox.pending(1)), (5, 2));
    append(&outbox, 6..=6);
    assert_eq!(deliver_all(&outbox, 1), [4, 5, 6]);
    assert_eq!(deliver_all(&outbox, 0), [1, 2, 3, 4, 5, 6]);
    assert_eq!((outbox.pending(0), outbox.pending(1)), (0, 0));
    drop(outbox);
    drop(open(directory.path(), &["a", "b"]));
    assert!(logs(directory.path()).is_empty(), "nothing is kept when all is delivered");
}

#[test]
fn a_new_endpoint_begins_at_the_end_and_a_removed_one_holds_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path(), &["gone"]);
    append(&outbox, 1..=5);
    drop(outbox);
    let outbox = open(directory.path(), &["new"]);
    assert!(logs(directory.path()).is_empty());
    append(&outbox, 6..=7);
    assert_eq!(deliver_all(&outbox, 0), [6, 7]);
    drop(outbox);
    // Back again, it does not get what is long over.
    let outbox = open(directory.path(), &["gone"]);
    assert!(deliver_all(&outbox, 0).is_empty());
    append(&outbox, 8..=8);
    assert_eq!(deliver_all(&outbox, 0), [8]);
}

#[test]
fn a_damaged_cursor_means_all_events_again() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path(), &["a", "b"]);
    append(&outbox, 1..=5);
    deliver(&outbox, 0, &mut outbox.position(0), 3);
    let cursor = outbox.directory.as_ref().unwrap().cursors[0].path().to_owned();
    drop(outbox);
    fs::write(cursor, "").unwrap();
    assert_eq!(deliver_all(&open(directory.path(), &["a", "b"]), 0), [1, 2, 3, 4, 5]);
}

#[test]
fn numbers_are_not_used_again_when_the_log_was_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path(), &["a"]);
    append(&outbox, 1..=5);
    deliver_all(&outbox, 0);
    drop(outbox);
    for path in logs(directory.path()) {
        fs::remove_file(path).unwrap();
    }
    let outbox = open(directory.path(), &["a"]);
    append(&outbox, 6..=7);
    assert_eq!(deliver_all(&outbox, 0), [6, 7]);
}

#[test]
fn a_second_process_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _first = open(directory.path(), &["a"]);
    let second = Outbox::open(directory.path(), endpoints(&["a"]), OutboxBounds::default());
    let Err(error @ NotifyError::Locked { .. }) = second else { panic!("{second:?}") };
    assert!(error.to_string().contains("in use by another process"), "{error}");
}

#[test]
fn a_file_of_a_later_version_is_refused_and_a_foreign_one_put_aside() {
    let directory = tempfile::tempdir().unwrap();
    let later = directory.path().join(format!("{:020}.log", 1));
    fs::write(&later, b"wharf outbox 99\nxxx").unwrap();
    let refused = Outbox::open(directory.path(), endpoints(&["a"]), OutboxBounds::default());
    assert!(matches!(refused, Err(NotifyError::Version { .. })), "{refused:?}");
    fs::write(&later, b"something else entirely").unwrap();
    let outbox = open(directory.path(), &["a"]);
    append(&outbox, 1..=1);
    assert_eq!(deliver_all(&outbox, 0), [1]);
    assert!(later.with_extension("damaged").exists());
}

#[test]
fn ignored_events_are_neither_pending_nor_delivered() {
    let options = |name: &str, ignored: &[&str]| EndpointOptions {
        name: name.to_owned(),
        ignored_actions: ignored.iter().map(|a| (*a).to_owned()).collect(),
        ..EndpointOptions::default()
    };
    let endpoints: Arc<[_]> = Arc::new([options("a", &["push"]), options("b", &["pull"])]);
    let outbox = Outbox::in_memory(endpoints, OutboxBounds::default());
    let pull = Record { action: Action::Pull, ..record(2, &body(2)) };
    let appended = outbox.append(&[record(1, &body(1)), pull], true).unwrap();
    assert_eq!(appended.added, [1, 1]);
    assert_eq!(deliver_all(&outbox, 0), [2]);
    assert_eq!(deliver_all(&outbox, 1), [1]);
}

#[test]
fn a_failed_write_loses_no_earlier_and_no_later_event() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path(), &["a"]);
    append(&outbox, 1..=2);
    // The next append has to make a file, which can't be done without the directory.
    outbox.close_last();
    let moved = directory.path().with_extension("moved");
    fs::rename(directory.path(), &moved).unwrap();
    outbox.append(&[record(3, "lost")], true).unwrap_err();
    fs::rename(&moved, directory.path()).unwrap();
    append(&outbox, 4..=5);
    assert_eq!(deliver_all(&outbox, 0), [1, 2, 4, 5]);
    append(&outbox, 6..=6);
    drop(outbox);
    assert_eq!(deliver_all(&open(directory.path(), &["a"]), 0), [6]);
}

/// Fills an outbox of at most 16 events while one endpoint gets everything and the other nothing.
fn overflow(outbox: &Outbox) {
    let mut fast = outbox.position(0);
    let mut dropped = [0, 0];
    for n in 1..=100 {
        let appended = append(outbox, [n]);
        dropped[0] += appended.dropped[0];
        dropped[1] += appended.dropped[1];
        assert_eq!(deliver(outbox, 0, &mut fast, 1), [n]);
    }
    assert_eq!(dropped[0], 0);
    let kept = deliver_all(outbox, 1);
    assert!((8..=16).contains(&kept.len()), "{kept:?}");
    assert_eq!(kept, (101 - kept.len() as u128..=100).collect::<Vec<_>>());
    assert_eq!(dropped[1] + kept.len() as u64, 100, "what is lost is counted");
}

#[test]
fn when_it_is_full_the_slow_lose_the_oldest_and_that_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let bounds = OutboxBounds { events_max: 16, ..OutboxBounds::default() };
    let outbox = Outbox::open(directory.path(), endpoints(&["fast", "slow"]), bounds).unwrap();
    overflow(&outbox);
    assert!(logs(directory.path()).len() <= 9, "files go with their events");
    overflow_in_memory();
}

fn overflow_in_memory() {
    let bounds = OutboxBounds { events_max: 16, ..OutboxBounds::default() };
    overflow(&Outbox::in_memory(endpoints(&["fast", "slow"]), bounds));
}

#[test]
fn bytes_are_bounded_too() {
    let bounds = OutboxBounds { bytes_max: 1, ..OutboxBounds::default() };
    let outbox = Outbox::in_memory(endpoints(&["a"]), bounds);
    let large = "x".repeat(100_000);
    let mut dropped = 0;
    for n in 0..50 {
        dropped += outbox.append(&[record(n, &large)], true).unwrap().dropped[0];
    }
    assert!(outbox.pending(0) * 100_000 <= limits::OUTBOX_BYTES_MIN);
    assert!(outbox.pending(0) >= 5);
    assert_eq!(outbox.pending(0) + dropped, 50);
}

#[test]
fn what_is_being_delivered_when_it_is_dropped_is_not_counted_as_lost() {
    let bounds = OutboxBounds { events_max: 8, ..OutboxBounds::default() };
    let outbox = Outbox::in_memory(endpoints(&["a"]), bounds);
    append(&outbox, [1]);
    let (sequence, _) = outbox.read(0, &mut outbox.position(0)).unwrap().remove(0);
    assert!(outbox.begin(0, sequence));
    let dropped: u64 = (2..=20).map(|n| append(&outbox, [n]).dropped[0]).sum();
    outbox.finish(0, sequence).delete();
    assert_eq!(dropped + 1 + outbox.pending(0), 20);
}

/// What a deliverer and a scrape need of an outbox, on a thread of their own.
fn is_responsive(outbox: &Arc<Outbox>) -> bool {
    let (done, answer) = std::sync::mpsc::channel();
    let outbox = Arc::clone(outbox);
    std::thread::spawn(move || {
        let mut position = outbox.position(0);
        let first = outbox.read(0, &mut position).unwrap().first().map_or(0, |(n, _)| *n);
        let is_kept = outbox.begin(0, first);
        let finished = if is_kept { Some(outbox.finish(0, first)) } else { None };
        let _ = done.send((outbox.pending(0), finished.map(|finished| finished.is_empty())));
    });
    answer.recv_timeout(std::time::Duration::from_secs(10)).is_ok()
}

#[test]
fn a_disk_that_hangs_holds_up_nobody_but_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let bounds = OutboxBounds { events_max: 8, ..OutboxBounds::default() };
    let outbox = Arc::new(Outbox::open(dir.path(), endpoints(&["a"]), bounds).unwrap());
    append(&outbox, [1]);
    let disk = Arc::clone(outbox.directory.as_ref().unwrap());
    let hangs = disk.disk.write().unwrap();
    // Each event begins a new segment.
    let writer = std::thread::spawn({
        let outbox = Arc::clone(&outbox);
        move || append(&outbox, [2]).added
    });
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!writer.is_finished());
    assert!(is_responsive(&outbox), "while a segment is made");
    drop(hangs);
    assert_eq!(writer.join().unwrap(), [1]);

    append(&outbox, [3]);
    let hangs = disk.disk.write().unwrap();
    let deleting = std::thread::spawn({
        let outbox = Arc::clone(&outbox);
        // Once 2 is delivered, nobody needs its segment any more.
        move || deliver(&outbox, 0, &mut outbox.position(0), 1)
    });
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!deleting.is_finished());
    assert!(is_responsive(&outbox), "while a segment is deleted");
    drop(hangs);
    assert_eq!(deleting.join().unwrap(), [2]);
    append(&outbox, [4]);
    assert_eq!(logs(dir.path()).len(), 1, "{:?}", logs(dir.path()));
}

#[test]
fn a_damaged_record_costs_only_itself() {
    let directory = tempfile::tempdir().unwrap();
    let outbox = open(directory.path(), &["a", "b"]);
    append(&outbox, 1..=5);
    let path = logs(directory.path()).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(7).position(|w| w == b"event 3").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    // While it is open, and after a restart.
    append(&outbox, 6..=6);
    assert_eq!(deliver_all(&outbox, 0), [1, 2, 4, 5, 6]);
    drop(outbox);
    let outbox = open(directory.path(), &["a", "b"]);
    assert_eq!(outbox.pending(1), 5);
    assert_eq!(deliver_all(&outbox, 1), [1, 2, 4, 5, 6]);
}

#[derive(Debug, Clone)]
enum Step {
    Append(usize),
    Deliver(usize, usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1_usize..20).prop_map(Step::Append),
        (0_usize..2, 1_usize..20).prop_map(|(endpoint, count)| Step::Deliver(endpoint, count)),
        Just(Step::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Whatever happens in whatever order, each endpoint gets each event once and in order.
    #[test]
    fn each_endpoint_gets_everything_once_and_in_order(
        steps in proptest::collection::vec(step(), 1..30),
        // With few events to a segment, and with all in one.
        events_max in prop_oneof![Just(1000), Just(100_000)],
    ) {
        let directory = tempfile::tempdir().unwrap();
        let bounds = OutboxBounds { events_max, ..OutboxBounds::default() };
        let open = || Outbox::open(directory.path(), endpoints(&["a", "b"]), bounds).unwrap();
        let mut outbox = open();
        let mut positions = [outbox.position(0), outbox.position(1)];
        let mut delivered = [Vec::new(), Vec::new()];
        let mut last = 0;
        for step in steps {
            match step {
                Step::Append(count) => {
                    append(&outbox, last + 1..=last + count as u128);
                    last += count as u128;
                }
                Step::Deliver(endpoint, count) => {
                    let new = deliver(&outbox, endpoint, &mut positions[endpoint], count);
                    delivered[endpoint].extend(new);
                }
                Step::Restart => {
                    drop(outbox);
                    outbox = open();
                    positions = [outbox.position(0), outbox.position(1)];
                }
            }
            for (endpoint, delivered) in delivered.iter().enumerate() {
                let pending = last - delivered.len() as u128;
                prop_assert_eq!(u128::from(outbox.pending(endpoint)), pending);
            }
        }
        for (endpoint, delivered) in delivered.iter_mut().enumerate() {
            let rest = deliver(&outbox, endpoint, &mut positions[endpoint], usize::MAX);
            delivered.extend(rest);
            prop_assert_eq!(&*delivered, &(1..=last).collect::<Vec<_>>());
        }
    }

    /// Killed while it writes: what was acknowledged before is there, what is cut off is not, and
    /// what is written afterwards is read.
    #[test]
    fn a_kill_at_any_byte_loses_nothing_that_was_accepted(
        accepted in 0_u128..10,
        cut in 0_usize..1000,
        done in 0_usize..10,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let outbox = open(directory.path(), &["a"]);
        append(&outbox, 1..=accepted);
        let sizes = |outbox: &Outbox| outbox.lock().segments.back().map_or(0, |s| s.size_bytes);
        let safe_bytes = sizes(&outbox);
        append(&outbox, accepted + 1..=accepted + 5);
        let written_bytes = sizes(&outbox);
        let delivered = deliver(&outbox, 0, &mut outbox.position(0), done.min(accepted as usize));
        drop(outbox);
        let path = logs(directory.path()).pop().unwrap();
        let bytes = fs::read(&path).unwrap();
        let torn = (safe_bytes as usize + cut).min(written_bytes as usize);
        fs::write(&path, &bytes[..torn]).unwrap();

        let outbox = open(directory.path(), &["a"]);
        append(&outbox, 100..=101);
        let rest = deliver_all(&outbox, 0);
        let (before, after) = rest.split_at(rest.len() - 2);
        prop_assert_eq!(after, &[100, 101]);
        let all: Vec<_> = delivered.iter().chain(before).copied().collect();
        prop_assert!(all.len() as u128 >= accepted, "{:?} of {}", all, accepted);
        prop_assert_eq!(&all, &(1..=all.len() as u128).collect::<Vec<_>>());
    }

    /// Rubbish in the files of an outbox is an error or is skipped, and never a panic or a wrong event.
    #[test]
    fn rubbish_in_a_segment_is_survived(
        rubbish in proptest::collection::vec(any::<u8>(), 0..300),
        at in 0_usize..400,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let outbox = open(directory.path(), &["a"]);
        append(&outbox, 1..=4);
        drop(outbox);
        let path = logs(directory.path()).pop().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let at = 16 + at % (bytes.len() - 16);
        bytes.splice(at..at, rubbish);
        fs::write(&path, &bytes).unwrap();
        let outbox = open(directory.path(), &["a"]);
        append(&outbox, 5..=5);
        let found = deliver_all(&outbox, 0);
        prop_assert!(found.ends_with(&[5]), "{:?}", found);
        prop_assert!(found.len() >= 4, "at most one is hit: {:?}", found);
        prop_assert!(found.is_sorted());
    }
}
