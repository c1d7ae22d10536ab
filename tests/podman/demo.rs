//! The README's first command plays in a real container and leaves nothing behind.

use std::fs;
use std::process::{Command, Stdio};

use crate::operator;

#[test]
fn the_demo_uses_a_real_container_and_leaves_nothing() {
    let Some(operator) = operator::at_work() else { return };
    let temporary = operator.home().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut demo = Command::new(operator.program("terokctl"));
    let output = demo.arg("demo").env("TMPDIR", &temporary).stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{said}");
    assert!(told.contains("a real rootless container"), "{told}");
    assert!(told.contains("nothing is left of it"), "{told}");
    let left: Vec<_> = fs::read_dir(&temporary).unwrap().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    fs::remove_dir(temporary).unwrap();
}
