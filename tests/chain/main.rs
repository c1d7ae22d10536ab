//! Hook, supervisor and services as whole programs, called as runtimes call them and used as
//! containers use them; only podman is missing.

#![allow(clippy::unwrap_used, reason = "every file here is a test")]

mod start;

mod placement;

mod stop;

mod restart;

mod brought_back;

mod on_demand;

mod log_bounds;

mod bad_state;

mod bad_sidecar;

mod bad_surroundings;

mod bad_vault;

mod by_hand;

mod tcp;

mod harden;

mod openssh;

mod signer_bounds;

mod broker;

mod gate;

mod secrecy;
