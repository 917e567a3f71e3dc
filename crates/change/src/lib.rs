//! The vocabulary that every room shares: names, keys, changes, marks and positions. Pure: no clock, no disk, no network.

mod cell;
mod fold;
mod form;
mod mark;
mod name;
mod position;
mod row;

pub use cell::{Cell, Key, distinct};
pub use fold::{Fold, lane_of};
pub use form::{Form, Unfit};
pub use mark::{Cause, Mark, MarkBatch};
pub use name::TableName;
pub use position::{Position, PositionError};
pub use row::{ChangeBatch, Op, RowChange};
