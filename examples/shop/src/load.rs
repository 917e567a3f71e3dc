//! A small load: sessions that place, change, cancel and read orders, and know what each read must give.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Result;
use rand::Rng;
use rand::seq::IteratorRandom;
use tokio_util::sync::CancellationToken;

use crate::{Address, Change, Order, Shop};

/// A session has about so many orders open.
const OPEN: usize = 200;

/// Orders by number, as their session wrote them last.
pub type Ledger = BTreeMap<u64, Order>;

#[derive(Default)]
pub struct Counts {
    pub writes: AtomicU64,
    pub reads: AtomicU64,
    /// Reads that did not give what was written last: in no state may there be one.
    pub wrong: AtomicU64,
}

/// One session, until it is stopped; `pause` is between two acts. Gives its orders.
pub async fn session(
    shop: &Shop,
    counts: &Counts,
    pause: Duration,
    stop: CancellationToken,
) -> Result<Ledger> {
    let mut ledger = Ledger::new();
    while !stop.is_cancelled() {
        let known = ledger.keys().copied().choose(&mut rand::rng());
        let chance = rand::rng().random_range(0..10);
        match (chance, known) {
            (0..2, Some(id)) if ledger.len() > OPEN => {
                shop.write(&Change::Cancel(id)).await?;
                ledger.remove(&id);
                look(shop, counts, id, None).await?;
            }
            (2..5, Some(id)) => {
                let order = some_order();
                shop.write(&Change::Alter(id, order.clone())).await?;
                look(shop, counts, id, Some(&order)).await?;
                ledger.insert(id, order);
            }
            (5..10, Some(id)) => {
                look(shop, counts, id, ledger.get(&id)).await?;
                tokio::time::sleep(pause).await;
                continue;
            }
            _ => {
                let order = some_order();
                let id = shop.write(&Change::Place(order.clone())).await?;
                ledger.insert(id, order);
            }
        }
        counts.writes.fetch_add(1, Relaxed);
        tokio::time::sleep(pause).await;
    }
    Ok(ledger)
}

/// Reads an order, which must be as its session wrote it.
async fn look(shop: &Shop, counts: &Counts, id: u64, wanted: Option<&Order>) -> Result<()> {
    let (price, address) = (shop.price(id).await?, shop.address(id).await?);
    counts.reads.fetch_add(2, Relaxed);
    let right = price == wanted.map(|o| o.cents) && address.as_ref() == wanted.map(|o| &o.to);
    if !right {
        counts.wrong.fetch_add(1, Relaxed);
    }
    Ok(())
}

pub fn some_order() -> Order {
    const STREETS: [&str; 4] = ["Hauptstraße", "Rue de la Paix", "Via Roma", "High Street"];
    const CITIES: [&str; 4] = ["Köln", "Lyon", "Torino", "Leeds"];
    let mut rng = rand::rng();
    let street = STREETS[rng.random_range(0..STREETS.len())];
    let city = CITIES[rng.random_range(0..CITIES.len())];
    let to = Address { street: format!("{street} {}", rng.random_range(1..100)), city: city.into() };
    Order { cents: rng.random_range(1..1_000_000), to }
}
