//! A frame's payload: parsed to its last byte or refused.
#![no_main]

#[path = "../../supervisor/ssh-signer/src/message.rs"]
#[allow(dead_code, reason = "the signer also answers")]
mod message;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    let _ = message::Request::parse(payload);
});
