//! The rows that a target should hold for some scopes, with a note on every value that could not be had.
//!
//! The inner SELECT is the plan's: scope keys `k0…` and raw values `v0…` (legacy ids for references). The outer one
//! joins parents and id maps and decides, per row, what is written:
//!
//! | column | meaning |
//! |---|---|
//! | `k<i>` | scope key |
//! | `c<j>` | value to write; NULL where a flag is set |
//! | `r<j>` | the parent's id as text, where the parent is missing or has no map entry |
//! | `missing` | bit j: the parent does not exist |
//! | `unmapped` | bit j: the parent exists and its map entry does not: nothing may be written |
//! | `unfit` | bit j: too long or out of range for the target column |
//! | `nomatch` | bit j: `expect: one` and the value is NULL |
//! | `parked` | bit j: the fallback's row must exist and does not |
//! | `matches` | how many rows of the scope have a value in the `expect` column |
//! | `named` | the raw value of the `expect` column as text, to name ambiguous rows |
//! | `ok` | 1: the row belongs into the target |

use sqlparser::ast::{Expr, Ident, Select, SelectItem};

use super::{Scopes, TargetSql, qualified};
use crate::catalog::Column;
use crate::checked::{Matches, TargetColumn};
use crate::quote;

/// Why a value is not there. The order of the bits is the order of the flagged columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    Missing,
    Unmapped,
    Unfit,
    NoMatch,
    Parked,
}

impl Flag {
    pub const ALL: [Flag; 5] = [Flag::Missing, Flag::Unmapped, Flag::Unfit, Flag::NoMatch, Flag::Parked];

    pub fn column(self) -> &'static str {
        match self {
            Flag::Missing => "missing",
            Flag::Unmapped => "unmapped",
            Flag::Unfit => "unfit",
            Flag::NoMatch => "nomatch",
            Flag::Parked => "parked",
        }
    }
}

/// The SELECT and its shape.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub sql: String,
    /// Indexes into `Target::columns` that have a bit, in bit order.
    pub flagged: Vec<usize>,
}

/// A query for legacy ids without a map entry.
#[derive(Clone, Debug)]
pub struct Unmapped {
    pub sql: String,
    /// Per text column of the result: its bit in the mask, and the entity that the id belongs to.
    pub references: Vec<(u64, String)>,
}

pub(super) fn raw(sql: impl Into<String>) -> Expr {
    Expr::Identifier(Ident::new(sql.into()))
}

pub(super) fn aliased(expr: Expr, alias: String) -> SelectItem {
    SelectItem::ExprWithAlias { expr, alias: Ident::new(alias) }
}

impl<'a> TargetSql<'a> {
    /// Columns that can carry a flag; their position is their bit.
    pub fn flagged(&self) -> Vec<usize> {
        let can =
            |c: &TargetColumn| c.reference.is_some() || c.expect_one || c.fits_if.is_some() || !c.same_type;
        self.target.columns.iter().enumerate().filter(|(_, c)| can(c)).map(|(j, _)| j).collect()
    }

    /// The names of the columns that `wanted` returns.
    pub fn wanted_columns(&self) -> Vec<String> {
        let mut names: Vec<String> = (0..self.target.scope.len()).map(|i| format!("k{i}")).collect();
        names.extend((0..self.target.columns.len()).map(|j| format!("c{j}")));
        names.extend(self.references().map(|(j, _)| format!("r{j}")));
        names.extend(Flag::ALL.map(|f| f.column().to_string()));
        names.extend(["matches", "named", "ok"].map(String::from));
        names
    }

    pub(super) fn references(&self) -> impl Iterator<Item = (usize, &'a TargetColumn)> {
        self.target.columns.iter().enumerate().filter(|(_, c)| c.reference.is_some())
    }

