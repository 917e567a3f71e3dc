//! What kind of value an expression gives, as far as a plan can be checked by it. `Unknown` fits everywhere.

use std::fmt;

use sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Query,
    SelectItem, SetExpr, Value,
};

use crate::catalog::Column;
use crate::resolve::Resolver;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Integer,
    /// DECIMAL, FLOAT and DOUBLE.
    Number,
    /// Character set and collation, where a column or a conversion fixes them.
    Text {
        charset: Option<String>,
        collation: Option<String>,
    },
    Date,
    Bytes,
    Json,
    Null,
    Unknown,
}

impl Kind {
    const TEXT: Kind = Kind::Text { charset: None, collation: None };

    pub fn of_column(column: &Column) -> Kind {
        if column.json {
            return Kind::Json;
        }
        match column.data_type.as_str() {
            _ if column.is_integer() => Kind::Integer,
            "decimal" | "numeric" | "float" | "double" => Kind::Number,
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
                Kind::Text { charset: column.charset.clone(), collation: column.collation.clone() }
            }
            "date" | "datetime" | "timestamp" | "time" => Kind::Date,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Bytes,
            _ => Kind::Unknown,
        }
    }

    pub fn of(e: &Expr, resolver: &Resolver<'_>) -> Kind {
        match e {
            Expr::CompoundIdentifier(_) => {
                resolver.column_of(e).map_or(Kind::Unknown, |(_, column)| Kind::of_column(column))
            }
            Expr::Nested(inner) => Kind::of(inner, resolver),
            Expr::Value(value) => match &value.value {
                Value::Number(digits, _) if digits.chars().all(|c| c.is_ascii_digit()) => Kind::Integer,
                Value::Number(..) => Kind::Number,
                Value::SingleQuotedString(_) => Kind::TEXT,
                Value::Boolean(_) => Kind::Integer,
                Value::Null => Kind::Null,
                _ => Kind::Unknown,
            },
            Expr::TypedString(_) => Kind::Date,
            Expr::Convert { charset: Some(charset), .. } => {
                Kind::Text { charset: Some(charset.to_string().to_lowercase()), collation: None }
            }
            Expr::Collate { expr, .. } => match Kind::of(expr, resolver) {
                Kind::Text { charset, .. } => Kind::Text { charset, collation: None },
                other => other,
            },
            Expr::Cast { data_type, .. } => of_cast(data_type),
            Expr::UnaryOp { expr, .. } => Kind::of(expr, resolver),
            Expr::BinaryOp { left, op, right } => {
                of_operation(Kind::of(left, resolver), op, Kind::of(right, resolver))
            }
            Expr::IsNull(_) | Expr::IsNotNull(_) | Expr::IsTrue(_) | Expr::IsFalse(_) => Kind::Integer,
            Expr::Exists { .. } | Expr::InList { .. } | Expr::InSubquery { .. } | Expr::Between { .. } => {
                Kind::Integer
            }
            Expr::Like { .. } | Expr::RLike { .. } | Expr::Position { .. } | Expr::Extract { .. } => {
                Kind::Integer
            }
            Expr::Substring { .. } | Expr::Trim { .. } => Kind::TEXT,
            Expr::Case { conditions, else_result, .. } => {
                let results = conditions.iter().map(|c| &c.result).chain(else_result.as_deref());
                together(results.map(|r| Kind::of(r, resolver)))
            }
            Expr::Subquery(query) => of_query(query, resolver),
            Expr::Function(function) => of_function(function, resolver),
            _ => Kind::Unknown,
        }
    }

    /// Why a value of this kind can't be written into `column`; `None` if it may fit.
    pub fn unfit(&self, column: &Column) -> Option<String> {
        let into = Kind::of_column(column);
        let fits = matches!(
            (self, &into),
            (Kind::Unknown | Kind::Null, _)
                | (_, Kind::Unknown)
                | (Kind::Integer | Kind::Number, Kind::Integer | Kind::Number | Kind::Json)
                | (Kind::Date, Kind::Date)
                | (Kind::Bytes, Kind::Bytes)
                | (Kind::Text { .. } | Kind::Json, Kind::Text { .. } | Kind::Json)
                | (Kind::Integer, Kind::Text { .. })
        );
        (!fits)
            .then(|| format!("the value is {self}, the column `{}` is {}", column.name, column.column_type))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Integer => "an integer",
            Kind::Number => "a number",
            Kind::Text { .. } => "text",
            Kind::Date => "a date or time",
            Kind::Bytes => "bytes",
            Kind::Json => "JSON",
            Kind::Null => "NULL",
            Kind::Unknown => "of a kind that can't be told",
        })
    }
}

