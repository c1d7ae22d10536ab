//! The harness of whole-program tests: a house to start containers in, the runtimes' way of calling
//! the hook, the container's side of every service, and the kernel's word on who runs.
//!
//! Programs are built beforehand (`cargo build --workspace`); nothing here links them.

#![allow(clippy::unwrap_used, reason = "a harness says what it could not do by failing the test")]

pub mod eventually;

pub mod programs;

pub mod fixtures;

pub mod sidecar;

pub mod house;

pub mod container;

pub mod runtime;

pub mod by_hand;

pub mod tree;

pub mod stream;

pub mod http;

pub mod upstream;

pub mod agent;

pub mod bridge;

pub mod openssh;

pub mod sshd;

pub mod mirror;

pub mod terokctl;

pub mod document;
