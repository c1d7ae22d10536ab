//! terokctl in a house: its directories, no container engine, and no session of the machine's own.

use std::process::{Command, Output, Stdio};

use crate::house::House;

pub const TEROKCTL: &str = "terokctl";

/// `terokctl WORDS…`; what it said and how it ended.
pub fn terokctl(house: &House, words: &[&str]) -> Output {
    Command::new(house.programs().path(TEROKCTL))
        .args(words)
        .env_clear()
        .env("PATH", "/nowhere")
        .env("HOME", house.path())
        .env("TEROK_SANDBOX_STATE_DIR", house.state_root().path())
        .env("TEROK_SANDBOX_RUNTIME_DIR", house.runtime_dir())
        .env("TEROK_VAULT_DIR", house.path().join("vault"))
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The same, which must go well; what it printed.
#[track_caller]
pub fn terokctl_ok(house: &House, words: &[&str]) -> String {
    let output = terokctl(house, words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {}\n{said}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
