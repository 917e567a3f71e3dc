//! The small macro language of `sql/sample/*.sql`.
//!
//! - `$NAME`: a count or an id.
//! - `RND(salt, n, m)`: a number from 0 to m - 1 that depends on the seed, the salt and n alone. The CRC is linear, so
//!   it is multiplied and shifted; otherwise two salts would give figures that go together.
//! - `AT(salt, n)`: a time in 2024 or 2025, often on the full hour, so that equal times occur.
//! - `WHO(salt, n)`: a user's id; sometimes NULL, sometimes that of somebody gone, sometimes 0 or beyond 2^63.
//! - `UUIDTEXT(salt, n)`: a UUID as text, lower case with hyphens.

use anyhow::{Context, Result, bail};

pub fn expand(text: &str, seed: u64, names: &[(&str, u64)]) -> Result<String> {
    let composed = [
        ("AT", at as fn(&[&str]) -> String, 2),
        ("WHO", who as fn(&[&str]) -> String, 2),
        ("UUIDTEXT", uuid as fn(&[&str]) -> String, 2),
    ];
    let mut sql = text.to_string();
    for (name, make, arity) in composed {
        sql = calls(&sql, name, arity, make)?;
    }
    sql = calls(&sql, "RND", 3, |a| {
        format!(
            "CAST((CRC32(CONCAT('{seed}/{}/', {})) * 2654435761 >> 15) % ({}) AS SIGNED)",
            a[0], a[1], a[2]
        )
    })?;
    let mut names = names.to_vec();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, value) in names {
        sql = sql.replace(&format!("${name}"), &value.to_string());
    }
    match sql.find('$') {
        Some(at) => bail!("unknown name {}", sql[at..].chars().take(20).collect::<String>()),
        None => Ok(sql),
    }
}

fn at(a: &[&str]) -> String {
    let (salt, n) = (a[0], a[1]);
    let full = format!("RND({salt}.full, {n}, 10) < 3");
    format!(
        "(TIMESTAMP'2024-01-01 00:00:00' + INTERVAL (RND({salt}.hour, {n}, 15000) * 3600 \
         + CASE WHEN {full} THEN 0 ELSE RND({salt}.second, {n}, 3600) END) SECOND \
         + INTERVAL (CASE WHEN {full} THEN 0 ELSE RND({salt}.micro, {n}, 1000000) END) MICROSECOND)"
    )
}

fn who(a: &[&str]) -> String {
    let (salt, n) = (a[0], a[1]);
    format!(
        "(CASE WHEN RND({salt}.kind, {n}, 200) < 10 THEN NULL WHEN RND({salt}.kind, {n}, 200) < 18 THEN $USERS + 1 + RND({salt}.gone, {n}, 20) \
         WHEN RND({salt}.kind, {n}, 200) = 18 THEN 0 WHEN RND({salt}.kind, {n}, 200) = 19 THEN $BIG1 \
         ELSE 1 + RND({salt}, {n}, $USERS) END)"
    )
}

fn uuid(a: &[&str]) -> String {
    let word = |w: u32| format!("LPAD(HEX(RND({}.{w}, {}, 65536)), 4, '0')", a[0], a[1]);
    let words: Vec<String> = (0..8).map(word).collect();
    format!(
        "LOWER(CONCAT({}, {}, '-', {}, '-', {}, '-', {}, '-', {}, {}, {}))",
        words[0], words[1], words[2], words[3], words[4], words[5], words[6], words[7]
    )
}

/// Replaces each call `name(a, b, …)` by what `make` says of its arguments.
fn calls(text: &str, name: &str, arity: usize, make: impl Fn(&[&str]) -> String) -> Result<String> {
    let open = format!("{name}(");
    let mut out = String::with_capacity(text.len() * 2);
    let mut rest = text;
    while let Some(found) = rest.find(&open) {
        let before = &rest[..found];
        out.push_str(before);
        if before.chars().next_back().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') {
            out.push_str(&open);
            rest = &rest[found + open.len()..];
            continue;
        }
        let inside = &rest[found + open.len()..];
        let (arguments, after) = arguments(inside).with_context(|| format!("{name}: no closing bracket"))?;
        if arguments.len() != arity {
            bail!("{name} takes {arity} arguments and has {}", arguments.len());
        }
        out.push_str(&make(&arguments));
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The arguments up to the closing bracket, and the text behind it.
fn arguments(inside: &str) -> Option<(Vec<&str>, &str)> {
    let (mut depth, mut start, mut found) = (0_u32, 0, Vec::new());
    for (at, c) in inside.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => {
                found.push(inside[start..at].trim());
                return Some((found, &inside[at + 1..]));
            }
            ')' => depth -= 1,
            ',' if depth == 0 => {
                found.push(inside[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_nest_and_leave_longer_names_alone() {
        let sql = expand("CONCAT(RND(a, f(n, 1), $M)) $MAX", 7, &[("M", 3), ("MAX", 9)]).unwrap();
        assert_eq!(
            sql,
            "CONCAT(CAST((CRC32(CONCAT('7/a/', f(n, 1))) * 2654435761 >> 15) % (3) AS SIGNED)) 9"
        );
    }

    #[test]
    fn mistakes_are_named() {
        assert!(expand("$NOBODY", 1, &[]).unwrap_err().to_string().contains("$NOBODY"));
        assert!(expand("RND(a, b)", 1, &[]).unwrap_err().to_string().contains("3 arguments"));
    }
}
