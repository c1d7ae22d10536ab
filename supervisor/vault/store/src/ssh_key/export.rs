//! A stored key as a private key file of its owner's: the format of OpenSSH's `PROTOCOL.key`,
//! encrypted.
//!
//! In come the key and a passphrase; out comes the text that `ssh-keygen -p` would write.

use std::fmt;

use openssl::bn::BigNumRef;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData, RsaKeypair, RsaPrivateKey};
use ssh_key::public::{Ed25519PublicKey, RsaPublicKey};
use ssh_key::{Cipher, Kdf, LineEnding, Mpint};
use terok_shared::secret::Secret;
use zeroize::Zeroizing;

use super::{KeyKind, PrivateKey};

/// Rounds of bcrypt, as ssh-keygen's default.
const ROUNDS: u32 = 24;

const SALT_BYTES: usize = 16;

/// Writes the key file's text. The derivation of its key takes about half a second.
///
/// # Errors
/// An empty passphrase, which would be none, or a stored key that cannot be read.
pub fn export(
    key: &PrivateKey,
    passphrase: &Secret<String>,
) -> Result<Secret<String>, ExportError> {
    if passphrase.expose().is_empty() {
        return Err(ExportError::NoPassphrase);
    }
    let private = PKey::private_key_from_pkcs8(key.private_der.expose())?;
    let pair = match key.public.kind {
        KeyKind::Ed25519 => KeypairData::Ed25519(ed25519(&private)?),
        KeyKind::Rsa => KeypairData::Rsa(rsa(&private.rsa()?)?),
    };
    let key = ssh_key::PrivateKey::new(pair, key.public.comment.as_str())?;
    let mut random = [0; SALT_BYTES + 4];
    getrandom::fill(&mut random).map_err(|why| ExportError::NoRandomness(why.to_string()))?;
    let (salt, check) = random.split_at(SALT_BYTES);
    let check = u32::from_ne_bytes(check.try_into().expect("four bytes are left"));
    let kdf = Kdf::Bcrypt { salt: salt.to_vec(), rounds: ROUNDS };
    let sealed = key.encrypt_with(Cipher::Aes256Ctr, kdf, check, passphrase.expose())?;
    Ok(sealed.to_openssh(LineEnding::LF)?.to_string().into())
}

fn ed25519(key: &PKey<Private>) -> Result<Ed25519Keypair, ExportError> {
    let seed = Zeroizing::new(key.raw_private_key()?);
    let public = key.raw_public_key()?;
    Ok(Ed25519Keypair {
        public: Ed25519PublicKey::try_from(public.as_slice())?,
        private: Ed25519PrivateKey::try_from(seed.as_slice())?,
    })
}

fn rsa(key: &Rsa<Private>) -> Result<RsaKeypair, ExportError> {
    let number = |number: &BigNumRef| {
        Mpint::from_positive_bytes(&Zeroizing::new(number.to_vec())).map_err(ExportError::from)
    };
    let part = |part: Option<&BigNumRef>| number(part.ok_or(ExportError::Unreadable)?);
    Ok(RsaKeypair {
        public: RsaPublicKey { e: number(key.e())?, n: number(key.n())? },
        private: RsaPrivateKey {
            d: number(key.d())?,
            iqmp: part(key.iqmp())?,
            p: part(key.p())?,
            q: part(key.q())?,
        },
    })
}

/// Why there is no file.
#[derive(Debug)]
pub enum ExportError {
    NoPassphrase,
    NoRandomness(String),
    /// A part of the stored key is missing.
    Unreadable,
    OpenSsl(ErrorStack),
    OpenSsh(ssh_key::Error),
}

impl From<ErrorStack> for ExportError {
    fn from(error: ErrorStack) -> Self {
        Self::OpenSsl(error)
    }
}

impl From<ssh_key::Error> for ExportError {
    fn from(error: ssh_key::Error) -> Self {
        Self::OpenSsh(error)
    }
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPassphrase => f.write_str("a key leaves the vault under a passphrase only"),
            Self::NoRandomness(why) => write!(f, "read random bits: {why}"),
            Self::Unreadable => f.write_str("the stored key is incomplete"),
            Self::OpenSsl(error) => write!(f, "read the stored key: {error}"),
            Self::OpenSsh(error) => write!(f, "write the key file: {error}"),
        }
    }
}

impl std::error::Error for ExportError {}
