//! Is the verifier awake? Before a pass it damages a pair of tables of its own in ways drawn at random, and must find each
//! damaged row, and no other, with the very comparison that targets get. If it does not, nothing that it says counts.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use change::Cell;
use mysql::{Database, DbError, Session};
use plan::checked::Checked;
use plan::quote;
use plan::sql::{Range, Scopes, TargetSql};
use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::compare;

/// Rows of the canary.
const ROWS: u64 = 200;
/// Damages of one look.
const DAMAGES: usize = 4;
/// Found later than this is not found.
const LIMIT: Duration = Duration::from_secs(10);

const TARGET: &str = "
shadow: canary_new
from: canary
scope: { id: canary.id }
columns: { name: canary.name, note: canary.note, amount: canary.amount, at: canary.at, uuid: canary.uuid }
";

/// What a look at the canary came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    /// Rows that were damaged on purpose.
    pub damaged: u64,
    /// Of these, those that were found.
    pub found: u64,
    /// Rows that were called different and are not.
    pub false_alarms: u64,
    /// From the damage to its being found.
    pub milliseconds: u64,
    /// Why it could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
}

impl Canary {
    pub fn is_awake(&self) -> bool {
        self.damaged > 0
            && self.found == self.damaged
            && self.false_alarms == 0
            && Duration::from_millis(self.milliseconds) < LIMIT
    }
}

/// One way to damage a row `id`, as statements on the target; `other` is another row. What each does is seen by no count, or by no
/// sum of values, or by no comparison under the server's collation.
type Way = fn(target: &str, id: u64, other: u64) -> (Vec<String>, Vec<u64>);

const WAYS: &[Way] = &[
    |t, id, _| (vec![format!("UPDATE {t} SET uuid = UNHEX(MD5(HEX(uuid))) WHERE id = {id}")], vec![id]),
    |t, id, _| (vec![format!("UPDATE {t} SET name = UPPER(name) WHERE id = {id}")], vec![id]),
    |t, id, _| (vec![format!("UPDATE {t} SET name = CONCAT(name, ' ') WHERE id = {id}")], vec![id]),
    |t, id, _| {
        (vec![format!("UPDATE {t} SET note = IF(note IS NULL, 'NULL', NULL) WHERE id = {id}")], vec![id])
    },
    |t, id, _| (vec![format!("UPDATE {t} SET name = note, note = name WHERE id = {id}")], vec![id]),
    |t, id, _| (vec![format!("UPDATE {t} SET at = at + INTERVAL 1 MICROSECOND WHERE id = {id}")], vec![id]),
    |t, id, _| (vec![format!("DELETE FROM {t} WHERE id = {id}")], vec![id]),
    |t, id, _| {
        let more = id + ROWS;
        (
            vec![format!(
                "INSERT INTO {t} SELECT {more}, name, note, amount, at, uuid FROM {t} WHERE id = {id}"
            )],
            vec![more],
        )
    },
    // What one row gets another loses: no sum of values moves.
    |t, id, other| {
        let sql = |sign: &str, id: u64| format!("UPDATE {t} SET amount = amount {sign} 1 WHERE id = {id}");
        (vec![sql("+", id), sql("-", other)], vec![id, other])
    },
    |t, id, other| {
        let take =
            |id: u64, from: u64| format!("UPDATE {t} SET uuid = UNHEX(MD5('canary {from}')) WHERE id = {id}");
        (vec![take(id, other), take(other, id)], vec![id, other])
    },
];

pub async fn look(session: &mut Session, db: &Database) -> Result<Canary, DbError> {
    // Of two verifiers one waits: the tables are one's at a time.
    let lock =
        quote::text(&format!("crossfade canary {}", db.control()).chars().take(64).collect::<String>());
    let row = session.row(&format!("SELECT GET_LOCK({lock}, 30)")).await?;
    if !row.is_some_and(|r| matches!(r.u64(0), Ok(Some(1)))) {
        let trouble = Some("another verifier has been looking at it for 30 s".into());
        return Ok(Canary { trouble, ..Canary::default() });
    }
    let looked = match look_alone(session, db).await {
        // A server that is away, the next pass finds again; anything else is no look.
        Err(e) if e.is_transient() => return Err(e),
        Err(e) => {
            session.rollback().await?;
            Canary { trouble: Some(e.to_string()), ..Canary::default() }
        }
        Ok(canary) => canary,
    };
    session.row(&format!("SELECT RELEASE_LOCK({lock})")).await?;
    Ok(looked)
}

