//! The feed: reads the stream, keeps account of transactions, gathers changes into batches and hands them on in order.
//!
//! It moves its own position at transaction ends only, and batches go to the publisher through one ordered channel. So
//! after a broken connection it starts again behind the last transaction that it has read completely: what comes before
//! is already in that channel or in the batch at hand, and what was read of the broken transaction is read again, which
//! publishes some changes twice and loses none. The channel is short; when the bus is full the feed waits, and stops
//! reading.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use binlog::{BinlogError, Event, Flavour, Gtid, Header, Query, Rows};
use change::{Cell, Op, Position, RowChange};
use service::Retry;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::batch::{Batch, Handed};
use crate::beat::Beats;
use crate::context::Context;
use crate::error::ReaderError;
use crate::fidelity::Sample;
use crate::image::Origin;
use crate::judge::{Verdict, judge};
use crate::schema::{Shapes, has_triggers};
use crate::source::{Gone, Source};
use crate::status::Counters;
use crate::tables::{Problem, Sight, Tables, spell};
use crate::witness::Direct;

/// A stream that brings no whole event for this long is given up, however slow the line.
const LONGEST_SILENCE: Duration = Duration::from_secs(600);

/// Others' writes into one target that one batch names; more say nothing new.
const MOST_DIRECT: usize = 20;

pub(crate) struct Feed {
    pub context: Context,
    pub tables: Tables,
    pub shapes: Shapes,
    pub beats: Arc<Beats>,
    pub counters: Arc<Counters>,
    pub epoch: u64,
    /// The end of the last transaction that was read completely.
    pub position: Position,
    pub out: mpsc::Sender<Result<Handed, ReaderError>>,
    pub group: Option<Group>,
    pub batch: Batch,
    pub scratch: Vec<RowChange>,
    /// What the transaction wrote into targets, if it turns out not to be ours.
    pub direct: Vec<Direct>,
    /// What it put into samples.
    pub samples: Vec<Sample>,
}

/// The transaction that is being read.
#[derive(Clone, Copy)]
pub(crate) struct Group {
    gtid: Gtid,
    time_ms: u64,
    /// Whole images of it so far.
    row: u64,
    /// It touches a lane or a pass.
    ours: bool,
}

/// Why reading a stream ended.
enum End {
    Gone(Gone),
    Stopped,
}

impl From<ReaderError> for End {
    fn from(e: ReaderError) -> Self {
        End::Gone(Gone::Definite(e))
    }
}

