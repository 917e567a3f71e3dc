//! The same derivation as one SQL expression, for the set-wise backfill.

use crate::Namespace;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    Integer,
    Text,
}

/// SQL that gives the 16 bytes which [`crate::derive`] gives for the key that `key` names (a quoted column). For MariaDB
/// and for MySQL servers that have `SHA1()`.
///
/// - `+ 0` takes the leading zeros off a ZEROFILL column.
/// - Text is hashed as UTF-8, whatever the column's character set.
/// - The length is checked beside the pattern, because `$` also matches before a newline at the end.
pub fn sql_expression(namespace: Namespace, kind: KeyKind, key: &str) -> String {
    let prefix = namespace.uuid().simple();
    let text = match kind {
        KeyKind::Integer => format!("CAST({key} + 0 AS CHAR)"),
        KeyKind::Text => key.to_owned(),
    };
    let hash = format!("SHA1(CONCAT(x'{prefix}', CAST(CONVERT({text} USING utf8mb4) AS BINARY)))");
    // The 13th hex digit is the version; of the 17th only the two low bits are left beside the variant.
    let variant = format!("ELT((CONV(SUBSTR({hash}, 17, 1), 16, 10) & 3) + 1, '8', '9', 'a', 'b')");
    let hashed = format!("UNHEX(LEFT(INSERT(INSERT({hash}, 13, 1, '5'), 17, 1, {variant}), 32))");
    match kind {
        KeyKind::Integer => hashed,
        KeyKind::Text => {
            let hex = |n: u8| format!("[0-9a-fA-F]{{{n}}}");
            let hyphens = [8, 4, 4, 4, 12].map(hex).join("-");
            format!(
                "CASE WHEN (CHAR_LENGTH({key}) = 32 AND {key} REGEXP '^{}$') \
                 OR (CHAR_LENGTH({key}) = 36 AND {key} REGEXP '^{hyphens}$') \
                 THEN UNHEX(REPLACE({key}, '-', '')) ELSE {hashed} END",
                hex(32)
            )
        }
    }
}
