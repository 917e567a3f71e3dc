//! What every main calls: settings, telemetry, health, heartbeat, and the way out.

mod args;
mod consume;
mod context;
mod health;
mod heartbeat;
mod metrics;
mod retry;
mod settings;
mod shutdown;
pub mod telemetry;

pub use args::{Args, Value};
pub use consume::{ConsumeError, Work, consume, decode};
pub use context::Context;
pub use health::Health;
pub use heartbeat::{Status, heartbeat};
pub use metrics::{Kind, Reading, Readings};
pub use retry::Retry;
pub use settings::{BusChoice, Log, Settings, SettingsError, StepDown};
pub use shutdown::Shutdown;
