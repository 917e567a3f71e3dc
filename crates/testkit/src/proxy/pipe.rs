//! One direction of a connection. What was read waits in a queue until the link lets it on.
//!
//! Nothing is lost or doubled: one task reads, one queue holds, one task writes, and only calls that either took bytes or
//! did not are given up for a change of the link. The end of the stream and its reset stand in the same queue. The link is
//! looked at between taking a parcel from the queue and writing it, so that nothing passes a link that was closed before it
//! was sent.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::{Link, locked};

/// Of one read, at most.
const CHUNK: u32 = 16 << 10;
/// Of one queue, at most.
const WINDOW: usize = 2 << 20;
/// What a parcel counts for at least, so that many small ones stay within the window, too.
const PARCEL: usize = 128;
/// What a line of limited bandwidth may catch up with after it was idle, or waited for longer than it wanted.
const SLACK: Duration = Duration::from_millis(20);

/// One direction of all connections.
pub struct Lane {
    bytes: AtomicU64,
    /// When all that has a place on a line of limited bandwidth will be through.
    through: Mutex<Instant>,
}

impl Lane {
    pub fn new() -> Self {
        Self { bytes: AtomicU64::new(0), through: Mutex::new(Instant::now()) }
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::SeqCst)
    }

    /// How many of the bytes go next on a line of so many bytes a second, and when they are through.
    fn place(&self, bytes: usize, rate: u64) -> (usize, Instant) {
        let rate = rate.max(1);
        let piece = bytes.min(usize::try_from(rate / 50).unwrap_or(usize::MAX).max(1));
        let now = Instant::now();
        let mut through = locked(&self.through);
        let start = (*through).max(now.checked_sub(SLACK).unwrap_or(now));
        *through = start + Duration::from_secs_f64(piece as f64 / rate as f64);
        (piece, *through)
    }
}

struct Parcel {
    read: Instant,
    /// As a read gave it: without bytes it is the end.
    load: io::Result<Vec<u8>>,
    _room: OwnedSemaphorePermit,
}

/// Until the end of the stream was handed on. An error is a connection to reset.
pub async fn carry(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    link: &watch::Receiver<Link>,
    lane: &Lane,
) -> io::Result<()> {
    let (sender, queue) = mpsc::unbounded_channel();
    let giver = Giver { to, link: link.clone(), lane };
    tokio::try_join!(take(from, link.clone(), sender), giver.give(queue))?;
    Ok(())
}

async fn take(
    mut from: ReadHalf<'_>,
    mut link: watch::Receiver<Link>,
    queue: mpsc::UnboundedSender<Parcel>,
) -> io::Result<()> {
    let window = Arc::new(Semaphore::new(WINDOW));
    let mut buffer = vec![0; CHUNK as usize];
    loop {
        let mut room = window.clone().acquire_many_owned(CHUNK).await.map_err(io::Error::other)?;
        let load = loop {
            link.wait_for(|link| *link != Link::BlackHole).await.map_err(io::Error::other)?;
            tokio::select! {
                biased;
                changed = link.changed() => changed.map_err(io::Error::other)?,
                read = from.read(&mut buffer) => break read.map(|n| buffer[..n].to_vec()),
            }
        };
        let bytes = load.as_ref().map_or(0, Vec::len);
        let rest = CHUNK as usize - bytes.max(PARCEL);
        drop(room.split(rest));
        let parcel = Parcel { read: Instant::now(), load, _room: room };
        // A queue that is gone had an error to tell.
        if queue.send(parcel).is_err() || bytes == 0 {
            return Ok(());
        }
    }
}

struct Giver<'a> {
    to: WriteHalf<'a>,
    link: watch::Receiver<Link>,
    lane: &'a Lane,
}

impl Giver<'_> {
    async fn give(mut self, mut queue: mpsc::UnboundedReceiver<Parcel>) -> io::Result<()> {
        while let Some(parcel) = queue.recv().await {
            let mut rest = parcel.load.as_deref().unwrap_or_default();
            loop {
                let piece = self.pass(parcel.read, rest.len()).await?;
                rest = &rest[self.write(&rest[..piece]).await?..];
                if rest.is_empty() {
                    break;
                }
                // The receiver may look at each piece.
                yield_now().await;
            }
            parcel.load?;
        }
        self.to.shutdown().await
    }

    /// Waits until the link lets bytes on that were read at that time, and says how many of them.
    async fn pass(&mut self, read: Instant, bytes: usize) -> io::Result<usize> {
        loop {
            let link = *self.link.borrow_and_update();
            let (piece, due) = match link {
                Link::Open => return Ok(bytes),
                Link::Slices { bytes: most } => return Ok(bytes.min(most.max(1))),
                Link::Delay(delay) => (bytes, Some(read + delay)),
                Link::Bandwidth { bytes_per_second } => {
                    let (piece, through) = self.lane.place(bytes, bytes_per_second);
                    (piece, Some(through))
                }
                Link::BlackHole | Link::Refused => (0, None),
            };
            // A timer that is due already would take a tick all the same.
            if due.is_some_and(|due| due <= Instant::now()) {
                return Ok(piece);
            }
            tokio::select! {
                biased;
                changed = self.link.changed() => changed.map_err(io::Error::other)?,
                () = until(due) => return Ok(piece),
            }
        }
    }

    /// How many bytes were written; none if the link has changed before.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let written = tokio::select! {
            biased;
            changed = self.link.changed() => return changed.map(|()| 0).map_err(io::Error::other),
            written = self.to.write(bytes) => written?,
        };
        self.lane.bytes.fetch_add(written as u64, Ordering::SeqCst);
        Ok(written)
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
