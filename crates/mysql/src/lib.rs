//! The edge to the database: the only crate that opens connections, and the only one that knows error numbers.

pub mod control;
mod database;
mod error;
mod row;
mod session;
mod url;

pub use database::Database;
pub use error::{Class, DbError, Doing};
pub use row::Row;
pub use session::{RowStream, Session};
pub use url::{DatabaseUrl, SslMode, Tls, UrlError};
