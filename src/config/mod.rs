//! The configuration: from a file and flags to one checked [`Config`], and what a reload changes.
//!
//! Only `main` and the command line read it. [`Config`] composes the settings of each layer.

mod client_documents;
mod clients;
mod file;
mod nearest;
mod reload;
mod remarks;
mod resources;
mod scopes;
mod settings;
mod store;
mod toml_reader;
mod warnings;
mod wire;

pub use file::{FileError, FromFlags, Mistakes, locate, read, read_beside};
pub use reload::Reload;
pub use settings::{Config, ConfigError, Limits, WORKERS_MAX, WireConfig};
