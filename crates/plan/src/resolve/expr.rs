//! Expressions: each allowed kind is rebuilt, everything else is refused.

use sqlparser::ast::{
    CaseWhen, CastKind, CeilFloorKind, DataType, Expr, Spanned, UnaryOperator, Value, ValueWithSpan,
};

use super::{Resolver, null};
use crate::allowed;
use crate::parse::{self, Fault};
use crate::place::Place;

impl Resolver<'_> {
    /// Resolves an expression. What is wrong with it goes to `faults`, and NULL stands in its place.
    pub fn expr(&mut self, e: &Expr) -> Expr {
        if !self.spend() {
            return null();
        }
        match e {
            Expr::Identifier(name) => self.column(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(parts) => self.column(parts),
            Expr::Value(value) => self.value(value),
            Expr::Nested(x) => Expr::Nested(self.boxed(x)),
            Expr::IsFalse(x) => Expr::IsFalse(self.boxed(x)),
            Expr::IsNotFalse(x) => Expr::IsNotFalse(self.boxed(x)),
            Expr::IsTrue(x) => Expr::IsTrue(self.boxed(x)),
            Expr::IsNotTrue(x) => Expr::IsNotTrue(self.boxed(x)),
            Expr::IsNull(x) => Expr::IsNull(self.boxed(x)),
            Expr::IsNotNull(x) => Expr::IsNotNull(self.boxed(x)),
            Expr::IsUnknown(x) => Expr::IsUnknown(self.boxed(x)),
            Expr::IsNotUnknown(x) => Expr::IsNotUnknown(self.boxed(x)),
            Expr::UnaryOp { op, expr } => match op {
                UnaryOperator::Plus
                | UnaryOperator::Minus
                | UnaryOperator::Not
                | UnaryOperator::BitwiseNot => Expr::UnaryOp { op: *op, expr: self.boxed(expr) },
                _ => self.refuse(e, "this operator is not allowed"),
            },
            Expr::BinaryOp { left, op, right } => {
                if !allowed::operator(op) {
                    return self.refuse(e, &format!("operator `{op}` is not allowed"));
                }
                Expr::BinaryOp { left: self.boxed(left), op: op.clone(), right: self.boxed(right) }
            }
            Expr::Between { expr, negated, low, high } => Expr::Between {
                expr: self.boxed(expr),
                negated: *negated,
                low: self.boxed(low),
                high: self.boxed(high),
            },
            Expr::InList { expr, list, negated } => {
                Expr::InList { expr: self.boxed(expr), list: self.all(list), negated: *negated }
            }
            Expr::InSubquery { expr, subquery, negated } => Expr::InSubquery {
                expr: self.boxed(expr),
                subquery: Box::new(self.query(subquery)),
                negated: *negated,
            },
            Expr::Exists { subquery, negated } => {
                Expr::Exists { subquery: Box::new(self.query(subquery)), negated: *negated }
            }
            Expr::Subquery(query) => Expr::Subquery(Box::new(self.query(query))),
            Expr::Tuple(items) => Expr::Tuple(self.all(items)),
            Expr::Like { negated, any: false, expr, pattern, escape_char } => Expr::Like {
                negated: *negated,
                any: false,
                expr: self.boxed(expr),
                pattern: self.boxed(pattern),
                escape_char: escape_char.as_deref().map(|c| self.boxed(c)),
            },
            Expr::RLike { negated, expr, pattern, regexp } => Expr::RLike {
                negated: *negated,
                expr: self.boxed(expr),
                pattern: self.boxed(pattern),
                regexp: *regexp,
            },
            Expr::Case { case_token, end_token, operand, conditions, else_result } => Expr::Case {
                case_token: case_token.clone(),
                end_token: end_token.clone(),
                operand: operand.as_deref().map(|o| self.boxed(o)),
                conditions: conditions
                    .iter()
                    .map(|c| CaseWhen { condition: self.expr(&c.condition), result: self.expr(&c.result) })
                    .collect(),
                else_result: else_result.as_deref().map(|r| self.boxed(r)),
            },
            Expr::Cast { kind: CastKind::Cast, expr, data_type, format: None } => {
                if !castable(data_type) {
                    return self.refuse(e, &format!("CAST to {data_type} is not allowed"));
                }
                Expr::Cast {
                    kind: CastKind::Cast,
                    expr: self.boxed(expr),
                    data_type: data_type.clone(),
                    format: None,
                }
            }
            Expr::Convert {
                expr, data_type: None, charset: Some(charset), styles, is_try: false, ..
            } if styles.is_empty() => {
                if !allowed::charset(&charset.to_string().to_lowercase()) {
                    return self
                        .refuse(e, &format!("character set {charset} is not among those that we transcode"));
                }
                let mut rebuilt = e.clone();
                if let Expr::Convert { expr: inner, .. } = &mut rebuilt {
                    *inner = self.boxed(expr);
                }
                rebuilt
            }
            Expr::Collate { expr, collation } => {
                Expr::Collate { expr: self.boxed(expr), collation: collation.clone() }
            }
            Expr::Prefixed { prefix, value } => {
                let charset = prefix.value.trim_start_matches('_').to_lowercase();
                match (value.as_ref(), allowed::charset(&charset) && prefix.value.starts_with('_')) {
                    (Expr::Value(literal), true) => {
                        Expr::Prefixed { prefix: prefix.clone(), value: Box::new(self.value(literal)) }
                    }
                    _ => self.refuse(e, "a character set may stand before a literal only"),
                }
            }
            Expr::TypedString(literal) if !literal.uses_odbc_syntax => match literal.data_type {
                DataType::Date | DataType::Time(..) | DataType::Timestamp(..) => e.clone(),
                _ => self.refuse(e, "only DATE, TIME and TIMESTAMP literals are typed"),
            },
            Expr::Interval(interval) => {
                let plain = interval.leading_precision.is_none()
                    && interval.last_field.is_none()
                    && interval.fractional_seconds_precision.is_none();
                if !plain {
                    return self.refuse(e, "an interval is written INTERVAL value UNIT");
                }
                let mut rebuilt = interval.clone();
                rebuilt.value = self.boxed(&interval.value);
                Expr::Interval(rebuilt)
            }
            Expr::Extract { field, syntax, expr } => {
                Expr::Extract { field: field.clone(), syntax: syntax.clone(), expr: self.boxed(expr) }
            }
            Expr::Ceil { expr, field } if plain_rounding(field) => {
                Expr::Ceil { expr: self.boxed(expr), field: field.clone() }
            }
            Expr::Floor { expr, field } if plain_rounding(field) => {
                Expr::Floor { expr: self.boxed(expr), field: field.clone() }
            }
            Expr::Position { expr, r#in } => {
                Expr::Position { expr: self.boxed(expr), r#in: self.boxed(r#in) }
            }
            Expr::Substring { expr, substring_from, substring_for, special, shorthand } => Expr::Substring {
                expr: self.boxed(expr),
                substring_from: substring_from.as_deref().map(|x| self.boxed(x)),
                substring_for: substring_for.as_deref().map(|x| self.boxed(x)),
                special: *special,
                shorthand: *shorthand,
            },
            Expr::Trim { trim_where, trim_what, expr, trim_characters: None } => Expr::Trim {
                trim_where: *trim_where,
                trim_what: trim_what.as_deref().map(|x| self.boxed(x)),
                expr: self.boxed(expr),
                trim_characters: None,
            },
            Expr::Function(function) => self.function(function),
            _ => self.refuse(e, "this form of expression is not allowed"),
        }
    }

    pub(super) fn boxed(&mut self, e: &Expr) -> Box<Expr> {
        Box::new(self.expr(e))
    }

    pub(super) fn all(&mut self, list: &[Expr]) -> Vec<Expr> {
        list.iter().map(|e| self.expr(e)).collect()
    }

    pub(super) fn refuse(&mut self, e: &Expr, why: &str) -> Expr {
        self.fault(Fault::new(place_of(e), why));
        null()
    }

    /// A literal in the one form in which we print it.
    fn value(&mut self, value: &ValueWithSpan) -> Expr {
        let at = parse::place(value.span.start);
        match &value.value {
            Value::Number(_, false) | Value::Null | Value::Boolean(_) => Expr::Value(value.clone()),
            Value::HexStringLiteral(digits) => match digits.chars().all(|c| c.is_ascii_hexdigit()) {
                true => Expr::Value(value.clone()),
                false => {
                    self.fault(Fault::new(at, "a literal x'…' has hexadecimal digits only"));
                    null()
                }
            },
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => {
                if !printable(text, '\'') {
                    self.fault(
                        Fault::new(at, "a literal with two quotes in a row, or a quote after a backslash, can't be printed safely")
                            .help("write it as x'…', or CONCAT its parts"),
                    );
                }
                Expr::Value(ValueWithSpan {
                    value: Value::SingleQuotedString(text.clone()),
                    span: value.span,
                })
            }
            Value::Placeholder(name) => match name.strip_prefix(':') {
                Some(name) => self.parameter(name, at),
                None => {
                    self.fault(Fault::new(
                        at,
                        format!("`{name}`: only parameters of the plan, written `:name`, are allowed"),
                    ));
                    null()
                }
            },
            other => {
                self.fault(Fault::new(at, format!("this form of literal is not allowed: {other}")));
                null()
            }
        }
    }

    fn parameter(&mut self, name: &str, at: Place) -> Expr {
        if let Some(value) = self.vocabulary.parameters.get(name) {
            return value.clone();
        }
        let fault = Fault::new(at, format!("unknown parameter `:{name}`"));
        let known = self.vocabulary.parameters.keys().map(String::as_str);
        let help = crate::problem::did_you_mean(name, known).or(Some("parameters stand in plan.yaml".into()));
        self.fault(Fault { help, ..fault });
        null()
    }
}

/// The printer doubles a quote, but takes two quotes in a row, or one after a backslash, for doubled already.
pub(super) fn printable(text: &str, quote: char) -> bool {
    let mut last = None;
    text.chars().all(|c| {
        let ambiguous = c == quote && (last == Some(quote) || last == Some('\\'));
        last = Some(c);
        !ambiguous
    })
}

fn place_of(e: &Expr) -> Place {
    parse::place(e.span().start)
}

fn plain_rounding(field: &CeilFloorKind) -> bool {
    matches!(field, CeilFloorKind::DateTimeField(sqlparser::ast::DateTimeField::NoDateTime))
}

fn castable(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Char(_)
            | DataType::Binary(_)
            | DataType::Unsigned
            | DataType::UnsignedInteger
            | DataType::Signed
            | DataType::SignedInteger
            | DataType::Decimal(_)
            | DataType::Double(_)
            | DataType::Date
            | DataType::Datetime(_)
            | DataType::Time(..)
            | DataType::JSON
    )
}
