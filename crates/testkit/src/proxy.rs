//! A TCP proxy on loopback in front of a server, whose link breaks when a test says so.

mod pipe;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::ports;
use pipe::Lane;

/// Until connections are accepted again after that failed, for want of file descriptors as a rule.
const PAUSE: Duration = Duration::from_millis(50);

/// What the network between the clients and the server is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Open,
    /// Silence: nothing is taken from either side and nothing is given, no end and no reset either. New connections are
    /// accepted and hear nothing. What was held back flows on with the next link.
    BlackHole,
    /// Present connections are reset, new ones at once.
    Refused,
    /// Everything arrives so much later, each way. A connection has 2 MiB on its way at most, in each direction.
    Delay(Duration),
    /// What arrives comes in writes of so many bytes at most.
    Slices {
        bytes: usize,
    },
    /// Each way, for all connections together.
    Bandwidth {
        bytes_per_second: u64,
    },
}

/// Ends with its handle: nobody listens any more, and all connections are reset.
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
    _acceptor: AbortOnDropHandle<()>,
}

struct Shared {
    server: String,
    link: watch::Sender<Link>,
    /// Resets the connections that were accepted since the last reset.
    reset: Mutex<CancellationToken>,
    connections: TaskTracker,
    accepted: AtomicU64,
    to_server: Lane,
    to_clients: Lane,
}

impl Proxy {
    /// On a free port, with an open link to a `host:port`, which is connected to once for each client.
    pub async fn to(server: &str) -> anyhow::Result<Self> {
        let listener = listen().await.context("listen as a proxy")?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            link: watch::Sender::new(Link::Open),
            reset: Mutex::default(),
            connections: TaskTracker::new(),
            accepted: AtomicU64::new(0),
            to_server: Lane::new(),
            to_clients: Lane::new(),
        });
        let acceptor = tokio::spawn(accept(listener, shared.clone()));
        Ok(Self { port, shared, _acceptor: AbortOnDropHandle::new(acceptor) })
    }

    /// What clients connect to.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Holds at once, for present connections and for new ones: what is sent after this call meets the new link.
    pub fn set(&self, link: Link) {
        self.shared.link.send_replace(link);
        if link == Link::Refused {
            self.reset();
        }
    }

    /// Ends all present connections by RST, on both sides. Later ones live, and so may one that a client has just made
    /// and that is not yet in `accepted`.
    pub fn reset(&self) {
        std::mem::take(&mut *locked(&self.shared.reset)).cancel();
    }

    /// Those of now.
    pub fn connections(&self) -> usize {
        self.shared.connections.len()
    }

    /// All that there ever were.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// What was handed on to the server, and to the clients.
    pub fn bytes(&self) -> (u64, u64) {
        (self.shared.to_server.bytes(), self.shared.to_clients.bytes())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It stays in its place, so that nobody takes a fresh one meanwhile.
        locked(&self.shared.reset).cancel();
    }
}

impl Shared {
    /// From a client's first byte to the last one of either side.
    async fn connection(self: Arc<Self>, mut client: TcpStream, reset: CancellationToken) {
        let mut server = None;
        let ended = tokio::select! {
            biased;
            () = reset.cancelled() => Err(io::ErrorKind::ConnectionReset.into()),
            ended = self.carry(&mut client, &mut server) => ended,
        };
        if ended.is_err() {
            for side in [Some(client), server].into_iter().flatten() {
                // It fails on a connection that is gone already, if at all.
                let _ = side.set_zero_linger();
            }
        }
    }

    async fn carry(&self, client: &mut TcpStream, server: &mut Option<TcpStream>) -> io::Result<()> {
        let mut link = self.link.subscribe();
        let now = *link.wait_for(|link| *link != Link::BlackHole).await.map_err(io::Error::other)?;
        if now == Link::Refused {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let server = server.insert(TcpStream::connect(&self.server).await?);
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        tokio::try_join!(
            pipe::carry(from_client, to_server, &link, &self.to_server),
            pipe::carry(from_server, to_client, &link, &self.to_clients),
        )?;
        Ok(())
    }
}

async fn listen() -> io::Result<TcpListener> {
    // Somebody else may have taken the port meanwhile.
    for _ in 0..2 {
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", ports::free())).await {
            return Ok(listener);
        }
    }
    TcpListener::bind(("127.0.0.1", ports::free())).await
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        let reset = locked(&shared.reset).clone();
        shared.connections.spawn(shared.clone().connection(client, reset));
        // Last: whom it counts a reset meets.
        shared.accepted.fetch_add(1, Ordering::SeqCst);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
