//! A push policy and the refs it judges: the first line of the input is the policy, each further
//! line a ref's name. What is protected is never let through, whatever else the policy says.
#![no_main]

#[allow(dead_code, reason = "the gate and its hooks use more")]
#[path = "../../supervisor/git-gate/src"]
mod gate {
    pub mod news;
    pub mod pattern;
    pub mod policy;
    pub mod update;
}
use gate::{news, pattern, policy, update};

use libfuzzer_sys::fuzz_target;
use policy::{Refusal, Rules};
use serde_json::Value;
use update::Update;

fuzz_target!(|input: &[u8]| {
    let mut lines = input.split(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let Ok(value) = serde_json::from_slice::<Value>(first) else { return };
    let protected: Vec<_> = value
        .get("protected")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|text| pattern::Pattern::parse(text.as_str()?).ok())
        .collect();
    let rules = Rules::parse(&Ok(vec![("fuzz".to_owned(), value)]));
    for name in lines {
        let line = [&[b'1'; 40][..], b" ", &[b'2'; 40], b" ", name].concat();
        let Some(update) = Update::parse(&line) else { continue };
        let refusal = rules.refuse(&update);
        if protected.iter().any(|pattern| pattern.matches(update.name)) {
            assert!(matches!(refusal, Some(Refusal::Protected | Refusal::Malformed(_))));
        }
        let _ = rules.allows_rewriting(update.name);
        let told = news::refused(&update, "no");
        let _ = news::parse(told.strip_suffix(b"\n").expect("it is a line"));
        let _ = news::parse(name);
    }
});
