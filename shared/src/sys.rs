//! The kernel's edge: the only `unsafe` of the workspace. Each block says why it is sound, each
//! function why it exists.

pub mod descriptors;
pub mod detach;
pub mod landlock;
pub mod memory;
pub mod pid_namespace;
pub mod signals;
pub mod user_namespace;
