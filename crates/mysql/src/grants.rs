//! The smallest rights of each service, derived from the plan.
//!
//! - Legacy tables are read by column: what the plan does not read can't be read.
//! - The writer may change the new columns and no other; beside them only the ON UPDATE columns that it must write to
//!   themselves, so that they stay.
//! - The reader gets no legacy data at all: the replication stream is its right, and `REFERENCES` on the columns of the plan
//!   only lets it see their types. What it compares the stream with are samples in the control schema.
//! - Only the administrator's account, used by people and by `crossfade migrate`, changes tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use plan::catalog::{Catalog, Flavour};
use plan::checked::{Checked, Target, TargetKind};
use plan::quote::ident;

use crate::control::sample;
use crate::reads::{of_reads, reads};

/// Who needs rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Admin,
    CdcReader,
    Mapper,
    IdMapper,
    Writer,
    Verifier,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// `*.*`
    Server,
    /// `schema.*`
    Schema(String),
    Table(String, String),
}

/// Rights on one object. A right without columns is on all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub on: Object,
    /// Name of the right, as in `SELECT`, and its columns.
    pub rights: BTreeMap<String, BTreeSet<String>>,
}

impl Role {
    pub const SERVICES: [Role; 5] =
        [Role::CdcReader, Role::Mapper, Role::IdMapper, Role::Writer, Role::Verifier];
    pub const ALL: [Role; 6] =
        [Role::Admin, Role::CdcReader, Role::Mapper, Role::IdMapper, Role::Writer, Role::Verifier];

    pub fn name(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::CdcReader => "cdc-reader",
            Role::Mapper => "mapper",
            Role::IdMapper => "id-mapper",
            Role::Writer => "writer",
            Role::Verifier => "verifier",
        }
    }
}

impl Grant {
    /// The statement that gives it. `account` is written as SQL has it: `'writer'@'10.%'`.
    pub fn statement(&self, account: &str) -> String {
        let rights: Vec<_> = self
            .rights
            .iter()
            .map(|(right, columns)| match columns.len() {
                0 => right.clone(),
                _ => format!("{right} ({})", columns.iter().map(|c| ident(c)).collect::<Vec<_>>().join(", ")),
            })
            .collect();
        format!("GRANT {} ON {} TO {account};", rights.join(", "), self.on.sql())
    }
}

impl Object {
    fn sql(&self) -> String {
        match self {
            Object::Server => "*.*".into(),
            // Here, and only here, `_` and `%` in a schema's name are wildcards.
            Object::Schema(schema) => format!("{}.*", ident(&schema.replace('_', "\\_").replace('%', "\\%"))),
            Object::Table(schema, table) => format!("{}.{}", ident(schema), ident(table)),
        }
    }
}

/// What rights are derived from.
#[derive(Clone, Copy, Debug)]
pub struct Rights<'a> {
    pub plan: &'a Checked,
    pub catalog: &'a Catalog,
    pub control: &'a str,
    /// Deferred targets run, too.
    pub include_deferred: bool,
}

/// A text to be reviewed and run by an administrator of the server: the rights of all accounts, `'<prefix><role>'@'host'`.
pub fn print_grants(rights: &Rights<'_>, account: impl Fn(Role) -> String) -> String {
    let mut text = String::from(
        "-- The smallest rights for this plan. Create the accounts first (CREATE USER … IDENTIFIED BY … REQUIRE SSL).\n\
         -- The rights on tables of the control schema and on id maps need these tables: run the administrator's part,\n\
         -- then `crossfade migrate` with that account, then the rest.\n",
    );
    for role in Role::ALL {
        let account = account(role);
        let _ = writeln!(text, "\n-- {}", role.name());
        for grant in required(role, rights) {
            let _ = writeln!(text, "{}", grant.statement(&account));
        }
    }
    text
}

