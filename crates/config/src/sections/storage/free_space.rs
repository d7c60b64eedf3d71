//! `storage.maintenance.freespace`.

use crate::{
    reader::Reader,
    schema::{self, Section},
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
    let text = text.trim();
    if text.is_empty() {
        return Some(FreeSpace::Default);
    }
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    let unit = unit.trim_start();
    if unit == "%" {
        let millionths = scaled(number, 10_000)?;
        return (millionths < 1_000_000)
            .then(|| u32::try_from(millionths).ok().map(FreeSpace::Millionths))?;
    }
    Some(FreeSpace::Bytes(scaled(number, unit_bytes(unit)?)?))
}

fn unit_bytes(unit: &str) -> Option<u64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1000_u64.pow(2),
        "g" | "gb" => 1000_u64.pow(3),
        "t" | "tb" => 1000_u64.pow(4),
        "ki" | "kib" => 1 << 10,
        "mi" | "mib" => 1 << 20,
        "gi" | "gib" => 1 << 30,
        "ti" | "tib" => 1 << 40,
        _ => return None,
    })
}

/// A decimal number of up to six places, times `scale`.
fn scaled(number: &str, scale: u64) -> Option<u64> {
    let (whole, places) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || (number.contains('.') && places.is_empty()) || places.len() > 6 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let places = match places {
        "" => 0,
        digits => {
            let value = u128::from(digits.parse::<u64>().ok()?) * u128::from(scale);
            u64::try_from(value / 10_u128.pow(u32::try_from(digits.len()).ok()?)).ok()?
        }
    };
    whole.checked_add(places)
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
