//! A service's life, the same for all: descriptors, signals, harden, load, open, confine, ready,
//! serve, drain.
//!
//! `run` is that order; a service fills in what it opens, which lane it keeps to and how it serves.

mod calls;
mod confine;
mod harden;
mod inherit;
mod run;

pub mod clients;

pub use confine::{ConfineError, Lane, Sockets, confine};
pub use inherit::Inherited;
pub use run::{Failure, Life, run};
