//! The README's first command plays in a real container, fits the screen and leaves nothing behind.

use std::fs;

use crate::session::Session;
use crate::{operator, screens};

#[test]
fn the_demo_uses_a_real_container_and_leaves_nothing() {
    let Some(operator) = operator::alone() else { return };
    let session = Session::new(&operator);
    let temporary = session.home().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let told = session.ok("TMPDIR=$HOME/tmp terokctl demo");
    assert!(told.contains("a real rootless container"), "{told}");
    assert!(told.contains("nothing is left of it"), "{told}");
    screens::expect(&operator, "demo", include_str!("../snapshots/demo.txt"), &told);
    let left: Vec<_> = fs::read_dir(&temporary).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}
