//! How a public key is named to people.

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use sha2::{Digest, Sha256};

/// `SHA256:` and the unpadded base64 of the digest of a public blob, as `ssh-keygen -l` prints it.
pub fn fingerprint(public_blob: &[u8]) -> String {
    format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(Sha256::digest(public_blob)))
}
