//! Folding: two keys that the database calls equal must land in the same lane.
//!
//! A lane is `hash(fold(key)) mod lanes`. The fold of a column is the finest map that we can prove to be constant on
//! the classes of the column's collation. Where we cannot prove it the column is `Unspread` and adds nothing to the
//! hash: all its keys share a lane, which is slower and never wrong.

use crate::{Cell, Key};

/// How the values of one key column are folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Fold {
    /// Equal only if identical: integers, BINARY, `*_bin` without padding.
    Exact,
    /// `*_bin` collations that pad with spaces: trailing spaces do not count.
    Padded,
    /// `ascii_general_ci`: ASCII letters without case, trailing spaces do not count.
    AsciiInsensitive,
    /// A collation whose classes we do not compute.
    Unspread,
}

impl Fold {
    /// The fold of a column with this `information_schema` data type (`bigint`, `varchar`, …) and collation.
    pub fn of(data_type: &str, collation: Option<&str>) -> Fold {
        match (data_type, collation) {
            ("tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "date" | "year", _) => Fold::Exact,
            ("binary" | "varbinary", _) => Fold::Exact,
            ("char" | "varchar", Some(c)) if c.ends_with("_nopad_bin") || c == "utf8mb4_0900_bin" => {
                Fold::Exact
            }
            ("char" | "varchar", Some(c)) if c.ends_with("_bin") => Fold::Padded,
            ("char" | "varchar", Some("ascii_general_ci")) => Fold::AsciiInsensitive,
            _ => Fold::Unspread,
        }
    }

    /// The folded bytes of a cell, appended to `out`. Two equal values append the same bytes.
    pub fn append(self, cell: &Cell, out: &mut Vec<u8>) {
        let at = out.len();
        match (self, cell) {
            (Fold::Unspread, _) | (_, Cell::Null) => {}
            (_, Cell::Int(v)) => out.extend(v.to_string().bytes()),
            (_, Cell::UInt(v)) => out.extend(v.to_string().bytes()),
            (_, Cell::Double(v)) => out.extend(v.to_bits().to_be_bytes()),
            (_, Cell::Text(v)) => out.extend(v.bytes()),
            (_, Cell::Bytes(v)) => out.extend(v),
        }
        if matches!(self, Fold::Padded | Fold::AsciiInsensitive) {
            while out.len() > at && out.last() == Some(&b' ') {
                out.pop();
            }
        }
        if self == Fold::AsciiInsensitive {
            out[at..].make_ascii_uppercase();
        }
    }

    /// The folded form of a key for look-ups in memory and in the control schema. A column that cannot be folded counts as
    /// it is spelled, so two spellings of one key are two entries, and both are looked at.
    pub fn spelled(folds: &[Fold], key: &Key) -> Vec<u8> {
        let exact: Vec<Fold> =
            folds.iter().map(|f| if *f == Fold::Unspread { Fold::Exact } else { *f }).collect();
        Fold::key(&exact, key)
    }

    /// The folded form of a whole key; columns are separated so that `("a","b")` differs from `("ab","")`.
    pub fn key(folds: &[Fold], key: &Key) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        for (fold, cell) in folds.iter().zip(&key.0) {
            fold.append(cell, &mut out);
            out.push(0x1f);
        }
        out.pop();
        out
    }
}

/// The lane of a scope among `lanes`.
pub fn lane_of(folds: &[Fold], key: &Key, lanes: u32) -> u32 {
    let hash = xxhash_rust::xxh3::xxh3_64(&Fold::key(folds, key));
    (hash % u64::from(lanes.max(1))) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> Key {
        Key(vec![Cell::Text(s.into())])
    }

    #[test]
    fn ids_that_the_collation_calls_equal_share_a_lane() {
        let folds = [Fold::of("varchar", Some("ascii_general_ci"))];
        for lanes in 1..17 {
            assert_eq!(lane_of(&folds, &text("req-1a"), lanes), lane_of(&folds, &text("REQ-1A  "), lanes));
        }
        assert_ne!(Fold::key(&folds, &text("a b")), Fold::key(&folds, &text("ab")));
    }

    #[test]
    fn a_collation_that_we_cannot_fold_is_not_spread() {
        let folds = [Fold::of("varchar", Some("utf8mb4_general_ci"))];
        for lanes in 1..17 {
            assert_eq!(lane_of(&folds, &text("é"), lanes), lane_of(&folds, &text("e"), lanes));
        }
    }

    #[test]
    fn signed_and_unsigned_forms_of_a_number_are_one() {
        let folds = [Fold::Exact];
        assert_eq!(Fold::key(&folds, &Key(vec![Cell::Int(7)])), Fold::key(&folds, &Key(vec![Cell::UInt(7)])));
    }

    #[test]
    fn columns_do_not_run_together() {
        let folds = [Fold::Exact, Fold::Exact];
        let key = |a: &str, b: &str| Key(vec![Cell::Text(a.into()), Cell::Text(b.into())]);
        assert_ne!(Fold::key(&folds, &key("a", "b")), Fold::key(&folds, &key("ab", "")));
    }
}
