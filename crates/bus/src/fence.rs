//! The fence's waiting: a stage is through once its group has committed what stood in its topics when we asked.
//!
//! C5 chains stages in the order of the flow. The ends of a stage are taken only after the stage before it was through:
//! taken earlier they would miss records that were still to come.

use std::time::Duration;

use crate::{Bus, BusError};

/// Ends of some topics: (topic, partition, next offset to be written).
pub type Ends = Vec<(String, u32, u64)>;

/// What stands in these topics now.
pub async fn ends(bus: &dyn Bus, topics: &[String]) -> Result<Ends, BusError> {
    let mut all = Vec::new();
    for topic in topics {
        for (partition, end) in bus.ends(topic).await?.into_iter().enumerate() {
            all.push((topic.clone(), partition as u32, end));
        }
    }
    Ok(all)
}

/// Waits until the group has committed all that stands in the topics now.
pub async fn committed(
    bus: &dyn Bus,
    group: &str,
    topics: &[String],
    poll: Duration,
) -> Result<(), BusError> {
    let mut wanted = ends(bus, topics).await?;
    wanted.retain(|(_, _, end)| *end > 0);
    loop {
        let mut behind = Vec::new();
        let mut asked: Option<(String, Vec<u64>)> = None;
        for (topic, partition, end) in wanted {
            if asked.as_ref().is_none_or(|(t, _)| *t != topic) {
                asked = Some((topic.clone(), bus.committed(group, &topic).await?));
            }
            let done = asked.as_ref().and_then(|(_, c)| c.get(partition as usize)).copied().unwrap_or(0);
            if done < end {
                behind.push((topic, partition, end));
            }
        }
        if behind.is_empty() {
            return Ok(());
        }
        wanted = behind;
        tokio::time::sleep(poll).await;
    }
}
