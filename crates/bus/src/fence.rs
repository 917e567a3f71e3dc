//! The fence's waiting: a stage is through once its group has committed what stood in its topics when we asked.
//!
//! C5 chains stages in the order of the flow. The ends of a stage are taken only after the stage before it was through:
//! taken earlier they would miss records that were still to come.

use std::time::Duration;

use crate::{Bus, BusError};

/// Ends of some topics: (topic, partition, next offset to be written).
pub type Ends = Vec<(String, u32, u64)>;

/// Between two looks at what is not there yet: soon at first, and rarer the longer it takes. Looks cost the broker and
/// the database something.
pub fn pauses() -> impl Iterator<Item = Duration> + Send {
    (0_u32..).map(|looks| Duration::from_millis(10 << looks.min(4)))
}

/// What stands in these topics now.
pub async fn ends(bus: &dyn Bus, topics: &[String]) -> Result<Ends, BusError> {
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut all = Vec::new();
    for (topic, ends) in topics.iter().zip(bus.ends(&names).await?) {
        all.extend(ends.into_iter().zip(0..).map(|(end, partition)| (topic.clone(), partition, end)));
    }
    Ok(all)
}

/// Waits until the group has committed all that stands in the topics now.
pub async fn committed(bus: &dyn Bus, group: &str, topics: &[String]) -> Result<(), BusError> {
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let wanted = bus.ends(&names).await?;
    let mut behind: Vec<usize> = (0..names.len()).filter(|i| wanted[*i].iter().any(|end| *end > 0)).collect();
    let mut pauses = pauses();
    while !behind.is_empty() {
        let asked: Vec<&str> = behind.iter().map(|i| names[*i]).collect();
        let mut committed = bus.committed(group, &asked).await?.into_iter();
        behind.retain(|i| {
            let done = committed.next().unwrap_or_default();
            wanted[*i].iter().enumerate().any(|(p, end)| done.get(p).copied().unwrap_or(0) < *end)
        });
        if !behind.is_empty() {
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
    }
    Ok(())
}
