//! Sizes as people write them: `512MiB`, `1.5 TB`.

/// A number of bytes with its unit; without one it counts bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    scaled(number, unit_bytes(unit)?)
}

/// A number and the unit behind it, of a text that isn't empty.
pub(crate) fn split(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(number_end);
    (!text.is_empty()).then(|| (number, unit.trim_start()))
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
pub(crate) fn scaled(number: &str, scale: u64) -> Option<u64> {
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
