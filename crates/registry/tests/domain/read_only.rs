use registry::limits::READ_ONLY_REASON_CHARS_MAX;
use registry::{ReadOnlyNote, layout};

use crate::support::{overwrite, registry};

#[tokio::test]
async fn a_note_says_since_when_and_why() {
    let registry = registry();
    assert_eq!(registry.read_only_note().await.unwrap(), None);
    let note = registry.make_read_only(" a\nbackup ").await.unwrap();
    assert_eq!(note.reason, "a backup");
    assert!(note.since.is_some());
    assert_eq!(registry.read_only_note().await.unwrap(), Some(note));
    let long = "x".repeat(100_000);
    assert_eq!(
        registry.make_read_only(&long).await.unwrap().reason.len(),
        READ_ONLY_REASON_CHARS_MAX
    );
    assert!(registry.read_only_note().await.unwrap().is_some());
    assert!(registry.make_writable().await.unwrap());
    assert!(!registry.make_writable().await.unwrap());
    assert_eq!(registry.read_only_note().await.unwrap(), None);
}

#[tokio::test]
async fn a_note_counts_whatever_is_in_it() {
    let registry = registry();
    for content in [&b""[..], b"\0", b"[1]", br#"{"since": "long ago"}"#, &[b' '; 10_000]] {
        overwrite(&registry, &layout::read_only(), content).await;
        assert_eq!(registry.read_only_note().await.unwrap(), Some(ReadOnlyNote::default()));
    }
}
