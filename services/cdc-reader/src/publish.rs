//! The reader's protocol: a change is published only when whoever hears of it can see it.
//!
//! # Why it is right
//!
//! *Visible.* On MariaDB a transaction can be read from the binlog up to some 150 ms before its rows can be seen. But
//! transactions become visible in binlog order. A barrier is an ordinary committed write of ours that is in the binlog
//! itself. It is issued after the last event of a batch was received, so it stands in the binlog behind all of them; when
//! its COMMIT has answered, it is visible, and so are they. Only then is the batch produced. One barrier serves a batch
//! however large, and a batch without changes needs none.
//!
//! *Nothing is lost.* `safe` is the end of the last transaction all of whose changes, and all changes before which, were
//! acknowledged by the bus: batches leave the feed in binlog order, appends are awaited in that order, and a batch that
//! was cut inside a transaction does not move `safe`. The saved position is some earlier `safe`. So whatever was not
//! acknowledged stands behind the saved position, and is read again.
//!
//! *Whole images in order.* Changes are marks in the making: they may be repeated and pass each other. Whole images are
//! values, and the last one of a key must be the newest. So where there are any, one append is under way at a time: what is
//! appended again after an error, or read again after a restart, has nothing newer before it that does not follow again
//! behind it.
//!
//! *Decoded rightly.* Samples in the control schema are compared behind the barrier, before anything of their batch is
//! appended; see `fidelity.rs`.
//!
//! *One reader.* Taking the seat raises the epoch. Every beat names its epoch and matches no row once there is a newer
//! one; a batch is produced only after such a beat. A deposed reader may still have a batch under way that it fenced
//! before: its changes are visible ones, so this repeats what the newer reader publishes, and repeating is harmless.
//! (A whole image of it may come behind a newer one: it carries the smaller epoch, by which others know it.) It can never
//! again move the position, which is the beat's own statement.
//!
//! *The barrier is one.* If our writes were not in the binlog (`sql_log_bin=0`, `binlog_ignore_db`, a proxy that sends
//! sessions elsewhere) the first argument would fail. So beats must come back through the stream; see `beat.rs`.
//!
//! *No loop.* Our own writes to the control schema come back as events that publish nothing. They move `safe` but ask for
//! no save; a save follows changes that were acknowledged, somebody's write to `barrier`, or a second of quiet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bus::BusError;
use change::Position;
use plan::catalog::Flavour;
use service::Retry;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::append::{self, Images, append};
use crate::batch::{Batch, Handed};
use crate::beat::Beats;
use crate::context::Context;
use crate::error::ReaderError;
use crate::feed::Feed;
use crate::fidelity::{self, Sampled};
use crate::image::warn_if_unheard;
use crate::schema::Shapes;
use crate::seat::Seat;
use crate::status::{Counters, Status};
use crate::tables::{Tables, Watched};
use crate::witness::Written;

/// A beat is probed this often: does it come back?
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// How long a reader that was told to stop waits for acknowledgements.
const DRAIN: Duration = Duration::from_secs(10);
/// The feed may fall over its framing library this often without progress.
const FALLS: u32 = 5;

/// A reader that has not started.
pub struct Reader {
    context: Context,
    status: watch::Sender<Status>,
}

impl Reader {
    pub fn new(context: Context) -> Reader {
        Reader { context, status: watch::Sender::default() }
    }

    /// Kept up to date while the reader runs. `acked` is `Some` once the reader has its place: what commits from then on
    /// will be published.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Reads and publishes until `stop`, or until it must not go on.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ReaderError> {
        if self.context.plan.flavour != Flavour::MariaDb {
            return Err(ReaderError::Flavour);
        }
        warn_if_unheard(&self.context.plan, &self.context.topics, self.context.bus.reaches_others());
        let Some(started) = stop.run_until_cancelled(self.start()).await else { return Ok(()) };
        let mut publisher = started?;
        let result = publisher.run(&stop).await;
        publisher.end(result).await
    }

    /// Takes the seat; waits for a database that is away.
    async fn start(self) -> Result<Publisher, ReaderError> {
        let mut retry = Retry::new("the start");
        let (seat, shapes, watched, sampled) = loop {
            match self.try_start().await {
                Err(ReaderError::Database(e)) if e.is_transient() => {
                    let told = |tries| tracing::warn!(error = %e, tries, "the reader cannot start yet; trying again");
                    tokio::time::sleep(retry.failed(told)).await;
                }
                other => break other?,
            }
        };
        let settings = &self.context.settings;
        let publisher = Publisher {
            safe: seat.saved.clone(),
            received: seat.saved.clone(),
            beats: Arc::new(Beats::new(settings.beat_bound)),
            counters: Arc::new(Counters::default()),
            shapes,
            under_way: VecDeque::new(),
            save_by: None,
            last_beat: Instant::now(),
            last_probe: None,
            feed: None,
            falls: 0,
            seat,
            images: Arc::new(append::images(&watched)),
            watched,
            sampled,
            context: self.context,
            status: self.status,
        };
        publisher.report();
        tracing::info!(
            source = %publisher.context.source,
            epoch = publisher.seat.epoch,
            position = %publisher.safe,
            "the reader has its seat"
        );
        Ok(publisher)
    }

    async fn try_start(&self) -> Result<(Seat, Shapes, Vec<Watched>, Vec<Sampled>), ReaderError> {
        let context = &self.context;
        let seat = Seat::take(&context.database, &context.source).await?;
        let mut watched = Watched::of_plan(&context.plan, &context.topics, context.bus.reaches_others());
        let shapes = Shapes::read(&context.database, &watched).await?;
        for table in &mut watched {
            table.generated = shapes.generated(&table.name.table);
        }
        let sampled = Sampled::of_plan(&context.plan);
        fidelity::check_start(&context.database, &sampled, &seat.saved).await?;
        Ok((seat, shapes, watched, sampled))
    }
}

