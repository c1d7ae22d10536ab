//! The one place a private key is used.
//!
//! Algorithms of RFC 8709 (ssh-ed25519) and RFC 8332 (rsa-sha2-256, rsa-sha2-512); never SHA-1,
//! whatever the flags say.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{self, Ed25519KeyPair, RsaEncoding};
use terok_shared::secret::Secret;
use vault_store::ssh_key::KeyKind;

/// SSH_AGENT_RSA_SHA2_512 of draft-ietf-sshm-ssh-agent.
const RSA_SHA2_512: u32 = 4;

/// A decoded private key.
pub(crate) enum SigningKey {
    Ed25519(Box<Ed25519KeyPair>),
    Rsa(Box<RsaKeyPair>),
}

impl SigningKey {
    /// Decodes PKCS#8 DER. Says only that it failed: a reason could describe the key.
    pub(crate) fn decode(kind: KeyKind, der: &Secret<Vec<u8>>) -> Option<Self> {
        match kind {
            KeyKind::Ed25519 => {
                Ed25519KeyPair::from_pkcs8(der.expose()).ok().map(Box::new).map(Self::Ed25519)
            }
            KeyKind::Rsa => RsaKeyPair::from_pkcs8(der.expose()).ok().map(Box::new).map(Self::Rsa),
        }
    }

    /// The signature string of SSH_AGENT_SIGN_RESPONSE: algorithm name, then signature blob.
    pub(crate) fn sign(&self, data: &[u8], flags: u32) -> Option<Vec<u8>> {
        match self {
            Self::Ed25519(key) => Some(string_pair("ssh-ed25519", key.sign(data).as_ref())),
            Self::Rsa(key) if flags & RSA_SHA2_512 != 0 => {
                rsa("rsa-sha2-512", key, &signature::RSA_PKCS1_SHA512, data)
            }
            Self::Rsa(key) => rsa("rsa-sha2-256", key, &signature::RSA_PKCS1_SHA256, data),
        }
    }
}

fn rsa(
    algorithm: &str,
    key: &RsaKeyPair,
    encoding: &'static dyn RsaEncoding,
    data: &[u8],
) -> Option<Vec<u8>> {
    let mut blob = vec![0; key.public_modulus_len()];
    key.sign(encoding, &SystemRandom::new(), data, &mut blob).ok()?;
    Some(string_pair(algorithm, &blob))
}

/// Two strings of RFC 4251, section 5.
fn string_pair(algorithm: &str, blob: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + algorithm.len() + blob.len());
    for part in [algorithm.as_bytes(), blob] {
        out.extend_from_slice(&(part.len() as u32).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{KeyPair, UnparsedPublicKey};
    use vault_store::scope::Comment;
    use vault_store::ssh_key::generate::generate;

    fn key(kind: KeyKind) -> SigningKey {
        let pair = generate(kind, Comment::parse("").unwrap()).unwrap();
        SigningKey::decode(kind, pair.private_der()).unwrap()
    }

    /// Algorithm name and blob of a signature string.
    fn parts(signed: &[u8]) -> (&[u8], &[u8]) {
        let (length, rest) = signed.split_first_chunk::<4>().unwrap();
        let (name, rest) = rest.split_at(u32::from_be_bytes(*length) as usize);
        let (length, blob) = rest.split_first_chunk::<4>().unwrap();
        assert_eq!(u32::from_be_bytes(*length) as usize, blob.len());
        (name, blob)
    }

    #[test]
    fn ed25519_signs_under_its_own_name() {
        let key = key(KeyKind::Ed25519);
        let signed = key.sign(b"data", 0).unwrap();
        let (name, blob) = parts(&signed);
        assert_eq!(name, b"ssh-ed25519");
        let SigningKey::Ed25519(pair) = &key else { panic!("another kind") };
        let public = UnparsedPublicKey::new(&signature::ED25519, pair.public_key());
        assert!(public.verify(b"data", blob).is_ok());
        assert!(public.verify(b"other", blob).is_err());
    }

    #[test]
    fn rsa_never_signs_with_sha_1() {
        let key = key(KeyKind::Rsa);
        let SigningKey::Rsa(pair) = &key else { panic!("another kind") };
        let cases: [(u32, &[u8], &'static signature::RsaParameters); 4] = [
            (0, b"rsa-sha2-256", &signature::RSA_PKCS1_2048_8192_SHA256),
            (2, b"rsa-sha2-256", &signature::RSA_PKCS1_2048_8192_SHA256),
            (4, b"rsa-sha2-512", &signature::RSA_PKCS1_2048_8192_SHA512),
            (6, b"rsa-sha2-512", &signature::RSA_PKCS1_2048_8192_SHA512),
        ];
        for (flags, algorithm, verification) in cases {
            let signed = key.sign(b"data", flags).unwrap();
            let (name, blob) = parts(&signed);
            assert_eq!(name, algorithm);
            let public = UnparsedPublicKey::new(verification, pair.public_key());
            assert!(public.verify(b"data", blob).is_ok());
        }
    }

    #[test]
    fn a_damaged_key_is_refused() {
        let der = Secret::from(vec![0x30, 0x00]);
        assert!(SigningKey::decode(KeyKind::Ed25519, &der).is_none());
        assert!(SigningKey::decode(KeyKind::Rsa, &der).is_none());
    }
}
