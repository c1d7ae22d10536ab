//! The numbers in an OpenSSH private key file that must stay secret (openssh-portable
//! PROTOCOL.key), so that tests can look for them wherever a container could.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use terok_shared::secret::Secret;

/// Each secret number of an unencrypted ed25519 or RSA key, by its name.
pub(crate) fn parts(file: &str) -> Vec<(String, Secret<Vec<u8>>)> {
    let body: String = file.lines().filter(|line| !line.starts_with('-')).collect();
    let blob = STANDARD.decode(body).unwrap();
    let (names, fields) = match private_section(&blob, b"ssh-ed25519") {
        Some(fields) => (&["public", "seed and public"][..], fields),
        None => (
            &["n", "e", "d", "iqmp", "p", "q"][..],
            private_section(&blob, b"ssh-rsa").expect("ed25519 or RSA"),
        ),
    };
    let named = names.iter().copied().zip(strings(fields));
    named
        .filter(|(name, _)| !matches!(*name, "public" | "n" | "e"))
        .map(|(name, value)| match name {
            // The second half is the public key once more.
            "seed and public" => ("seed".to_owned(), value[..32].to_vec().into()),
            name => (name.to_owned(), value.to_vec().into()),
        })
        .collect()
}

/// What follows the last mention of the key's type.
fn private_section<'b>(blob: &'b [u8], kind: &[u8]) -> Option<&'b [u8]> {
    let at = blob.windows(kind.len()).rposition(|window| window == kind)?;
    Some(&blob[at + kind.len()..])
}

/// Strings of RFC 4251 section 5: four bytes of length, big-endian, and that many bytes.
fn strings(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (string, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        bytes = rest;
        Some(string)
    })
}
