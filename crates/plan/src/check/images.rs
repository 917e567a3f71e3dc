//! `publish: rows`: which columns a whole image has, and whether each of them can be told exactly.
//!
//! Generated columns are left out: servers leave them out of some images, and whoever has the others can compute them.

use std::collections::BTreeMap;

use change::Form;

use super::Report;
use crate::catalog::{Catalog, Column, Table};
use crate::checked::{Image, Watched};
use crate::place::Place;

/// Gives every watched table its image. `at`: where the plan asks for it.
pub(super) fn add(
    watched: &mut BTreeMap<String, Watched>,
    catalog: &Catalog,
    at: Place,
    report: &mut Report<'_>,
) {
    for (name, watched) in watched {
        let Some(table) = catalog.tables.get(name) else { continue };
        for column in table.columns.iter().filter(|c| !c.generated) {
            if let Err(unfit) = Form::of(&column.data_type, &column.column_type, column.charset.as_deref()) {
                let message = format!(
                    "`{name}.{}` ({}) can't be told exactly in a whole image: {}",
                    column.name, column.column_type, unfit.why
                );
                report.problem(at, message, Some(help(unfit.mend, name)));
            }
        }
        watched.image = Some(image(&watched.key, table));
    }
}

fn help(mend: &str, table: &str) -> String {
    format!("{mend}; or `publish: keys`, and let another tool tell others of `{table}`")
}

/// The key first, then the other columns in the table's order.
fn image(key: &[Column], table: &Table) -> Image {
    let is_key = |c: &&Column| table.primary_key.contains(&c.name);
    let others = table.columns.iter().filter(|c| !is_key(c) && !c.generated);
    Image {
        columns: key.iter().chain(others).cloned().collect(),
        left_out: table.columns.iter().filter(|c| c.generated).map(|c| c.name.clone()).collect(),
    }
}