async fn look_alone(session: &mut Session, db: &Database) -> Result<Canary, DbError> {
    let (source, target) = (db.control_table("canary"), db.control_table("canary_new"));
    session.begin().await?;
    session.execute(&format!("DELETE FROM {source}")).await?;
    session.execute(&format!("DELETE FROM {target}")).await?;
    let values: Vec<String> = (1..=ROWS)
        .map(|id| {
            let note = if id % 3 == 0 { "NULL".into() } else { format!("'note {id}'") };
            format!(
                "({id}, 'name of {id}', {note}, {id}.{:02}, '2026-01-01' + INTERVAL {id} MINUTE, UNHEX(MD5('canary {id}')))",
                id % 100
            )
        })
        .collect();
    session.execute(&format!("INSERT INTO {source} VALUES {}", values.join(", "))).await?;
    session.execute(&format!("INSERT INTO {target} SELECT * FROM {source}")).await?;
    let damaged = damage(session, &target).await?;
    session.commit().await?;

    let began = Instant::now();
    let plan = plan(session, db).await?;
    let sql = TargetSql::new(&plan, &plan.targets[0], db.control());
    let mut found = BTreeSet::new();
    // Two ranges, as a target has many.
    let middle = change::Key(vec![Cell::UInt(rand::random_range(1..ROWS))]);
    for range in [Range { low: None, high: Some(middle.clone()) }, Range { low: Some(middle), high: None }] {
        let compared = compare::range(session, &sql, Scopes::Range(&range)).await?;
        found.extend(compared.differences.iter().map(|d| d.scope.text()));
    }
    let right = damaged.iter().filter(|id| found.contains(&id.to_string())).count();
    Ok(Canary {
        damaged: damaged.len() as u64,
        found: right as u64,
        false_alarms: (found.len() - right) as u64,
        milliseconds: began.elapsed().as_millis() as u64,
        trouble: None,
    })
}

/// Damages rows in ways drawn at random; gives their ids.
async fn damage(session: &mut Session, target: &str) -> Result<BTreeSet<u64>, DbError> {
    let (ways, ids) = {
        let mut rng = rand::rng();
        let ways: Vec<Way> = (0..DAMAGES).map(|_| WAYS[rng.random_range(0..WAYS.len())]).collect();
        let mut ids: Vec<u64> = (1..=ROWS).collect();
        ids.shuffle(&mut rng);
        (ways, ids)
    };
    let mut damaged = BTreeSet::new();
    for (way, pair) in ways.iter().zip(ids.chunks_exact(2)) {
        let (statements, rows) = way(target, pair[0], pair[1]);
        for statement in statements {
            session.execute(&statement).await?;
        }
        damaged.extend(rows);
    }
    Ok(damaged)
}

/// The canary as a plan: the same path from YAML to SQL as any other.
async fn plan(session: &mut Session, db: &Database) -> Result<Checked, DbError> {
    let mut catalog = mysql::catalog::load(session, db.control()).await?;
    catalog.tables.retain(|name, _| name.starts_with("canary"));
    let texts = [("plan.yaml", "version: 1\n"), ("canary.yaml", TARGET)];
    let sources: BTreeMap<String, String> = texts.map(|(name, text)| (name.into(), text.into())).into();
    let checked = plan::parse_files(sources).and_then(|raw| plan::check(&raw, &catalog, &BTreeMap::new()));
    checked.map_err(|p| DbError::new("read the canary's tables", mysql::Class::Other, p.render()))
}
