//! What one connection is bound to: the hosts that proved themselves on it, in order.
//!
//! The rules are those of OpenSSH's own agent (PROTOCOL.agent, section 1): a host's signature must
//! hold, a connection bound for logging in stays as it is, and a session belongs to one host.

use std::fmt;

use vault_grant::host_key::{host_fingerprint, signed};
use vault_grant::{Bind, Route};

/// As many hops as OpenSSH's agent remembers.
const MAX_BINDS: usize = 16;
/// Bound of OpenSSH's agent; an exchange hash has 20 to 64 bytes.
const MAX_SESSION_ID: usize = 128;

#[derive(Debug, Default)]
pub(crate) struct Binds {
    all: Vec<Bind>,
    /// A bind was refused: what the connection leads to is unknown from here on.
    is_broken: bool,
    /// Of the host bound last.
    host: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BindError {
    SessionId(usize),
    HostKey,
    Signature,
    AfterLogin,
    AnotherHost,
    TooMany,
}

impl Binds {
    /// Checks and remembers a bind. After one that is refused nothing more is signed for logins.
    pub(crate) fn add(&mut self, bind: Bind) -> Result<(), BindError> {
        let added = self.judge(&bind);
        match added {
            Ok(Some(host)) => {
                self.host = Some(host);
                self.all.push(bind);
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(why) => {
                self.is_broken = true;
                Err(why)
            }
        }
    }

    /// The host's fingerprint for a new bind; `None` for one that is known already.
    fn judge(&self, bind: &Bind) -> Result<Option<String>, BindError> {
        if !(1..=MAX_SESSION_ID).contains(&bind.session_id.len()) {
            return Err(BindError::SessionId(bind.session_id.len()));
        }
        let host = host_fingerprint(&bind.host_key).ok_or(BindError::HostKey)?;
        if !signed(&bind.host_key, &bind.session_id, &bind.signature) {
            return Err(BindError::Signature);
        }
        for known in &self.all {
            if !known.is_forwarding {
                return Err(BindError::AfterLogin);
            }
            if known.session_id == bind.session_id {
                return match known.host_key == bind.host_key {
                    true => Ok(None),
                    false => Err(BindError::AnotherHost),
                };
            }
        }
        if self.all.len() >= MAX_BINDS {
            return Err(BindError::TooMany);
        }
        Ok(Some(host))
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Fingerprint of the host bound last, for the audit.
    pub(crate) fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// What the keeper needs to judge a request that comes now.
    pub(crate) fn route(&self) -> Route {
        let is_forwarded = self.all.split_last().is_some_and(|(_, earlier)| !earlier.is_empty());
        Route { bind: self.all.last().cloned(), is_forwarded }
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionId(bytes) => {
                write!(f, "session identifier of {bytes} bytes, expected 1 to {MAX_SESSION_ID}")
            }
            Self::HostKey => write!(f, "host key of a kind that cannot be verified"),
            Self::Signature => write!(f, "the host did not sign this session identifier"),
            Self::AfterLogin => write!(f, "the connection is bound for a login already"),
            Self::AnotherHost => write!(f, "the session is bound to another host already"),
            Self::TooMany => write!(f, "more than {MAX_BINDS} binds"),
        }
    }
}

impl std::error::Error for BindError {}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
    use vault_grant::ssh_wire::put_string;

    fn host() -> Ed25519KeyPair {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap()
    }

    fn strings(value: &[u8]) -> Vec<u8> {
        let mut out = vec![];
        put_string(&mut out, b"ssh-ed25519");
        put_string(&mut out, value);
        out
    }

    fn bind(host: &Ed25519KeyPair, session: u8, is_forwarding: bool) -> Bind {
        let session_id = vec![session; 32];
        let signature = strings(host.sign(&session_id).as_ref());
        let host_key = strings(host.public_key().as_ref());
        Bind { host_key, session_id, signature, is_forwarding }
    }

    #[test]
    fn a_verified_bind_is_remembered_with_its_host() {
        let mut binds = Binds::default();
        assert_eq!(binds.route(), Route::default());
        let bind = bind(&host(), 1, false);
        binds.add(bind.clone()).unwrap();
        assert!(binds.host().unwrap().starts_with("SHA256:"));
        assert_eq!(binds.route(), Route { bind: Some(bind), is_forwarded: false });
    }

    #[test]
    fn a_forged_bind_is_refused_and_breaks_the_connection() {
        let (host, other) = (host(), host());
        let mut forged = bind(&host, 1, false);
        forged.host_key = bind(&other, 1, false).host_key;
        let mut binds = Binds::default();
        assert_eq!(binds.add(forged), Err(BindError::Signature));
        assert!(binds.is_broken());
    }

    #[test]
    fn nothing_follows_a_bind_for_a_login() {
        let host = host();
        let mut binds = Binds::default();
        binds.add(bind(&host, 1, false)).unwrap();
        assert_eq!(binds.add(bind(&host, 2, false)), Err(BindError::AfterLogin));
    }

    #[test]
    fn a_login_behind_a_forwarding_is_known_as_forwarded() {
        let (near, far) = (host(), host());
        let mut binds = Binds::default();
        binds.add(bind(&near, 1, true)).unwrap();
        assert!(!binds.route().is_forwarded);
        binds.add(bind(&near, 1, true)).unwrap();
        assert!(!binds.route().is_forwarded, "the same bind once more is no hop");
        binds.add(bind(&far, 2, false)).unwrap();
        assert!(binds.route().is_forwarded);
        assert_eq!(binds.route().bind.unwrap().session_id, [2; 32]);
    }

    #[test]
    fn a_session_belongs_to_one_host_and_hops_are_bounded() {
        let (one, other) = (host(), host());
        let mut binds = Binds::default();
        binds.add(bind(&one, 1, true)).unwrap();
        assert_eq!(binds.add(bind(&other, 1, true)), Err(BindError::AnotherHost));
        for session in 2..=16 {
            binds.add(bind(&one, session, true)).unwrap();
        }
        assert_eq!(binds.add(bind(&one, 17, true)), Err(BindError::TooMany));
    }

    #[test]
    fn session_identifiers_and_keys_outside_their_bounds_are_refused() {
        let host = host();
        let mut empty = bind(&host, 1, false);
        empty.session_id.clear();
        assert_eq!(Binds::default().add(empty), Err(BindError::SessionId(0)));
        let mut long = bind(&host, 1, false);
        long.session_id = vec![1; 129];
        assert_eq!(Binds::default().add(long), Err(BindError::SessionId(129)));
        let mut unknown = bind(&host, 1, false);
        unknown.host_key = b"key".to_vec();
        assert_eq!(Binds::default().add(unknown), Err(BindError::HostKey));
    }
}