impl Feed {
    /// Reads until it is told to stop or meets what it must not pass. The last message then says why.
    pub async fn run(mut self, stop: CancellationToken) {
        let shortest = 3 * self.context.settings.server_heartbeat;
        let (mut retry, mut silence) = (Retry::new("the binlog stream"), shortest);
        loop {
            let before = self.position.clone();
            let end = self.connect(silence, &stop).await;
            self.counters.connected.store(false, Relaxed);
            self.group = None;
            self.tables.forget();
            let (said, kicked) = match end {
                End::Stopped => return,
                End::Gone(Gone::Passing { said, kicked }) => (said, kicked),
                End::Gone(Gone::Definite(error)) => {
                    self.fail(error, &stop).await;
                    return;
                }
            };
            if self.position != before {
                retry.worked();
                silence = shortest;
            } else {
                // It may be one event that is larger than the line can bring in this time.
                silence = (silence * 2).min(LONGEST_SILENCE.max(shortest));
            }
            self.counters.reconnects.fetch_add(1, Relaxed);
            let mut wait = retry.failed(|tries| {
                tracing::warn!(position = %self.position, reason = %said, tries, "the binlog stream broke off; connecting again");
            });
            if kicked {
                // Another client has our server id. If it is a newer reader, the beat finds out meanwhile.
                wait += Duration::from_secs(10);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn connect(&mut self, silence: Duration, stop: &CancellationToken) -> End {
        let settings = &self.context.settings;
        let open = Source::open(
            &self.context.database,
            &self.position,
            settings.server_id,
            settings.server_heartbeat,
            silence,
        );
        let mut source = tokio::select! {
            () = stop.cancelled() => return End::Stopped,
            opened = open => match opened {
                Ok(source) => source,
                Err(gone) => return End::Gone(gone),
            },
        };
        tracing::info!(position = %self.position, "reading the binlog");
        self.counters.connected.store(true, Relaxed);
        loop {
            if let Err(end) = self.step(&mut source, stop).await {
                return end;
            }
        }
    }

    /// One event in, or one batch out.
    async fn step(&mut self, source: &mut Source, stop: &CancellationToken) -> Result<(), End> {
        let settings = &self.context.settings;
        let full = self.batch.bytes >= settings.batch_bytes || self.batch.len() >= settings.batch_rows;
        // A batch goes out at the end of a transaction as soon as the publisher takes it; meanwhile it grows.
        let ready = full || self.group.is_none() && self.batch.has_news();
        let next = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(End::Stopped),
            permit = self.out.reserve(), if ready => Err(permit.is_ok()),
            next = source.next(), if !full => Ok(next),
        };
        match next {
            Ok(next) => {
                let (header, event) = next.map_err(End::Gone)?;
                Ok(self.event(&header, event.data(), source.server_id).await?)
            }
            // Nobody listens: the publisher is gone.
            Err(false) => Err(End::Stopped),
            Err(true) => {
                let handed = hand_over(&mut self.batch, self.group.as_ref(), &self.position, &self.tables);
                // There is room: we are the only one who sends.
                self.out.try_send(Ok(handed)).map_err(|_| End::Stopped)
            }
        }
    }

    /// Hands over what is complete, then the reason for the end.
    async fn fail(mut self, error: ReaderError, stop: &CancellationToken) {
        let handed = hand_over(&mut self.batch, None, &self.position, &self.tables);
        for message in [Ok(handed), Err(error)] {
            tokio::select! {
                () = stop.cancelled() => return,
                sent = self.out.send(message) => if sent.is_err() { return },
            }
        }
    }

    async fn event(&mut self, header: &Header, body: &[u8], source_id: u32) -> Result<(), ReaderError> {
        self.counters.events.fetch_add(1, Relaxed);
        match Event::parse(Flavour::MariaDb, header, body).map_err(|e| self.binlog(e))? {
            Event::Gtid(gtid) => self.begin(gtid, header, source_id),
            Event::TableMap(body) => self.tables.map(body).map_err(|p| self.problem(p)),
            Event::Rows(rows) => self.rows(&rows),
            Event::Query(query) => self.query(&query).await,
            Event::Xid | Event::XaPrepare => self.end(),
            Event::Heartbeat => self.lost(self.beats.missing_when_silent()),
            Event::Incident(said) => Err(ReaderError::Incident { position: self.position.clone(), said }),
            Event::File => {
                if self.group.take().is_some() {
                    tracing::warn!(position = %self.position, "the server died inside a transaction, which never happened");
                }
                Ok(())
            }
            Event::Rotate | Event::Other => Ok(()),
        }
    }

    fn begin(&mut self, gtid: Gtid, header: &Header, source_id: u32) -> Result<(), ReaderError> {
        if self.group.is_some() {
            return Err(self.protocol("a transaction starts before the last one has ended"));
        }
        if gtid.server == source_id {
            self.lost(self.beats.missing_at(header.timestamp.into()))?;
        }
        let time_ms = u64::from(header.timestamp) * 1000;
        self.counters.source_time_ms.store(time_ms, Relaxed);
        self.tables.start();
        self.direct.clear();
        self.samples.clear();
        self.group = Some(Group { gtid, time_ms, row: 0, ours: false });
        Ok(())
    }

    fn end(&mut self) -> Result<(), ReaderError> {
        let Some(Group { gtid, ours, .. }) = self.group.take() else {
            return Err(self.protocol("a transaction ends that has not started"));
        };
        self.position.advance(gtid.domain, gtid.server, gtid.sequence);
        if !ours && !self.direct.is_empty() {
            for direct in self.direct.drain(..) {
                let same = self.batch.direct.iter().filter(|(d, _)| d.target == direct.target).count();
                if same < MOST_DIRECT {
                    self.batch.direct.push((direct, self.position.clone()));
                }
            }
            self.batch.prompt = true;
        }
        let end = &self.position;
        self.batch.samples.extend(self.samples.drain(..).map(|s| (s, end.clone())));
        self.batch.ended = true;
        self.counters.transactions.fetch_add(1, Relaxed);
        Ok(())
    }

    fn rows(&mut self, rows: &Rows) -> Result<(), ReaderError> {
        let Some(group) = self.group else {
            return Err(self.protocol("rows outside a transaction"));
        };
        let sight = self.tables.get(rows.table_id);
        match sight {
            None if rows.is_dummy() => Ok(()),
            None => Err(self.protocol("rows of a table that was not described")),
            Some(Sight::Ignored) => Ok(()),
            Some(Sight::Ours) => {
                if let Some(group) = &mut self.group {
                    group.ours = true;
                }
                Ok(())
            }
            Some(Sight::Shadow(look)) => {
                if !group.ours {
                    look.note(rows, &mut self.direct);
                }
                Ok(())
            }
            Some(Sight::Sample(eye)) => {
                let noted = eye.note(&self.tables.sampled, rows, &mut self.samples);
                noted.map_err(|e| self.binlog(e))
            }
            Some(Sight::Barrier) => {
                self.batch.prompt = true;
                Ok(())
            }
            Some(Sight::Reader(projection)) => {
                let mut changes = Vec::new();
                projection.changes(rows, &mut changes).map_err(|e| self.binlog(e))?;
                changes.iter().filter_map(|c| c.after.as_deref()).for_each(|cells| self.beat(cells));
                Ok(())
            }
            Some(Sight::Watched(view)) => {
                let index = view.index;
                let mut changes = std::mem::take(&mut self.scratch);
                if let Some(look) = &view.written
                    && !group.ours
                {
                    look.note(rows, &mut self.direct);
                }
                let counts = view.changes.changes(rows, &mut changes).map_err(|e| self.binlog(e))?;
                let table = &self.tables.watched[index];
                let mut images = Vec::new();
                if let Some(whole) = &view.whole {
                    whole.rows.changes(rows, &mut images).map_err(|e| self.binlog(e))?;
                }
                if group.gtid.xa_prepare && !(changes.is_empty() && images.is_empty()) {
                    let (table, position) = (table.name.to_string(), self.position.clone());
                    return Err(ReaderError::Xa { table, position });
                }
                self.counters.rows.fetch_add(counts.rows, Relaxed);
                self.counters.echoes.fetch_add(counts.echoes, Relaxed);
                if !changes.is_empty() {
                    self.batch.time_ms = group.time_ms;
                }
                for mut change in changes.drain(..) {
                    spell(&mut change, &table.uuids);
                    self.batch.add(index, table, self.context.partitions, change);
                }
                self.scratch = changes;
                if let (Some(whole), Some(group)) = (&view.whole, &mut self.group) {
                    let origin = origin(&self.context, group, self.epoch);
                    self.batch.add_images(&whole.image, &table.name, origin, images, &mut group.row);
                }
                Ok(())
            }
        }
    }

    /// A row of the control table `reader`: source, epoch, beat.
    fn beat(&self, cells: &[Cell]) {
        let number = |c: &Cell| match c {
            Cell::UInt(n) => Some(*n),
            Cell::Int(n) => u64::try_from(*n).ok(),
            _ => None,
        };
        if let [Cell::Text(source), epoch, beat] = cells
            && *source == self.context.source
            && number(epoch) == Some(self.epoch)
            && let Some(beat) = number(beat)
        {
            self.beats.saw(beat);
        }
    }

    async fn query(&mut self, query: &Query<'_>) -> Result<(), ReaderError> {
        let Some(group) = self.group else {
            return Err(self.protocol("a statement outside a transaction"));
        };
        let mut ends = group.gtid.standalone;
        match judge(query, &self.context.plan.schema, &self.tables.watched) {
            Verdict::Nothing => {}
            Verdict::End => ends = true,
            Verdict::Xa => ends |= group.gtid.xa_end,
            Verdict::Emptied(tables) => {
                self.replaced(&tables, group.time_ms);
                for table in tables.iter().map(|i| &self.tables.watched[*i]) {
                    if let (Some(image), Some(group)) = (&table.image, &mut self.group) {
                        let emptied = vec![RowChange { op: Op::Truncate, before: None, after: None }];
                        let origin = origin(&self.context, group, self.epoch);
                        self.batch.add_images(image, &table.name, origin, emptied, &mut group.row);
                    }
                }
            }
            Verdict::Compare(tables) => {
                self.compare().await?;
                self.replaced(&tables, group.time_ms);
                self.warn_of_unseen_rows(&tables);
            }
            Verdict::Stop { what } => return Err(self.statement(what)),
            Verdict::StopIfTriggers => {
                let schema = &self.context.plan.schema;
                if has_triggers(&self.context.database, schema).await? {
                    return Err(self.statement(format!("tables of {schema} by a trigger")));
                }
            }
        }
        if ends { self.end() } else { Ok(()) }
    }

    fn replaced(&mut self, tables: &[usize], time_ms: u64) {
        for index in tables {
            tracing::info!(table = %self.tables.watched[*index].name, "its contents changed as a whole");
            self.batch.time_ms = time_ms;
            self.batch.add_truncate(*index);
        }
    }

    /// Whole images come from row events, and there were none.
    fn warn_of_unseen_rows(&self, tables: &[usize]) {
        for table in tables.iter().map(|i| &self.tables.watched[*i]) {
            if let Some(image) = &table.image {
                tracing::warn!(
                    table = %table.name,
                    topic = image.topic,
                    position = %self.position,
                    "a statement may have changed rows without telling them one by one; whoever reads whole images needs \
                     a fresh copy of the table"
                );
            }
        }
    }

    /// The catalog as it is now against the one at our start.
    async fn compare(&mut self) -> Result<(), ReaderError> {
        let now = Shapes::read(&self.context.database, &self.tables.watched).await?;
        self.shapes.difference(&now).map_or(Ok(()), |p| Err(self.problem(p)))
    }

    fn lost(&self, beat: Option<u64>) -> Result<(), ReaderError> {
        beat.map_or(Ok(()), |beat| Err(ReaderError::BeatLost { beat }))
    }

    fn statement(&self, what: String) -> ReaderError {
        ReaderError::StatementFormat { what, position: self.position.clone() }
    }

    fn binlog(&self, problem: BinlogError) -> ReaderError {
        ReaderError::Binlog { position: self.position.clone(), problem }
    }

    fn protocol(&self, problem: &str) -> ReaderError {
        ReaderError::Protocol { position: self.position.clone(), problem: problem.into() }
    }

    fn problem(&self, problem: Problem) -> ReaderError {
        let position = self.position.clone();
        match problem {
            Problem::Binlog(problem) => ReaderError::Binlog { position, problem },
            Problem::Changed { table, column, was, now } => {
                ReaderError::SchemaChanged { table, column, was, now, position }
            }
        }
    }
}

fn origin<'a>(context: &'a Context, group: &Group, epoch: u64) -> Origin<'a> {
    let Gtid { domain, server, sequence, .. } = group.gtid;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Origin {
        name: context.topics.prefix(),
        server,
        gtid: format!("{domain}-{server}-{sequence}"),
        time_ms: group.time_ms,
        row: group.row,
        epoch,
        partitions: context.partitions,
        now_ms: now.as_millis() as u64,
    }
}

fn hand_over(batch: &mut Batch, group: Option<&Group>, position: &Position, tables: &Tables) -> Handed {
    let mut cause = position.clone();
    if let Some(Group { gtid, .. }) = group {
        cause.advance(gtid.domain, gtid.server, gtid.sequence);
    }
    batch.hand_over(&tables.watched, &cause, position)
}
