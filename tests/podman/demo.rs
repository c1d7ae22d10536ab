//! The README's first command plays in a real container, fits the screen and leaves nothing behind.

use std::fs;
use std::path::PathBuf;

use crate::session::Session;
use crate::{operator, screens};

#[test]
fn the_demo_uses_a_real_container_and_leaves_nothing() {
    let Some(operator) = operator::alone() else { return };
    let session = Session::new(&operator);
    let before = places();
    let told = session.ok("terokctl demo");
    assert!(told.contains("a real rootless container"), "{told}");
    assert!(told.contains("nothing is left of it"), "{told}");
    screens::expect(&operator, "demo", include_str!("../snapshots/demo.txt"), &told);
    assert_eq!(places(), before);
}

/// Where demos play.
fn places() -> Vec<PathBuf> {
    let paths = fs::read_dir("/tmp").unwrap().flatten().map(|entry| entry.path());
    paths.filter(|path| path.to_string_lossy().contains("terok-demo-")).collect()
}
