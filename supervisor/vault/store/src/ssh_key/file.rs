//! Private key files, as `ssh-keygen` and `openssl` write them.
//!
//! In come the bytes of a file and perhaps its passphrase; out comes a pair in the vault's form.
//! Read are OpenSSH files and PEM files of PKCS#8 or PKCS#1, with or without a passphrase.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use openssl::bn::{BigNum, BigNumContext};
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::RsaPrivateKeyBuilder;
use ssh_key::Mpint;
use ssh_key::private::{KeypairData, RsaKeypair};
use terok_shared::secret::Secret;
use zeroize::Zeroizing;

use super::{KeyPair, KeyRefused, PrivateKey};
use crate::scope::{Comment, CommentError};

const OPENSSH_BEGIN: &[u8] = b"-----BEGIN OPENSSH PRIVATE KEY-----";

const OPENSSH_END: &[u8] = b"-----END OPENSSH PRIVATE KEY-----";

/// Reads a private key file. The comment is the one inside an OpenSSH file, else empty.
pub fn import(
    file: &Secret<Vec<u8>>,
    passphrase: Option<&Secret<String>>,
) -> Result<KeyPair, ImportError> {
    let bytes = file.expose().trim_ascii();
    if bytes.starts_with(OPENSSH_BEGIN) {
        openssh(bytes, passphrase)
    } else {
        pem(bytes, passphrase)
    }
}

/// Refuses a pair whose `.pub` file is of another key; takes that file's comment if it has one.
pub fn match_public_line(pair: KeyPair, public_line: &str) -> Result<KeyPair, ImportError> {
    let mut words = public_line.trim().splitn(3, [' ', '\t']);
    let (Some(_algorithm), Some(encoded)) = (words.next(), words.next()) else {
        return Err(ImportError::PublicLine);
    };
    let blob = BASE64_STANDARD.decode(encoded).map_err(|_| ImportError::PublicLine)?;
    if blob != pair.public_blob() {
        return Err(ImportError::Mismatch);
    }
    match words.next().map(str::trim) {
        None | Some("") => Ok(pair),
        Some(comment) => {
            Ok(pair.with_comment(Comment::parse(comment).map_err(ImportError::Comment)?))
        }
    }
}

/// Whether a stored key can be used and its two halves belong together.
pub(crate) fn matches_stored(key: &PrivateKey) -> Result<(), ImportError> {
    let private =
        PKey::private_key_from_pkcs8(key.private_der.expose()).map_err(KeyRefused::Library)?;
    let pair = KeyPair::from_private(&private, Comment::default())?;
    match pair.public_blob() == key.public.public_blob
        && pair.fingerprint() == key.public.fingerprint
    {
        true => Ok(()),
        false => Err(ImportError::Mismatch),
    }
}

/// The format of OpenSSH's `PROTOCOL.key`.
fn openssh(bytes: &[u8], passphrase: Option<&Secret<String>>) -> Result<KeyPair, ImportError> {
    let mut key = ssh_key::PrivateKey::from_bytes(&unarmoured(bytes)?)?;
    if key.is_encrypted() {
        let passphrase = passphrase.ok_or(ImportError::Encrypted)?;
        key = key.decrypt(passphrase.expose()).map_err(|_| ImportError::WrongPassphrase)?;
    }
    let comment = Comment::parse(key.comment()).map_err(ImportError::Comment)?;
    let private = match key.key_data() {
        KeypairData::Ed25519(pair) => PKey::private_key_from_raw_bytes(
            Zeroizing::new(pair.private.to_bytes()).as_slice(),
            Id::ED25519,
        ),
        KeypairData::Rsa(pair) => rsa(pair),
        _ => return Err(ImportError::Key(KeyRefused::Algorithm)),
    };
    let pair = KeyPair::from_private(&private.map_err(KeyRefused::Library)?, comment)?;
    // The file states its public half twice, once outside the encryption.
    let stated = key.public_key().to_bytes()?;
    if stated == pair.public_blob() { Ok(pair) } else { Err(ImportError::Mismatch) }
}

