//! SSH key pairs as the vault keeps them.
//!
//! A pair is made by `generate` or read by `file`, and stored and listed by `rows`; `rules` say
//! what it may be used for; `export` writes it as a file of its owner's. The private half is PKCS#8 DER, the public half the blob of the SSH
//! wire format.

pub mod export;
pub mod file;
pub mod generate;
mod rows;
pub mod rules;

use std::fmt;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private};
use sha2::{Digest, Sha256};
use terok_shared::secret::Secret;

pub use rows::{Added, Assignment, KeyId, PrivateKey, PublicKey, SshKeyError};

use crate::scope::Comment;

/// RSA sizes the signer can use, in bits.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=8192;

/// The exponent every generator of today uses. The signer accepts none below it.
const LEAST_RSA_EXPONENT: u64 = 65537;

/// The algorithms the vault keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Ed25519,
    Rsa,
}

impl KeyKind {
    /// The word in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        [Self::Ed25519, Self::Rsa].into_iter().find(|kind| kind.as_str() == word)
    }

    /// The algorithm name inside the public blob (RFC 4253 § 6.6, RFC 8709 § 4).
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::Rsa => "ssh-rsa",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A checked pair: the public half was derived from the private one.
pub struct KeyPair {
    kind: KeyKind,
    private_der: Secret<Vec<u8>>,
    public_blob: Vec<u8>,
    comment: Comment,
}

impl KeyPair {
    /// Takes a private key of OpenSSL if the signer can use it.
    fn from_private(key: &PKey<Private>, comment: Comment) -> Result<Self, KeyRefused> {
        let (kind, public_blob) = match key.id() {
            Id::ED25519 => (KeyKind::Ed25519, ed25519_blob(key)?),
            Id::RSA => (KeyKind::Rsa, rsa_blob(key)?),
            _ => return Err(KeyRefused::Algorithm),
        };
        let private_der = Secret::new(key.private_key_to_pkcs8()?);
        Ok(Self { kind, private_der, public_blob, comment })
    }

    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// PKCS#8 version 1 (RFC 5208, RFC 8410), not encrypted.
    pub fn private_der(&self) -> &Secret<Vec<u8>> {
        &self.private_der
    }

    /// SSH wire format.
    pub fn public_blob(&self) -> &[u8] {
        &self.public_blob
    }

    pub fn comment(&self) -> &Comment {
        &self.comment
    }

    /// The same pair under another label.
    pub fn with_comment(mut self, comment: Comment) -> Self {
        self.comment = comment;
        self
    }

    /// As `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        fingerprint(&self.public_blob)
    }

    /// One line of a `.pub` or `authorized_keys` file.
    pub fn public_line(&self) -> String {
        public_line(self.kind, &self.public_blob, self.comment.as_str())
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({} {})", self.kind, self.fingerprint())
    }
}

/// `SHA256:` and the unpadded base64 of the digest of the public blob.
pub fn fingerprint(public_blob: &[u8]) -> String {
    format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(Sha256::digest(public_blob)))
}

fn public_line(kind: KeyKind, public_blob: &[u8], comment: &str) -> String {
    let line = format!("{} {} {comment}", kind.algorithm(), BASE64_STANDARD.encode(public_blob));
    line.trim_end().to_owned()
}

fn ed25519_blob(key: &PKey<Private>) -> Result<Vec<u8>, KeyRefused> {
    let mut blob = Vec::with_capacity(51);
    put_string(&mut blob, KeyKind::Ed25519.algorithm().as_bytes());
    put_string(&mut blob, &key.raw_public_key()?);
    Ok(blob)
}

fn rsa_blob(key: &PKey<Private>) -> Result<Vec<u8>, KeyRefused> {
    let rsa = key.rsa()?;
    let bits = rsa.n().num_bits() as u32;
    if !RSA_BITS.contains(&bits) {
        return Err(KeyRefused::RsaSize { bits });
    }
    let exponent = rsa.e().to_vec();
    if rsa.e().num_bits() <= 64 {
        let value = exponent.iter().fold(0u64, |value, byte| value << 8 | u64::from(*byte));
        if value < LEAST_RSA_EXPONENT {
            return Err(KeyRefused::RsaExponent { exponent: value });
        }
    }
    if !rsa.check_key()? {
        return Err(KeyRefused::Inconsistent);
    }
    let mut blob = Vec::with_capacity(bits as usize / 8 + 32);
    put_string(&mut blob, KeyKind::Rsa.algorithm().as_bytes());
    put_mpint(&mut blob, &exponent);
    put_mpint(&mut blob, &rsa.n().to_vec());
    Ok(blob)
}

/// RFC 4251 § 5, `string`.
fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("keys are far below 4 GiB");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// RFC 4251 § 5, `mpint`, of a positive number without leading zeros.
fn put_mpint(out: &mut Vec<u8>, magnitude: &[u8]) {
    if magnitude.first().is_some_and(|byte| byte & 0x80 != 0) {
        let mut padded = Vec::with_capacity(magnitude.len() + 1);
        padded.push(0);
        padded.extend_from_slice(magnitude);
        put_string(out, &padded);
    } else {
        put_string(out, magnitude);
    }
}

/// Why a private key cannot be kept.
#[derive(Debug)]
pub enum KeyRefused {
    Algorithm,
    RsaSize {
        bits: u32,
    },
    RsaExponent {
        exponent: u64,
    },
    /// The numbers of the key do not belong together.
    Inconsistent,
    Library(ErrorStack),
}

impl From<ErrorStack> for KeyRefused {
    fn from(error: ErrorStack) -> Self {
        Self::Library(error)
    }
}

impl fmt::Display for KeyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Algorithm => f.write_str("the key is neither ed25519 nor rsa"),
            Self::RsaSize { bits } => write!(
                f,
                "the rsa key has {bits} bits, only {} to {} can be used",
                RSA_BITS.start(),
                RSA_BITS.end()
            ),
            Self::RsaExponent { exponent } => write!(
                f,
                "the rsa key has public exponent {exponent}, the least that can be used is \
                 {LEAST_RSA_EXPONENT}"
            ),
            Self::Inconsistent => f.write_str("the numbers of the key do not belong together"),
            Self::Library(error) => write!(f, "openssl: {error}"),
        }
    }
}

impl std::error::Error for KeyRefused {}
