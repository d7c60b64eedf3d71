//! Headers: POSIX ustar, with the long names of GNU and the records of pax.

use super::{BLOCK_BYTES, NAME_BYTES};

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    HardLink,
    SymbolicLink,
    Directory,
    /// GNU: the content is the path of the next entry.
    LongName,
    /// GNU: the content is where the next entry leads.
    LongLink,
    /// pax: records for the next entry.
    Records,
    /// pax: records for all that follows.
    GlobalRecords,
    /// Devices and the like.
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) size_bytes: u64,
    /// Where a link leads.
    pub(super) link: Vec<u8>,
}

/// Reads a header; `None` for the mark of the end.
pub(super) fn parse(block: &[u8; BLOCK_BYTES]) -> Result<Option<Header>, &'static str> {
    if block.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let sum: u64 = (0..BLOCK_BYTES)
        .map(|at| u64::from(if (148..156).contains(&at) { b' ' } else { block[at] }))
        .sum();
    if number(&block[148..156]) != Some(sum) {
        return Err("its checksum is wrong: this is no tar archive, or it is damaged");
    }
    let mut name = text(&block[..NAME_BYTES]).to_vec();
    // Only POSIX has a prefix; GNU keeps other things there.
    if &block[257..263] == b"ustar\0" {
        let prefix = text(&block[345..500]);
        if !prefix.is_empty() {
            name = [prefix, b"/", &name].concat();
        }
    }
    let kind = match block[156] {
        b'0' | b'\0' | b'7' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::SymbolicLink,
        b'5' => Kind::Directory,
        b'L' => Kind::LongName,
        b'K' => Kind::LongLink,
        b'x' => Kind::Records,
        b'g' => Kind::GlobalRecords,
        _ => Kind::Other,
    };
    let size_bytes = number(&block[124..136]).ok_or("its size is no number")?;
    let link = text(&block[157..157 + NAME_BYTES]).to_vec();
    Ok(Some(Header { name, kind, size_bytes, link }))
}

/// Up to the first zero.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Octal digits, or GNU's binary form for what is too large for them.
fn number(field: &[u8]) -> Option<u64> {
    if let [first, rest @ ..] = field
        && first & 0x80 != 0
    {
        // The sign bit of what would be negative, and what is beyond 64 bits.
        let (high, low) = rest.split_at(rest.len().checked_sub(8)?);
        if first & 0x7f != 0 || high.iter().any(|byte| *byte != 0) {
            return None;
        }
        return Some(u64::from_be_bytes(low.try_into().ok()?));
    }
    let digits = field.trim_ascii_start();
    let digits = digits.split(|b| *b == 0 || *b == b' ').next().unwrap_or_default();
    digits.iter().try_fold(0u64, |number, digit| match digit {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// Key and value.
pub(super) type Record<'a> = (&'a [u8], &'a [u8]);

/// The records of a pax header: `length key=value\n`.
pub(super) fn records(mut content: &[u8]) -> Result<Vec<Record<'_>>, &'static str> {
    const FAULT: &str = "its extended header is malformed";
    let mut records = Vec::new();
    while !content.is_empty() {
        let space = content.iter().position(|byte| *byte == b' ').ok_or(FAULT)?;
        let length = std::str::from_utf8(&content[..space]).ok();
        let length: usize = length.and_then(|text| text.parse().ok()).ok_or(FAULT)?;
        let record = content.get(space + 1..length).ok_or(FAULT)?;
        let record = record.strip_suffix(b"\n").ok_or(FAULT)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(FAULT)?;
        records.push((&record[..equals], &record[equals + 1..]));
        content = &content[length..];
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"     12 ", Some(0o12)),
            (b"\0\0\0\0", Some(0)),
            (b"777777777777", Some(0o777_777_777_777)),
            (b"12x\0", None),
            (b"-1\0\0", None),
            (b"\x80\0\0\0\0\0\0\x02\0\0\0\0", Some(2 << 32)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\x80\x01\0\0\0\0\0\0\0\0\0\0", None),
            (b"\x80\0", None),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
    }

    #[test]
    fn pax_records() {
        let found = records(b"19 path=some/where\n6 a==\n").unwrap();
        assert_eq!(found, [(&b"path"[..], &b"some/where"[..]), (b"a", b"=")]);
        for bad in
            [&b"5 path=x\n"[..], b"path=x\n", b"99 a=b\n", b"2 \n", b"0 a=b\n", b"6 abcd\n", b"1"]
        {
            assert!(records(bad).is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(
            block in proptest::collection::vec(0u8.., BLOCK_BYTES),
            content in proptest::collection::vec(0u8.., 0..64),
        ) {
            let _ = parse(&block.try_into().unwrap());
            let _ = records(&content);
            let _ = number(&content);
        }
    }
}
