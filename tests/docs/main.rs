//! The documents hold: their blocks have a language, their commands and options exist, their links
//! lead somewhere, manifests and tables can be parsed and name our things as the programs do, a
//! cluster would take the manifests, the tests they name are there, and the reference is what the
//! schemas say.
//!
//! That the commands do what they say is shown with real containers: in `tests/podman/docs.rs`,
//! `tests/podman/recipes.rs` and `tests/runtimes/documented.rs`.

#![allow(clippy::unwrap_used, reason = "a test says what it could not do by failing")]

mod blocks;

mod commands;

mod links;

mod manifests;

mod cluster;

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
