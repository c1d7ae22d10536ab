//! The store against database files and key files of other programs.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod fixture;

mod backup;
mod check;
mod crash;
mod derived_key;
mod export;
mod key_files;
mod migration;
mod opening;
mod passphrase;
mod refresh;
mod rekey;
mod rows;
mod rsa_sizes;
mod rules;
