pub mod connect;
pub mod sample;
