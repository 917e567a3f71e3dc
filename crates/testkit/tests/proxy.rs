//! What each link of the proxy does, in front of a server that echoes.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use testkit::proxy::{Link, Proxy};
use testkit::wait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for something that should not happen.
const A_WHILE: Duration = Duration::from_millis(300);

/// How the echo of a connection ended.
type Ends = mpsc::UnboundedReceiver<Result<(), ErrorKind>>;

struct Scene {
    proxy: Proxy,
    ends: Ends,
}

impl Scene {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::to(&listener.local_addr().unwrap().to_string()).await.unwrap();
        let (tell, ends) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tell = tell.clone();
                tokio::spawn(async move { tell.send(echo(stream).await.map_err(|e| e.kind())) });
            }
        });
        Self { proxy, ends }
    }

    async fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.proxy.address()).await.unwrap();
        client.set_nodelay(true).unwrap();
        client
    }

    /// A client whose connection goes through to the server.
    async fn talking(&self) -> TcpStream {
        let mut client = self.client().await;
        ask(&mut client, b"hello").await;
        client
    }
}

async fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await?;
    to.shutdown().await
}

async fn bounded<T>(what: impl Future<Output = T>) -> T {
    timeout(PATIENCE, what).await.expect("in time")
}

async fn ask(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).await.unwrap();
    assert_eq!(hear(client, bytes.len()).await, bytes);
}

async fn hear(client: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut heard = vec![0; bytes];
    bounded(client.read_exact(&mut heard)).await.unwrap();
    heard
}

/// Nothing comes, not even an end.
async fn is_silent(client: &mut TcpStream) {
    let heard = timeout(A_WHILE, client.read_u8()).await;
    assert!(heard.is_err(), "{heard:?}");
}

/// How a client's connection ends.
async fn end(client: &mut TcpStream) -> ErrorKind {
    bounded(client.read_u8()).await.unwrap_err().kind()
}

/// Sends all, ends its side, and hears all until the end of the other side.
async fn exchange(client: &mut TcpStream, bytes: &[u8]) -> Vec<u8> {
    let (mut from, mut to) = client.split();
    let send = async {
        to.write_all(bytes).await.unwrap();
        to.shutdown().await.unwrap();
    };
    let mut heard = Vec::new();
    let (_, read) = bounded(async { tokio::join!(send, from.read_to_end(&mut heard)) }).await;
    read.unwrap();
    heard
}