    /// What the target should hold for these scopes.
    pub fn wanted(&self, scopes: Scopes<'_>) -> Wanted {
        let flagged = self.flagged();
        let names = self.wanted_columns();
        let mut items: Vec<String> = (0..self.target.scope.len()).map(|i| format!("s.k{i}")).collect();
        items.extend(self.target.columns.iter().enumerate().map(|(j, c)| self.value(j, c)));
        items.extend(self.references().map(|(j, c)| reference_text(j, c)));
        let masks = Flag::ALL.map(|flag| self.mask(flag, &flagged));
        items.extend(masks.iter().cloned());
        let matches = self.matches();
        items.push(matches.clone().unwrap_or_else(|| "1".into()));
        items.push(self.expected().map_or("NULL".into(), |j| format!("LEFT(CAST(s.v{j} AS CHAR), 255)")));
        items.push(self.ok(&flagged, &masks, matches.as_deref()));
        let list: Vec<String> = items.iter().zip(&names).map(|(e, n)| format!("{e} AS {n}")).collect();
        let sql = format!("SELECT {} FROM ({}) AS s{}", list.join(", "), self.inner(scopes), self.joins(),);
        Wanted { sql, flagged }
    }

    /// References of these scopes whose parent exists without a map entry: the mask, then one text per reference.
    /// `None`: the target has no such reference.
    pub fn unmapped(&self, scopes: Scopes<'_>) -> Option<Unmapped> {
        let flagged = self.flagged();
        let mut references = Vec::new();
        for (bit, j) in flagged.iter().enumerate() {
            let reference = self.target.columns[*j].reference.as_ref();
            if let Some(r) = reference.filter(|r| r.map.is_some()) {
                references.push((1u64 << bit, *j, r.parent.clone()));
            }
        }
        if references.is_empty() {
            return None;
        }
        let texts: Vec<String> = references.iter().map(|(_, j, _)| format!("w.r{j}")).collect();
        let sql = format!(
            "SELECT DISTINCT w.unmapped, {} FROM ({}) AS w WHERE w.unmapped <> 0",
            texts.join(", "),
            self.wanted(scopes).sql
        );
        Some(Unmapped {
            sql,
            references: references.into_iter().map(|(bit, _, parent)| (bit, parent)).collect(),
        })
    }

    /// The plan's own SELECT over the legacy schema.
    fn inner(&self, scopes: Scopes<'_>) -> String {
        let mut projection: Vec<SelectItem> = self
            .target
            .scope
            .iter()
            .enumerate()
            .map(|(i, s)| aliased(s.source.clone(), format!("k{i}")))
            .collect();
        for (j, c) in self.target.columns.iter().enumerate() {
            projection.push(aliased(c.value.clone(), format!("v{j}")));
            if let Some(fallback) = &c.fallback {
                projection.push(aliased(fallback.clone(), format!("f{j}")));
            }
            if let Some(id) = c.reference.as_ref().and_then(|r| r.id.as_ref()) {
                projection.push(aliased(id.clone(), format!("i{j}")));
            }
            if let Some(fits) = &c.fits_if {
                projection.push(aliased(fits.clone(), format!("g{j}")));
            }
        }
        self.select(projection, scopes)
    }

    /// The rows of the plan with these columns.
    pub(super) fn select(&self, projection: Vec<SelectItem>, scopes: Scopes<'_>) -> String {
        let sources: Vec<String> = self.target.scope.iter().map(|s| s.source.to_string()).collect();
        let mut select: Select = (*self.target.rows).clone();
        select.projection = projection;
        let hole = raw(scopes.condition(&sources));
        select.selection = Some(match select.selection.take() {
            Some(own) => raw(format!("({own}) AND ({hole})")),
            None => hole,
        });
        select.to_string()
    }

    fn joins(&self) -> String {
        let mut sql = String::new();
        for (j, column) in self.references() {
            let Some(reference) = &column.reference else { continue };
            let id = id_of(j, column);
            sql += &format!(
                " LEFT JOIN {} AS p{j} ON p{j}.{} = {id}",
                qualified(self.plan, &reference.parent),
                quote::ident(&reference.parent_key.name),
            );
            if let Some(map) = &reference.map {
                sql += &format!(" LEFT JOIN {} AS m{j} ON m{j}.legacy_id = {id}", qualified(self.plan, map));
            }
        }
        sql
    }