/// The rights that a role needs, object by object.
pub fn required(role: Role, rights: &Rights<'_>) -> Vec<Grant> {
    let mut list = List { schema: &rights.plan.schema, control: rights.control, grants: BTreeMap::new() };
    list.control_tables(role);
    if let Some(of) = &rights.plan.reverse_of {
        for table in ["lane", "flag", "exceptions"] {
            list.add(Object::Table(of.control_schema.clone(), table.into()), "SELECT");
        }
    }
    match role {
        Role::Admin => list.admin(rights),
        Role::CdcReader => {
            list.server("REPLICATION SLAVE");
            list.server(binlog_monitor(rights.catalog.flavour));
            for (table, columns) in read_columns(rights) {
                list.columns(&table, "REFERENCES", columns);
            }
            for (table, watched) in &rights.plan.watched {
                let image = watched.image.iter().flat_map(|i| &i.columns).map(|c| c.name.clone());
                list.columns(table, "REFERENCES", image.collect());
            }
            list.samples(rights, &["SELECT"]);
        }
        Role::Mapper => list.reads(rights),
        Role::IdMapper => {
            list.reads(rights);
            for entity in &rights.plan.entities {
                // ON DUPLICATE KEY UPDATE of a column to itself asks for UPDATE on what is inserted.
                list.tables(&entity.map, &["SELECT", "INSERT"]);
                let columns = ["legacy_id", "uuid_binary"].map(str::to_owned);
                list.columns(&entity.map, "UPDATE", columns.into());
            }
        }
        Role::Writer => list.writer(rights),
        Role::Verifier => {
            list.reads(rights);
            list.maps(rights);
            list.samples(rights, &["SELECT", "INSERT", "DELETE"]);
            for (table, watched) in &rights.plan.watched {
                // With `publish: rows` samples are of whole rows.
                let image = watched.image.iter().flat_map(|i| &i.columns).map(|c| c.name.clone());
                list.columns(table, "SELECT", image.collect());
            }
            for target in &rights.plan.targets {
                if target.kind == TargetKind::Shadow {
                    list.tables(&target.table, &["SELECT"]);
                }
            }
            for (table, columns) in running(rights).flat_map(of_reads) {
                list.columns(&table, "SELECT", columns);
            }
        }
    }
    list.grants.into_iter().map(|(on, rights)| Grant { on, rights }).collect()
}

struct List<'a> {
    schema: &'a str,
    control: &'a str,
    grants: BTreeMap<Object, BTreeMap<String, BTreeSet<String>>>,
}

impl List<'_> {
    fn add(&mut self, on: Object, right: &str) {
        // On the whole table: no list of columns is left.
        self.grants.entry(on).or_default().insert(right.into(), BTreeSet::new());
    }

    fn server(&mut self, right: &str) {
        self.add(Object::Server, right);
    }

    fn tables(&mut self, table: &str, rights: &[&str]) {
        for right in rights {
            self.add(Object::Table(self.schema.into(), table.into()), right);
        }
    }

    fn columns(&mut self, table: &str, right: &str, columns: BTreeSet<String>) {
        let held = self.grants.entry(Object::Table(self.schema.into(), table.into())).or_default();
        match held.get_mut(right) {
            Some(all) if all.is_empty() => {}
            Some(some) => some.extend(columns),
            None if columns.is_empty() => {}
            None => drop(held.insert(right.into(), columns)),
        }
    }

    fn control_tables(&mut self, role: Role) {
        const ALL: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE"];
        const READ: &[&str] = &["SELECT"];
        const ADD: &[&str] = &["SELECT", "INSERT"];
        const KEEP: &[&str] = &["SELECT", "INSERT", "UPDATE"];
        const MOVE: &[&str] = &["SELECT", "UPDATE"];
        let mut on = |table: &str, rights: &[&str]| {
            for right in rights {
                self.add(Object::Table(self.control.into(), table.into()), right);
            }
        };
        if role == Role::Admin {
            return;
        }
        for table in ["meta", "hold", "applied", "reader"] {
            on(table, READ);
        }
        on("service", KEEP);
        match role {
            Role::CdcReader => {
                on("reader", KEEP);
                on("finding", ADD);
                on("flag", READ);
                on("sample", READ);
                on("fidelity", KEEP);
            }
            Role::Mapper => {
                on("redrive", ALL);
                on("exceptions", READ);
                on("pass", ADD);
            }
            Role::IdMapper => {
                on("id_collision", KEEP);
                on("redrive", ALL);
                on("exceptions", READ);
                on("pass", KEEP);
            }
            Role::Writer => {
                on("lane", MOVE);
                on("dual_write", KEEP);
                on("exceptions", KEEP);
                on("redrive", ALL);
                on("pass", KEEP);
                self.add(Object::Schema(self.control.into()), "CREATE TEMPORARY TABLES");
            }
            Role::Verifier => {
                on("finding", ALL);
                on("verdict", ALL);
                on("barrier", MOVE);
                on("applied", KEEP);
                on("redrive", ADD);
                on("pass", ALL);
                for table in ["sweep", "coverage", "map_seen", "canary", "canary_new"] {
                    on(table, ALL);
                }
                on("flag", KEEP);
                on("audit", ADD);
                on("sample", MOVE);
                on("exceptions", MOVE);
                on("dual_write", ALL);
                let lane = Object::Table(self.control.into(), "lane".into());
                self.grants.entry(lane).or_default().insert("UPDATE".into(), ["mode".to_owned()].into());
                self.add(Object::Schema(self.control.into()), "SELECT");
            }
            Role::Admin => {}
        }
    }

    /// The tables that hold samples of watched ones.
    fn samples(&mut self, rights: &Rights<'_>, held: &[&str]) {
        for table in rights.plan.watched.keys() {
            for right in held {
                self.add(Object::Table(self.control.into(), sample::table(table)), right);
            }
        }
    }

    fn admin(&mut self, rights: &Rights<'_>) {
        let ddl = ["CREATE", "ALTER", "DROP", "INDEX", "REFERENCES", "CREATE VIEW", "SHOW VIEW"];
        for right in
            ddl.into_iter().chain(["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE TEMPORARY TABLES"])
        {
            self.add(Object::Schema(self.control.into()), right);
        }
        // To see the whole catalog: checks of JSON columns and triggers are shown to nobody with less.
        for right in ["SELECT", "TRIGGER"] {
            self.add(Object::Schema(self.schema.into()), right);
        }
        for entity in &rights.plan.entities {
            self.tables(&entity.map, &["CREATE"]);
        }
        self.server(binlog_monitor(rights.catalog.flavour));
    }

    fn writer(&mut self, rights: &Rights<'_>) {
        self.reads(rights);
        self.maps(rights);
        for target in running(rights) {
            match target.kind {
                TargetKind::Shadow => self.tables(&target.table, &["SELECT", "INSERT", "UPDATE", "DELETE"]),
                TargetKind::Parallel => {
                    let new = target.columns.iter().map(|c| c.column.name.clone());
                    let columns = new.chain(target.keep.iter().cloned()).collect();
                    self.columns(&target.table, "UPDATE", columns);
                }
            }
        }
    }

    fn reads(&mut self, rights: &Rights<'_>) {
        for (table, columns) in read_columns(rights) {
            self.columns(&table, "SELECT", columns);
        }
    }

    fn maps(&mut self, rights: &Rights<'_>) {
        for entity in &rights.plan.entities {
            self.tables(&entity.map, &["SELECT"]);
        }
    }
}

