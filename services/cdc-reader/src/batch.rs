//! Changes on their way to the bus, gathered by table and partition.

use std::collections::BTreeMap;

use bus::Record;
use bytes::Bytes;
use change::{Cause, Cell, ChangeBatch, Fold, Key, Op, Position, RowChange, TableName, lane_of};

use crate::fidelity::Sample;
use crate::image::{Image, Origin};
use crate::tables::Watched;
use crate::witness::Direct;

/// A record is closed when it holds this many bytes of cells: far below any broker's limit on a message.
const RECORD: usize = 256 << 10;

#[derive(Default)]
pub(crate) struct Batch {
    rows: BTreeMap<(usize, u32), Vec<RowChange>>,
    /// Whole images, in the order of the binlog.
    images: Vec<Record>,
    pub count: usize,
    /// Bytes of cells, about, and of whole images.
    pub bytes: usize,
    /// A transaction ended since the last batch.
    pub ended: bool,
    /// Somebody waits for the position.
    pub prompt: bool,
    /// Commit time of the newest contributing transaction, in milliseconds since 1970.
    pub time_ms: u64,
    pub direct: Vec<(Direct, Position)>,
    pub samples: Vec<(Sample, Position)>,
}

/// A batch as the publisher takes it.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    pub records: Vec<Record>,
    pub rows: u64,
    /// Records of whole images.
    pub images: u64,
    /// The end of the last transaction that is complete with this batch.
    pub end: Option<Position>,
    pub prompt: bool,
    /// In bytes of cells and whole images.
    pub size: usize,
    /// Others' writes into targets, each with the position of its transaction.
    pub direct: Vec<(Direct, Position)>,
    /// Samples to be compared, each with the end of its transaction.
    pub samples: Vec<(Sample, Position)>,
}

impl Batch {
    pub fn add(&mut self, index: usize, table: &Watched, partitions: u32, change: RowChange) {
        let image = change.after.as_deref().or(change.before.as_deref());
        let partition = partition(&table.folds, partitions, image);
        self.bytes += size(&change);
        self.count += 1;
        self.rows.entry((index, partition)).or_default().push(change);
    }

    pub fn add_truncate(&mut self, index: usize) {
        self.count += 1;
        self.rows.entry((index, 0)).or_default().push(RowChange {
            op: Op::Truncate,
            before: None,
            after: None,
        });
    }

    /// Takes whole rows in, for others. `row` counts those of the transaction.
    pub fn add_images(
        &mut self,
        image: &Image,
        table: &TableName,
        mut origin: Origin<'_>,
        changes: Vec<RowChange>,
        row: &mut u64,
    ) {
        for mut change in changes {
            origin.row = *row;
            *row += 1;
            image.records(table, &mut change, &origin, &mut |record| {
                self.bytes += record.size();
                self.images.push(record);
            });
        }
    }

    pub fn has_news(&self) -> bool {
        self.len() > 0 || self.ended
    }

    /// Changes, and records of whole images.
    pub fn len(&self) -> usize {
        self.count + self.images.len()
    }

    /// The records of this batch. `cause`: the newest transaction that contributed; `end`: the newest that is complete.
    pub fn hand_over(&mut self, watched: &[Watched], cause: &Position, end: &Position) -> Handed {
        let batch = std::mem::take(self);
        let cause = Cause { position: Some(cause.clone()), time_ms: batch.time_ms };
        let mut records = Vec::new();
        for ((index, partition), rows) in batch.rows {
            let table = &watched[index];
            for rows in pieces(rows) {
                let changes = ChangeBatch {
                    table: table.name.clone(),
                    columns: table.published.clone(),
                    cause: cause.clone(),
                    rows,
                };
                let payload = Bytes::from(proto::encode_changes(&changes));
                records.push(Record::new(&table.topic, partition, payload));
            }
        }
        let images = batch.images.len() as u64;
        records.extend(batch.images);
        Handed {
            records,
            rows: batch.count as u64,
            images,
            end: batch.ended.then(|| end.clone()),
            prompt: batch.prompt,
            size: batch.bytes,
            direct: batch.direct,
            samples: batch.samples,
        }
    }
}

/// Splits rows so that none of the pieces is much larger than a record may be.
fn pieces(rows: Vec<RowChange>) -> Vec<Vec<RowChange>> {
    let mut out = vec![Vec::new()];
    let mut bytes = 0;
    for row in rows {
        let more = size(&row);
        if bytes > 0 && bytes + more > RECORD {
            out.push(Vec::new());
            bytes = 0;
        }
        bytes += more;
        if let Some(last) = out.last_mut() {
            last.push(row);
        }
    }
    out
}

/// Of changes any partition is right; one by the key spreads the work, and keeps changes of a row together. `image`: its
/// first cells are the key.
pub(crate) fn partition(folds: &[Fold], partitions: u32, image: Option<&[Cell]>) -> u32 {
    if partitions <= 1 || folds.is_empty() {
        return 0;
    }
    let key = image.map(|cells| cells.iter().take(folds.len()).cloned().collect());
    key.map_or(0, |key| lane_of(folds, &Key(key), partitions))
}

fn size(change: &RowChange) -> usize {
    let cells = change.before.iter().chain(&change.after).flatten();
    32 + cells
        .map(|c| {
            16 + match c {
                Cell::Text(t) => t.len(),
                Cell::Bytes(b) => b.len(),
                _ => 0,
            }
        })
        .sum::<usize>()
}
