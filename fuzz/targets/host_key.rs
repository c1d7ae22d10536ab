//! A session bind: key and signature of a host. Nobody forges one by chance.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault_grant::host_key::{host_fingerprint, signed};
use vault_grant::ssh_wire::Reader;

fuzz_target!(|bind: &[u8]| {
    let mut bind = Reader::new(bind);
    let (Some(key), Some(session), Some(signature)) = (bind.string(), bind.string(), bind.string())
    else {
        return;
    };
    if signed(key, session, signature) {
        assert!(host_fingerprint(key).is_some());
    }
});
