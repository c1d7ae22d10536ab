//! What the signer asks to be signed, on which evidence, and how the keeper decides.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A connection's latest `session-bind@openssh.com` (OpenSSH's PROTOCOL.agent, section 1): the
/// host's own signature over the session identifier, so that whoever reads it can check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    pub host_key: Vec<u8>,
    pub session_id: Vec<u8>,
    pub signature: Vec<u8>,
    /// The client hands this connection on to the host instead of logging in with it.
    pub is_forwarding: bool,
}

/// How an agent connection got to where it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    pub bind: Option<Bind>,
    /// An earlier bind was for forwarding: the request comes from another host. The signer's word
    /// alone; a client that does not bind what it forwards is not noticed.
    pub is_forwarded: bool,
}

/// The body of SSH_AGENTC_SIGN_REQUEST and the connection it came on.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToSign {
    pub public_blob: Vec<u8>,
    pub data: Vec<u8>,
    pub flags: u32,
    pub route: Route,
}

/// A decision, and for whom it was made.
#[derive(Serialize, Deserialize)]
pub struct Signing {
    pub scope: String,
    pub subject: String,
    /// The `signature` string of SSH_AGENT_SIGN_RESPONSE: algorithm name and signature blob.
    pub outcome: Result<Vec<u8>, Denial>,
}

/// Why a token that may sign may not sign this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Denial {
    /// No key of the token's scope has this public blob.
    UnknownKey,
    /// The key is damaged.
    CannotSign,
    /// Neither a user's authentication nor a signed message.
    UnknownData,
    /// The data is to let in another key.
    OtherKey,
    /// The data is for another session than the connection is bound to.
    OtherSession,
    /// The data names another host key than the connection is bound to.
    OtherHostKey,
    /// The connection is bound for forwarding, not for logging in.
    BoundForForwarding,
    /// The key's hosts are limited, and no host has proved itself on this connection.
    HostUnproven,
    /// The key's hosts are limited, and the request was forwarded from another host.
    Forwarded,
    /// The host's fingerprint is not among the key's hosts.
    Host(String),
    /// Not among the key's users.
    User(String),
    /// Not among the key's namespaces.
    Namespace(String),
    /// The key has rules, and none of them allows logging in.
    NoLogin,
}

impl Denial {
    /// The word in the audit; what a key's rules refuse begins with `rule_`.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::CannotSign => "cannot_sign",
            Self::UnknownData => "unknown_data",
            Self::OtherKey => "other_key",
            Self::OtherSession => "other_session",
            Self::OtherHostKey => "other_host_key",
            Self::BoundForForwarding => "bound_for_forwarding",
            Self::HostUnproven => "rule_host_unproven",
            Self::Forwarded => "rule_forwarded",
            Self::Host(_) => "rule_host",
            Self::User(_) => "rule_user",
            Self::Namespace(_) => "rule_namespace",
            Self::NoLogin => "rule_login",
        }
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey => write!(f, "no such key in this scope"),
            Self::CannotSign => write!(f, "the stored key cannot be used"),
            Self::UnknownData => {
                write!(f, "the data is neither an SSH login nor a message of ssh-keygen -Y sign")
            }
            Self::OtherKey => write!(f, "the data is to let in another key"),
            Self::OtherSession => {
                write!(f, "the data is for another session than the connection is bound to")
            }
            Self::OtherHostKey => {
                write!(f, "the data names another host key than the connection is bound to")
            }
            Self::BoundForForwarding => {
                write!(f, "the connection is bound for forwarding, not for logging in")
            }
            Self::HostUnproven => write!(
                f,
                "the key is limited to certain hosts, and the client did not prove which one it is \
                 at\nhint: session-bind@openssh.com came with OpenSSH 8.9"
            ),
            Self::Forwarded => write!(
                f,
                "the key is limited to certain hosts, and the request was forwarded from another"
            ),
            Self::Host(fingerprint) => write!(f, "the key's rules do not allow host {fingerprint}"),
            Self::User(user) => write!(f, "the key's rules do not allow user {user:?}"),
            Self::Namespace(namespace) => {
                write!(f, "the key's rules do not allow namespace {namespace:?}")
            }
            Self::NoLogin => write!(f, "the key's rules allow no login"),
        }
    }
}

impl std::error::Error for Denial {}
