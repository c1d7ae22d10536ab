//! The signer as OpenSSH and git meet it, and what it refuses them: every claim is judged by the
//! original programs.

#![allow(clippy::unwrap_used, reason = "every file here is a test")]

mod desk;

mod sshd;

mod login;

mod messages;

mod refusals;

mod rules;

mod agent_socket;

mod old_kernel;

mod bounds;

mod python_package;
