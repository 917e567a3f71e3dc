//! Which column of which table is compared with which fact.

/// How a fact becomes the value of a column, and what is reported about it.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// As it is.
    Value,
    /// Within INT; else NULL and a report.
    Int,
    /// So many characters, or bytes; else NULL and a report.
    Characters(u32),
    Bytes(u32),
    /// A legacy id of this table: its UUID through the map; NULL and a report if the row is gone.
    Uuid(&'static str),
    /// The same, kept as the legacy id.
    Id(&'static str),
    /// As `Uuid`, of a row that was looked for: not having found one is reported as well.
    Found(&'static str),
    /// As it is, but found through this column, a legacy id of this table.
    Through(&'static str, &'static str),
    Json,
}

#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub row: &'static str,
    pub name: &'static str,
    /// The column of the x_ table.
    pub fact: &'static str,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// `None`: parallel columns, and the target's key is `id`.
    pub shadow: Option<Shadow>,
}

#[derive(Clone, Copy, Debug)]
pub struct Shadow {
    pub row: &'static str,
    pub key: &'static str,
    /// The legacy table whose map gives the key.
    pub entity: &'static str,
    /// Which rows of the x_ table have a row at all.
    pub present: &'static str,
    pub deferred: bool,
}

const fn column(row: &'static str, name: &'static str, fact: &'static str, kind: Kind) -> Column {
    Column { row, name, fact, kind }
}

const fn parallel(name: &'static str, columns: &'static [Column]) -> Table {
    Table { name, columns, shadow: None }
}

use Kind::{Bytes, Characters, Found, Id, Int, Json, Through, Uuid, Value};

pub const TABLES: &[Table] = &[
    parallel(
        "users",
        &[column("2", "version_num", "version_num", Value), column("3", "updated_at", "updated_at", Value)],
    ),
    parallel(
        "process_steps",
        &[column("4", "default_sla_duration_seconds", "default_sla_duration_seconds", Int)],
    ),
    parallel(
        "requests",
        &[
            column("5", "created_by_id", "created_by_of", Id("users")),
            column("5b", "created_by_uuid", "created_by_of", Uuid("users")),
            column("6", "started_at", "started_at", Value),
            column("7", "completed_at", "completed_at", Value),
        ],
    ),
    parallel(
        "file_attachments",
        &[
            column("8", "content_type", "content_type", Characters(120)),
            column("8", "storage_path", "storage_path", Characters(500)),
            column("8", "description", "description", Bytes(65_535)),
        ],
    ),
    parallel("assignments", &[column("9", "assigned_by_id", "assigned_by_of", Uuid("users"))]),
    parallel(
        "delays",
        &[
            column("11", "responsible_user_id", "responsible_of", Uuid("users")),
            column("12", "justification", "justification", Value),
            column("13", "justified_by_id", "justified_by_of", Uuid("users")),
            column("13", "justified_at", "justified_at", Value),
            column("14", "original_assignment_id", "original_of", Uuid("assignments")),
            column("15", "is_justified", "is_justified", Value),
            column("15b", "is_shadow_delay", "is_shadow_delay", Value),
        ],
    ),
    parallel(
        "delay_justifications",
        &[
            column("16", "approved_by_id", "approved_by_of", Uuid("users")),
            column("16", "approved_at", "approved_at", Value),
        ],
    ),
    parallel(
        "escalation_rules",
        &[
            column("17", "cooldown_seconds", "cooldown_seconds", Int),
            column("18", "process_step_id", "step_of", Uuid("process_steps")),
            column("19", "escalation_user_id", "user_of", Uuid("users")),
        ],
    ),
    parallel(
        "feature_flags",
        &[
            column("20", "impact", "impact", Characters(20)),
            column("20b", "updated_by", "updated_by_of", Uuid("users")),
            column("20b", "updated_at", "updated_at", Value),
            column("22", "dependencies", "dependencies", Json),
        ],
    ),
    parallel(
        "audit_logs",
        &[
            column("23", "user_agent", "user_agent", Through("request_log_of", "request_logs")),
            column("24", "legal_hold_reason", "legal_hold_reason", Value),
            column("24", "legal_hold_by", "legal_hold_by_of", Uuid("users")),
            column("24", "legal_hold_at", "legal_hold_at", Value),
        ],
    ),
    Table {
        name: "escalation_history",
        columns: &[
            column("26", "assignment_id", "assignment_of", Found("assignments")),
            column("26", "escalated_by_id", "by_of", Uuid("users")),
            column("26", "escalated_to_id", "to_of", Uuid("users")),
            column("26", "level", "level", Value),
            column("26", "reason", "reason", Value),
            column("26", "escalated_at", "escalated_at", Value),
            column("26", "resolved_at", "resolved_at", Value),
        ],
        shadow: Some(Shadow {
            row: "26",
            key: "id",
            entity: "escalation_histories",
            present: "TRUE",
            deferred: false,
        }),
    },
    Table {
        name: "slas_new",
        columns: &[
            column("27", "role_id", "role_of", Uuid("roles")),
            column("27", "duration_seconds", "seconds", Value),
            column("27", "source_sla_id", "sla_of", Uuid("slas")),
        ],
        shadow: Some(Shadow {
            row: "27",
            key: "process_step_id",
            entity: "process_steps",
            present: "COALESCE(x.seconds BETWEEN -2147483648 AND 2147483647, FALSE)",
            deferred: true,
        }),
    },
    Table {
        name: "delegations_new",
        columns: &[
            column("28", "assignment_id", "assignment_of", Uuid("assignments")),
            column("28", "delegator_id", "delegator_of", Uuid("users")),
            column("28", "delegate_id", "delegate_of", Uuid("users")),
            column("28", "reason", "reason", Value),
            column("28", "starts_at", "starts_at", Value),
            column("28", "ends_at", "ends_at", Value),
        ],
        shadow: Some(Shadow {
            row: "28",
            key: "id",
            entity: "delegations",
            present: "x.assignment_of IS NOT NULL",
            deferred: true,
        }),
    },
    Table {
        name: "delay_debt_scores",
        columns: &[
            column("29", "role_id", "role_of", Uuid("roles")),
            column("29", "total_delays", "total_delays", Value),
            column("29", "justified_delays", "justified_delays", Value),
            column("29", "total_minutes", "total_minutes", Value),
            column("29", "debt_minutes", "debt_minutes", Value),
            column("29", "last_delay_at", "last_delay_at", Value),
        ],
        shadow: Some(Shadow { row: "29", key: "user_id", entity: "users", present: "TRUE", deferred: false }),
    },
];

impl Table {
    /// FROM … for this table: fact `x`, target `t`, and for a shadow table the key's map entry `k`.
    pub fn joined(&self) -> String {
        match self.shadow {
            None => format!("x_{0} x JOIN {0} t ON t.id = x.id", self.name),
            Some(shadow) => format!(
                "x_{0} x JOIN {1}_id_map k ON k.legacy_id = x.id JOIN {0} t ON t.{2} = k.uuid_binary",
                self.name, shadow.entity, shadow.key
            ),
        }
    }

    pub fn present(&self) -> &'static str {
        self.shadow.map_or("TRUE", |shadow| shadow.present)
    }

    pub fn deferred(&self) -> bool {
        self.shadow.is_some_and(|shadow| shadow.deferred)
    }
}

