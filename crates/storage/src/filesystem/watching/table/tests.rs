use super::*;

const CREATE_DIRECTORY: ReadFlags = ReadFlags::CREATE.union(ReadFlags::ISDIR);

/// Claims a path with its watch for a subscription that is told of what lies above.
fn claim(table: &mut Table, path: &str, wd: i32, subscription: &Arc<Subscription>) {
    if !path.is_empty() {
        let (parent, name) = split(path);
        table.subscribe(parent, Interest::Entry(name.into()), subscription);
    }
    table.begin_adding();
    table.claim(path, (wd, 0), CONTENT, subscription);
}

/// `/a/b` and what is above it, with watches 1 to 3.
fn table() -> (Table, Arc<Subscription>) {
    let (mut table, subscription) = (Table::default(), Arc::default());
    for (path, wd) in [("", 1), ("/a", 2), ("/a/b", 3)] {
        claim(&mut table, path, wd, &subscription);
    }
    assert!(!subscription.is_over());
    (table, subscription)
}

#[test]
fn events_end_what_they_are_about() {
    use ReadFlags as F;
    for (wd, event, name, ends) in [
        (1, F::DELETE, Some("a"), true),
        (1, F::MOVED_FROM, Some("a"), true),
        (1, F::MOVED_TO, Some("a"), true),
        (1, F::CREATE, Some("b"), false),
        (2, F::CREATE, Some("a"), false),
        (2, F::MODIFY, Some("b"), true),
        (3, F::DELETE, Some("x"), false),
        (3, F::MOVE_SELF, None, true),
        (3, F::DELETE_SELF, None, true),
        (2, F::IGNORED, None, true),
        (1, F::UNMOUNT, None, true),
        (3, F::ATTRIB, None, false),
        (4, F::MOVE_SELF, None, false),
        (-1, F::QUEUE_OVERFLOW, None, true),
    ] {
        let (mut table, subscription) = table();
        table.subscribe("/a/b", Interest::Entry("y".into()), &subscription);
        table.take_in(wd, event, name);
        assert_eq!(subscription.is_over(), ends, "{wd} {event:?} {name:?}");
        // None is forgotten but what the kernel has ended itself.
        let left = if event == F::IGNORED { 2 } else { 3 };
        assert_eq!(table.watches(), left, "{wd} {event:?} {name:?}");
    }
}

#[test]
fn what_lies_below_goes_with_its_path() {
    let (mut table, subscription) = table();
    // Names that sort between a path and what is below it.
    for (path, wd) in [("/a-b", 4), ("/a.b", 5), ("/a0", 6), ("/a/b/c", 7)] {
        claim(&mut table, path, wd, &subscription);
    }
    table.take_in(1, ReadFlags::MOVED_FROM | ReadFlags::ISDIR, Some("a"));
    for (path, stays) in
        [("", true), ("/a", false), ("/a/b", false), ("/a/b/c", false), ("/a-b", true)]
    {
        assert_eq!(table.has(path, NAMES), stays, "{path:?}");
    }
    assert!(table.has("/a.b", NAMES) && table.has("/a0", NAMES));
    let mut doomed = table.take_doomed();
    doomed.sort_unstable();
    assert_eq!(doomed, [2, 3, 7]);
}

#[test]
fn an_event_before_the_claim_is_not_lost() {
    let (mut table, subscription) = table();
    table.subscribe("/a/b", Interest::Entry("c".into()), &subscription);
    table.begin_adding();
    table.take_in(9, ReadFlags::CREATE, Some("link"));
    table.claim("/a/b/c", (9, 0), CONTENT, &subscription);
    assert!(subscription.is_over());
    assert!(!table.has("/a/b/c", NAMES));
    // The next one finds it quiet.
    let next = Arc::default();
    claim(&mut table, "/a/b/c", 9, &next);
    assert!(!next.is_over() && table.has("/a/b/c", NAMES));
    assert_eq!(table.take_doomed(), []);
}

