//! `storage.maintenance.freespace`.

use crate::{
    reader::Reader,
    schema::{self, Section},
    size,
};

pub(crate) static SECTION: Section = Section::new(&[schema::checked(
    "min",
    check,
    "Pushes get 507 once less than this is free: bytes (`512MiB`) or a part of the volume (`5%`); `0` is never. Unless set, 0.5% of the volume, but at most 1 GiB. Not in Distribution.",
)]);

/// `storage.maintenance.freespace.min`: how much of the volume is to stay free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FreeSpace {
    /// What suits most volumes.
    #[default]
    Default,
    /// So many bytes; none turns the check off.
    Bytes(u64),
    /// A part of the volume, in millionths.
    Millionths(u32),
}

pub(crate) fn read(free_space: Reader<'_>) -> FreeSpace {
    let text = free_space.text("min");
    parse(&text).unwrap_or_default()
}

fn check(text: &str) -> Result<(), String> {
    let advice = "is no size; write bytes such as 512MiB or 2GB, a part such as 5%, or 0 for none";
    parse(text).map(|_| ()).ok_or_else(|| advice.to_owned())
}

/// What a text means; the default when it is empty.
fn parse(text: &str) -> Option<FreeSpace> {
    if text.trim().is_empty() {
        return Some(FreeSpace::Default);
    }
    match size::split(text)? {
        (number, "%") => {
            let millionths = u32::try_from(size::scaled(number, 10_000)?).ok()?;
            (millionths < 1_000_000).then_some(FreeSpace::Millionths(millionths))
        }
        _ => size::bytes(text).map(FreeSpace::Bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_parts() {
        for (text, expected) in [
            ("", FreeSpace::Default),
            ("0", FreeSpace::Bytes(0)),
            ("4096", FreeSpace::Bytes(4096)),
            ("512MiB", FreeSpace::Bytes(512 << 20)),
            ("512 Mi", FreeSpace::Bytes(512 << 20)),
            ("2GB", FreeSpace::Bytes(2_000_000_000)),
            ("1.5gib", FreeSpace::Bytes(3 << 29)),
            ("5%", FreeSpace::Millionths(50_000)),
            ("0.5 %", FreeSpace::Millionths(5_000)),
            ("0%", FreeSpace::Millionths(0)),
        ] {
            assert_eq!(parse(text), Some(expected), "{text}");
        }
        for bad in ["x", "5 apples", "-1", "1.", ".5", "1.2.3", "100%", "16777216TiB", "1e9", "%"] {
            assert_eq!(parse(bad), None, "{bad}");
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
