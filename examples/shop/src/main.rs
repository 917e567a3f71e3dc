//! The shop under a small load, one line a second, until it is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use shop::Shop;
use shop::flags::{Asking, Flags, ORDERS, SHIPMENTS, State};
use shop::load::{self, Counts};
use shop::shadow::Shadow;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
#[command(about = "A shop that moves to its new tables through Crossfade's flags")]
struct Arguments {
    /// Where its orders are: mysql://user:password@host:port/schema
    #[arg(long, env = "SHOP_DATABASE", hide_env_values = true)]
    database: String,
    /// Who answers for the flags: the address of `crossfade up --console`
    #[arg(long, env = "SHOP_FLAGS", default_value = "http://127.0.0.1:9301")]
    flags: String,
    /// A token of the console's token file, if it has one; better in the environment than here
    #[arg(long, env = "SHOP_TOKEN", hide_env_values = true)]
    token: Option<String>,
    #[arg(long, default_value_t = 4)]
    sessions: usize,
    /// Milliseconds between two acts of a session
    #[arg(long, default_value_t = 20)]
    pause: u64,
    /// Stops by itself after so many seconds
    #[arg(long)]
    seconds: Option<u64>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let flags = Flags::ask(Asking { token: arguments.token, ..Asking::at(arguments.flags) }).await?;
    let shop = Arc::new(Shop::open(&arguments.database, flags).await?);
    let counts = Arc::new(Counts::default());
    let stop = CancellationToken::new();

    let mut sessions = JoinSet::new();
    for _ in 0..arguments.sessions {
        let (shop, counts, stop) = (shop.clone(), counts.clone(), stop.clone());
        let pause = Duration::from_millis(arguments.pause);
        sessions.spawn(async move { load::session(&shop, &counts, pause, stop).await });
    }

    let begun = Instant::now();
    let end = arguments.seconds.map(Duration::from_secs);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    while end.is_none_or(|end| begun.elapsed() < end) {
        tokio::select! {
            _ = tick.tick() => line(begun.elapsed(), &shop, &counts),
            ended = sessions.join_next() => {
                ended.context("no sessions")?.context("a session")??;
                break;
            }
            stopped = tokio::signal::ctrl_c() => {
                stopped.context("wait for Ctrl-C")?;
                break;
            }
        }
    }
    stop.cancel();
    while let Some(ended) = sessions.join_next().await {
        ended.context("a session")??;
    }
    report(&shop);
    Ok(())
}

fn line(at: Duration, shop: &Shop, counts: &Counts) {
    let view = shop.view();
    let target = |name: &str, state: State, shadow: &Shadow| match shadow.seen() {
        seen if seen.none() => format!("{name}: {}", state.name()),
        seen => format!("{name}: {} ({seen})", state.name()),
    };
    let orders = target(ORDERS, view.orders, &shop.prices);
    let shipments = target(SHIPMENTS, view.shipments, &shop.addresses);
    let made = |count: &AtomicU64| count.load(Relaxed);
    let (writes, reads, wrong) = (made(&counts.writes), made(&counts.reads), made(&counts.wrong));
    let trouble = shop.flags.trouble().map_or_else(String::new, |trouble| format!("  [{trouble}]"));
    let seconds = at.as_secs();
    println!("{seconds:4} s  {orders}  {shipments}  {writes} writes, {reads} reads, {wrong} wrong{trouble}");
}

/// What shadow reads have shown, of the targets that had any.
fn report(shop: &Shop) {
    for (target, shadow) in [(ORDERS, &shop.prices), (SHIPMENTS, &shop.addresses)] {
        let seen = shadow.seen();
        if !seen.none() {
            println!("{target}: {seen}\n  legacy: {}\n  new:    {}", seen.legacy, seen.new);
        }
    }
}
