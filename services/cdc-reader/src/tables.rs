//! Which tables the reader looks at, and how the binlog describes them at this place.

use std::collections::HashMap;

use binlog::{BinlogError, Charset, Kind, Projection, TableMap, Wanted};
use change::{Cell, Fold, RowChange, TableName};
use plan::catalog::Column;
use plan::checked::Checked;

use crate::fidelity::{Eye, Sampled};
use crate::image::Image;
use crate::witness::{Look, Written};

/// More table maps than this are forgotten at the start of a transaction; each transaction sends its own anyway.
const KNOWN: usize = 4096;

/// A table that the plan reads.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub name: TableName,
    pub topic: String,
    pub published: Vec<String>,
    pub columns: Vec<Column>,
    pub read: Vec<String>,
    pub fill: Vec<String>,
    /// Generated columns among them.
    pub generated: Vec<String>,
    /// Places of MariaDB's UUID columns among the published.
    pub uuids: Vec<usize>,
    /// Folds of the key columns, which are the first that are published.
    pub folds: Vec<Fold>,
    /// Others get whole rows.
    pub image: Option<Image>,
}

pub(crate) enum Sight {
    Ignored,
    Watched(Box<View>),
    /// The control table `reader`: our own beats come back here.
    Reader(Box<Projection>),
    /// The control table `barrier`: somebody waits for the position to move.
    Barrier,
    /// The control tables `lane` and `pass`: the transaction is ours.
    Ours,
    /// A shadow: only we write it.
    Shadow(Box<Look>),
    /// A sample of a watched table.
    Sample(Box<Eye>),
}

/// How the rows of a watched table are read.
pub(crate) struct View {
    /// Of the table among the watched.
    pub index: usize,
    pub changes: Projection,
    pub whole: Option<Whole>,
    /// New columns stand in it, which only we write.
    pub written: Option<Look>,
}

/// How whole rows of it are read. Echoes are updates that change nothing at all.
pub(crate) struct Whole {
    pub rows: Projection,
    pub image: Image,
}

pub(crate) struct Tables {
    pub watched: Vec<Watched>,
    by_name: HashMap<TableName, usize>,
    written: HashMap<TableName, Written>,
    pub sampled: Vec<Sampled>,
    control: String,
    known: HashMap<u64, (Vec<u8>, Sight)>,
}

#[derive(Debug)]
pub(crate) enum Problem {
    Binlog(BinlogError),
    Changed { table: String, column: String, was: String, now: String },
}

impl From<BinlogError> for Problem {
    fn from(e: BinlogError) -> Self {
        Problem::Binlog(e)
    }
}

impl Tables {
    pub fn new(watched: Vec<Watched>, written: Vec<Written>, sampled: Vec<Sampled>, control: &str) -> Tables {
        let by_name = watched.iter().enumerate().map(|(i, w)| (w.name.clone(), i)).collect();
        let written = written.into_iter().map(|w| (w.name.clone(), w)).collect();
        Tables { watched, by_name, written, sampled, control: control.into(), known: HashMap::new() }
    }

    /// Ids mean nothing on another connection.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// A transaction starts.
    pub fn start(&mut self) {
        if self.known.len() > KNOWN {
            self.forget();
        }
    }

    /// Takes a table map in. Most are the same as before.
    pub fn map(&mut self, body: &[u8]) -> Result<(), Problem> {
        let (id, name) = TableMap::peek(body)?;
        if self.known.get(&id).is_some_and(|(known, _)| known == body) {
            return Ok(());
        }
        let sight = self.sight(&name, body)?;
        self.known.insert(id, (body.to_vec(), sight));
        Ok(())
    }

    pub fn get(&self, id: u64) -> Option<&Sight> {
        self.known.get(&id).map(|(_, sight)| sight)
    }

    fn sight(&self, name: &TableName, body: &[u8]) -> Result<Sight, Problem> {
        if let Some(i) = self.by_name.get(name) {
            let map = TableMap::parse(body)?;
            let mut view = self.watched[*i].view(*i, map.clone())?;
            view.written = self.written.get(name).and_then(|w| w.look(map));
            return Ok(Sight::Watched(Box::new(view)));
        }
        if let Some(written) = self.written.get(name) {
            let look = written.look(TableMap::parse(body)?);
            return Ok(look.map_or(Sight::Ignored, |look| Sight::Shadow(Box::new(look))));
        }
        if name.schema != self.control {
            return Ok(Sight::Ignored);
        }
        Ok(match name.table.as_str() {
            // source, epoch, beat: our own migrations make this table.
            "reader" => {
                Sight::Reader(Box::new(Projection::by_ordinal(TableMap::parse(body)?, vec![0, 1, 2])?))
            }
            "barrier" => Sight::Barrier,
            "lane" | "pass" => Sight::Ours,
            table => match self.sampled.iter().position(|s| s.table == table) {
                Some(i) => {
                    let eye = self.sampled[i].eye(i, TableMap::parse(body)?);
                    eye.map_or(Sight::Ignored, |eye| Sight::Sample(Box::new(eye)))
                }
                None => Sight::Ignored,
            },
        })
    }
}

/// Where the columns of this type are.
pub(crate) fn places(columns: &[Column], data_type: &str) -> Vec<usize> {
    columns.iter().enumerate().filter(|(_, c)| c.data_type == data_type).map(|(i, _)| i).collect()
}

