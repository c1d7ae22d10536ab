//! `terokctl prepare`, `run` and `cleanup`: everything a container needs before podman starts it,
//! and the way back.
//!
//! Read in the order a launch goes: `plan` (pure) says what shall be, `wanted` whether it is there,
//! `prepare` makes it and takes it back when a step fails, `podman_flags` and `environment` (pure)
//! say it in podman's words, `run` hands over to podman, `cleanup` ends it.

mod plan;

mod wanted;

mod client_files;
mod made;
mod mint;
mod mirror;
mod ports;
mod prepare;
mod sidecar;

mod environment;
mod podman_flags;
mod run;

mod cleanup;
mod living;

pub(crate) use self::cleanup::run as cleanup;
pub(crate) use self::prepare::run as prepare;
pub(crate) use self::run::run;
