//! DECIMAL: groups of nine digits in four bytes, big-endian, the sign in the first bit, negative ones inverted.

use crate::scan::{push_digits, uint_be};

/// Bytes that a group of 0..=9 digits takes.
const BYTES: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/// Bytes that a DECIMAL(precision, scale) takes in a row; `None` if there is no such type.
pub(crate) fn size(precision: u8, scale: u8) -> Option<usize> {
    let whole = usize::from(precision.checked_sub(scale)?);
    let scale = usize::from(scale);
    (precision > 0 && precision <= 65)
        .then(|| whole / 9 * 4 + BYTES[whole % 9] + scale / 9 * 4 + BYTES[scale % 9])
}

/// The number as the server prints it, such as `-12.3400`. `None` if a group holds more digits than it may.
pub(crate) fn text(bytes: &[u8], precision: u8, scale: u8) -> Option<String> {
    if bytes.len() != size(precision, scale)? {
        return None;
    }
    let negative = bytes[0] & 0x80 == 0;
    let flip = if negative { 0xff } else { 0 };
    // The longest DECIMAL, 65 digits, takes 30 bytes.
    let mut raw = [0; 32];
    let raw = raw.get_mut(..bytes.len())?;
    raw.iter_mut().zip(bytes).for_each(|(r, b)| *r = b ^ flip);
    raw[0] ^= 0x80;
    let mut rest: &[u8] = raw;
    let mut group = |digits: usize, out: &mut String| -> Option<()> {
        let (head, tail) = rest.split_at_checked(BYTES[digits])?;
        rest = tail;
        let n = uint_be(head);
        if n >= 10_u64.pow(digits as u32) {
            return None;
        }
        if digits > 0 {
            push_digits(out, n, digits);
        }
        Some(())
    };

    let whole = usize::from(precision - scale);
    let scale = usize::from(scale);
    let mut integer = String::with_capacity(whole + scale + 2);
    group(whole % 9, &mut integer)?;
    for _ in 0..whole / 9 {
        group(9, &mut integer)?;
    }
    let mut out = String::with_capacity(whole + scale + 2);
    let significant = integer.trim_start_matches('0');
    out.push_str(if significant.is_empty() { "0" } else { significant });
    if scale > 0 {
        out.push('.');
        for _ in 0..scale / 9 {
            group(9, &mut out)?;
        }
        group(scale % 9, &mut out)?;
    }
    // The server knows no negative zero.
    if negative && out.bytes().any(|b| b.is_ascii_digit() && b != b'0') {
        out.insert(0, '-');
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_signs() {
        assert_eq!(text(&[0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2], 14, 4), Some("1234567890.1234".into()));
        assert_eq!(text(&[0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d], 14, 4), Some("-1234567890.1234".into()));
        assert_eq!(text(&[0x80, 0x00], 4, 2), Some("0.00".into()));
        assert_eq!(text(&[0x80], 4, 2), None);
        assert_eq!(text(&[0xff, 0xff], 4, 2), None, "127 in two digits");
        assert_eq!(size(2, 3), None);
    }
}
