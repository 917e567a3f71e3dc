//! `crossfade health`: asks the process on this machine, for container runtimes whose image has no other client.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use service::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::output::Exit;

const PATIENCE: Duration = Duration::from_secs(3);

pub async fn run(settings: &Settings) -> anyhow::Result<Exit> {
    let Some(listen) = settings.listen else { bail!("`listen` is not set, so nobody answers about health") };
    let at = reachable(listen);
    let answer = timeout(PATIENCE, ask(at)).await;
    let answer = answer.with_context(|| format!("{at} did not answer within {PATIENCE:?}"))?;
    let answer = answer.with_context(|| format!("{at} does not answer: is the service running?"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    println!("{}", body.trim());
    Ok(if head.split(' ').nth(1) == Some("200") { Exit::Yes } else { Exit::No })
}

async fn ask(at: SocketAddr) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(at).await?;
    connection.write_all(b"GET /readyz HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    connection.take(64 << 10).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Who listens everywhere is reached on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
