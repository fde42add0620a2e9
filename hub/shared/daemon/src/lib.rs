//! How every program of Reelmill starts and stops: configuration, secrets, the S3 store's settings, log, service manager,
//! signals, metrics, listeners and the way an error is told to a person. It knows no word of the farm.

pub mod config;
pub mod http;
pub mod log;
pub mod metrics;
pub mod notify;
pub mod process;
pub mod report;
pub mod secret;
pub mod shutdown;
pub mod store;

#[cfg(test)]
mod child;

pub use config::{ConfigError, Env, load_toml};
pub use metrics::Metrics;
pub use report::{Hinted, WithHint, report};
pub use secret::{Secret, SecretRef};
pub use shutdown::Shutdown;
pub use store::StoreSection;
