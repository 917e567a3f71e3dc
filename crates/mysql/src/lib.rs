//! The edge to the database: the only crate that opens connections, and the only one that knows error numbers.

pub mod catalog;
pub mod control;
mod database;
mod error;
mod grants;
mod maps;
mod migrate;
mod preflight;
mod privileges;
mod reads;
mod row;
pub mod scan;
mod server;
mod server_load;
mod session;
mod url;
pub mod way_back;

pub use database::Database;
pub use error::{Class, DbError, Doing};
pub use grants::{Grant, Object, Rights, Role, print_grants, required as required_grants};
pub use maps::{MapError, check_maps, ensure_maps};
pub use migrate::{
    CONTROL_VERSION, ControlError, Deployment, Migrated, check_control, meta, migrate, refresh_catalog,
    version,
};
pub use preflight::{Check, Inquiry, Severity, passes, preflight};
pub use privileges::Held;
pub use row::Row;
pub use server::Server;
pub use server_load::{Limits, Load, ServerLoad};
pub use session::{RowStream, Session};
pub use url::{DatabaseUrl, SslMode, Tls, UrlError};
