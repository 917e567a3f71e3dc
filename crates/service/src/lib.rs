
mod context;
pub use context::Context;
