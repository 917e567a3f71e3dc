//! Function calls: the allowed functions of the database, and the plan's fragments.

use std::collections::BTreeMap;

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentClause,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, OrderByExpr,
};

use super::{Fragment, MAX_FRAGMENTS, Resolver, Scope, null, one_word};
use crate::allowed;
use crate::parse::{self, Fault};
use crate::place::Place;
use crate::problem::nearest;

impl Resolver<'_> {
    pub(super) fn function(&mut self, function: &Function) -> Expr {
        let Some(name) = one_word(&function.name).cloned() else {
            self.fault(Fault::new(
                self.call_at,
                format!("`{}`: functions of another schema are not allowed", function.name),
            ));
            return null();
        };
        let at = parse::place(name.span.start);
        let list = match &function.args {
            FunctionArguments::List(list) => Some(list),
            FunctionArguments::None => None,
            FunctionArguments::Subquery(_) => {
                self.fault(Fault::new(at, "a function of a bare SELECT is not allowed"));
                return null();
            }
        };
        if let Some(fragment) = self.vocabulary.fragments.get(&name.value.to_lowercase()) {
            return self.fragment(&name.value, fragment, list, at);
        }
        let lower = name.value.to_lowercase();
        if let Err(fault) =
            allowed::function(&lower, list.map_or(0, |l| l.args.len()), self.catalog.flavour, at)
        {
            let fragment = nearest(&lower, self.vocabulary.fragments.keys().map(String::as_str));
            let help = fragment.map(|f| format!("did you mean the fragment `{f}`?")).or(fault.help.clone());
            self.fault(Fault { help, ..fault });
            return null();
        }
        let plain = Function {
            name: function.name.clone(),
            uses_odbc_syntax: false,
            parameters: FunctionArguments::None,
            args: function.args.clone(),
            within_group: vec![],
            filter: None,
            null_treatment: None,
            over: None,
        };
        if plain != *function {
            self.fault(Fault::new(at, "windows, filters and modifiers of functions are not allowed"));
            return null();
        }
        let args = list.map(|list| self.arguments(&lower, list, at));
        Expr::Function(Function {
            // A name from the allow-list needs no quotes, and must have none.
            name: ObjectName::from(vec![Ident::new(name.value.to_uppercase())]),
            args: args.map_or(FunctionArguments::None, FunctionArguments::List),
            ..plain
        })
    }

    fn arguments(&mut self, name: &str, list: &FunctionArgumentList, at: Place) -> FunctionArgumentList {
        let mut ordered = false;
        let clauses = list.clauses.iter().filter_map(|clause| match clause {
            FunctionArgumentClause::OrderBy(keys) if name == "group_concat" => {
                ordered = true;
                Some(FunctionArgumentClause::OrderBy(self.order(keys)))
            }
            FunctionArgumentClause::Separator(text) if name == "group_concat" => {
                Some(FunctionArgumentClause::Separator(text.clone()))
            }
            other => {
                self.fault(Fault::new(at, format!("`{other}` is not allowed in {}()", name.to_uppercase())));
                None
            }
        });
        let clauses: Vec<_> = clauses.collect();
        if name == "group_concat" && !ordered {
            let fault = Fault::new(at, "GROUP_CONCAT() without ORDER BY gives its elements in any order");
            self.fault(fault.help("add ORDER BY with keys that leave no ties"));
        }
        if list.duplicate_treatment.is_some() && !allowed::is_aggregate(name) {
            self.fault(Fault::new(at, "DISTINCT stands in aggregates only"));
        }
        let args = list.args.iter().enumerate().map(|(i, arg)| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Wildcard) if name == "count" => arg.clone(),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(unit)))
                if i == 0 && allowed::takes_unit(name) =>
            {
                self.unit(unit)
            }
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(self.expr(e)))
            }
            other => {
                self.fault(Fault::new(
                    at,
                    format!("`{other}` is not an argument that {}() takes", name.to_uppercase()),
                ));
                FunctionArg::Unnamed(FunctionArgExpr::Expr(null()))
            }
        });
        let args = args.collect();
        let duplicate_treatment =
            list.duplicate_treatment.filter(|d| matches!(d, DuplicateTreatment::Distinct));
        FunctionArgumentList { duplicate_treatment, args, clauses }
    }

    /// The word SECOND of TIMESTAMPDIFF(SECOND, a, b).
    fn unit(&mut self, unit: &Ident) -> FunctionArg {
        const UNITS: [&str; 9] =
            ["MICROSECOND", "SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"];
        let word = unit.value.to_uppercase();
        if !UNITS.contains(&word.as_str()) {
            self.fault(Fault::new(parse::place(unit.span.start), format!("`{word}` is no unit of time")));
        }
        FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(Ident::new(word))))
    }

    pub(super) fn order(&mut self, keys: &[OrderByExpr]) -> Vec<OrderByExpr> {
        keys.iter()
            .map(|key| {
                let rebuilt =
                    OrderByExpr { expr: self.expr(&key.expr), options: key.options.clone(), with_fill: None };
                if key.with_fill.is_some() || key.options.nulls_first.is_some() {
                    self.fault(Fault::new(
                        self.call_at,
                        format!("`{key}` is not an order that the server knows"),
                    ));
                }
                rebuilt
            })
            .collect()
    }

    /// Puts a fragment in: its arguments are resolved where the call stands, its body where nothing else is in sight.
    fn fragment(
        &mut self,
        name: &str,
        fragment: &Fragment,
        list: Option<&FunctionArgumentList>,
        at: Place,
    ) -> Expr {
        let given: Vec<&Expr> = list.iter().flat_map(|l| &l.args).filter_map(plain_argument).collect();
        let written = list.map_or(0, |l| l.args.len());
        if given.len() != written || written != fragment.arguments.len() {
            let wanted = fragment.arguments.join(", ");
            self.fault(Fault::new(
                at,
                format!("fragment {name}({wanted}) is called with {written} arguments"),
            ));
            return null();
        }
        if self.calls.len() == MAX_FRAGMENTS || self.calls.iter().any(|c| c.eq_ignore_ascii_case(name)) {
            self.fault(Fault::new(
                at,
                format!("fragment {name} calls itself, by way of {}", self.calls.join(" → ")),
            ));
            return null();
        }
        let values: Vec<Expr> = given.into_iter().map(|e| atom(self.expr(e))).collect();
        let arguments: BTreeMap<String, Expr> = fragment.arguments.iter().cloned().zip(values).collect();
        if self.calls.is_empty() {
            self.call_at = at;
        }
        self.calls.push(name.to_string());
        self.scopes.push(Scope { arguments, closed: true, ..Scope::default() });
        let body = self.expr(&fragment.body);
        self.scopes.pop();
        self.calls.pop();
        atom(body)
    }
}

fn plain_argument(arg: &FunctionArg) -> Option<&Expr> {
    match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e),
        _ => None,
    }
}

/// In parentheses, unless it holds together by itself.
fn atom(e: Expr) -> Expr {
    match e {
        Expr::Nested(_)
        | Expr::Subquery(_)
        | Expr::Value(_)
        | Expr::CompoundIdentifier(_)
        | Expr::Function(_)
        | Expr::Case { .. }
        | Expr::Cast { .. } => e,
        other => Expr::Nested(Box::new(other)),
    }
}
