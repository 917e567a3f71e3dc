//! From settings to a running deployment: the checked plan, the control schema, the id maps, the bus, the lanes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use bus::in_process::Limits;
use bus::{Bus, InProcess, Topics};
use mysql::control::lane::{self, Mode};
use mysql::control::{applied, pass, redrive, sample};
use mysql::{Class, Database, Session};
use plan::catalog::Catalog;
use plan::checked::Checked;
use service::{BusChoice, Context, Settings};
use writer::schedule::Schedule;

/// Reads the plan's folder and checks it against the live schema. All problems at once, each with its place.
pub async fn checked_plan(
    settings: &Settings,
    session: &mut Session,
    db: &Database,
) -> anyhow::Result<(Checked, Catalog)> {
    let raw = plan::load(&settings.plan).map_err(|p| wrong(settings, &p))?;
    let catalog = mysql::catalog::load(session, db.schema()).await?;
    let plan = plan::check(&raw, &catalog, &settings.params).map_err(|p| wrong(settings, &p))?;
    Ok((plan, catalog))
}

fn wrong(settings: &Settings, problems: &plan::Problems) -> anyhow::Error {
    anyhow::anyhow!("the plan in {} is refused:\n{}", settings.plan.display(), problems.render().trim_end())
}

/// Brings the control schema and the id maps into being, or up to date. Needs the administrator's rights.
pub async fn migrate(settings: &Settings, accept_plan: bool) -> anyhow::Result<mysql::Migrated> {
    let db = settings.database();
    Ok(migrated(settings, &db, &mut db.session().await?, accept_plan).await?.0)
}

async fn migrated(
    settings: &Settings,
    db: &Database,
    session: &mut Session,
    accept_plan: bool,
) -> anyhow::Result<(mysql::Migrated, Checked)> {
    let (plan, _) = checked_plan(settings, session, db).await?;
    let done = mysql::migrate(db, &settings.deployment(&plan.digest), accept_plan).await?;
    mysql::refresh_catalog(session, db).await?;
    mysql::ensure_maps(session, &plan).await?;
    if accept_plan {
        // What was compared was compared with another plan.
        for table in ["verdict", "sweep", "coverage"] {
            session.execute(&format!("DELETE FROM {}", db.control_table(table))).await?;
        }
    }
    sample::ensure(session, db, &plan).await?;
    Ok((done, plan))
}

/// All of it: control schema, maps, topics, lanes, and the first passes. For `up`, and for `topics --create`.
///
/// The in-process bus begins empty, so each start is a new incarnation of it; Kafka's is joined.
pub async fn create(settings: &Settings) -> anyhow::Result<Context> {
    let db = settings.database();
    let mut session = db.session().await?;
    let (_, plan) = migrated(settings, &db, &mut session, false).await?;
    let before = applied::read(&mut session, &db, &settings.source).await?;
    let fresh = matches!(settings.bus, BusChoice::InProcess);
    let incarnation = match &before {
        Some(applied) if fresh => applied.incarnation + 1,
        Some(applied) => applied.incarnation,
        None => 1,
    };
    let context = context(settings, &db, plan, incarnation)?;
    check_topics(&context, true).await?;
    if fresh || before.is_none() {
        reincarnate(&mut session, &context).await?;
    } else {
        add_lanes(&mut session, &context).await?;
    }
    order_first_passes(&mut session, &context).await?;
    Ok(context)
}

