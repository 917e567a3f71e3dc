//! The example application moves through the flags of a real deployment while it works, and back.

#[path = "support/small.rs"]
mod small;
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use mysql::Session;
use shop::flags::{Asking, Flags, ORDERS, SHIPMENTS, State, View};
use shop::load::{self, Counts, Ledger};
use shop::{Change, Order, Shop};
use small::Small;
use testkit::connect;
use testkit::servers::Mariadb;
use testkit::wait::until;
use tokio::process::Child;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "viewer-0123456789";
/// In which a step down, or the loss of the flags, must have reached the application; it asks five times a second.
const AT_ONCE: Duration = Duration::from_secs(3);

/// The application under load beside `crossfade up`.
struct Moving<'a> {
    small: Small<'a>,
    tokens: String,
    address: String,
    shop: Arc<Shop>,
    counts: Arc<Counts>,
    stop: CancellationToken,
    sessions: JoinSet<Result<Ledger>>,
}

impl<'a> Moving<'a> {
    async fn begin(server: &'a Mariadb) -> Result<(Self, Child)> {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/shop");
        let schema = std::fs::read_to_string(example.join("schema.sql"))?;
        let small = Small::of(server, "shop", &schema, example.join("plan")).await?;
        let tokens = small.file("tokens", &format!("viewer shop {TOKEN}\n"))?;
        let address = format!("127.0.0.1:{}", testkit::ports::free());
        let asking = Asking { token: Some(TOKEN.into()), ..Asking::at(format!("http://{address}/")) };
        let shop = Arc::new(Shop::open(&small.deployment.schemas.url, Flags::ask(asking).await?).await?);
        let (counts, stop) = (Arc::new(Counts::default()), CancellationToken::new());
        let mut sessions = JoinSet::new();
        for _ in 0..2 {
            let (shop, counts, stop) = (shop.clone(), counts.clone(), stop.clone());
            sessions
                .spawn(async move { load::session(&shop, &counts, Duration::from_millis(20), stop).await });
        }
        let moving = Self { small, tokens, address, shop, counts, stop, sessions };
        let up = moving.up().await?;
        Ok((moving, up))
    }

    async fn up(&self) -> Result<Child> {
        let arguments = ["up", "--console", &self.address, "--console-tokens", &self.tokens];
        let mut up = self.small.deployment.start(&arguments)?;
        self.small.applied(&mut up).await?;
        Ok(up)
    }

    async fn verified(&self) -> Result<()> {
        until("the verdict is ready", Duration::from_secs(90), || async {
            let verified =
                self.small.deployment.run(&["verify", "--once"]).await.map_err(|e| e.to_string())?;
            if verified.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&verified.stdout).into_owned())
            }
        })
        .await
    }

    /// Moves both flags, and waits until the application has seen it.
    async fn step(&self, state: State, limit: Duration) -> Result<()> {
        for target in [ORDERS, SHIPMENTS] {
            let set = ["flags", "set", target, state.name(), "--because", "as planned"];
            self.small.deployment.yes(&set).await?;
        }
        self.reaches(state, limit).await
    }

    async fn reaches(&self, state: State, limit: Duration) -> Result<()> {
        let both = View { orders: state, shipments: state };
        until(&format!("the application is at {state:?}"), limit, || async {
            let view = self.shop.view();
            if view == both { Ok(()) } else { Err(format!("{view:?} {:?}", self.shop.flags.trouble())) }
        })
        .await
    }

    /// The load goes on, and each read gave what was written last.
    async fn works(&self) -> Result<()> {
        let before = self.counts.writes.load(Relaxed);
        until("the load goes on", Duration::from_secs(30), || async {
            let made = self.counts.writes.load(Relaxed) - before;
            if made >= 20 { Ok(()) } else { Err(format!("{made} writes")) }
        })
        .await?;
        assert_eq!(self.counts.wrong.load(Relaxed), 0, "at {:?}", self.shop.view());
        Ok(())
    }

    /// What the application does by itself in a state: all lanes are held, so Crossfade writes nothing meanwhile.
    async fn alone(&self, state: State) -> Result<()> {
        let (mut holder, mut sql) = (self.session().await?, self.session().await?);
        let lanes =
            format!("SELECT COUNT(*) FROM `{}`.lane FOR UPDATE", self.small.deployment.schemas.control);
        holder.begin().await?;
        holder.row(&lanes).await?;

        let (first, second) = (load::some_order(), load::some_order());
        let id = self.shop.write(&Change::Place(first.clone())).await?;
        ensure!(old_form(&mut sql, id).await? == Some(form(&first)), "{state:?}: legacy is written");
        let new = state.writes_new().then(|| form(&first));
        ensure!(new_form(&mut sql, id).await? == new, "{state:?}: the new form after an order was placed");

        let mut answered = first.clone();
        if state.writes_new() {
            // From which form does the answer come?
            sql.execute(&format!("UPDATE orders SET total_cents = -1 WHERE id = {id}")).await?;
            sql.execute(&format!("UPDATE shipments SET city = 'elsewhere' WHERE order_id = {id}")).await?;
        }
        if state == State::NewRead {
            (answered.cents, answered.to.city) = (-1, "elsewhere".into());
        }
        let different = || self.shop.prices.seen().different + self.shop.addresses.seen().different;
        let before = different();
        let read = (self.shop.price(id).await?, self.shop.address(id).await?);
        assert_eq!(read, (Some(answered.cents), Some(answered.to)), "{state:?}");
        let counted = if state == State::ShadowRead { 2 } else { 0 };
        assert_eq!(different() - before, counted, "{state:?}");

        self.shop.write(&Change::Alter(id, second.clone())).await?;
        let new = state.writes_new().then(|| form(&second));
        ensure!(old_form(&mut sql, id).await? == Some(form(&second)), "{state:?}: legacy is changed");
        ensure!(new_form(&mut sql, id).await? == new, "{state:?}: the new form after a change");
        self.shop.write(&Change::Cancel(id)).await?;
        ensure!(
            old_form(&mut sql, id).await?.is_none() && new_form(&mut sql, id).await?.is_none(),
            "cancelled"
        );
        Ok(holder.rollback().await?)
    }

    async fn session(&self) -> Result<Session> {
        connect::to(&self.small.deployment.schemas.url).await
    }

    /// Ends the load; gives all orders as they were written last.
    async fn end(&mut self) -> Result<BTreeMap<u64, String>> {
        self.stop.cancel();
        let mut all = BTreeMap::new();
        while let Some(ledger) = self.sessions.join_next().await {
            all.extend(ledger??.into_iter().map(|(id, order)| (id, form(&order))));
        }
        Ok(all)
    }
}