struct Publisher {
    context: Context,
    status: watch::Sender<Status>,
    seat: Seat,
    /// Everything up to here is durable on the bus.
    safe: Position,
    /// Everything up to here has come out of the feed.
    received: Position,
    beats: Arc<Beats>,
    counters: Arc<Counters>,
    shapes: Shapes,
    watched: Vec<Watched>,
    sampled: Vec<Sampled>,
    images: Arc<Images>,
    /// Appends in binlog order.
    under_way: VecDeque<Append>,
    /// The position is to be saved at this time.
    save_by: Option<Instant>,
    last_beat: Instant,
    last_probe: Option<Instant>,
    feed: Option<Running>,
    falls: u32,
}

/// A feed at work.
struct Running {
    batches: mpsc::Receiver<Result<Handed, ReaderError>>,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

struct Append {
    /// `None`: there was nothing to append.
    task: Option<JoinHandle<Result<(), ReaderError>>>,
    end: Option<Position>,
    /// Its acknowledgement is worth a save.
    worth_saving: bool,
}

impl Publisher {
    async fn run(&mut self, stop: &CancellationToken) -> Result<(), ReaderError> {
        loop {
            if self.feed.is_none() {
                self.start_feed();
            }
            let Some(Running { batches, .. }) = &mut self.feed else { continue };
            let due = self.save_by.map_or(self.last_beat + self.context.settings.heartbeat, |save| {
                save.min(self.last_beat + self.context.settings.heartbeat)
            });
            let in_flight = if self.images.is_empty() { self.context.settings.in_flight.max(1) } else { 1 };
            let room = self.under_way.len() < in_flight;
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                acked = front(&mut self.under_way), if !self.under_way.is_empty() => self.acked(acked?),
                () = tokio::time::sleep_until(due.into()) => {
                    let Some(beat) = stop.run_until_cancelled(self.beat()).await else { return Ok(()) };
                    beat?;
                }
                message = batches.recv(), if room => match message {
                    Some(Ok(handed)) => {
                        let Some(done) = stop.run_until_cancelled(self.publish(handed)).await else {
                            return Ok(());
                        };
                        done?;
                    }
                    Some(Err(error)) => {
                        self.drain().await?;
                        return Err(error);
                    }
                    None => self.feed_fell()?,
                }
            }
        }
    }

    /// Barrier, then append; the acknowledgement is awaited elsewhere.
    async fn publish(&mut self, handed: Handed) -> Result<(), ReaderError> {
        let barrier = !(handed.records.is_empty() && handed.samples.is_empty());
        if barrier {
            self.beat().await?;
            let (seat, database) = (&mut self.seat, &self.context.database);
            fidelity::compare(seat, database, &self.sampled, &handed.samples, &self.received).await?;
        }
        if let Some(end) = &handed.end {
            self.received.clone_from(end);
            self.falls = 0;
        }
        if !handed.direct.is_empty() {
            self.counters.direct_writes.fetch_add(handed.direct.len() as u64, Relaxed);
            self.seat.witness(&handed.direct).await?;
        }
        let worth_saving = handed.prompt || !handed.records.is_empty();
        let task = if handed.records.is_empty() {
            None
        } else {
            self.counters.barriers.fetch_add(1, Relaxed);
            let bytes: usize = handed.records.iter().map(bus::Record::size).sum();
            self.counters.published_images.fetch_add(handed.images, Relaxed);
            self.counters.published_rows.fetch_add(handed.rows, Relaxed);
            self.counters.published_bytes.fetch_add(bytes as u64, Relaxed);
            self.counters.largest_batch.fetch_max(handed.size as u64, Relaxed);
            Some(tokio::spawn(append(self.context.bus.clone(), handed.records, self.images.clone())))
        };
        self.under_way.push_back(Append { task, end: handed.end, worth_saving });
        Ok(())
    }

