//! The documents hold: their blocks have a language, their commands and options exist, their links
//! lead somewhere, the tests they name are there, and the reference is what the schemas say.
//!
//! That the commands do what they say is shown in `tests/podman/docs.rs`, with real containers.

#![allow(clippy::unwrap_used, reason = "a test says what it could not do by failing")]

mod blocks;

mod commands;

mod links;

mod named_tests;

mod reference;

use std::path::{Path, PathBuf};

use terok_tests::document::Document;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests is in it").to_owned()
}

fn documents() -> Vec<Document> {
    Document::all_below(&workspace())
}