/// No two stretches of it are alike.
fn pattern(bytes: u32) -> Vec<u8> {
    (0..bytes / 4).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_link_passes_all_and_the_end_of_each_side() {
    let mut scene = Scene::new().await;
    let bytes = pattern(5_000_000);
    assert!(exchange(&mut scene.client().await, &bytes).await == bytes);
    assert_eq!(bounded(scene.ends.recv()).await, Some(Ok(())));
    assert_eq!(scene.proxy.bytes(), (5_000_000, 5_000_000));
    let none = || async { if scene.proxy.connections() == 0 { Ok(()) } else { Err("still one") } };
    wait::until("the end of the connection", PATIENCE, none).await.unwrap();
    assert_eq!(scene.proxy.accepted(), 1);
}

#[tokio::test]
async fn a_black_hole_holds_everything_back_until_it_heals() {
    let scene = Scene::new().await;
    let (mut old, bytes) = (scene.talking().await, pattern(200_000));
    scene.proxy.set(Link::BlackHole);
    old.write_all(b"held").await.unwrap();
    is_silent(&mut old).await;
    assert_eq!(scene.proxy.bytes(), (5, 5));

    // A new connection, and one that ends meanwhile: its end is held back like its bytes.
    let mut new = scene.client().await;
    let sent = async { exchange(&mut new, &bytes).await };
    let healed = async {
        is_silent(&mut old).await;
        assert_eq!(scene.proxy.bytes(), (5, 5));
        scene.proxy.set(Link::Open);
    };
    let (heard, ()) = tokio::join!(sent, healed);
    assert!(heard == bytes);
    assert_eq!(hear(&mut old, 4).await, b"held");
    ask(&mut old, b"more").await;
}

/// Holes open and close all the time while bytes flow: none is lost, doubled or out of its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_the_link_harm_no_byte() {
    let scene = Scene::new().await;
    let bytes = pattern(3_000_000);
    let mut client = scene.client().await;
    let links = [
        Link::BlackHole,
        Link::Open,
        Link::Slices { bytes: 1000 },
        Link::BlackHole,
        Link::Delay(Duration::from_millis(5)),
        Link::Bandwidth { bytes_per_second: 2_000_000 },
    ];
    let change = async {
        for link in links.into_iter().cycle() {
            scene.proxy.set(link);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    let heard = tokio::select! {
        heard = exchange(&mut client, &bytes) => heard,
        () = change => unreachable!("it goes on for ever"),
    };
    assert!(heard == bytes);
}

#[tokio::test]
async fn a_reset_reaches_both_sides_and_spares_later_connections() {
    let mut scene = Scene::new().await;
    let mut clients = [scene.talking().await, scene.talking().await];
    assert_eq!(scene.proxy.connections(), 2);
    scene.proxy.reset();
    for client in &mut clients {
        assert_eq!(end(client).await, ErrorKind::ConnectionReset);
        assert_eq!(bounded(scene.ends.recv()).await, Some(Err(ErrorKind::ConnectionReset)));
    }
    scene.talking().await;
}

#[tokio::test]
async fn a_reset_of_one_side_is_handed_on() {
    let mut scene = Scene::new().await;
    let client = scene.talking().await;
    client.set_zero_linger().unwrap();
    drop(client);
    assert_eq!(bounded(scene.ends.recv()).await, Some(Err(ErrorKind::ConnectionReset)));
}

#[tokio::test]
async fn a_dropped_proxy_ends_its_connections_and_nobody_listens() {
    let mut scene = Scene::new().await;
    let mut client = scene.talking().await;
    let address = scene.proxy.address();
    drop(scene.proxy);
    assert_eq!(end(&mut client).await, ErrorKind::ConnectionReset);
    assert_eq!(bounded(scene.ends.recv()).await, Some(Err(ErrorKind::ConnectionReset)));
    let refused = || async {
        match TcpStream::connect(&address).await {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
            other => Err(format!("{other:?}")),
        }
    };
    wait::until("a refusal", PATIENCE, refused).await.unwrap();
}

#[tokio::test]
async fn a_delay_keeps_the_order_and_lets_more_than_one_chunk_be_on_its_way() {
    const DELAY: Duration = Duration::from_millis(200);
    let scene = Scene::new().await;
    let mut client = scene.talking().await;
    scene.proxy.set(Link::Delay(DELAY));
    let begun = Instant::now();
    ask(&mut client, b"x").await;
    assert!(begun.elapsed() >= 2 * DELAY, "{:?}", begun.elapsed());

    // One after the other these would take 100 s.
    let send_all = async {
        for n in 0..500_u32 {
            client.write_all(&n.to_be_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for n in 0..500 {
            assert_eq!(bounded(client.read_u32()).await.unwrap(), n);
        }
    };
    timeout(PATIENCE, send_all).await.expect("all at once");

    // The end is not quicker than the bytes.
    let begun = Instant::now();
    let bytes = pattern(1_000_000);
    assert!(exchange(&mut client, &bytes).await == bytes);
    assert!(begun.elapsed() >= 2 * DELAY, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_is_on_its_way_meets_the_links_that_come() {
    let scene = Scene::new().await;
    let mut client = scene.talking().await;
    scene.proxy.set(Link::Delay(Duration::from_secs(3600)));
    client.write_all(b"late").await.unwrap();
    is_silent(&mut client).await;
    scene.proxy.set(Link::BlackHole);
    is_silent(&mut client).await;
    assert_eq!(scene.proxy.bytes(), (5, 5));
    scene.proxy.set(Link::Open);
    assert_eq!(hear(&mut client, 4).await, b"late");
}

#[tokio::test]
async fn slices_of_one_byte_arrive_all() {
    let scene = Scene::new().await;
    scene.proxy.set(Link::Slices { bytes: 1 });
    let (mut client, bytes) = (scene.client().await, pattern(20_000));
    client.write_all(&bytes).await.unwrap();
    let mut first = [0; 1000];
    let n = bounded(client.read(&mut first)).await.unwrap();
    assert!(n < first.len(), "{n} bytes in one piece");
    assert_eq!(first[..n], bytes[..n]);
    assert!(hear(&mut client, bytes.len() - n).await == bytes[n..]);
}

#[tokio::test]
async fn all_connections_share_the_bandwidth() {
    let scene = Scene::new().await;
    scene.proxy.set(Link::Bandwidth { bytes_per_second: 200_000 });
    let bytes = pattern(40_000);
    let (mut a, mut b) = (scene.client().await, scene.client().await);
    let begun = Instant::now();
    let (x, y) = tokio::join!(exchange(&mut a, &bytes), exchange(&mut b, &bytes));
    assert!(x == bytes && y == bytes);
    // 400 ms, less what the line may catch up with.
    assert!(begun.elapsed() >= Duration::from_millis(380), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn who_is_refused_is_reset_and_comes_back_later() {
    let mut scene = Scene::new().await;
    let mut client = scene.talking().await;
    scene.proxy.set(Link::Refused);
    assert_eq!(end(&mut client).await, ErrorKind::ConnectionReset);
    assert_eq!(bounded(scene.ends.recv()).await, Some(Err(ErrorKind::ConnectionReset)));
    // It may be reset before it has heard that it is connected.
    match TcpStream::connect(scene.proxy.address()).await {
        Ok(mut new) => assert_eq!(end(&mut new).await, ErrorKind::ConnectionReset),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert_eq!(scene.proxy.bytes(), (5, 5));
    scene.proxy.set(Link::Open);
    scene.talking().await;
}

#[tokio::test]
async fn without_a_server_clients_are_reset() {
    let gone = testkit::ports::free();
    let proxy = Proxy::to(&format!("127.0.0.1:{gone}")).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(end(&mut client).await, ErrorKind::ConnectionReset);
}