    fn acked(&mut self, append: Append) {
        if let Some(end) = append.end {
            self.safe = end;
        }
        if append.worth_saving && self.save_by.is_none() {
            self.save_by = Some(Instant::now() + self.context.settings.save_within);
        }
    }

    async fn beat(&mut self) -> Result<(), ReaderError> {
        let (beat, committed) = self.seat.beat(&self.safe).await?;
        self.last_beat = committed;
        self.save_by = None;
        let probe = self.last_probe.is_none_or(|at| at.elapsed() >= PROBE_EVERY) && self.beats.wants_probe();
        if probe && let Some(time) = self.seat.server_time().await {
            self.last_probe = Some(committed);
            self.beats.expect(beat, committed, time);
        }
        self.report();
        Ok(())
    }

    /// Waits for every append under way and saves the position behind them.
    async fn drain(&mut self) -> Result<(), ReaderError> {
        while !self.under_way.is_empty() {
            let acked = front(&mut self.under_way).await?;
            self.acked(acked);
        }
        if self.safe != self.seat.saved {
            self.seat.beat(&self.safe).await?;
        }
        self.report();
        Ok(())
    }

    fn report(&self) {
        let lag = self.beats.round_trip().unwrap_or_default();
        self.counters.lag_ms.store(lag.as_millis() as u64, Relaxed);
        self.status.send_replace(self.counters.status(self.seat.epoch, &self.safe, &self.seat.saved));
    }

    fn start_feed(&mut self) {
        let (out, batches) = mpsc::channel(1);
        let written = Written::of_plan(&self.context.plan, self.context.include_deferred);
        let tables =
            Tables::new(self.watched.clone(), written, self.sampled.clone(), self.context.database.control());
        let feed = Feed {
            context: self.context.clone(),
            tables,
            shapes: self.shapes.clone(),
            beats: self.beats.clone(),
            counters: self.counters.clone(),
            epoch: self.seat.epoch,
            position: self.received.clone(),
            out,
            group: None,
            batch: Batch::default(),
            scratch: Vec::new(),
            direct: Vec::new(),
            samples: Vec::new(),
        };
        let stop = CancellationToken::new();
        let task = tokio::spawn(feed.run(stop.clone()));
        self.feed = Some(Running { batches, task, stop });
    }

    /// The feed ended without a word: it panicked, in the library that frames events (a packet that is cut short). It is
    /// started again behind the last transaction that came out of it.
    fn feed_fell(&mut self) -> Result<(), ReaderError> {
        self.feed = None;
        self.falls += 1;
        self.counters.reconnects.fetch_add(1, Relaxed);
        tracing::warn!(position = %self.received, "the binlog stream could not be framed; connecting again");
        if self.falls < FALLS {
            return Ok(());
        }
        let problem = format!("the stream could not be framed, {FALLS} times in a row");
        Err(ReaderError::Protocol { position: self.received.clone(), problem })
    }

    /// Ends the feed, then saves what was acknowledged meanwhile, unless the seat is not ours any more.
    async fn end(mut self, result: Result<(), ReaderError>) -> Result<(), ReaderError> {
        if let Some(Running { batches, task, stop }) = self.feed.take() {
            drop(batches);
            stop.cancel();
            // A panic in there was about bytes that we did not take.
            let _ = task.await;
        }
        if !matches!(result, Err(ReaderError::Deposed { .. } | ReaderError::BeatLost { .. })) {
            match tokio::time::timeout(DRAIN, self.drain()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the last position could not be saved; it is read again")
                }
                Err(_) => {
                    tracing::warn!("the bus did not answer in time; what it did not take is read again")
                }
            }
        }
        for append in self.under_way.drain(..) {
            append.task.inspect(JoinHandle::abort);
        }
        self.seat.close().await;
        result
    }
}

/// Waits for the oldest append. Cancel-safe: it stays at the front until it is done.
async fn front(under_way: &mut VecDeque<Append>) -> Result<Append, ReaderError> {
    if let Some(task) = under_way.front_mut().and_then(|a| a.task.as_mut()) {
        let done = task.await;
        let append = under_way.pop_front().map(|a| Append { task: None, ..a });
        done.map_err(|_| closed())??;
        return append.ok_or_else(closed);
    }
    under_way.pop_front().ok_or_else(closed)
}

fn closed() -> ReaderError {
    ReaderError::Bus { doing: "append changes", problem: BusError::Closed }
}
