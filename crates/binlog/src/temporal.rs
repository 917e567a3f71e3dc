//! Dates and times in the text that the server prints. TIMESTAMP is printed in UTC.

use crate::scan::{push_digits, uint_be, uint_le};

/// Bytes that a fraction of `fsp` digits takes.
pub(crate) fn fraction_size(fsp: u8) -> usize {
    usize::from(fsp.div_ceil(2))
}

pub(crate) fn date(raw: &[u8]) -> String {
    let n = uint_le(raw);
    let mut out = String::with_capacity(10);
    calendar(&mut out, n >> 9, n >> 5 & 15, n & 31);
    out
}

/// The year's byte counts from 1900; 0 is the year 0000.
pub(crate) fn year(raw: u8) -> u64 {
    if raw == 0 { 0 } else { 1900 + u64::from(raw) }
}

/// DATETIME: 5 bytes and the fraction. `None` if a field is out of range.
pub(crate) fn datetime(raw: &[u8], fsp: u8) -> Option<String> {
    let (head, fraction) = raw.split_at_checked(5)?;
    let packed = uint_be(head).checked_sub(1 << 39)?;
    let (days, time) = (packed >> 17, packed & 0x1_ffff);
    let (months, day) = (days >> 5, days & 31);
    let mut out = String::with_capacity(26);
    calendar(&mut out, months / 13, months % 13, day);
    out.push(' ');
    clock(&mut out, time >> 12, time >> 6 & 63, time & 63);
    append_fraction(&mut out, uint_be(fraction), fsp);
    Some(out)
}

/// TIMESTAMP: seconds since 1970 and the fraction. Zero is the zero date, as the server prints it.
pub(crate) fn timestamp(raw: &[u8], fsp: u8) -> Option<String> {
    let (head, fraction) = raw.split_at_checked(4)?;
    let seconds = uint_be(head);
    let fraction = uint_be(fraction);
    let mut out = String::with_capacity(26);
    if seconds == 0 && fraction == 0 {
        out.push_str("0000-00-00 00:00:00");
    } else {
        let (y, m, d) = civil(seconds / 86_400);
        calendar(&mut out, y, m, d);
        out.push(' ');
        let s = seconds % 86_400;
        clock(&mut out, s / 3600, s / 60 % 60, s % 60);
    }
    append_fraction(&mut out, fraction, fsp);
    Some(out)
}

/// TIME: one number over 3 bytes and the fraction, offset so that its order is that of the times.
///
/// The whole and the fraction are one number: below zero the fraction's bytes count upwards from the next lower second.
pub(crate) fn time(raw: &[u8], fsp: u8) -> Option<String> {
    let bits = 8 * raw.len().checked_sub(3)?;
    let n = uint_be(raw) as i64 - (0x80_0000_i64 << bits);
    let (sign, n) = (if n < 0 { "-" } else { "" }, n.unsigned_abs());
    let (whole, fraction) = (n >> bits, n & ((1 << bits) - 1));
    let mut out = String::with_capacity(17);
    out.push_str(sign);
    clock(&mut out, whole >> 12 & 0x3ff, whole >> 6 & 63, whole & 63);
    append_fraction(&mut out, fraction, fsp);
    Some(out)
}

fn calendar(out: &mut String, year: u64, month: u64, day: u64) {
    push_digits(out, year, 4);
    out.push('-');
    push_digits(out, month, 2);
    out.push('-');
    push_digits(out, day, 2);
}

fn clock(out: &mut String, hours: u64, minutes: u64, seconds: u64) {
    push_digits(out, hours, 2);
    out.push(':');
    push_digits(out, minutes, 2);
    out.push(':');
    push_digits(out, seconds, 2);
}

/// The stored fraction has an even number of digits; an odd `fsp` shows one less.
fn append_fraction(out: &mut String, stored: u64, fsp: u8) {
    if fsp > 0 {
        let shown = if fsp % 2 == 1 { stored / 10 } else { stored };
        out.push('.');
        push_digits(out, shown, usize::from(fsp));
    }
}

/// Year, month and day of a day number since 1970-01-01, by the Gregorian rules.
fn civil(days: u64) -> (u64, u64, u64) {
    let z = days + 719_468;
    let era = z / 146_097;
    let of_era = z % 146_097;
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + u64::from(month <= 2), month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_times_with_a_short_fraction() {
        // -12:34:56.70 as TIME(2): 3 bytes and one of fraction.
        let n = -((12 << 12 | 34 << 6 | 56) << 8 | 70_i64) + (0x80_0000 << 8);
        assert_eq!(time(&n.to_be_bytes()[4..], 2).unwrap(), "-12:34:56.70");
        let n = -((838 << 12 | 59 << 6 | 59) << 8) + (0x80_0000_i64 << 8);
        assert_eq!(time(&n.to_be_bytes()[4..], 1).unwrap(), "-838:59:59.0");
        assert_eq!(time(&[0x80, 0, 0], 0).unwrap(), "00:00:00");
    }

    #[test]
    fn days_of_the_calendar() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(24_855), (2038, 1, 19));
    }

    #[test]
    fn the_year_zero() {
        assert_eq!((year(0), year(1), year(255)), (0, 1901, 2155));
    }
}
