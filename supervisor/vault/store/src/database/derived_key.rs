//! What SQLCipher derives from a passphrase, kept in its place: whoever opens the vault next need
//! not derive it again, and the passphrase itself lies nowhere.
//!
//! In come a database and its passphrase; out comes `x'<key><salt>'`, which every SQLCipher 4
//! takes where it takes a passphrase (zetetic.net/sqlcipher/sqlcipher-api/#key). It opens this file
//! and copies of it until the passphrase changes.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use openssl::hash::MessageDigest;
use openssl::pkcs5::pbkdf2_hmac;
use terok_shared::secret::Secret;
use zeroize::Zeroizing;

use super::{OpenError, Vault, refuse_unless_encrypted};

/// Defaults of SQLCipher 4 (zetetic.net/sqlcipher/sqlcipher-api/#kdf_iter).
const ITERATIONS: usize = 256_000;
const KEY: usize = 32;
/// The first bytes of the file.
const SALT: usize = 16;

impl Vault {
    /// Opens as `open` does, and says what opens it without a derivation. Takes one, about 0.1 s,
    /// or none for what was derived before.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_deriving(
        path: &Path,
        passphrase: &Secret<String>,
    ) -> Result<(Self, Secret<String>), OpenError> {
        // What `open` refuses unseen is refused before the work.
        super::KeyStatement::new(passphrase)?;
        refuse_unless_encrypted(path)?;
        let key = match is_derived(passphrase.expose()) {
            true => passphrase.expose().clone().into(),
            false => derive(path, passphrase)?,
        };
        Ok((Self::open(path, &key)?, key))
    }
}

/// Whether SQLCipher takes this text for a key: the key, key and salt, or the key of the
/// authentication codes between the two (`sqlcipher_cipher_ctx_key_derive` in sqlcipher.c).
pub fn is_derived(text: &str) -> bool {
    const FORMS: [usize; 3] = [KEY, KEY + SALT, 2 * KEY + SALT];
    let digits = text.strip_prefix(['x', 'X']).and_then(|rest| rest.strip_prefix('\''));
    digits.and_then(|rest| rest.strip_suffix('\'')).is_some_and(|digits| {
        FORMS.contains(&(digits.len() / 2))
            && digits.len() % 2 == 0
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    })
}

fn derive(path: &Path, passphrase: &Secret<String>) -> Result<Secret<String>, OpenError> {
    let mut salt = [0; SALT];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut salt))
        .map_err(|source| OpenError::Io { doing: "read", path: path.to_owned(), source })?;
    let mut key = Zeroizing::new([0; KEY]);
    let passphrase = passphrase.expose().as_bytes();
    pbkdf2_hmac(passphrase, &salt, ITERATIONS, MessageDigest::sha512(), &mut *key)
        .map_err(|_| OpenError::KeyRefused { path: path.to_owned() })?;
    // Sized at once, so that growing leaves no copy behind.
    let mut text = String::with_capacity(2 * (KEY + SALT) + 3);
    text.push_str("x'");
    for byte in key.iter().chain(&salt) {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(digit.into(), 16).expect("four bits are one digit"));
        }
    }
    text.push('\'');
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::is_derived;

    #[test]
    fn only_what_sqlcipher_takes_for_a_key_is_one() {
        for (key, digits) in [("0a", 32), ("0A", 48), ("ff", 80)] {
            assert!(is_derived(&format!("x'{}'", key.repeat(digits))));
            assert!(is_derived(&format!("X'{}'", key.repeat(digits))));
        }
        let key = "0a".repeat(48);
        for other in [
            format!("x'{key}"),
            key.clone(),
            format!("x'{key}00'"),
            format!("x'{key}0'"),
            format!("x'{}'", "0g".repeat(48)),
            "correct horse".to_owned(),
            "x''".to_owned(),
        ] {
            assert!(!is_derived(&other), "{other}");
        }
    }
}
