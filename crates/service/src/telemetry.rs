//! Logs to stderr, and traces to a collector if one is named.

use std::io::{self, Write};

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::settings::Settings;

/// Sends what is left when it is dropped.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Once per process, inside the runtime.
pub fn start(service: &'static str, settings: &Settings) -> anyhow::Result<Telemetry> {
    let filter = || EnvFilter::new(&settings.log.filter);
    let logs = if settings.log.json {
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(io::stderr).boxed()
    } else {
        tracing_subscriber::fmt::layer().with_ansi(false).with_writer(|| OneLine(io::stderr())).boxed()
    };
    let traces =
        settings.otlp.as_deref().map(|endpoint| exporter(service, settings, endpoint)).transpose()?;
    let spans = traces.as_ref().map(|t| tracing_opentelemetry::layer().with_tracer(t.tracer("crossfade")));
    tracing_subscriber::registry()
        .with(spans.with_filter(filter()))
        .with(logs.with_filter(filter()))
        .try_init()?;
    Ok(Telemetry { traces })
}

fn exporter(service: &'static str, settings: &Settings, endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    let exporter =
        opentelemetry_otlp::SpanExporter::builder().with_tonic().with_endpoint(endpoint).build()?;
    let resource = Resource::builder()
        .with_service_name(service)
        .with_attribute(opentelemetry::KeyValue::new("service.namespace", "crossfade"))
        .with_attribute(opentelemetry::KeyValue::new("service.instance.id", settings.instance.clone()))
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take()
            && let Err(e) = traces.shutdown_with_timeout(std::time::Duration::from_secs(2))
        {
            tracing::warn!(error = %e, "the last traces were not delivered");
        }
    }
}

/// An event is one write, and must be one line of plain text: data in it must not be able to forge a log line or to
/// command a terminal. So there are no colours, and control characters are escaped.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event.strip_suffix(b"\n").unwrap_or(event));
        let mut line = String::with_capacity(text.len() + 1);
        for c in text.chars() {
            if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
        }
        line.push('\n');
        self.0.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Memory(Arc<Mutex<Vec<u8>>>);

    impl Write for Memory {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_event_is_one_line_without_control_characters() {
        let hostile = "a\n2026-01-01 ERROR forged\r\x1b[31mred\x1b[0m";
        for json in [false, true] {
            let memory = Memory::default();
            let writer = memory.clone();
            let text = tracing_subscriber::fmt::layer().with_ansi(false);
            let layer = if json {
                text.json().with_writer(move || writer.clone()).boxed()
            } else {
                text.with_writer(move || OneLine(writer.clone())).boxed()
            };
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                tracing::info!(error = %hostile, field = hostile, "{hostile}");
            });
            let out = String::from_utf8(memory.0.lock().unwrap().clone()).unwrap();
            assert_eq!(out.lines().count(), 1, "{out:?}");
            assert!(out.contains("forged") && out.ends_with('\n'), "{out:?}");
            assert!(!out.contains('\x1b') && !out.trim_end().contains(['\n', '\r']), "{out:?}");
        }
    }
}