/// Joins a deployment that stands, with a service's own rights.
pub async fn join(settings: &Settings) -> anyhow::Result<Context> {
    if matches!(settings.bus, BusChoice::InProcess) {
        bail!(
            "a single service needs a bus that others reach: --bus kafka://host:port (`crossfade up` runs all five in one process without one)"
        );
    }
    let db = settings.database();
    let mut session = db.session().await?;
    let raw = plan::load(&settings.plan).map_err(|p| wrong(settings, &p))?;
    let stored = mysql::catalog::stored(&mut session, db.control()).await;
    let catalog = match stored {
        Ok(Some(catalog)) => catalog,
        Ok(None) => {
            bail!("the control schema `{}` holds no catalog: run `crossfade topics --create`", db.control())
        }
        Err(e) if e.class == Class::Missing => {
            bail!("there is no control schema `{}`: run `crossfade topics --create` first", db.control())
        }
        Err(e) => return Err(e.into()),
    };
    let plan = plan::check(&raw, &catalog, &settings.params).map_err(|p| wrong(settings, &p))?;
    mysql::check_control(&mut session, db.control(), &settings.deployment(&plan.digest)).await?;
    let obstacles = mysql::way_back::obstacles(&mut session, &db, &plan).await?;
    if !obstacles.is_empty() {
        bail!("this plan must not run now: {}\n{}", obstacles.join("; "), mysql::way_back::MEND);
    }
    let Some(before) = applied::read(&mut session, &db, &settings.source).await? else {
        bail!("source `{}` has no lanes yet: run `crossfade topics --create` first", settings.source);
    };
    let context = context(settings, &db, plan, before.incarnation)?;
    check_topics(&context, false).await?;
    Ok(context)
}

/// Refuses a control schema that is missing or of another version, before a command fails on one of its tables.
pub async fn must_stand(db: &Database) -> anyhow::Result<()> {
    let mut session = db.session().await?;
    match mysql::version(&mut session, db.control()).await? {
        Some(mysql::CONTROL_VERSION) => Ok(()),
        Some(found) if found > mysql::CONTROL_VERSION => {
            Err(mysql::ControlError::Newer { schema: db.control().into(), found }.into())
        }
        Some(_) => Err(mysql::ControlError::Old(db.control().into()).into()),
        None => bail!(
            "there is no control schema `{}` on this server: `crossfade up` makes it (or name another with --control-schema)",
            db.control()
        ),
    }
}

/// The checked plan, if it is the one that the control schema was made for.
pub async fn own_plan(settings: &Settings, session: &mut Session, db: &Database) -> anyhow::Result<Checked> {
    let (plan, _) = checked_plan(settings, session, db).await?;
    mysql::check_control(session, db.control(), &settings.deployment(&plan.digest)).await?;
    Ok(plan)
}

/// Begins at the present, with a full pass over everything: the answer to a position that the server no longer has, or
/// to changes that were never in its binlog. Gives the number of passes.
///
/// Nothing is lost by it. No value is ever taken from the binlog; the passes compute every scope afresh, those whose
/// legacy rows went meanwhile too. It is a new incarnation, so whoever still runs is deposed.
pub async fn recover(settings: &Settings) -> anyhow::Result<usize> {
    let db = settings.database();
    let mut session = db.session().await?;
    let plan = own_plan(settings, &mut session, &db).await?;
    let Some(before) = applied::incarnation(&mut session, &db, &settings.source).await? else {
        bail!("source `{}` was never started: there is nothing to recover", settings.source);
    };
    let context = context(settings, &db, plan, before + 1)?;
    check_topics(&context, true).await?;
    let incarnation = context.topics.incarnation();
    session.begin().await?;
    // Without a proved position the reader begins at the present, as at the first start.
    applied::forget(&mut session, &db, &settings.source).await?;
    lane::reincarnate(
        &mut session,
        &db,
        &settings.source,
        incarnation,
        &target_topics(&context),
        context.lanes,
    )
    .await?;
    sample::forget_all(&mut session, &db).await?;
    for table in ["pass", "verdict", "sweep", "coverage"] {
        session.execute(&format!("DELETE FROM {}", db.control_table(table))).await?;
    }
    let mut count = 0;
    for order in orders(&context.plan, context.include_deferred) {
        order.place(&mut session, &db, &context.plan.schema, "recover").await?;
        count += 1;
    }
    session.commit().await?;
    Ok(count)
}