fn running<'a>(rights: &Rights<'a>) -> impl Iterator<Item = &'a Target> {
    let all = rights.include_deferred;
    rights.plan.targets.iter().filter(move |t| all || t.defer.is_none())
}

/// Columns that a service reads, by legacy table: what the plan's expressions read, keys, and the new columns themselves.
fn read_columns(rights: &Rights<'_>) -> BTreeMap<String, BTreeSet<String>> {
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (table, watched) in &rights.plan.watched {
        let key = watched.key.iter().map(|c| c.name.clone());
        let published = watched.published.iter().map(|c| c.name.clone());
        let columns = watched.read.iter().chain(&watched.fill).cloned().chain(key).chain(published);
        tables.entry(table.clone()).or_default().extend(columns);
    }
    // Deferred targets, too: the verifier computes their exceptions on request.
    for target in &rights.plan.targets {
        for (table, columns) in reads(target) {
            tables.entry(table).or_default().extend(columns);
        }
    }
    for target in rights.plan.targets.iter().filter(|t| t.kind == TargetKind::Parallel) {
        let columns = tables.entry(target.table.clone()).or_default();
        columns.extend(target.columns.iter().map(|c| c.column.name.clone()));
        columns.extend(target.primary_key.iter().map(|c| c.name.clone()));
        columns.extend(target.scope.iter().map(|s| s.target_column.clone()));
        columns.extend(target.keep.iter().cloned());
    }
    for (table, columns) in &mut tables {
        // The plan may spell a column in another case; the catalog has the name. What is not a table's column (a map is no
        // legacy table, and stands apart) is none of ours.
        let known = rights.catalog.tables.get(table);
        *columns = columns.iter().filter_map(|c| Some(known?.column(c)?.name.clone())).collect();
    }
    tables.retain(|table, columns| {
        !columns.is_empty() && !rights.plan.entities.iter().any(|e| e.map == *table)
    });
    tables
}

fn binlog_monitor(flavour: Flavour) -> &'static str {
    match flavour {
        Flavour::MariaDb => "BINLOG MONITOR",
        Flavour::MySql => "REPLICATION CLIENT",
    }
}
