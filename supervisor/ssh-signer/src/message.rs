//! Messages of the agent protocol (draft-ietf-sshm-ssh-agent): the two requests we answer, and
//! our answers. Strings are those of RFC 4251, section 5: four bytes of length, then the bytes.

use vault_grant::Identity;

const SSH_AGENT_FAILURE: u8 = 5;
const SSH_AGENTC_REQUEST_IDENTITIES: u8 = 11;
const SSH_AGENT_IDENTITIES_ANSWER: u8 = 12;
const SSH_AGENTC_SIGN_REQUEST: u8 = 13;
const SSH_AGENT_SIGN_RESPONSE: u8 = 14;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Identities,
    Sign {
        public_blob: Vec<u8>,
        data: Vec<u8>,
        flags: u32,
    },
    /// Another message number; answered with a failure.
    Other(u8),
    /// A message of ours that does not parse; answered with a failure.
    Malformed,
}

impl Request {
    /// Reads one frame's payload, to its last byte.
    pub(crate) fn parse(payload: &[u8]) -> Self {
        match payload.split_first() {
            Some((&SSH_AGENTC_REQUEST_IDENTITIES, [])) => Self::Identities,
            Some((&SSH_AGENTC_SIGN_REQUEST, rest)) => sign(rest).unwrap_or(Self::Malformed),
            Some((&SSH_AGENTC_REQUEST_IDENTITIES, _)) | None => Self::Malformed,
            Some((&number, _)) => Self::Other(number),
        }
    }
}

fn sign(rest: &[u8]) -> Option<Request> {
    let (public_blob, rest) = string(rest)?;
    let (data, rest) = string(rest)?;
    let flags = u32::from_be_bytes(rest.try_into().ok()?);
    Some(Request::Sign { public_blob: public_blob.to_vec(), data: data.to_vec(), flags })
}

fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
}

pub(crate) fn failure() -> Vec<u8> {
    vec![SSH_AGENT_FAILURE]
}

/// SSH_AGENT_IDENTITIES_ANSWER: a count, then public blob and comment of each.
pub(crate) fn identities(identities: &[Identity]) -> Vec<u8> {
    let mut answer = vec![SSH_AGENT_IDENTITIES_ANSWER];
    answer.extend_from_slice(&(identities.len() as u32).to_be_bytes());
    for identity in identities {
        push_string(&mut answer, &identity.public_blob);
        push_string(&mut answer, identity.comment.as_bytes());
    }
    answer
}

/// SSH_AGENT_SIGN_RESPONSE around the keeper's signature string.
pub(crate) fn signature(signature: &[u8]) -> Vec<u8> {
    let mut answer = vec![SSH_AGENT_SIGN_RESPONSE];
    push_string(&mut answer, signature);
    answer
}

fn push_string(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    to.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sign_request_is_taken_apart() {
        let payload = b"\x0d\0\0\0\x02kb\0\0\0\x04data\0\0\0\x04";
        let expected =
            Request::Sign { public_blob: b"kb".to_vec(), data: b"data".to_vec(), flags: 4 };
        assert_eq!(Request::parse(payload), expected);
    }

    #[test]
    fn trailing_bytes_and_lying_lengths_are_malformed() {
        for payload in [
            &b"\x0d\0\0\0\x02kb\0\0\0\x04data\0\0\0\x04x"[..],
            b"\x0d\xff\xff\xff\xffkb",
            b"\x0d",
            b"\x0bx",
            b"",
        ] {
            assert_eq!(Request::parse(payload), Request::Malformed);
        }
    }

    #[test]
    fn adding_and_removing_keys_are_other_messages() {
        for number in [17, 18, 19, 22, 25, 27, 1] {
            assert_eq!(Request::parse(&[number, 0]), Request::Other(number));
        }
    }

    #[test]
    fn answers_have_the_bytes_of_the_draft() {
        let one = Identity { public_blob: b"kb".to_vec(), comment: "c".into() };
        assert_eq!(identities(&[one]), b"\x0c\0\0\0\x01\0\0\0\x02kb\0\0\0\x01c");
        assert_eq!(signature(b"sig"), b"\x0e\0\0\0\x03sig");
        assert_eq!(failure(), [5]);
    }

    proptest! {
        #[test]
        fn a_sign_request_of_any_content_is_read_back(
            blob in prop::collection::vec(any::<u8>(), 0..64),
            data in prop::collection::vec(any::<u8>(), 0..64),
            flags in any::<u32>(),
        ) {
            let mut payload = vec![SSH_AGENTC_SIGN_REQUEST];
            push_string(&mut payload, &blob);
            push_string(&mut payload, &data);
            payload.extend_from_slice(&flags.to_be_bytes());
            let expected = Request::Sign { public_blob: blob, data, flags };
            prop_assert_eq!(Request::parse(&payload), expected);
            payload.pop();
            prop_assert_eq!(Request::parse(&payload), Request::Malformed);
        }
    }
}
