//! Several consumers of one group.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bus::{BusError, Event, Start};

use super::{Reader, Rig, committed, numbered, within};

/// Both go on until they have what they wait for.
async fn both(what: &str, a: &mut Reader, b: &mut Reader, done: impl Fn(&Reader, &Reader) -> bool) {
    within(what, async {
        while !done(a, b) {
            tokio::select! {
                step = a.step() => step.unwrap(),
                step = b.step() => step.unwrap(),
            }
        }
    })
    .await;
}

pub async fn two_consumers_share_and_hand_over(rig: &dyn Rig) {
    let topic = rig.created("share", 4).await;
    let bus = rig.bus();
    let mut a = rig.reader("a", &[&topic], committed()).await;
    a.until("all partitions", |a| a.owned.len() == 4).await;
    bus.append((0..4).flat_map(|partition| numbered(&topic, partition, 0..5)).collect()).await.unwrap();
    a.gather(20).await;
    for partition in 0..4 {
        a.consumer.commit(&topic, partition, 3).await.unwrap();
    }

    let mut b = rig.reader("a", &[&topic], committed()).await;
    both("halves", &mut a, &mut b, |a, b| a.owned.len() == 2 && b.owned.len() == 2).await;
    assert!(b.owned.iter().all(|part| !a.owned.contains(part)), "{:?} {:?}", a.owned, b.owned);
    for part in &b.owned {
        assert!(a.revoked.contains(part), "{part:?} was not revoked");
    }
    // What was not committed comes again, to the new owner.
    both("the rest", &mut a, &mut b, |_, b| b.count == 4).await;
    for (topic, partition) in b.owned.clone() {
        assert_eq!(b.offsets(&topic, partition), [3, 4]);
    }
    bus.append((0..4).flat_map(|partition| numbered(&topic, partition, 5..6)).collect()).await.unwrap();
    both("news", &mut a, &mut b, |_, b| b.count == 6).await;
    for (topic, partition) in b.owned.clone() {
        assert_eq!(b.offsets(&topic, partition), [3, 4, 5]);
    }
}

pub async fn the_last_one_takes_all(rig: &dyn Rig) {
    let topic = rig.created("last", 3).await;
    let mut a = rig.reader("a", &[&topic], committed()).await;
    let mut b = rig.reader("a", &[&topic], committed()).await;
    both("shares", &mut a, &mut b, |a, b| {
        a.owned.len() + b.owned.len() == 3 && !a.owned.is_empty() && !b.owned.is_empty()
    })
    .await;
    drop(a);
    b.until("everything", |b| b.owned.len() == 3).await;
    rig.bus().append((0..3).flat_map(|partition| numbered(&topic, partition, 0..2)).collect()).await.unwrap();
    b.gather(6).await;
}

pub async fn who_lost_a_partition_commits_nothing(rig: &dyn Rig) {
    let topic = rig.created("lost", 2).await;
    rig.bus().append((0..2).flat_map(|partition| numbered(&topic, partition, 0..5)).collect()).await.unwrap();
    let mut a = rig.reader("a", &[&topic], committed()).await;
    a.gather(10).await;
    let mut b = rig.reader("a", &[&topic], committed()).await;
    both("halves", &mut a, &mut b, |a, b| a.owned.len() == 1 && b.owned.len() == 1 && b.count == 5).await;
    let (_, gone) = b.owned[0].clone();
    within("a commit", a.consumer.commit(&topic, gone, 5)).await.unwrap();
    let (kept, mut wanted) = (1 - gone, [0, 0]);
    within("a commit", a.consumer.commit(&topic, kept, 4)).await.unwrap();
    wanted[kept as usize] = 4;
    // What `a` said later has come through, and the other has not.
    rig.commits("a", &topic, &wanted).await;
    within("a commit", b.consumer.commit(&topic, gone, 2)).await.unwrap();
    wanted[gone as usize] = 2;
    rig.commits("a", &topic, &wanted).await;
}

/// Starts where the one before said that it stopped.
struct Handover(Arc<AtomicU64>);

#[async_trait]
impl Start for Handover {
    async fn next_offset(&self, _: &str, _: u32) -> Result<Option<u64>, BusError> {
        Ok(Some(self.0.load(Ordering::SeqCst)))
    }
}

/// The new owner asks for its start only when the old one has answered to `Revoked` by asking for more.
pub async fn the_old_owner_is_done_before_the_new_one_starts(rig: &dyn Rig) {
    let topic = rig.created("handover", 2).await;
    let state = Arc::new(AtomicU64::new(0));
    rig.bus().append((0..2).flat_map(|partition| numbered(&topic, partition, 0..5)).collect()).await.unwrap();
    let mut a = rig.reader("a", &[&topic], Arc::new(Handover(state.clone()))).await;
    a.gather(10).await;
    let mut b = rig.reader("a", &[&topic], Arc::new(Handover(state.clone()))).await;
    let revoked = async {
        while !matches!(a.consumer.next().await.unwrap(), Event::Revoked(_)) {}
        // Work that is under way when the partition is taken.
        tokio::time::sleep(Duration::from_millis(500)).await;
        state.store(4, Ordering::SeqCst);
        a.consumer.next().await
    };
    within("the handover", async {
        tokio::select! {
            event = revoked => panic!("nothing else was to come: {event:?}"),
            () = b.until("its share", |b| b.count > 0) => {}
        }
    })
    .await;
    let (_, partition) = b.owned[0].clone();
    assert_eq!(b.offsets(&topic, partition), [4]);
}