/// Sixteen bytes as the server prints a UUID; anything else stays.
fn spell_uuid(cell: &mut Cell) {
    if let Cell::Bytes(bytes) = cell
        && bytes.len() == 16
    {
        let mut text = String::with_capacity(36);
        for (i, byte) in bytes.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            text.extend([byte >> 4, byte & 15].map(|n| char::from_digit(n.into(), 16).unwrap_or('0')));
        }
        *cell = Cell::Text(text);
    }
}

/// Gives cells the form in which a session reads them, where the binlog's bytes do not say enough. `uuids`: their places.
pub(crate) fn spell(change: &mut RowChange, uuids: &[usize]) {
    for i in uuids {
        for image in [&mut change.before, &mut change.after].into_iter().flatten() {
            image.get_mut(*i).into_iter().for_each(spell_uuid);
        }
    }
}

impl Watched {
    /// The tables of a plan, with their images if somebody can read them. Which of their columns are generated the
    /// catalog has to say.
    pub fn of_plan(plan: &Checked, topics: &bus::Topics, reaches_others: bool) -> Vec<Watched> {
        let watched = plan.watched.iter().map(|(table, w)| {
            let folds: Vec<Fold> =
                w.key.iter().map(|c| Fold::of(&c.data_type, c.collation.as_deref())).collect();
            let planned = w.image.as_ref().filter(|_| reaches_others);
            Watched {
                name: TableName::new(&plan.schema, table),
                topic: topics.changes(table),
                published: w.published.iter().map(|c| c.name.clone()).collect(),
                uuids: places(&w.published, "uuid"),
                columns: w.published.clone(),
                read: w.read.clone(),
                fill: w.fill.clone(),
                generated: Vec::new(),
                image: planned.map(|p| Image::of_plan(p, folds.clone(), topics.rows(table))),
                folds,
            }
        });
        watched.collect()
    }

    fn view(&self, index: usize, map: TableMap) -> Result<View, Problem> {
        let whole = match self.image.as_ref().map(|image| image.within(&map)) {
            None => None,
            Some(image) => {
                let names = &image.names;
                let wanted = Wanted { published: names, read: names, ..Wanted::default() };
                Some(Whole { rows: project(&self.name, map.clone(), wanted, &image.columns)?, image })
            }
        };
        let wanted = Wanted {
            published: &self.published,
            read: &self.read,
            fill: &self.fill,
            generated: &self.generated,
        };
        let changes = project(&self.name, map, wanted, &self.columns)?;
        Ok(View { index, changes, whole, written: None })
    }
}

/// `name`: of the watched table.
pub(crate) fn project(
    name: &TableName,
    map: TableMap,
    wanted: Wanted,
    columns: &[Column],
) -> Result<Projection, Problem> {
    let projection = Projection::new(map, wanted).map_err(|e| match e {
        BinlogError::NoColumn { table, column } => {
            let (was, now) = ("this column".into(), "no such column".into());
            Problem::Changed { table, column, was, now }
        }
        other => Problem::Binlog(other),
    })?;
    for column in columns {
        let found = projection.map().columns.iter().find(|c| c.name.eq_ignore_ascii_case(&column.name));
        if let Some(found) = found.filter(|f| !fits(&f.kind, column)) {
            return Err(Problem::Changed {
                table: name.to_string(),
                column: column.name.clone(),
                was: column.column_type.clone(),
                now: format!("binlog type {:?}", found.kind),
            });
        }
    }
    Ok(projection)
}

/// Would a cell of this kind read as one of the column that the plan was checked with? Lengths may differ.
fn fits(kind: &Kind, column: &Column) -> bool {
    let integer = |wanted: u8| matches!(kind, Kind::Int { size, unsigned } if *size == wanted && *unsigned == column.is_unsigned());
    let charset = |found: &Option<Charset>| match (found, column.charset.as_deref()) {
        (Some(Charset::Utf8), Some("utf8" | "utf8mb3" | "utf8mb4")) => true,
        (Some(Charset::Latin1), Some("latin1")) | (Some(Charset::Ascii), Some("ascii")) => true,
        (Some(Charset::Binary), None | Some("binary")) => true,
        (Some(Charset::Other(_)), _) => true, // refused when it is decoded, with a better message
        (None, _) => true,                    // the same
        _ => false,
    };
    match column.data_type.as_str() {
        "tinyint" => integer(1),
        "smallint" => integer(2),
        "mediumint" => integer(3),
        "int" => integer(4),
        "bigint" => integer(8),
        "decimal" => matches!(kind, Kind::Decimal { .. }),
        "float" => *kind == Kind::Float,
        "double" => *kind == Kind::Double,
        "year" => *kind == Kind::Year,
        "date" => *kind == Kind::Date,
        "time" => matches!(kind, Kind::Time { .. }),
        "datetime" => matches!(kind, Kind::DateTime { .. }),
        "timestamp" => matches!(kind, Kind::Timestamp { .. }),
        "bit" => matches!(kind, Kind::Bit { .. }),
        "enum" => matches!(kind, Kind::Enum { .. }),
        "set" => matches!(kind, Kind::Set { .. }),
        "char" | "binary" => matches!(kind, Kind::Char { charset: c, .. } if charset(c)),
        "varchar" | "varbinary" => matches!(kind, Kind::VarChar { charset: c, .. } if charset(c)),
        "tinytext" | "text" | "mediumtext" | "longtext" | "json" | "tinyblob" | "blob" | "mediumblob"
        | "longblob" => {
            matches!(kind, Kind::Blob { charset: c, .. } if charset(c))
        }
        "uuid" => matches!(kind, Kind::Char { length: 16, .. }),
        // INET6 travels as bytes whose text only the server knows; geometry is no key and no route.
        _ => false,
    }
}
