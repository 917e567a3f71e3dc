//! The application: orders are placed, changed, cancelled and read, in the form that the flags allow.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::MySqlPool;
use sqlx::mysql::{MySqlDatabaseError, MySqlPoolOptions};

use crate::flags::{Flags, View};
use crate::form::{Address, Form, Price, Shipment};
use crate::shadow::Shadow;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub cents: i64,
    pub to: Address,
}

pub enum Change {
    Place(Order),
    Alter(u64, Order),
    Cancel(u64),
}

pub struct Shop {
    pool: MySqlPool,
    pub flags: Flags,
    /// What shadow reads of prices have shown, and of addresses.
    pub prices: Shadow,
    pub addresses: Shadow,
}

impl Shop {
    pub async fn open(database: &str, flags: Flags) -> Result<Self> {
        let pool = MySqlPoolOptions::new()
            .acquire_timeout(Duration::from_secs(5))
            .connect(database)
            .await
            .context("open the shop's database")?;
        Ok(Self { pool, flags, prices: Shadow::default(), addresses: Shadow::default() })
    }

    /// Writes; gives the order's number. The server may choose a transaction to give way to another: it is tried again.
    pub async fn write(&self, change: &Change) -> Result<u64> {
        let mut tries = 0;
        loop {
            match self.try_write(change).await {
                Err(error) if tries < 5 && gave_way(&error) => tries += 1,
                done => return done.context("write an order"),
            }
        }
    }

    /// Both forms in one transaction: there is no moment at which one is written and the other is not.
    async fn try_write(&self, change: &Change) -> sqlx::Result<u64> {
        // One look, so that all of the transaction is of one state.
        let view = self.flags.view();
        let mut tx = self.pool.begin().await?;
        let id = match change {
            Change::Place(order) => {
                let insert = sqlx::query(
                    "INSERT INTO orders (total, address) VALUES (CAST(? AS DECIMAL(12,2)) / 100, ?)",
                );
                let done = insert.bind(order.cents).bind(order.to.line()).execute(&mut *tx).await?;
                done.last_insert_id()
            }
            Change::Alter(id, order) => {
                let update = sqlx::query(
                    "UPDATE orders SET total = CAST(? AS DECIMAL(12,2)) / 100, address = ? WHERE id = ?",
                );
                update.bind(order.cents).bind(order.to.line()).bind(id).execute(&mut *tx).await?;
                *id
            }
            Change::Cancel(id) => {
                sqlx::query("DELETE FROM orders WHERE id = ?").bind(id).execute(&mut *tx).await?;
                *id
            }
        };
        match change {
            Change::Place(order) | Change::Alter(_, order) => {
                if view.orders.writes_new() {
                    Price::write(&mut tx, id, &order.cents).await?;
                }
                if view.shipments.writes_new() {
                    Shipment::write(&mut tx, id, &order.to).await?;
                }
            }
            // The price went with its row.
            Change::Cancel(_) if view.shipments.writes_new() => {
                sqlx::query("DELETE FROM shipments WHERE order_id = ?").bind(id).execute(&mut *tx).await?;
            }
            Change::Cancel(_) => {}
        }
        tx.commit().await?;
        Ok(id)
    }

    /// What an order costs, in cents.
    pub async fn price(&self, order: u64) -> Result<Option<i64>> {
        self.read::<Price>(order, &self.prices).await.context("read a price")
    }

    /// Where it goes.
    pub async fn address(&self, order: u64) -> Result<Option<Address>> {
        self.read::<Shipment>(order, &self.addresses).await.context("read an address")
    }

    async fn read<F: Form>(&self, order: u64, shadow: &Shadow) -> sqlx::Result<Option<F::Value>> {
        use crate::flags::State::{DualWrite, Legacy, NewRead, ShadowRead};
        match F::state(self.flags.view()) {
            Legacy | DualWrite => F::legacy(&mut *self.pool.acquire().await?, order).await,
            ShadowRead => self.read_both::<F>(order, shadow).await,
            NewRead => F::new(&mut *self.pool.acquire().await?, order).await,
        }
    }

    /// Both forms of one moment, so that a write in between is no difference. What becomes of the new form does not touch
    /// the answer.
    async fn read_both<F: Form>(&self, order: u64, shadow: &Shadow) -> sqlx::Result<Option<F::Value>> {
        let mut tx = self.pool.begin_with("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY").await?;
        // Whoever comes second finds the pages warm: so each comes second half of the time.
        let (legacy, new) = if rand::random() {
            let legacy = timed(F::legacy(&mut tx, order)).await;
            (legacy, timed(F::new(&mut tx, order)).await)
        } else {
            let new = timed(F::new(&mut tx, order)).await;
            (timed(F::legacy(&mut tx, order)).await, new)
        };
        let (answer, legacy_time) = (legacy.0?, legacy.1);
        match new {
            (Ok(new), time) => shadow.compared(new == answer, legacy_time, time),
            (Err(_), _) => shadow.failed(),
        }
        Ok(answer)
    }

    /// What holds now.
    pub fn view(&self) -> View {
        self.flags.view()
    }
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    (work.await, begun.elapsed())
}

/// Lock wait time-out, deadlock, and a row that changed behind the snapshot (MariaDB 11.6 and later).
fn gave_way(error: &sqlx::Error) -> bool {
    let server = error.as_database_error().and_then(|e| e.try_downcast_ref::<MySqlDatabaseError>());
    server.is_some_and(|e| matches!(e.number(), 1020 | 1205 | 1213))
}