/// An order as the queries below give it.
fn form(order: &Order) -> String {
    format!("{} {}", order.cents, order.to.line())
}

const OLD: &str = "SELECT o.id, CONCAT(CAST(o.total * 100 AS SIGNED), ' ', o.address) FROM orders o";
const NEW: &str = "SELECT s.order_id, CONCAT(o.total_cents, ' ', s.street, '; ', s.city) \
    FROM shipments s LEFT JOIN orders o ON o.id = s.order_id";

async fn old_form(sql: &mut Session, id: u64) -> Result<Option<String>> {
    Ok(all(sql, &format!("{OLD} WHERE o.id = {id}")).await?.remove(&id))
}

/// Both targets; `None` if neither has the order.
async fn new_form(sql: &mut Session, id: u64) -> Result<Option<String>> {
    let cents =
        connect::number(sql, &format!("SELECT COUNT(total_cents) FROM orders WHERE id = {id}")).await?;
    let found = all(sql, &format!("{NEW} WHERE s.order_id = {id}")).await?.remove(&id);
    ensure!(found.is_some() == (cents == 1), "one target has order {id}, the other has not");
    Ok(found)
}

async fn all(sql: &mut Session, query: &str) -> Result<BTreeMap<u64, String>> {
    let mut found = BTreeMap::new();
    for row in sql.rows(query).await? {
        let id = row.u64(0)?.context("no id")?;
        found.insert(id, row.text(1)?.unwrap_or("NULL").to_owned());
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_moves_with_its_flags_and_back_while_it_works() -> Result<()> {
    let server = Mariadb::shared().await?;
    let (mut moving, mut up) = Moving::begin(server).await?;
    moving.reaches(State::Legacy, AT_ONCE).await?;
    moving.alone(State::Legacy).await?;
    moving.works().await?;

    moving.verified().await?;
    for state in [State::DualWrite, State::ShadowRead, State::NewRead] {
        moving.step(state, Duration::from_secs(15)).await?;
        moving.alone(state).await?;
        moving.works().await?;
    }
    // What shadow reads saw: all equal, but for those that were made different.
    for (target, shadow) in [(ORDERS, &moving.shop.prices), (SHIPMENTS, &moving.shop.addresses)] {
        let seen = shadow.seen();
        assert!(seen.equal >= 20 && seen.different == 1 && seen.failed == 0, "{target}: {seen}");
        assert!(seen.legacy.within(0.5) > Duration::ZERO && seen.new.within(0.5) > Duration::ZERO);
    }

    // Down, at once, while it runs; and all the way.
    for state in [State::DualWrite, State::Legacy] {
        moving.step(state, AT_ONCE).await?;
        moving.alone(state).await?;
        moving.works().await?;
    }

    moving.verified().await?;
    for state in [State::DualWrite, State::ShadowRead, State::NewRead] {
        moving.step(state, Duration::from_secs(15)).await?;
    }
    moving.works().await?;
    // Who answers for the flags accepts connections, and says nothing.
    support::signal(&up, "-STOP")?;
    let lost = moving.reaches(State::Legacy, AT_ONCE).await;
    support::signal(&up, "-CONT")?;
    lost?;
    // Answers from the new form come back last.
    moving.reaches(State::NewRead, Duration::from_secs(30)).await?;
    moving.works().await?;

    // It is gone.
    support::kill(&mut up).await?;
    moving.reaches(State::Legacy, AT_ONCE).await?;
    assert!(moving.shop.flags.trouble().is_some());
    moving.works().await?;

    let written = moving.end().await?;
    let mut sql = moving.session().await?;
    assert_eq!(all(&mut sql, OLD).await?, written, "the legacy form");
    let mut up = moving.up().await?;
    assert_eq!(all(&mut sql, NEW).await?, written, "the new form");
    assert_eq!(support::terminate(&mut up).await?, Some(0));
    Ok(())
}
