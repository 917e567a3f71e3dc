//! An application that moves from its legacy form to the successors through Crossfade's flags, while it runs.

pub mod flags;
mod form;
pub mod load;
pub mod shadow;
mod shop;

pub use form::Address;
pub use shop::{Change, Order, Shop};
