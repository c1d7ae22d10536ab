//! A client's stream: frames are read whole, in order, never beyond the bound.
#![no_main]

#[path = "../../supervisor/ssh-signer/src/frame.rs"]
#[allow(dead_code, reason = "the signer also writes frames")]
mod frame;

use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

thread_local! {
    static RUNTIME: Runtime =
        Builder::new_current_thread().enable_time().build().expect("a runtime without sockets");
}

fuzz_target!(|stream: &[u8]| {
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let mut rest = stream;
            while let Ok(Some(payload)) = frame::read(&mut rest).await {
                assert!((1..=frame::MAX_FRAME).contains(&payload.len()));
            }
        });
    });
});
