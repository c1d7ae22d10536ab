//! Data to be signed: what has a purpose has exactly one, and loses it with its last byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use vault_grant::purpose::Purpose;

fuzz_target!(|data: &[u8]| {
    if let Some(purpose) = Purpose::of(data) {
        assert_eq!(Purpose::of(&data[..data.len() - 1]), None);
        let is_message = data.starts_with(b"SSHSIG");
        assert_eq!(matches!(purpose, Purpose::SshSig { .. }), is_message);
    }
});
