//! An append that waits for the bus.

use std::collections::BTreeMap;
use std::sync::Arc;

use bus::{Bus, BusError, Record};

use service::Retry;

use crate::error::ReaderError;
use crate::tables::Watched;

/// The tables behind the topics of whole images.
pub(crate) type Images = BTreeMap<String, String>;

pub(crate) fn images(watched: &[Watched]) -> Images {
    let image = |w: &Watched| Some((w.image.as_ref()?.topic.clone(), w.name.to_string()));
    watched.iter().filter_map(image).collect()
}

/// Appends, and again as long as the bus's errors may pass: twice the same records, in the same order, do no harm.
pub(crate) async fn append(
    bus: Arc<dyn Bus>,
    records: Vec<Record>,
    images: Arc<Images>,
) -> Result<(), ReaderError> {
    let mut retry = Retry::new("the bus");
    loop {
        let problem = match bus.append(records.clone()).await {
            Ok(()) => {
                retry.worked();
                return Ok(());
            }
            Err(problem) => problem,
        };
        let passes = matches!(&problem, BusError::Broker { transient: true, .. });
        if !passes {
            return Err(definite(problem, &records, &images));
        }
        let told =
            |tries| tracing::warn!(error = %problem, tries, "the bus did not take a batch; trying again");
        tokio::time::sleep(retry.failed(told)).await;
    }
}

fn definite(problem: BusError, records: &[Record], images: &Images) -> ReaderError {
    let (topic, bytes, limit, setting) = match &problem {
        BusError::TooLarge { topic, bytes, limit } => (
            topic,
            *bytes,
            format!("the {limit} bytes that are sent"),
            "`message.max.bytes` among the Kafka properties, `queue.buffering.max.kbytes` if that is less, and then",
        ),
        BusError::TooLargeForBroker { topic, bytes } => {
            (topic, *bytes, "the broker takes for this topic".to_owned(), "")
        }
        _ => return ReaderError::Bus { doing: "append changes", problem },
    };
    let Some(table) = images.get(topic) else {
        return ReaderError::Bus { doing: "append changes", problem };
    };
    let key = records.iter().find(|r| r.topic == *topic && r.size() == bytes).and_then(|r| r.key.as_deref());
    ReaderError::RowTooLarge {
        table: table.clone(),
        key: key.map(|k| String::from_utf8_lossy(k).into_owned()).unwrap_or_default(),
        bytes,
        limit,
        mend: format!("{setting} `max.message.bytes` of topic {topic}").trim_start().to_owned(),
    }
}