impl Column {
    /// The value that is expected, over `x`, and for references the parent `p` and its map entry `m`.
    pub fn expected(&self) -> String {
        let fact = format!("x.{}", self.fact);
        match self.kind {
            Value | Json | Through(..) => fact,
            Int | Characters(_) | Bytes(_) => format!("CASE WHEN {} THEN {fact} END", self.fits()),
            Uuid(_) | Found(_) => "m.uuid_binary".into(),
            Id(_) => "p.id".into(),
        }
    }

    /// Whether the fact fits the column; NULL fits.
    pub fn fits(&self) -> String {
        let fact = format!("x.{}", self.fact);
        match self.kind {
            Int => format!("COALESCE({fact} BETWEEN -2147483648 AND 2147483647, TRUE)"),
            Characters(n) => format!("COALESCE(CHAR_LENGTH({fact}) <= {n}, TRUE)"),
            Bytes(n) => format!("COALESCE(LENGTH({fact}) <= {n}, TRUE)"),
            _ => "TRUE".into(),
        }
    }

    /// The table whose row is referred to, and the fact with its legacy id.
    pub fn refers(&self) -> Option<(&'static str, &'static str)> {
        match self.kind {
            Uuid(entity) | Id(entity) | Found(entity) => Some((self.fact, entity)),
            Through(fact, table) => Some((fact, table)),
            _ => None,
        }
    }

    /// The joins that `expected` needs.
    pub fn joins(&self) -> String {
        match self.kind {
            Uuid(entity) | Found(entity) => format!(
                " LEFT JOIN {entity} p ON p.id = x.{0} LEFT JOIN {entity}_id_map m ON m.legacy_id = p.id",
                self.fact
            ),
            Id(entity) => format!(" LEFT JOIN {entity} p ON p.id = x.{}", self.fact),
            _ => String::new(),
        }
    }
}
