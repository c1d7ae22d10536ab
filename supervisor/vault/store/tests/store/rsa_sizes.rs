//! The sizes of RSA keys at the edges of what is accepted.

use std::fs;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::signature::RsaKeyPair;
use terok_shared::secret::Secret;
use vault_store::ssh_key::file::{ImportError, import, match_public_line};
use vault_store::ssh_key::{KeyPair, KeyRefused};

fn fixture(name: &str) -> Secret<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../tests/fixtures/ssh");
    fs::read(directory.join(name)).unwrap().into()
}

fn of_bits(bits: u32) -> Result<KeyPair, ImportError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "rsa", "-N", "", "-b", &bits.to_string(), "-f"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    import(&fs::read(&path).unwrap().into(), None)
}

fn signer_modulus_bytes(pair: &KeyPair) -> usize {
    RsaKeyPair::from_pkcs8(pair.private_der().expose()).unwrap().public_modulus_len()
}

#[test]
fn the_smallest_and_the_largest_rsa_keys_load_in_the_signer() {
    assert_eq!(signer_modulus_bytes(&of_bits(2048).unwrap()), 256);
    let largest = import(&fixture("rsa-8192"), None).unwrap();
    assert_eq!(signer_modulus_bytes(&largest), 1024);
    let line = String::from_utf8(fixture("rsa-8192.pub").expose().clone()).unwrap();
    let largest = match_public_line(largest, &line).unwrap();
    assert_eq!(largest.public_line(), line.trim());
}

#[test]
fn rsa_keys_one_step_beyond_are_refused() {
    for (result, refused) in [(of_bits(2040), 2040), (import(&fixture("rsa-8208.pem"), None), 8208)]
    {
        let Err(ImportError::Key(KeyRefused::RsaSize { bits })) = result else {
            panic!("{refused} bits: {result:?}");
        };
        assert_eq!(bits, refused);
    }
}
