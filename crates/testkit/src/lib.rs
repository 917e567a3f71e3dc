pub mod churn;
pub mod connect;
pub mod sample;
