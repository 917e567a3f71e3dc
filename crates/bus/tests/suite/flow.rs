//! Records, offsets and commits.

use std::time::Duration;

use bus::{Event, Record};

use super::{At, Rig, committed, numbered, record, within};

pub async fn records_keep_their_order(rig: &dyn Rig) {
    let topic = rig.created("order", 3).await;
    let bus = rig.bus();
    let mut reader = rig.reader("a", &[&topic], committed()).await;
    for batch in 0..10 {
        let mut records = Vec::new();
        for n in batch * 10..batch * 10 + 10 {
            records.extend((0..3).map(|partition| record(&topic, partition, format!("{partition}:{n}"))));
        }
        bus.append(records).await.unwrap();
    }
    reader.gather(300).await;
    for partition in 0..3 {
        assert_eq!(reader.offsets(&topic, partition), (0..100).collect::<Vec<_>>());
        let wanted: Vec<String> = (0..100).map(|n| format!("{partition}:{n}")).collect();
        assert_eq!(
            reader.payloads(&topic, partition),
            wanted.iter().map(String::as_bytes).collect::<Vec<_>>()
        );
    }
}

pub async fn keys_are_for_others(rig: &dyn Rig) {
    let topic = rig.created("keys", 1).await;
    let keyed = |payload: Option<&str>| Record {
        key: Some("k".into()),
        payload: payload.map(|p| p.to_owned().into()),
        ..record(&topic, 0, "")
    };
    rig.bus().append(vec![keyed(Some("a")), keyed(None), record(&topic, 0, "b")]).await.unwrap();
    let mut reader = rig.reader("a", &[&topic], committed()).await;
    reader.gather(3).await;
    assert_eq!(reader.payloads(&topic, 0), [b"a" as &[u8], b"", b"b"]);
}

pub async fn each_group_reads_everything(rig: &dyn Rig) {
    let topic = rig.created("groups", 2).await;
    rig.bus().append(numbered(&topic, 1, 0..20)).await.unwrap();
    // `b` comes after `a` has read and committed everything.
    for group in ["a", "b"] {
        let mut reader = rig.reader(group, &[&topic], committed()).await;
        reader.gather(20).await;
        reader.consumer.commit(&topic, 1, 20).await.unwrap();
        assert_eq!(reader.offsets(&topic, 1), (0..20).collect::<Vec<_>>());
    }
}

pub async fn a_new_consumer_goes_on_at_the_commit(rig: &dyn Rig) {
    let topic = rig.created("resume", 1).await;
    rig.bus().append(numbered(&topic, 0, 0..10)).await.unwrap();
    let mut first = rig.reader("a", &[&topic], committed()).await;
    first.gather(10).await;
    first.consumer.commit(&topic, 0, 6).await.unwrap();
    drop(first);
    let mut second = rig.reader("a", &[&topic], committed()).await;
    second.gather(4).await;
    assert_eq!(second.offsets(&topic, 0), [6, 7, 8, 9]);
}

pub async fn the_start_decides(rig: &dyn Rig) {
    let topic = rig.created("start", 1).await;
    rig.bus().append(numbered(&topic, 0, 0..10)).await.unwrap();
    let mut first = rig.reader("a", &[&topic], committed()).await;
    first.gather(10).await;
    first.consumer.commit(&topic, 0, 2).await.unwrap();
    drop(first);
    let mut second = rig.reader("a", &[&topic], std::sync::Arc::new(At(7))).await;
    second.gather(3).await;
    assert_eq!(second.offsets(&topic, 0), [7, 8, 9]);
    drop(second);
    // The log's end is a place to start as well.
    let mut third = rig.reader("a", &[&topic], std::sync::Arc::new(At(10))).await;
    third.until("an assignment", |reader| !reader.owned.is_empty()).await;
    rig.bus().append(numbered(&topic, 0, 10..11)).await.unwrap();
    third.gather(1).await;
    assert_eq!(third.offsets(&topic, 0), [10]);
}

pub async fn ends_and_commits_are_counted(rig: &dyn Rig) {
    let topic = rig.created("counts", 3).await;
    let (bus, group) = (rig.bus(), rig.group("a"));
    assert_eq!(bus.ends(&[&topic]).await.unwrap(), [[0, 0, 0]]);
    assert_eq!(bus.committed(&group, &[&topic]).await.unwrap(), [[0, 0, 0]]);
    bus.append(numbered(&topic, 0, 0..4).into_iter().chain(numbered(&topic, 2, 0..5)).collect())
        .await
        .unwrap();
    assert_eq!(bus.ends(&[&topic]).await.unwrap(), [[4, 0, 5]]);
    let mut reader = rig.reader("a", &[&topic], committed()).await;
    reader.gather(9).await;
    assert_eq!(bus.committed(&group, &[&topic]).await.unwrap(), [[0, 0, 0]], "committed without being told");
    reader.consumer.commit(&topic, 2, 5).await.unwrap();
    reader.consumer.commit(&topic, 0, 1).await.unwrap();
    rig.commits("a", &topic, &[1, 0, 5]).await;
    assert_eq!(bus.ends(&[&topic]).await.unwrap(), [[4, 0, 5]]);
    bus.append(Vec::new()).await.unwrap();
}

pub async fn next_may_be_cancelled(rig: &dyn Rig) {
    let topic = rig.created("cancel", 2).await;
    let (bus, to) = (rig.bus(), topic.clone());
    let writing = tokio::spawn(async move {
        for n in 0..50 {
            bus.append(vec![record(&to, n % 2, n.to_string())]).await.unwrap();
        }
    });
    let mut reader = rig.reader("a", &[&topic], committed()).await;
    let mut seen = [Vec::new(), Vec::new()];
    within("all records", async {
        while seen[0].len() + seen[1].len() < 50 {
            let step = tokio::time::timeout(Duration::from_millis(1), reader.consumer.next()).await;
            if let Ok(event) = step
                && let Event::Records(delivery) = event.unwrap()
            {
                seen[delivery.partition as usize].extend(delivery.records.iter().map(|(offset, _)| *offset));
            }
        }
    })
    .await;
    writing.await.unwrap();
    assert_eq!(seen, [(0..25).collect::<Vec<u64>>(), (0..25).collect()]);
}

/// The rigs' buses hold less than this, so nothing of it works without waiting.
pub async fn a_full_bus_makes_append_wait(rig: &dyn Rig) {
    const RECORDS: u64 = 400;
    let topic = rig.created("full", 1).await;
    let (bus, to) = (rig.bus(), topic.clone());
    let writing = tokio::spawn(async move {
        for n in 0..RECORDS {
            let mut payload = n.to_string().into_bytes();
            payload.resize(20_000, b' ');
            bus.append(vec![record(&to, 0, payload)]).await.unwrap();
        }
    });
    let mut reader = rig.reader("a", &[&topic], committed()).await;
    let mut other = rig.reader("b", &[&topic], committed()).await;
    let mut next = 0;
    while reader.count < RECORDS as usize {
        for reader in [&mut reader, &mut other] {
            within("records", reader.step()).await.unwrap();
            let last = reader.seen.values().flatten().last().map(|(offset, _)| *offset);
            if let Some(last) = last {
                next = last + 1;
                reader.consumer.commit(&topic, 0, next).await.unwrap();
            }
        }
        if next == RECORDS {
            break;
        }
    }
    reader.gather(RECORDS as usize).await;
    within("the writer", writing).await.unwrap();
    assert_eq!(reader.offsets(&topic, 0), (0..RECORDS).collect::<Vec<_>>());
}
