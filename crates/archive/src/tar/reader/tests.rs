use std::io::Write as _;

use super::*;

/// An entry as an archiver writes it.
fn entry(name: &str, kind: u8, link: &str, content: &[u8]) -> Vec<u8> {
    let mut block = [0u8; BLOCK_BYTES];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link.as_bytes());
    block[257..265].copy_from_slice(b"ustar\x0000");
    seal(&mut block);
    let mut bytes = block.to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    bytes
}

fn seal(block: &mut [u8; BLOCK_BYTES]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn read(content: &[u8]) -> Result<TarIndex, TarError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    TarIndex::read(file)
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 2 * BLOCK_BYTES]].concat()
}

fn content(index: &TarIndex, path: &str) -> Option<Vec<u8>> {
    let (offset, size) = index.find(path)?;
    Some(index.read_at(offset, size as usize).unwrap())
}

#[test]
fn files_and_links_are_found() {
    let long = "long/".repeat(60) + "name";
    let pax = |records: &str| {
        let length = (records.len()..).find(|n| n.to_string().len() + 1 + records.len() == *n);
        entry("x", b'x', "", format!("{} {records}", length.unwrap()).as_bytes())
    };
    let index = read(&archive(&[
        entry("./a//b", b'0', "", b"file"),
        entry("old", 0, "", b"old form"),
        entry("d/", b'5', "", b""),
        entry("d/symbolic", b'2', "../a/b", b""),
        entry("hard", b'1', "a/b", b""),
        entry("chain", b'2', "d/symbolic", b""),
        entry("round", b'2', "round", b""),
        entry("out", b'2', "../../etc/passwd", b""),
        entry("d/absolute", b'2', "/a/b", b""),
        entry("device", b'3', "", b""),
        entry("././@LongLink", b'L', "", format!("{long}\0").as_bytes()),
        entry("short", b'0', "", b"long"),
        pax("path=from/pax\n"),
        entry("short", b'0', "", b"pax"),
        entry("pax", b'g', "", b"anything"),
        entry("twice", b'0', "", b"first"),
        entry("twice", b'0', "", b"second"),
    ]))
    .unwrap();
    for (path, expected) in [
        ("a/b", Some("file")),
        ("/a/./b", Some("file")),
        ("old", Some("old form")),
        ("d/symbolic", Some("file")),
        ("hard", Some("file")),
        ("chain", Some("file")),
        ("round", None),
        ("out", None),
        ("device", None),
        ("d", None),
        (&long, Some("long")),
        ("short", None),
        ("from/pax", Some("pax")),
        ("twice", Some("second")),
        ("../a/b", None),
    ] {
        let found = content(&index, path).map(|c| String::from_utf8(c).unwrap());
        assert_eq!(found.as_deref(), expected, "{path}");
    }
    // Within the archive, as for whoever unpacks it into a root of its own.
    assert_eq!(content(&index, "d/absolute").as_deref(), Some(&b"file"[..]));
}

#[test]
fn what_leads_out_is_refused() {
    for bad in ["../x", "a/../../x", "/../x"] {
        let error = read(&archive(&[entry(bad, b'0', "", b"x")])).unwrap_err();
        assert!(matches!(error, TarError::LeadsOut { .. }), "{bad}: {error}");
        let error = read(&archive(&[entry("a", b'1', bad, b"")])).unwrap_err();
        assert!(matches!(error, TarError::LeadsOut { .. }), "{bad}: {error}");
    }
}

#[test]
fn an_archive_that_is_cut_off_anywhere_is_refused() {
    let whole = archive(&[entry("a", b'0', "", &[1; 700]), entry("b", b'0', "", b"x")]);
    let data = whole.len() - 2 * BLOCK_BYTES;
    for length in (0..data + BLOCK_BYTES).step_by(97).chain([data, data + BLOCK_BYTES - 1]) {
        let error = read(&whole[..length]).unwrap_err();
        assert!(matches!(error, TarError::Truncated { .. }), "{length}: {error}");
    }
    // One block of the mark is enough.
    read(&whole[..data + BLOCK_BYTES]).unwrap();
}

#[test]
fn sizes_are_not_believed() {
    let mut huge = [0u8; BLOCK_BYTES];
    huge.copy_from_slice(&entry("huge", b'0', "", b""));
    for size in [&b"777777777777"[..], b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"] {
        huge[124..136].copy_from_slice(size);
        seal(&mut huge);
        let error = read(&archive(&[huge.to_vec()])).unwrap_err();
        assert!(matches!(error, TarError::Truncated { .. }), "{error}");
    }
    huge[124..136].fill(0xff);
    seal(&mut huge);
    let error = read(&archive(&[huge.to_vec()])).unwrap_err();
    assert!(matches!(error, TarError::Malformed { .. }), "{error}");
    // A name of two megabytes.
    let long = entry("l", b'L', "", &vec![b'x'; 2 << 20]);
    let error = read(&archive(&[long])).unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
    let text = vec![b'x'; 4096];
    let error = read(&text).unwrap_err();
    assert!(error.to_string().contains("no tar archive"), "{error}");
}

#[test]
fn too_many_entries_are_refused() {
    let one = entry("a", b'0', "", b"");
    let error = read(&archive(&vec![one; TAR_ENTRIES_MAX + 1])).unwrap_err();
    assert!(matches!(error, TarError::TooMany), "{error}");
}

proptest::proptest! {
    #[test]
    fn nothing_panics(mut content in proptest::collection::vec(0u8.., 512..2048), seal_it in 0u8..) {
        if seal_it > 20 {
            let mut block: [u8; BLOCK_BYTES] = content[..BLOCK_BYTES].try_into().unwrap();
            seal(&mut block);
            content[..BLOCK_BYTES].copy_from_slice(&block);
        }
        let _ = read(&content);
    }
}
