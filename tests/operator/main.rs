//! What an operator does to a machine: the real `terokctl setup` and `uninstall` with the real
//! programs, and what a newcomer meets on the way.

#![allow(clippy::unwrap_used, reason = "helpers of tests are outside the functions clippy exempts")]

mod desk;

mod proof;

mod upgrade;

mod for_everybody;

mod python_package;

mod obstacles;

mod upstream;
