//! A checked walk over bytes: every step either succeeds or names what was cut off.

use crate::error::{BinlogError, Result};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Scan<'a> {
    /// `what` names the bytes in errors: "a table map".
    pub fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (head, rest) = self.rest.split_at_checked(n).ok_or(BinlogError::Truncated(self.what))?;
        self.rest = rest;
        Ok(head)
    }

    /// An unsigned little-endian number of at most 8 bytes.
    pub fn uint(&mut self, bytes: usize) -> Result<u64> {
        Ok(uint_le(self.take(bytes)?))
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    pub fn u16(&mut self) -> Result<u16> {
        Ok(self.uint(2)? as u16)
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(self.uint(4)? as u32)
    }

    pub fn u64(&mut self) -> Result<u64> {
        self.uint(8)
    }

    /// The protocol's length-encoded number.
    pub fn packed(&mut self) -> Result<u64> {
        match self.u8()? {
            n @ 0..=250 => Ok(u64::from(n)),
            252 => self.uint(2),
            253 => self.uint(3),
            254 => self.uint(8),
            _ => Err(BinlogError::Malformed("a packed number starts with 251 or 255")),
        }
    }

    /// Bytes behind their packed length.
    pub fn packed_bytes(&mut self) -> Result<&'a [u8]> {
        let n = self.packed()?;
        self.take(usize::try_from(n).map_err(|_| BinlogError::Truncated(self.what))?)
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Little-endian number of up to 8 bytes.
pub(crate) fn uint_le(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// Big-endian number of up to 8 bytes.
pub(crate) fn uint_be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b))
}

/// Bit `i` of a bitmap that starts at the lowest bit of its first byte. Out of range reads as unset.
pub(crate) fn bit(map: &[u8], i: usize) -> bool {
    map.get(i / 8).is_some_and(|b| b >> (i % 8) & 1 == 1)
}

/// Appends a number, with zeros in front up to `width` digits. `fmt` takes several times as long.
pub(crate) fn push_digits(out: &mut String, mut n: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while n > 0 {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
    }
    at = at.min(digits.len().saturating_sub(width));
    out.extend(digits[at..].iter().map(|b| char::from(*b)));
}
