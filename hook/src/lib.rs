//! What the hook and the wrapper runtime have in common: whose container this is, which sidecars
//! an administrator accepts, and where both say what happened.

pub mod admin_root;
pub mod diary;
pub mod operator;
