//! A host's public key, and whether it signed a session identifier.
//!
//! In come blobs of the SSH wire format: keys (RFC 4253 § 6.6, RFC 5656 § 3.1, RFC 8709 § 4,
//! OpenSSH's PROTOCOL.certkeys) and signatures (RFC 8332 § 3, RFC 5656 § 3.1.2, RFC 8709 § 6).
//! SHA-1 and DSA are not verified.

use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};

use crate::fingerprint::fingerprint;
use crate::ssh_wire::{Reader, put_string};

const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// A curve of RFC 5656 with the one digest that belongs to it (section 6.2.1).
struct Curve {
    name: &'static str,
    /// Bytes of each half of a signature.
    half: usize,
    verification: &'static signature::EcdsaVerificationAlgorithm,
}

const CURVES: [Curve; 3] = [
    Curve { name: "nistp256", half: 32, verification: &signature::ECDSA_P256_SHA256_FIXED },
    Curve { name: "nistp384", half: 48, verification: &signature::ECDSA_P384_SHA384_FIXED },
    Curve { name: "nistp521", half: 66, verification: &signature::ECDSA_P521_SHA512_FIXED },
];

/// A key of a kind we can verify with, borrowed from its blob.
enum Key<'a> {
    Ed25519(&'a [u8]),
    Ecdsa { curve: &'static Curve, point: &'a [u8] },
    Rsa { exponent: &'a [u8], modulus: &'a [u8] },
}

/// Whether the host with this key signed exactly `data`. A host certificate counts as the key in
/// it: who certified it is for the client to judge.
pub fn signed(key_blob: &[u8], data: &[u8], signature_blob: &[u8]) -> bool {
    Key::parse(key_blob).is_some_and(|key| key.signed(data, signature_blob).is_some())
}

/// `SHA256:…` of the plain key, as `ssh-keygen -l` prints it, also for a certificate.
pub fn host_fingerprint(key_blob: &[u8]) -> Option<String> {
    Some(fingerprint(&Key::parse(key_blob)?.plain_blob()))
}

impl<'a> Key<'a> {
    fn parse(blob: &'a [u8]) -> Option<Self> {
        let mut blob = Reader::new(blob);
        let name = blob.name()?;
        let plain = name.strip_suffix(CERTIFICATE);
        if plain.is_some() {
            let _nonce = blob.string()?;
        }
        let key = match plain.unwrap_or(name) {
            "ssh-ed25519" => Self::Ed25519(blob.string()?),
            "ssh-rsa" => Self::Rsa { exponent: blob.magnitude()?, modulus: blob.magnitude()? },
            other => {
                let named = other.strip_prefix("ecdsa-sha2-")?;
                let curve = CURVES.iter().find(|curve| curve.name == named)?;
                (blob.string()? == named.as_bytes()).then_some(())?;
                Self::Ecdsa { curve, point: blob.string()? }
            }
        };
        if plain.is_none() {
            blob.end()?;
        }
        Some(key)
    }

    /// `Some` when `signature_blob` is this key's signature over `data`.
    fn signed(&self, data: &[u8], signature_blob: &[u8]) -> Option<()> {
        let mut blob = Reader::new(signature_blob);
        let algorithm = blob.name()?;
        let value = blob.string()?;
        blob.end()?;
        match self {
            Self::Ed25519(key) if algorithm == "ssh-ed25519" => {
                UnparsedPublicKey::new(&signature::ED25519, key).verify(data, value).ok()
            }
            Self::Ecdsa { curve, point }
                if algorithm.strip_prefix("ecdsa-sha2-") == Some(curve.name) =>
            {
                let value = halves(value, curve.half)?;
                UnparsedPublicKey::new(curve.verification, point).verify(data, &value).ok()
            }
            Self::Rsa { exponent, modulus } => {
                let parameters = match algorithm {
                    "rsa-sha2-256" => &signature::RSA_PKCS1_2048_8192_SHA256,
                    "rsa-sha2-512" => &signature::RSA_PKCS1_2048_8192_SHA512,
                    _ => return None,
                };
                let key = RsaPublicKeyComponents { n: *modulus, e: *exponent };
                key.verify(parameters, data, value).ok()
            }
            _ => None,
        }
    }

    fn plain_blob(&self) -> Vec<u8> {
        let mut blob = vec![];
        match self {
            Self::Ed25519(key) => {
                put_string(&mut blob, b"ssh-ed25519");
                put_string(&mut blob, key);
            }
            Self::Ecdsa { curve, point } => {
                put_string(&mut blob, format!("ecdsa-sha2-{}", curve.name).as_bytes());
                put_string(&mut blob, curve.name.as_bytes());
                put_string(&mut blob, point);
            }
            Self::Rsa { exponent, modulus } => {
                put_string(&mut blob, b"ssh-rsa");
                for magnitude in [exponent, modulus] {
                    let sign = magnitude.first().is_some_and(|byte| byte & 0x80 != 0);
                    put_string(&mut blob, &[&vec![0; usize::from(sign)], *magnitude].concat());
                }
            }
        }
        blob
    }
}

/// Two mpints as two numbers of fixed width.
fn halves(value: &[u8], width: usize) -> Option<Vec<u8>> {
    let mut value = Reader::new(value);
    let (r, s) = (value.magnitude()?, value.magnitude()?);
    value.end()?;
    let mut fixed = vec![0; 2 * width];
    for (place, half) in fixed.chunks_exact_mut(width).zip([r, s]) {
        place.get_mut(width.checked_sub(half.len())?..)?.copy_from_slice(half);
    }
    Some(fixed)
}

#[cfg(test)]
mod tests;