/// What lies between the armour lines. Their length is free: ssh-keygen breaks at 70 characters,
/// other writers at 64 or 76.
fn unarmoured(file: &[u8]) -> Result<Zeroizing<Vec<u8>>, ImportError> {
    let mut body = Zeroizing::new(Vec::with_capacity(file.len()));
    let mut lines = file.split(|byte| matches!(byte, b'\n' | b'\r')).map(<[u8]>::trim_ascii);
    lines.next();
    loop {
        match lines.next() {
            Some(OPENSSH_END) => break,
            Some(line) => body.extend_from_slice(line),
            None => return Err(ImportError::UnknownFormat),
        }
    }
    BASE64_STANDARD.decode(&*body).map(Zeroizing::new).map_err(|_| ImportError::UnknownFormat)
}

/// OpenSSH leaves out two of the numbers that PKCS#8 holds (RFC 8017 § A.1.2): they follow from
/// the others.
fn rsa(pair: &RsaKeypair) -> Result<PKey<Private>, ErrorStack> {
    let number = |mpint: &Mpint| {
        let mut number = BigNum::from_slice(mpint.as_positive_bytes().unwrap_or_default())?;
        number.set_const_time();
        Ok::<_, ErrorStack>(number)
    };
    let one = BigNum::from_u32(1)?;
    let mut context = BigNumContext::new_secure()?;
    let mut remainder = |d: &BigNum, prime: &BigNum| {
        let mut less_one = BigNum::new_secure()?;
        less_one.checked_sub(prime, &one)?;
        let mut remainder = BigNum::new_secure()?;
        remainder.nnmod(d, &less_one, &mut context)?;
        Ok::<_, ErrorStack>(remainder)
    };
    let (p, q) = (number(&pair.private.p)?, number(&pair.private.q)?);
    let d = number(&pair.private.d)?;
    let (dmp1, dmq1) = (remainder(&d, &p)?, remainder(&d, &q)?);
    let (n, e) = (number(&pair.public.n)?, number(&pair.public.e)?);
    let key = RsaPrivateKeyBuilder::new(n, e, d)?
        .set_factors(p, q)?
        .set_crt_params(dmp1, dmq1, number(&pair.private.iqmp)?)?
        .build();
    PKey::from_rsa(key)
}

/// RFC 7468 PEM of PKCS#8 (plain or encrypted) and the older PKCS#1.
fn pem(bytes: &[u8], passphrase: Option<&Secret<String>>) -> Result<KeyPair, ImportError> {
    let mut asked = false;
    // Without a callback OpenSSL would ask on the terminal.
    let loaded = PKey::private_key_from_pem_callback(bytes, |buffer| {
        asked = true;
        match passphrase.map(|secret| secret.expose().as_bytes()) {
            Some(secret) if secret.len() <= buffer.len() => {
                buffer[..secret.len()].copy_from_slice(secret);
                Ok(secret.len())
            }
            _ => Err(ErrorStack::get()),
        }
    });
    match loaded {
        Ok(key) => Ok(KeyPair::from_private(&key, Comment::default())?),
        Err(_) if asked && passphrase.is_none() => Err(ImportError::Encrypted),
        Err(_) if asked => Err(ImportError::WrongPassphrase),
        Err(_) => Err(ImportError::UnknownFormat),
    }
}

/// Why a file gave no pair. No variant quotes the file.
#[derive(Debug)]
pub enum ImportError {
    /// The file needs a passphrase and none was given.
    Encrypted,
    WrongPassphrase,
    UnknownFormat,
    OpenSsh(ssh_key::Error),
    Comment(CommentError),
    PublicLine,
    /// Public and private half are of different keys.
    Mismatch,
    Key(KeyRefused),
}

impl From<KeyRefused> for ImportError {
    fn from(error: KeyRefused) -> Self {
        Self::Key(error)
    }
}

impl From<ssh_key::Error> for ImportError {
    fn from(error: ssh_key::Error) -> Self {
        match error {
            ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. } => {
                Self::Key(KeyRefused::Algorithm)
            }
            other => Self::OpenSsh(other),
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted => f.write_str("the private key is protected by a passphrase"),
            Self::WrongPassphrase => f.write_str("wrong passphrase for the private key"),
            Self::UnknownFormat => f.write_str("neither an OpenSSH nor a PEM private key"),
            Self::OpenSsh(error) => write!(f, "read the OpenSSH private key: {error}"),
            Self::Comment(error) => write!(f, "read the key's comment: {error}"),
            Self::PublicLine => f.write_str("the public key is not a line of type and base64"),
            Self::Mismatch => f.write_str("public and private key do not belong together"),
            Self::Key(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ImportError {}
