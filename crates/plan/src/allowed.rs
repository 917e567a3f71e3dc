//! What an expression of a plan may be made of: deterministic, free of side effects, the same on every connection.

use sqlparser::ast::BinaryOperator;

use crate::catalog::Flavour;
use crate::parse::Fault;
use crate::place::Place;

/// Functions of both flavours. The value depends on the arguments alone (and on our fixed session settings).
const BOTH: &[&str] = &[
    "abs",
    "adddate",
    "ascii",
    "avg",
    "bit_and",
    "bit_count",
    "bit_length",
    "bit_or",
    "bit_xor",
    "char_length",
    "character_length",
    "coalesce",
    "concat",
    "concat_ws",
    "conv",
    "convert_tz",
    "count",
    "crc32",
    "date",
    "date_add",
    "date_format",
    "date_sub",
    "datediff",
    "day",
    "dayname",
    "dayofmonth",
    "dayofweek",
    "dayofyear",
    "degrees",
    "elt",
    "exp",
    "field",
    "find_in_set",
    "format",
    "from_base64",
    "from_days",
    "from_unixtime",
    "greatest",
    "group_concat",
    "hex",
    "hour",
    "if",
    "ifnull",
    "inet6_aton",
    "inet6_ntoa",
    "inet_aton",
    "inet_ntoa",
    "instr",
    "isnull",
    "json_array",
    "json_array_append",
    "json_array_insert",
    "json_contains",
    "json_contains_path",
    "json_depth",
    "json_extract",
    "json_insert",
    "json_keys",
    "json_length",
    "json_merge_patch",
    "json_merge_preserve",
    "json_object",
    "json_overlaps",
    "json_quote",
    "json_remove",
    "json_replace",
    "json_search",
    "json_set",
    "json_type",
    "json_unquote",
    "json_valid",
    "json_value",
    "last_day",
    "lcase",
    "least",
    "left",
    "length",
    "ln",
    "locate",
    "log",
    "log10",
    "log2",
    "lower",
    "lpad",
    "ltrim",
    "makedate",
    "maketime",
    "max",
    "md5",
    "microsecond",
    "mid",
    "min",
    "minute",
    "mod",
    "month",
    "monthname",
    "nullif",
    "octet_length",
    "ord",
    "period_add",
    "period_diff",
    "pow",
    "power",
    "quarter",
    "quote",
    "radians",
    "regexp_instr",
    "regexp_replace",
    "regexp_substr",
    "replace",
    "reverse",
    "right",
    "round",
    "rpad",
    "rtrim",
    "sec_to_time",
    "second",
    "sha",
    "sha1",
    "sha2",
    "sign",
    "soundex",
    "sqrt",
    "str_to_date",
    "strcmp",
    "subdate",
    "substr",
    "substring_index",
    "subtime",
    "sum",
    "time",
    "time_format",
    "time_to_sec",
    "timediff",
    "timestamp",
    "timestampadd",
    "timestampdiff",
    "to_base64",
    "to_days",
    "to_seconds",
    "truncate",
    "ucase",
    "unhex",
    "unix_timestamp",
    "upper",
    "weekday",
    "weekofyear",
    "year",
];
const MARIADB: &[&str] =
    &["json_compact", "json_exists", "json_loose", "json_normalize", "json_query", "nvl", "nvl2", "chr"];
const MYSQL: &[&str] = &["bin_to_uuid", "uuid_to_bin", "is_uuid", "regexp_like", "json_pretty"];

const AGGREGATES: &[&str] =
    &["avg", "bit_and", "bit_or", "bit_xor", "count", "group_concat", "max", "min", "sum"];

/// Is a function of this name (lower case) allowed? If not: why, and what instead.
pub fn function(name: &str, arguments: usize, flavour: Flavour, at: Place) -> Result<(), Fault> {
    let own = match flavour {
        Flavour::MariaDb => MARIADB,
        Flavour::MySql => MYSQL,
    };
    if name == "unix_timestamp" && arguments == 0 {
        return Err(unsteady(name, at));
    }
    if BOTH.contains(&name) || own.contains(&name) {
        return Ok(());
    }
    let shown = name.to_uppercase();
    Err(match name {
        "now" | "current_timestamp" | "sysdate" | "localtime" | "localtimestamp" | "curdate"
        | "current_date" | "curtime" | "current_time" | "utc_date" | "utc_time" | "utc_timestamp"
        | "rand" | "uuid" | "uuid_short" | "sys_guid" | "random_bytes" | "connection_id"
        | "last_insert_id" | "row_count" | "found_rows" | "any_value" => unsteady(name, at),
        "user" | "current_user" | "session_user" | "system_user" | "current_role" | "database" | "schema"
        | "version" => Fault::new(at, format!("{shown}() depends on the connection")),
        "json_arrayagg" | "json_objectagg" => {
            Fault::new(at, format!("{shown}() has no fixed order of its elements"))
                .help("CONCAT('[', GROUP_CONCAT(JSON_QUOTE(x) ORDER BY …), ']')")
        }
        _ if MARIADB.contains(&name) || MYSQL.contains(&name) => {
            Fault::new(at, format!("{shown}() does not exist on this server"))
        }
        _ => {
            let fault = Fault::new(at, format!("function {shown}() is not among those that a plan may call"));
            let known = crate::problem::nearest(name, BOTH.iter().chain(own).copied());
            match known {
                Some(known) => fault.help(format!("did you mean {}()? Or is it a fragment that plan.yaml lacks?", known.to_uppercase())),
                None => fault.help("fragments stand in plan.yaml; functions with effects or without a fixed result are refused"),
            }
        }
    })
}

fn unsteady(name: &str, at: Place) -> Fault {
    Fault::new(
        at,
        format!(
            "{}() gives another value each time, so repeated runs would never agree",
            name.to_uppercase()
        ),
    )
    .help("take the value from a legacy column")
}

pub fn is_aggregate(name: &str) -> bool {
    AGGREGATES.contains(&name)
}

/// Functions whose first argument is a word such as SECOND, not a column.
pub fn takes_unit(name: &str) -> bool {
    matches!(name, "timestampadd" | "timestampdiff")
}

pub fn operator(operator: &BinaryOperator) -> bool {
    use BinaryOperator::*;
    matches!(
        operator,
        Plus | Minus
            | Multiply
            | Divide
            | Modulo
            | MyIntegerDivide
            | Gt
            | Lt
            | GtEq
            | LtEq
            | Spaceship
            | Eq
            | NotEq
            | And
            | Or
            | Xor
            | BitwiseOr
            | BitwiseAnd
            | BitwiseXor
            | PGBitwiseShiftLeft
            | PGBitwiseShiftRight
    )
}

/// Character sets that `CONVERT(x USING …)` and introducers may name.
pub fn charset(name: &str) -> bool {
    matches!(name, "ascii" | "utf8" | "utf8mb3" | "utf8mb4" | "latin1" | "binary")
}