    /// The value to be written for a column.
    fn value(&self, j: usize, column: &TargetColumn) -> String {
        let value = effective(j, column);
        let Some(reference) = &column.reference else {
            let guard = fits(&value, column);
            let own = column.fits_if.as_ref().map(|_| format!("s.g{j}"));
            let conditions: Vec<String> = own.into_iter().chain(guard).collect();
            return match conditions.is_empty() {
                true => value,
                false => format!("CASE WHEN {} THEN {value} END", conditions.join(" AND ")),
            };
        };
        let exists = exists(j, column);
        if reference.map.is_some() {
            return format!("CASE WHEN {exists} THEN m{j}.uuid_binary END");
        }
        let mut conditions = vec![if reference.id.is_some() {
            format!("({} IS NULL OR {exists})", id_of(j, column))
        } else {
            exists
        }];
        conditions.extend(fits(&value, column));
        format!("CASE WHEN {} THEN {value} END", conditions.join(" AND "))
    }

    /// The bits of one flag over all flagged columns.
    fn mask(&self, flag: Flag, flagged: &[usize]) -> String {
        let bits: Vec<String> = flagged
            .iter()
            .enumerate()
            .filter_map(|(bit, j)| {
                let column = &self.target.columns[*j];
                condition(flag, *j, column).map(|c| format!("IF({c}, {}, 0)", 1u64 << bit))
            })
            .collect();
        if bits.is_empty() { "0".into() } else { bits.join(" | ") }
    }

    /// The column that counts the rows of a scope.
    fn expected(&self) -> Option<usize> {
        let expect = self.target.expect.as_ref()?;
        self.target.columns.iter().position(|c| c.column.name == expect.column)
    }

    fn matches(&self) -> Option<String> {
        let j = self.expected()?;
        let keys: Vec<String> = (0..self.target.scope.len()).map(|i| format!("s.k{i}")).collect();
        Some(format!("COUNT(s.v{j}) OVER (PARTITION BY {})", keys.join(", ")))
    }

    /// Does the row belong into the target at all?
    fn ok(&self, flagged: &[usize], masks: &[String; 5], matches: Option<&str>) -> String {
        let required = self.required_bits(flagged);
        let mut conditions = Vec::new();
        if required != 0 {
            let [missing, _, unfit, nomatch, _] = masks;
            for mask in [missing, unfit, nomatch] {
                if mask != "0" {
                    conditions.push(format!("(({mask}) & {required}) = 0"));
                }
            }
        }
        if let (Some(expect), Some(matches)) = (&self.target.expect, matches) {
            let sign = match expect.matches {
                Matches::One => "=",
                Matches::AtMostOne => "<=",
            };
            conditions.push(format!("{matches} {sign} 1"));
        }
        if conditions.is_empty() { "1".into() } else { conditions.join(" AND ") }
    }

    /// The bits of the flagged columns without which there is no row.
    pub fn required_bits(&self, flagged: &[usize]) -> u64 {
        flagged
            .iter()
            .enumerate()
            .filter(|(_, j)| self.target.columns[**j].required)
            .fold(0, |bits, (bit, _)| bits | 1 << bit)
    }
}

/// The raw value, or the fallback where it is NULL.
fn effective(j: usize, column: &TargetColumn) -> String {
    if column.fallback.is_some() { format!("COALESCE(s.v{j}, s.f{j})") } else { format!("s.v{j}") }
}

/// The legacy id that a reference goes by.
fn id_of(j: usize, column: &TargetColumn) -> String {
    match column.reference.as_ref().and_then(|r| r.id.as_ref()) {
        Some(_) => format!("s.i{j}"),
        None => effective(j, column),
    }
}

fn exists(j: usize, column: &TargetColumn) -> String {
    let key = column.reference.as_ref().map(|r| quote::ident(&r.parent_key.name)).unwrap_or_default();
    format!("p{j}.{key} IS NOT NULL")
}

/// The parent's own spelling if it exists, else the reference's; NULL when all is well.
fn reference_text(j: usize, column: &TargetColumn) -> String {
    let Some(reference) = &column.reference else { return "NULL".into() };
    let key = quote::ident(&reference.parent_key.name);
    let found = match &reference.map {
        Some(_) => format!(" WHEN m{j}.legacy_id IS NULL THEN CAST(p{j}.{key} AS CHAR)"),
        None => String::new(),
    };
    format!("CASE WHEN p{j}.{key} IS NULL THEN LEFT(CAST({} AS CHAR), 255){found} END", id_of(j, column))
}

