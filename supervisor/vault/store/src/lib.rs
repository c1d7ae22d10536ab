//! The encrypted credential database: the only crate that opens it.
//!
//! In come a database path and the operator's passphrase; out go credentials, SSH keys and phantom
//! tokens as typed values. Everything here is synchronous and knows no socket: the keeper answers
//! with it, `terokctl` edits with it.

pub mod unlock;

pub mod database;
mod schema;

pub mod scope;

pub mod credential;
pub mod refresh;
pub mod ssh_key;
pub mod token;

pub use database::Vault;
pub use schema::VERSION as SCHEMA_VERSION;