fn context(settings: &Settings, db: &Database, plan: Checked, incarnation: u64) -> anyhow::Result<Context> {
    let topics = Topics::new(settings.topic_prefix.clone(), incarnation)?;
    let bus: Arc<dyn Bus> = match &settings.bus {
        BusChoice::InProcess => Arc::new(in_process(&topics)),
        BusChoice::Kafka { url, properties, insecure } => {
            Arc::new(bus::Kafka::connect(bus::kafka::Settings::parse(url, properties, *insecure)?)?)
        }
    };
    Ok(Context {
        bus,
        database: db.clone(),
        plan: Arc::new(plan),
        topics,
        source: settings.source.clone(),
        lanes: settings.lanes,
        namespace: settings.namespace,
        include_deferred: settings.include_deferred,
        lock_budget: settings.lock_budget,
        chunk_budget: settings.chunk_budget,
        throttle: settings.throttle.clone(),
        instance: settings.instance.clone(),
    })
}

async fn check_topics(context: &Context, create: bool) -> anyhow::Result<()> {
    let problems = context.bus.topics(&topic_specs(context), create).await?;
    if !problems.is_empty() {
        bail!(
            "the topics are not as they must be:\n  {}\nCreate what is missing with `crossfade topics --create`",
            problems.join("\n  ")
        );
    }
    if create { check_retention(context).await } else { Ok(()) }
}

/// Marks of a batch target wait in their topic: it has to keep them for three of its schedules.
async fn check_retention(context: &Context) -> anyhow::Result<()> {
    for (target, schedule) in context.targets().filter_map(|t| Some((t, Schedule::of(t)?))) {
        let topic = context.topics.writes(&target.table);
        let (kept, needed) = (context.bus.retention(&topic).await?, schedule.three());
        if kept.is_some_and(|kept| kept < needed) {
            bail!(
                "{topic} may lose marks before `{}` is due: three of its schedules take {}, and the topic {}.\nSet its `retention.ms` to at least {} and its `retention.bytes` to -1, on the broker (kafka-configs.sh --alter), or for new topics in the bus's URL (create.retention.ms=…)",
                target.table,
                humantime::format_duration(needed),
                match kept.filter(|kept| !kept.is_zero()) {
                    Some(kept) => format!("keeps records for {}", humantime::format_duration(kept)),
                    None => "limits its bytes".into(),
                },
                needed.as_millis(),
            );
        }
    }
    Ok(())
}

/// The in-process bus keeps a record until each group that reads its topic has committed it.
fn in_process(topics: &Topics) -> InProcess {
    let prefix = |kind: &str| format!("{}.{}.{kind}.", topics.prefix(), topics.incarnation());
    let readers = [("changes", "mapper"), ("mapped", "id-mapper"), ("writes", "writer")]
        .map(|(kind, service)| (prefix(kind), topics.group(service)));
    InProcess::new(Limits::default(), move |topic| {
        let reads = |(prefix, _): &&(String, String)| topic.starts_with(prefix.as_str());
        readers.iter().filter(reads).map(|(_, group)| group.clone()).collect()
    })
}

/// Every topic of the deployment, with its partitions.
pub fn topic_specs(context: &Context) -> Vec<bus::TopicSpec> {
    let all =
        [context.changes_topics(), context.mapped_topics(), context.writes_topics(), context.rows_topics()];
    all.into_iter().flatten().map(|name| bus::TopicSpec { name, partitions: context.lanes }).collect()
}

fn target_topics(context: &Context) -> Vec<(String, String)> {
    context.targets().map(|t| (t.table.clone(), context.topics.writes(&t.table))).collect()
}

/// Longer than the server lets a transaction hang.
const HANGING: Duration = Duration::from_secs(90);

async fn reincarnate(session: &mut Session, context: &Context) -> anyhow::Result<()> {
    let db = &context.database;
    let proved = applied::read(session, db, &context.source).await?.and_then(|a| a.position);
    if proved.is_none() {
        // Nothing was ever proved, so what passes did before is not either: they begin anew.
        session.execute(&format!("DELETE FROM {}", db.control_table("pass"))).await?;
    }
    let (incarnation, topics) = (context.topics.incarnation(), target_topics(context));
    let since = Instant::now();
    loop {
        let begun = async {
            session.begin().await?;
            lane::reincarnate(session, db, &context.source, incarnation, &topics, context.lanes).await?;
            redrive::ask_again(session, db).await?;
            session.commit().await
        };
        match begun.await {
            // A process that hangs holds lanes until the server ends its transaction.
            Err(e) if matches!(e.class, Class::LockWait | Class::Deadlock) && since.elapsed() < HANGING => {
                session.rollback().await?;
                tracing::warn!(error = %e, "another process holds lanes: waiting until it lets them go, or the server takes them from it");
            }
            begun => return begun.context("begin a new incarnation of the bus"),
        }
    }
}