/// The condition under which a column has this flag; `None` if it never can.
fn condition(flag: Flag, j: usize, column: &TargetColumn) -> Option<String> {
    let absent =
        |key: &str| format!("{} IS NOT NULL AND p{j}.{} IS NULL", id_of(j, column), quote::ident(key));
    match (flag, &column.reference) {
        (Flag::Missing, Some(r)) if column.fallback.is_some() => {
            Some(format!("s.v{j} IS NOT NULL AND {}", absent(&r.parent_key.name)))
        }
        (Flag::Missing, Some(r)) => Some(absent(&r.parent_key.name)),
        (Flag::Parked, Some(r)) if column.fallback.is_some() => {
            Some(format!("s.v{j} IS NULL AND {}", absent(&r.parent_key.name)))
        }
        (Flag::Unmapped, Some(r)) if r.map.is_some() => {
            Some(format!("{} AND m{j}.legacy_id IS NULL", exists(j, column)))
        }
        (Flag::Unfit, reference) if reference.as_ref().is_none_or(|r| r.map.is_none()) => {
            let value = effective(j, column);
            let guard =
                fits(&value, column).map(|fits| format!("{value} IS NOT NULL AND ({fits}) IS NOT TRUE"));
            let own = column.fits_if.as_ref().map(|_| format!("s.g{j} IS NOT TRUE"));
            let conditions: Vec<String> = own.into_iter().chain(guard).collect();
            (!conditions.is_empty()).then(|| conditions.join(" OR "))
        }
        (Flag::NoMatch, _) if column.expect_one => Some(format!("{} IS NULL", effective(j, column))),
        _ => None,
    }
}

/// The condition under which a value fits into the target column without being bent; `None`: it always does.
fn fits(value: &str, target: &TargetColumn) -> Option<String> {
    if target.same_type { None } else { fits_into(value, &target.column) }
}

/// The same for a value of any type.
pub(crate) fn fits_into(value: &str, column: &Column) -> Option<String> {
    match column.data_type.as_str() {
        "char" | "varchar" => Some(format!("CHAR_LENGTH({value}) <= {}", column.max_length?)),
        "tinytext" | "text" | "mediumtext" | "longtext" => {
            let charset = column.charset.as_deref().unwrap_or("utf8mb4");
            Some(format!("LENGTH(CONVERT({value} USING {charset})) <= {}", column.max_length?))
        }
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" => {
            Some(format!("LENGTH({value}) <= {}", column.max_length?))
        }
        "tinyint" => Some(between(value, column.is_unsigned(), 8)),
        "smallint" => Some(between(value, column.is_unsigned(), 16)),
        "mediumint" => Some(between(value, column.is_unsigned(), 24)),
        "int" => Some(between(value, column.is_unsigned(), 32)),
        "bigint" => Some(between(value, column.is_unsigned(), 64)),
        "decimal" => {
            let whole = column.numeric_precision?.saturating_sub(column.numeric_scale.unwrap_or(0));
            Some(format!("ABS({value}) < 1{}", "0".repeat(whole as usize)))
        }
        // Digits behind the second that the column has no room for.
        "datetime" | "timestamp" | "time" => {
            let finest = 10u32.pow(6u32.saturating_sub(column.second_digits()));
            let fine = (finest > 1).then(|| format!("MICROSECOND({value}) % {finest} = 0"));
            // A time has no date; a minus may stand before it.
            let bare =
                (column.data_type == "time").then(|| format!("LOCATE('-', CAST({value} AS CHAR), 2) = 0"));
            let both: Vec<String> = fine.into_iter().chain(bare).collect();
            (!both.is_empty()).then(|| both.join(" AND "))
        }
        "date" => Some(format!("{value} = CAST({value} AS DATE)")),
        _ => None,
    }
}

fn between(value: &str, unsigned: bool, bits: u32) -> String {
    let least = if unsigned { "0".into() } else { format!("-{}", 1u128 << (bits - 1)) };
    let most = (1u128 << if unsigned { bits } else { bits - 1 }) - 1;
    format!("{value} BETWEEN {least} AND {most} AND {value} = FLOOR({value})")
}
