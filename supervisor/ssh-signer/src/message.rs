//! Messages of the agent protocol (draft-ietf-sshm-ssh-agent): the requests we answer, and our
//! answers.
//!
//! In comes a frame's payload; out comes a request that owns its parts. What is not exactly one of
//! ours is told apart only to be refused.

use vault_grant::ssh_wire::{Reader, put_string};
use vault_grant::{Bind, Identity};

const SSH_AGENT_FAILURE: u8 = 5;
const SSH_AGENT_SUCCESS: u8 = 6;
const SSH_AGENTC_REQUEST_IDENTITIES: u8 = 11;
const SSH_AGENT_IDENTITIES_ANSWER: u8 = 12;
const SSH_AGENTC_SIGN_REQUEST: u8 = 13;
const SSH_AGENT_SIGN_RESPONSE: u8 = 14;
const SSH_AGENTC_EXTENSION: u8 = 27;
const SSH_AGENT_EXTENSION_RESPONSE: u8 = 29;

/// Section 3.8.1 of the draft.
const QUERY: &[u8] = b"query";
/// OpenSSH's PROTOCOL.agent, section 1.
const SESSION_BIND: &[u8] = b"session-bind@openssh.com";

/// Largest bind in bytes: keys and signatures of RSA 8192, or a certificate with its principals.
/// What is passed on to the keeper with a request of full size must fit into one packet.
const MAX_BIND: usize = 2560;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Identities,
    Sign {
        public_blob: Vec<u8>,
        data: Vec<u8>,
        flags: u32,
    },
    /// Which extensions are there?
    Query,
    Bind(Bind),
    /// An extension nobody here knows.
    OtherExtension,
    /// Another message number; answered with a failure.
    Other(u8),
    /// A message of ours that does not parse; answered with a failure.
    Malformed,
}

impl Request {
    /// Reads one frame's payload, to its last byte.
    pub(crate) fn parse(payload: &[u8]) -> Self {
        let Some((number, rest)) = payload.split_first() else { return Self::Malformed };
        let rest = Reader::new(rest);
        let parsed = match *number {
            SSH_AGENTC_REQUEST_IDENTITIES => rest.end().map(|()| Self::Identities),
            SSH_AGENTC_SIGN_REQUEST => sign(rest),
            SSH_AGENTC_EXTENSION => extension(rest),
            other => Some(Self::Other(other)),
        };
        parsed.unwrap_or(Self::Malformed)
    }
}

fn sign(mut rest: Reader<'_>) -> Option<Request> {
    let (public_blob, data) = (rest.string()?, rest.string()?);
    let flags = rest.uint32()?;
    rest.end()?;
    Some(Request::Sign { public_blob: public_blob.to_vec(), data: data.to_vec(), flags })
}

/// The contents follow the name as they are, without a length of their own: so programs write
/// them, whatever the draft's figure says.
fn extension(mut rest: Reader<'_>) -> Option<Request> {
    match rest.string()? {
        QUERY => rest.end().map(|()| Request::Query),
        SESSION_BIND if rest.rest().len() <= MAX_BIND => bind(rest).map(Request::Bind),
        SESSION_BIND => None,
        _ => Some(Request::OtherExtension),
    }
}

fn bind(mut rest: Reader<'_>) -> Option<Bind> {
    let (host_key, session_id, signature) = (rest.string()?, rest.string()?, rest.string()?);
    let is_forwarding = rest.boolean()?;
    rest.end()?;
    Some(Bind {
        host_key: host_key.to_vec(),
        session_id: session_id.to_vec(),
        signature: signature.to_vec(),
        is_forwarding,
    })
}

pub(crate) fn failure() -> Vec<u8> {
    vec![SSH_AGENT_FAILURE]
}

pub(crate) fn success() -> Vec<u8> {
    vec![SSH_AGENT_SUCCESS]
}

/// SSH_AGENT_EXTENSION_RESPONSE to a query: its name, then those of the extensions.
pub(crate) fn extensions() -> Vec<u8> {
    let mut answer = vec![SSH_AGENT_EXTENSION_RESPONSE];
    put_string(&mut answer, QUERY);
    put_string(&mut answer, SESSION_BIND);
    answer
}

/// SSH_AGENT_IDENTITIES_ANSWER: a count, then public blob and comment of each.
pub(crate) fn identities(identities: &[Identity]) -> Vec<u8> {
    let mut answer = vec![SSH_AGENT_IDENTITIES_ANSWER];
    answer.extend_from_slice(&(identities.len() as u32).to_be_bytes());
    for identity in identities {
        put_string(&mut answer, &identity.public_blob);
        put_string(&mut answer, identity.comment.as_bytes());
    }
    answer
}

/// SSH_AGENT_SIGN_RESPONSE around the keeper's signature string.
pub(crate) fn signature(signature: &[u8]) -> Vec<u8> {
    let mut answer = Vec::with_capacity(5 + signature.len());
    answer.push(SSH_AGENT_SIGN_RESPONSE);
    put_string(&mut answer, signature);
    answer
}

#[cfg(test)]
mod tests;