/// Lanes of targets that are new in the plan.
async fn add_lanes(session: &mut Session, context: &Context) -> anyhow::Result<()> {
    let db = &context.database;
    for (target, topic) in target_topics(context) {
        let there = lane::of_target(session, db, &target).await?;
        if there.is_empty() {
            lane::add(session, db, &target, &topic, context.lanes, Mode::Write).await?;
        } else if there.len() as u32 != context.lanes {
            bail!(
                "`{target}` has {0} lanes, the setting `lanes` is {1}: set it back to {0}, or begin anew with {1} lanes: `crossfade recover --lanes {1}`",
                there.len(),
                context.lanes,
            );
        }
    }
    Ok(())
}

/// Every map and target gets one pass when it is seen for the first time. A batch target on the in-process bus gets one
/// at each start: its marks were lost with the bus.
async fn order_first_passes(session: &mut Session, context: &Context) -> anyhow::Result<()> {
    let known = pass::all(session, &context.database, pass::ORDERED).await?;
    let ever = |target: &str, kind: pass::Kind| known.iter().any(|p| p.target == target && p.kind == kind);
    let lost = |o: &Order<'_>| {
        let target = context.plan.target(o.target);
        context.topics.incarnation() > 1 && target.is_some_and(Context::is_batch)
    };
    for order in orders(&context.plan, context.include_deferred) {
        if lost(&order) || !ever(order.target, order.kind) {
            order.place(session, &context.database, &context.plan.schema, "first").await?;
        }
    }
    Ok(())
}

/// Orders passes again: all, or those of some targets. Gives their number.
pub async fn order_again(
    session: &mut Session,
    db: &Database,
    plan: &Checked,
    include_deferred: bool,
    only: &[String],
) -> anyhow::Result<usize> {
    if let Some(unknown) = only.iter().find(|o| plan.target(o).is_none()) {
        return Err(no_target(plan, unknown));
    }
    let mut count = 0;
    for order in orders(plan, include_deferred) {
        if only.is_empty() || only.iter().any(|o| o == order.target) {
            order.place(session, db, &plan.schema, "again").await?;
            count += 1;
        }
    }
    Ok(count)
}

/// The error for a target that the plan does not have.
pub fn no_target(plan: &Checked, unknown: &str) -> anyhow::Error {
    let names: Vec<&str> = plan.targets.iter().map(|t| t.table.as_str()).collect();
    anyhow::anyhow!("the plan has no target `{unknown}`; it has {}", names.join(", "))
}

/// A pass to be ordered.
struct Order<'a> {
    target: &'a str,
    source: &'a str,
    kind: pass::Kind,
    ordinal: u32,
}

/// Ids first, then the targets. Targets read legacy tables and id maps only, so among them any order is right.
fn orders(plan: &Checked, include_deferred: bool) -> impl Iterator<Item = Order<'_>> {
    let ids = plan.entities.iter().map(|e| Order {
        target: &e.map,
        source: &e.table,
        kind: pass::Kind::Ids,
        ordinal: 0,
    });
    let runs = plan.targets.iter().filter(move |t| include_deferred || t.defer.is_none());
    let rows = runs.enumerate().map(|(i, t)| Order {
        target: &t.table,
        source: t.scope.first().map(|s| s.source_table.as_str()).unwrap_or_default(),
        kind: pass::Kind::Rows,
        ordinal: 1 + i as u32,
    });
    ids.chain(rows)
}

impl Order<'_> {
    async fn place(
        &self,
        session: &mut Session,
        db: &Database,
        schema: &str,
        reason: &str,
    ) -> anyhow::Result<()> {
        let estimate = mysql::scan::about(session, schema, self.source).await?;
        pass::order(session, db, self.target, self.kind, self.ordinal, reason, estimate).await?;
        Ok(())
    }
}
