//! What broker and signer may ask, and what the keeper answers.
//!
//! Encoded with postcard. A secret is plain only inside this module's encoding; outside it is a
//! `Secret`. Nothing here implements `Debug` on a value that holds one.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use terok_shared::secret::Secret;

use crate::refresh;
use crate::signing::{Signing, ToSign};

/// A question with the asker's number for it; numbers above zero.
#[derive(Serialize, Deserialize)]
pub struct Request {
    pub id: u64,
    pub question: Question,
}

#[derive(Serialize, Deserialize)]
pub enum Question {
    /// Broker: what does this token grant?
    Grant {
        #[serde(with = "plain")]
        token: Secret<String>,
    },
    /// Signer: which public keys does this token's scope hold?
    Identities {
        #[serde(with = "plain")]
        token: Secret<String>,
    },
    /// Signer: a signature with a key of this token's scope.
    Sign {
        #[serde(with = "plain")]
        token: Secret<String>,
        to_sign: ToSign,
    },
    /// Broker: a login's renewal.
    Refresh(refresh::Question),
}

/// An answer to the question of this number, or a notice.
#[derive(Serialize, Deserialize)]
pub enum Reply {
    To(u64, Answer),
    Notice(Notice),
}

/// Said by the keeper unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Notice {
    /// A keeper began to serve: questions still open must be asked again.
    Serving,
    /// The vault changed: grants remembered from before no longer count.
    Changed,
    /// The vault could not be opened: questions still open will not be answered.
    Locked,
}

#[derive(Serialize, Deserialize)]
pub enum Answer {
    Grant(Grant),
    /// In the order of SSH_AGENT_IDENTITIES_ANSWER.
    Identities(Vec<Identity>),
    Signing(Signing),
    Refresh(refresh::Answer),
    Refused(Refusal),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    UnknownToken,
    /// The token exists, but belongs to another scope or another container.
    WrongScope(TokenInfo),
    /// A broker's token at the signer, or the reverse.
    WrongProvider,
    /// Not this service's question.
    NotYours,
    /// The vault is locked, missing or damaged; the keeper's log says which.
    Locked,
    /// The keeper did not answer in time.
    Unavailable,
}

/// A row of `proxy_tokens` without the token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    pub scope: String,
    pub subject: String,
    pub credential_set: String,
    pub provider: String,
}

/// What one token grants: its row, and the credential the row names.
#[derive(Serialize, Deserialize)]
pub struct Grant {
    pub token: TokenInfo,
    pub credential: Result<Credential, CredentialProblem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CredentialProblem {
    /// No row for this credential set and provider.
    Missing,
    /// A row without a usable value.
    Misconfigured,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CredentialKind {
    OAuth,
    /// An API key, personal access token or pasted OAuth token.
    Key,
}

#[derive(Serialize, Deserialize)]
pub struct Credential {
    pub kind: CredentialKind,
    #[serde(with = "plain")]
    pub value: Secret<String>,
    /// The credential's other string members (an account id, say) by name, for
    /// `oauth_credential_headers`; never its refresh token.
    pub members: Vec<(String, Member)>,
}

#[derive(Serialize, Deserialize)]
pub struct Member(#[serde(with = "plain")] pub Secret<String>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub public_blob: Vec<u8>,
    pub comment: String,
}

impl Credential {
    pub fn member(&self, name: &str) -> Option<&Secret<String>> {
        self.members.iter().find(|(key, _)| key == name).map(|(_, Member(value))| value)
    }
}

/// A `Secret<String>` as a plain string on the line, and nowhere else.
mod plain {
    use super::{Deserialize, Deserializer, Secret, Serializer};

    pub(super) fn serialize<S: Serializer>(
        secret: &Secret<String>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Secret<String>, D::Error> {
        String::deserialize(from).map(Secret::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_grant_survives_the_line() {
        let sent = Reply::To(
            7,
            Answer::Grant(Grant {
                token: TokenInfo { provider: "github".into(), ..TokenInfo::default() },
                credential: Ok(Credential {
                    kind: CredentialKind::Key,
                    value: Secret::from("real".to_owned()),
                    members: vec![("account".into(), Member(Secret::from("a1".to_owned())))],
                }),
            }),
        );
        let bytes = postcard::to_stdvec(&sent).unwrap();
        let Reply::To(7, Answer::Grant(grant)) = postcard::from_bytes(&bytes).unwrap() else {
            panic!("another message came back")
        };
        let credential = grant.credential.ok().unwrap();
        assert_eq!(grant.token.provider, "github");
        assert_eq!(credential.value.expose(), "real");
        assert_eq!(credential.member("account").unwrap().expose(), "a1");
    }

    proptest! {
        #[test]
        fn no_bytes_of_an_asker_upset_the_parser(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let parsed = postcard::from_bytes::<Request>(&bytes);
            if let Ok(request) = parsed {
                prop_assert!(postcard::to_stdvec(&request).is_ok());
            }
        }
    }
}