/// Can an index on `column` find rows equal to a value of kind `value`? If not: why, and what would do.
pub fn hides_index(column: &Column, value: &Kind) -> Option<String> {
    let name = &column.name;
    match (Kind::of_column(column), value) {
        (Kind::Text { charset: Some(charset), .. }, Kind::Integer | Kind::Number) => Some(format!(
            "`{name}` is text and is compared with a number: no index is used, and '12abc' equals 12; write CONVERT(… USING {charset})"
        )),
        (Kind::Integer | Kind::Number, Kind::Text { .. }) => Some(format!(
            "`{name}` is a number and is compared with text: no index is used; write CAST(… AS UNSIGNED) or SIGNED"
        )),
        (
            Kind::Text { charset: Some(own), collation: Some(collation) },
            Kind::Text { charset: Some(other), collation: theirs },
        ) => {
            if own != *other && !covers(&own, other) {
                return Some(format!(
                    "`{name}` is {own} and is compared with {other}, which it can't hold: no index is used; write CONVERT(… USING {own})"
                ));
            }
            match theirs {
                Some(theirs) if own == *other && *theirs != collation => Some(format!(
                    "`{name}` compares as {collation}, the other side as {theirs}: the server refuses that; write … COLLATE {collation}"
                )),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Every text of `narrow` can be written in `wide`.
fn covers(wide: &str, narrow: &str) -> bool {
    match wide {
        "utf8mb4" => matches!(narrow, "ascii" | "latin1" | "utf8" | "utf8mb3"),
        "utf8" | "utf8mb3" => matches!(narrow, "ascii" | "latin1" | "utf8" | "utf8mb3"),
        "latin1" => narrow == "ascii",
        _ => false,
    }
}

fn of_cast(data_type: &DataType) -> Kind {
    match data_type {
        // Without a character set: the connection's.
        DataType::Char(_) => Kind::Text { charset: Some("utf8mb4".into()), collation: None },
        DataType::Binary(_) => Kind::Bytes,
        DataType::Unsigned | DataType::UnsignedInteger | DataType::Signed | DataType::SignedInteger => {
            Kind::Integer
        }
        DataType::Decimal(_) | DataType::Double(_) => Kind::Number,
        DataType::Date | DataType::Datetime(_) | DataType::Time(..) => Kind::Date,
        DataType::JSON => Kind::Json,
        _ => Kind::Unknown,
    }
}

fn of_operation(left: Kind, op: &BinaryOperator, right: Kind) -> Kind {
    use BinaryOperator::*;
    match op {
        Plus | Minus if left == Kind::Date || right == Kind::Date => Kind::Unknown,
        Plus | Minus | Multiply | Modulo => match (left, right) {
            (Kind::Integer, Kind::Integer) => Kind::Integer,
            _ => Kind::Number,
        },
        Divide => Kind::Number,
        _ => Kind::Integer,
    }
}

fn of_query(query: &Query, resolver: &Resolver<'_>) -> Kind {
    match query.body.as_ref() {
        SetExpr::Select(select) => match select.projection.as_slice() {
            [SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. }] => Kind::of(e, resolver),
            _ => Kind::Unknown,
        },
        _ => Kind::Unknown,
    }
}

fn of_function(function: &Function, resolver: &Resolver<'_>) -> Kind {
    let name = function.name.to_string().to_lowercase();
    let arguments: Vec<Kind> = match &function.args {
        FunctionArguments::List(list) => list
            .args
            .iter()
            .filter_map(|a| match a {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(Kind::of(e, resolver)),
                _ => None,
            })
            .collect(),
        _ => vec![],
    };
    match name.as_str() {
        "coalesce" | "ifnull" | "nvl" | "greatest" | "least" => together(arguments.into_iter()),
        "if" => together(arguments.into_iter().skip(1)),
        "nullif" | "min" | "max" => arguments.into_iter().next().unwrap_or(Kind::Unknown),
        "sum" | "avg" => Kind::Number,
        "count" | "char_length" | "character_length" | "length" | "octet_length" | "json_valid"
        | "json_length" | "isnull" | "datediff" | "timestampdiff" | "year" | "month" | "day" | "hour"
        | "minute" | "locate" | "instr" | "to_days" | "crc32" | "field" => Kind::Integer,
        "json_extract" | "json_array" | "json_object" | "json_query" | "json_merge_patch" | "json_set" => {
            Kind::Json
        }
        "concat" | "concat_ws" | "group_concat" | "json_unquote" | "json_quote" | "json_value"
        | "json_type" | "lower" | "upper" | "lcase" | "ucase" | "left" | "right" | "replace" | "hex"
        | "substr" | "substring_index" | "mid" | "rtrim" | "ltrim" | "lpad" | "rpad" | "reverse" | "md5"
        | "sha1" | "sha2" | "date_format" => Kind::TEXT,
        "unhex" | "uuid_to_bin" => Kind::Bytes,
        "date" | "from_unixtime" | "last_day" | "timestamp" | "makedate" | "str_to_date" => Kind::Date,
        _ => Kind::Unknown,
    }
}

/// The kind of a value that is one of several.
fn together(kinds: impl Iterator<Item = Kind>) -> Kind {
    let mut result = Kind::Null;
    for kind in kinds {
        result = match (result, kind) {
            (Kind::Null, k) | (k, Kind::Null) => k,
            (a, b) if a == b => a,
            (Kind::Text { .. }, Kind::Text { .. }) => Kind::TEXT,
            (Kind::Integer, Kind::Number) | (Kind::Number, Kind::Integer) => Kind::Number,
            _ => return Kind::Unknown,
        };
    }
    result
}
