//! A query of the application with its parameters put in.

use std::ops::ControlFlow;

use change::Key;
use sqlparser::ast::{Query, visit_expressions_mut};

use super::TargetSql;
use super::wanted::raw;
use crate::quote;
use crate::resolve::as_column;

/// The query with what `value` gives for a parameter, colon included. What it gives nothing for is no parameter.
pub fn bound(query: &Query, value: impl Fn(&str) -> Option<String>) -> String {
    let mut query = query.clone();
    let _: ControlFlow<()> = visit_expressions_mut(&mut query, |e| {
        if let Some((name, _)) = as_column(e)
            && name.starts_with(':')
            && let Some(text) = value(name)
        {
            *e = raw(text);
        }
        ControlFlow::Continue(())
    });
    query.to_string()
}

impl TargetSql<'_> {
    /// One form of a read for one scope.
    pub fn read(&self, form: &Query, scope: &Key) -> String {
        bound(form, |parameter| {
            let at = self.target.scope.iter().position(|s| s.target_column == parameter[1..])?;
            // In parentheses: a sign may stand before it.
            Some(format!("({})", quote::cell(scope.0.get(at)?)))
        })
    }
}
