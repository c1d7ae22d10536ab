//! Every way to start a container ends at the same hook: OCI runtimes called directly, podman as
//! root, and, through the wrapper runtime, containerd and Docker.
//!
//! Tests that need a program which this machine lacks, or root, say that they are skipped and why.
//! `tests/runtimes/suite` runs the rootless ones as an operator with subordinate ids.

#![allow(clippy::unwrap_used, reason = "a test says what it could not do by failing")]

// The ground they stand on.
mod skip;

mod place;

mod machine;

// The wrapper by itself, in front of a stand-in.
mod stand_in;

mod wrapper;

mod refusal;

// The hook where a runtime or a node differs from the usual.
mod youki;

mod admin_root;

mod neighbour;

// Real containers.
mod bundle;

mod podman;

mod rootless;

mod unit;

mod containerd;

mod docker;

// What the documents say about them.
mod documented;

mod cluster;
