//! New key pairs.
//!
//! In come a kind and a comment; out comes a pair that exists nowhere else yet.

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;

use super::{KeyKind, KeyPair, KeyRefused};
use crate::scope::Comment;

/// What `ssh-keygen -t rsa` makes by default.
const NEW_RSA_BITS: u32 = 3072;

/// Makes a pair. An RSA key takes about half a second.
pub fn generate(kind: KeyKind, comment: Comment) -> Result<KeyPair, KeyRefused> {
    KeyPair::from_private(&private_key(kind)?, comment)
}

fn private_key(kind: KeyKind) -> Result<PKey<Private>, ErrorStack> {
    match kind {
        KeyKind::Ed25519 => PKey::generate_ed25519(),
        KeyKind::Rsa => PKey::from_rsa(Rsa::generate(NEW_RSA_BITS)?),
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RsaKeyPair};

    use super::*;

    #[test]
    fn new_ed25519_keys_load_in_the_signer() {
        let pair = generate(KeyKind::Ed25519, Comment::default()).unwrap();
        let loaded = Ed25519KeyPair::from_pkcs8(pair.private_der().expose()).unwrap();
        assert_eq!(&pair.public_blob()[19..], loaded.public_key().as_ref());
        assert_eq!(pair.private_der().expose().len(), 48);
    }

    #[test]
    fn new_rsa_keys_load_in_the_signer() {
        let pair = generate(KeyKind::Rsa, Comment::parse("me@here").unwrap()).unwrap();
        let loaded = RsaKeyPair::from_pkcs8(pair.private_der().expose()).unwrap();
        assert_eq!(loaded.public_modulus_len(), 384);
        assert!(pair.public_line().starts_with("ssh-rsa AAAAB3NzaC1yc2EAAAADAQAB"));
        assert!(pair.public_line().ends_with(" me@here"));
    }
}