#[test]
fn a_path_that_may_lead_elsewhere_is_not_taken_in() {
    let (mut table, subscription) = table();
    table.subscribe("/a", Interest::Entry("c".into()), &subscription);
    table.begin_adding();
    // Between the kernel's watch and the claim, `c` was replaced.
    table.take_in(2, ReadFlags::MOVED_FROM | ReadFlags::ISDIR, Some("c"));
    table.claim("/a/c", (9, 0), CONTENT, &subscription);
    assert!(subscription.is_over());
    assert!(!table.has("/a/c", NAMES));
    assert_eq!(table.take_doomed(), [9]);
    // Nor is what lies below a directory that is gone.
    let late = Arc::default();
    claim(&mut table, "/x/y", 10, &late);
    assert!(late.is_over());
}

#[test]
fn one_directory_has_one_path() {
    let (mut table, first) = table();
    table.subscribe("/a/b", Interest::Listing, &first);
    let second = Arc::default();
    claim(&mut table, "/moved", 3, &second);
    assert!(first.is_over());
    assert!(!second.is_over());
    assert!(table.has("/moved", NAMES) && !table.has("/a/b", NAMES));
    assert_eq!(table.take_doomed(), []);
    // And one path has one directory, even before the event that tells which.
    let third = Arc::default();
    claim(&mut table, "/moved", 4, &third);
    assert!(third.is_over() && !second.is_over());
    assert_eq!(table.take_doomed(), [4]);
}

#[test]
fn a_late_farewell_of_a_watch_does_no_harm() {
    let (mut table, _) = table();
    table.take_in(1, ReadFlags::DELETE | ReadFlags::ISDIR, Some("a"));
    assert_eq!(table.watches(), 3);
    table.take_in(3, ReadFlags::IGNORED, None);
    table.take_in(2, ReadFlags::IGNORED, None);
    assert_eq!(table.watches(), 1, "what ended by itself need not be ended");
}

#[test]
fn journals_tell_in_order_and_end_rather_than_grow() {
    let (mut table, subscription) = table();
    let journal = Arc::new(Subscription::to_changes());
    table.subscribe("/a/b", Interest::Listing, &journal);
    table.take_in(3, CREATE_DIRECTORY, Some("v1"));
    table.take_in(3, ReadFlags::DELETE | ReadFlags::ISDIR, Some("v1"));
    table.take_in(3, ReadFlags::ATTRIB | ReadFlags::ISDIR, Some("v1"));
    // No component of a path, and a file that is not finished.
    table.take_in(3, CREATE_DIRECTORY, Some("a b"));
    let unfinished = "link.0e1c3c1c-6f3e-4a4e-9a3e-2f3c5b6d7e8f.tmp";
    table.take_in(3, ReadFlags::CREATE, Some(unfinished));
    let change = |is_directory| EntryChange { name: "v1".into(), is_directory };
    assert_eq!(journal.take_changes(), [change(true), change(false)]);
    assert_eq!(journal.take_changes(), []);
    for _ in 0..=JOURNAL_CHANGES_MAX {
        assert!(!journal.is_over());
        table.take_in(3, CREATE_DIRECTORY, Some("v1"));
    }
    assert!(journal.is_over());
    assert_eq!(journal.take_changes(), []);
    assert!(!subscription.is_over());
    // What may be a symbolic link has to be looked at.
    let journal = Arc::new(Subscription::to_changes());
    table.subscribe("/a/b", Interest::Listing, &journal);
    table.take_in(3, ReadFlags::CREATE, Some("perhaps-a-link"));
    assert!(journal.is_over());
}

#[test]
fn what_nobody_wants_is_swept() {
    let (mut table, subscription) = table();
    let other = Arc::default();
    claim(&mut table, "/other", 4, &other);
    table.subscribe("/other", Interest::Listing, &other);
    drop(subscription);
    table.sweep();
    assert_eq!((table.has("/other", NAMES), table.has("", NAMES)), (true, true));
    assert!(!table.has("/a", NAMES));
    drop(other);
    table.sweep();
    assert!(table.is_empty());
    assert_eq!(table.take_doomed().len(), 4);
}

#[test]
fn interests_that_are_over_do_not_pile_up() {
    let (mut table, _subscription) = table();
    for _ in 0..10_000 {
        let short = Arc::default();
        table.subscribe("/a", Interest::Listing, &short);
    }
    assert!(table.nodes["/a"].interests.len() < 100);
}
