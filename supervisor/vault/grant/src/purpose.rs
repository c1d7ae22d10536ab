//! What a signature would be for, told from the data to be signed.
//!
//! Two kinds exist: a user's authentication to a host (RFC 4252, section 7, and OpenSSH's
//! host-bound variant in its PROTOCOL, section 1.10) and a signed message (PROTOCOL.sshsig). They cannot be taken for
//! each other: one begins with the length of a session identifier, the other with `SSHSIG`. Data
//! that is neither has no purpose we could name, and is not signed.

use crate::ssh_wire::Reader;

/// RFC 4252, section 6.
const SSH_MSG_USERAUTH_REQUEST: u8 = 50;
/// Bounds of OpenSSH's agent; an exchange hash has 20 to 64 bytes.
const MAX_SESSION_ID: usize = 128;
/// Longer than any account name or namespace somebody uses, short enough for an audit line.
const MAX_NAME: usize = 256;

const SSHSIG: &[u8] = b"SSHSIG";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'a> {
    UserAuth(UserAuth<'a>),
    SshSig { namespace: &'a str },
}

/// A request to be let in as `user`, valid in the one session `session_id` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserAuth<'a> {
    pub session_id: &'a [u8],
    pub user: &'a str,
    pub algorithm: &'a str,
    /// The public key that is to be let in.
    pub key: &'a [u8],
    /// The host's key, in the host-bound variant.
    pub host_key: Option<&'a [u8]>,
}

impl<'a> Purpose<'a> {
    /// Reads `data` to its last byte; `None` for anything else.
    pub fn of(data: &'a [u8]) -> Option<Self> {
        match data.strip_prefix(SSHSIG) {
            Some(rest) => ssh_sig(Reader::new(rest)),
            None => user_auth(Reader::new(data)).map(Self::UserAuth),
        }
    }
}

fn user_auth(mut data: Reader<'_>) -> Option<UserAuth<'_>> {
    let session_id = data.string().filter(|id| (1..=MAX_SESSION_ID).contains(&id.len()))?;
    (data.byte()? == SSH_MSG_USERAUTH_REQUEST).then_some(())?;
    let user = data.name().filter(|user| user.len() <= MAX_NAME)?;
    (data.string()? == b"ssh-connection").then_some(())?;
    let method = data.string()?;
    data.boolean()?.then_some(())?;
    let algorithm = data.name()?;
    let key = data.string()?;
    let host_key = match method {
        b"publickey" => None,
        b"publickey-hostbound-v00@openssh.com" => Some(data.string()?),
        _ => return None,
    };
    data.end()?;
    let belongs = match Reader::new(key).string()? {
        b"ssh-ed25519" => algorithm == "ssh-ed25519",
        // RFC 8332, section 3: the key's name stays the same whatever signs.
        b"ssh-rsa" => ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"].contains(&algorithm),
        _ => false,
    };
    belongs.then_some(UserAuth { session_id, user, algorithm, key, host_key })
}

fn ssh_sig(mut data: Reader<'_>) -> Option<Purpose<'_>> {
    let namespace = data.name().filter(|name| (1..=MAX_NAME).contains(&name.len()))?;
    // Kept for meanings that no rule of ours could know; nobody writes one yet.
    data.string()?.is_empty().then_some(())?;
    let length = match data.string()? {
        b"sha256" => 32,
        b"sha512" => 64,
        _ => return None,
    };
    (data.string()?.len() == length).then_some(())?;
    data.end()?;
    Some(Purpose::SshSig { namespace })
}

#[cfg(test)]
mod tests;
