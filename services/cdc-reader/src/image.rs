//! Whole images of a table's rows, as records for others: `rows.<table>`.
//!
//! All records of a key stand in one partition, in the order of the binlog. A change of a key is the end of one and the
//! beginning of another. Behind each end stands a tombstone, so that a compacted topic forgets the key. The emptying of a
//! table has no key: it is told in every partition, under the key `null`, as a topic that is compacted takes no record
//! without one.

use binlog::TableMap;
use bus::{Record, Topics};
use bytes::Bytes;
use change::{Cell, Fold, Form, Op, RowChange, TableName};
use plan::catalog::Column;
use plan::checked::{Checked, Image as Planned};
use proto::debezium::{self, Source};

use crate::batch::partition;
use crate::tables::{places, spell};

#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub topic: String,
    /// Names of the columns, the key's first.
    pub names: Vec<String>,
    pub columns: Vec<Column>,
    /// Generated columns, which images leave out.
    left_out: Vec<String>,
    shape: Vec<debezium::Column>,
    folds: Vec<Fold>,
    uuids: Vec<usize>,
}

/// Where a change comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin<'a> {
    /// The prefix of the topics.
    pub name: &'a str,
    pub server: u32,
    pub gtid: String,
    pub time_ms: u64,
    /// Which change of its transaction.
    pub row: u64,
    pub epoch: u64,
    pub partitions: u32,
    /// Our clock, milliseconds since 1970.
    pub now_ms: u64,
}

impl Image {
    pub fn of_plan(planned: &Planned, folds: Vec<Fold>, topic: String) -> Image {
        Image::new(planned.columns.clone(), planned.left_out.clone(), folds, topic)
    }

    fn new(columns: Vec<Column>, left_out: Vec<String>, folds: Vec<Fold>, topic: String) -> Image {
        let names = columns.iter().map(|c| c.name.clone()).collect();
        // A column without a form has stopped the plan's check.
        let form =
            |c: &Column| Form::of(&c.data_type, &c.column_type, c.charset.as_deref()).unwrap_or(Form::Text);
        let shape =
            columns.iter().map(|c| debezium::Column { name: c.name.clone(), form: form(c) }).collect();
        let uuids = places(&columns, "uuid");
        Image { topic, names, columns, left_out, shape, folds, uuids }
    }

    /// The image as far as the table has its columns at this place of the binlog. A row from before a column came, or after
    /// it went, is whole without it.
    pub fn within(&self, map: &TableMap) -> Image {
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        let there = |c: &&Column| map.columns.iter().any(|found| same(&found.name, &c.name));
        let columns: Vec<Column> = self.columns.iter().filter(there).cloned().collect();
        let knows = |name: &str| self.names.iter().chain(&self.left_out).any(|n| same(n, name));
        let came: Vec<&str> = map.columns.iter().map(|c| c.name.as_str()).filter(|n| !knows(n)).collect();
        if !came.is_empty() {
            tracing::warn!(
                table = %map.name,
                columns = came.join(", "),
                "the table has columns that the plan was not checked with; whole images leave them out until \
                 `crossfade migrate` and a new start of the services"
            );
        }
        Image::new(columns, self.left_out.clone(), self.folds.clone(), self.topic.clone())
    }

    /// Appends the records of a change.
    pub fn records(
        &self,
        table: &TableName,
        change: &mut RowChange,
        origin: &Origin<'_>,
        out: &mut impl FnMut(Record),
    ) {
        spell(change, &self.uuids);
        let writer = Writer { image: self, source: source(table, origin), origin };
        let (before, after) = (change.before.as_deref(), change.after.as_deref());
        match (change.op, before, after) {
            (Op::Truncate, ..) => writer.emptied(out),
            (_, Some(before), Some(after)) if self.key(before) == self.key(after) => {
                out(writer.record(debezium::Op::Update, [Some(before), Some(after)], after));
            }
            (_, before, after) => {
                if let Some(before) = before {
                    let end = writer.record(debezium::Op::Delete, [Some(before), None], before);
                    let tombstone = Record { payload: None, ..end.clone() };
                    out(end);
                    out(tombstone);
                }
                if let Some(after) = after {
                    out(writer.record(debezium::Op::Create, [None, Some(after)], after));
                }
            }
        }
    }

    fn key<'a>(&self, cells: &'a [Cell]) -> &'a [Cell] {
        &cells[..self.folds.len().min(cells.len())]
    }
}

fn source<'a>(table: &'a TableName, origin: &'a Origin<'a>) -> Source<'a> {
    Source {
        version: env!("CARGO_PKG_VERSION"),
        connector: "mariadb",
        name: origin.name,
        ts_ms: origin.time_ms,
        snapshot: "false",
        db: &table.schema,
        table: &table.table,
        server_id: origin.server,
        gtid: &origin.gtid,
        row: origin.row,
        epoch: origin.epoch,
    }
}

struct Writer<'a> {
    image: &'a Image,
    source: Source<'a>,
    origin: &'a Origin<'a>,
}

impl Writer<'_> {
    /// `cells`: the image whose key it is.
    fn record(&self, op: debezium::Op, images: [Option<&[Cell]>; 2], cells: &[Cell]) -> Record {
        let Image { shape, folds, topic, .. } = self.image;
        let key = self.image.key(cells);
        Record {
            topic: topic.clone(),
            partition: partition(folds, self.origin.partitions, Some(key)),
            key: Some(debezium::key(shape, key).into()),
            payload: Some(debezium::event(shape, op, images, &self.source, self.origin.now_ms).into()),
        }
    }

    fn emptied(&self, out: &mut impl FnMut(Record)) {
        let Image { shape, topic, .. } = self.image;
        let op = debezium::Op::Truncate;
        let payload: Bytes =
            debezium::event(shape, op, [None, None], &self.source, self.origin.now_ms).into();
        for partition in 0..self.origin.partitions.max(1) {
            let (topic, payload) = (topic.clone(), Some(payload.clone()));
            out(Record { topic, partition, key: Some(Bytes::from_static(b"null")), payload });
        }
    }
}

/// Says once what a plan asks for and this bus cannot give.
pub(crate) fn warn_if_unheard(plan: &Checked, topics: &Topics, reaches_others: bool) {
    if plan.publishes_rows() && !reaches_others {
        tracing::warn!(
            prefix = topics.prefix(),
            "the plan says `publish: rows`, but nobody outside this process can read the in-process bus: no whole images \
             are made; for other consumers run the services over Kafka"
        );
    }
}
