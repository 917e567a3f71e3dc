//! From a column's character set to UTF-8.

/// Character sets that are decoded; any other is kept by the id of its collation and refused when a value is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    Binary,
    Ascii,
    /// What MySQL calls latin1 is Windows-1252 in which the five free places are control characters.
    Latin1,
    /// utf8mb3 and utf8mb4.
    Utf8,
    Other(u16),
}

impl Charset {
    /// The character set of a collation, by the id that stands in the binlog.
    pub fn of_collation(id: u16) -> Charset {
        // MariaDB's NO PAD twins of the old collations are 1024 further on.
        let base = if (1025..2048).contains(&id) { id - 1024 } else { id };
        match base {
            63 => Charset::Binary,
            11 | 65 => Charset::Ascii,
            5 | 8 | 15 | 31 | 47 | 48 | 49 | 94 => Charset::Latin1,
            33 | 76 | 83 | 192..=215 | 223 | 576..=579 => Charset::Utf8,
            45 | 46 | 224..=247 | 255..=323 | 608..=611 => Charset::Utf8,
            2048..=2559 => Charset::Utf8,
            _ => Charset::Other(id),
        }
    }

    /// The text of these bytes; `None` if they are not valid in this character set, or if we do not decode it.
    pub(crate) fn text(self, bytes: &[u8]) -> Option<String> {
        match self {
            Charset::Ascii => bytes.is_ascii().then(|| std::str::from_utf8(bytes).ok().map(String::from))?,
            Charset::Utf8 => std::str::from_utf8(bytes).ok().map(String::from),
            Charset::Latin1 => Some(bytes.iter().map(|b| latin1(*b)).collect()),
            Charset::Binary | Charset::Other(_) => None,
        }
    }
}

fn latin1(b: u8) -> char {
    const C1: [u16; 32] = [
        0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152,
        0x8d, 0x017d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122,
        0x0161, 0x203a, 0x0153, 0x9d, 0x017e, 0x0178,
    ];
    match b {
        0x80..=0x9f => char::from_u32(u32::from(C1[usize::from(b - 0x80)])).unwrap_or('\u{fffd}'),
        _ => char::from(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latin1_is_windows_1252() {
        assert_eq!(Charset::Latin1.text(b"\x80 \xe9 \x81").unwrap(), "€ é \u{81}");
    }

    #[test]
    fn bytes_that_are_not_text_are_refused() {
        assert_eq!(Charset::Ascii.text(b"\xe9"), None);
        assert_eq!(Charset::Utf8.text(b"\xff"), None);
        assert_eq!(Charset::Utf8.text(b"\xed\xa0\x80"), None, "a lone surrogate");
        assert_eq!(Charset::of_collation(28), Charset::Other(28), "gbk");
    }
}
