//! Numbers that a service keeps anyway, shown as metrics.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows. Its name is written without `_total`, which the exposition adds.
    Counter,
    Gauge,
}

/// One number, with the labels that tell it from others of its name.
#[derive(Clone, Debug)]
pub struct Reading {
    /// With its unit, as in `crossfade_lag_seconds`.
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    pub labels: Vec<(&'static str, String)>,
    pub value: f64,
}

impl Reading {
    pub fn counter(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, kind: Kind::Counter, labels: Vec::new(), value: value as f64 }
    }

    pub fn gauge(name: &'static str, help: &'static str, value: f64) -> Self {
        Self { name, help, kind: Kind::Gauge, labels: Vec::new(), value }
    }

    pub fn label(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((name, value.into()));
        self
    }
}

impl Reading {
    fn encode(&self, encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        match self.kind {
            Kind::Counter => ConstCounter::new(self.value).encode(encoder),
            Kind::Gauge => ConstGauge::new(self.value).encode(encoder),
        }
    }
}

/// The exposition's own escapes, which the encoder leaves to us: a table's name may hold anything.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Readings of one name must follow each other.
pub trait Readings: Send + Sync + 'static {
    fn read(&self) -> Vec<Reading>;
}

impl<F: Fn() -> Vec<Reading> + Send + Sync + 'static> Readings for F {
    fn read(&self) -> Vec<Reading> {
        self()
    }
}

pub(crate) struct Shown(pub Arc<dyn Readings>);

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

impl Collector for Shown {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        for same in self.0.read().chunk_by(|a, b| a.name == b.name) {
            let kind = match same[0].kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
            };
            let mut family = encoder.encode_descriptor(same[0].name, same[0].help, None, kind)?;
            for reading in same {
                let labels: Vec<_> = reading.labels.iter().map(|(n, v)| (*n, escaped(v))).collect();
                if labels.is_empty() {
                    reading.encode(family)?;
                    // Without labels there can be only one.
                    break;
                }
                reading.encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}
