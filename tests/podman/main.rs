//! The three services in real rootless containers, driven with the commands an operator would type
//! and judged by stock curl, OpenSSH and git.
//!
//! `tests/podman/suite RUNTIME` runs this as an operator on a machine that looks freshly installed,
//! with the container images made. Without it (no `TEROK_TEST_RUNTIME`) every test says that it is
//! skipped.

#![allow(clippy::unwrap_used, reason = "a test says what it could not do by failing")]

// The ground they stand on.
mod operator;

mod mode;

mod container;

mod uses;

mod private_key;

mod search;

mod session;

mod screens;

// The claims.
mod services;

mod exposure;

mod lifecycle;

mod nothing_left;

mod existing;

mod killed;

mod respawned;

mod trouble;

mod prompt_end;

mod distroless;

mod network;

mod chaos;

mod apart;

mod agent_socket;

mod egress;

mod barriers;

mod uninstall;

mod demo;

mod debian;

mod github;

mod docs;

mod recipes;

mod newcomer;
