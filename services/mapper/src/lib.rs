//! The mapper: routes each change to the scopes that it may have changed, and marks them.

pub mod app;
pub mod error;
pub mod lookup;
pub mod marks;
pub mod metrics;
pub mod redrive;
pub mod router;

pub use app::run;
pub use error::MapperError;
