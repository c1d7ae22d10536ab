//! What a question is answered with: the token's row decides, within this container's limits, and
//! never more than the asker's role may ask.

use std::collections::HashMap;
use std::fmt;

use terok_shared::handover::TokenLimits;
use terok_shared::secret::Secret;
use terok_shared::token::STATIC_MARKERS;
use vault_grant::{
    Answer, Credential, CredentialKind, CredentialProblem, Denial, Grant, Identity, Member,
    Question, Refusal, Signing, ToSign, TokenInfo,
};
use vault_store::Vault;
use vault_store::credential::{CredentialError, Kind};
use vault_store::database::DatabaseError;
use vault_store::ssh_key::rules::Rules;

use crate::permit::permit;
use crate::sign::SigningKey;

/// The provider of tokens that stand for the SSH keys of their scope.
const SSH: &str = "ssh";

/// Decoded keys kept at most: a container uses one or two.
const MAX_DECODED: usize = 64;

/// Tokens remembered at most: a container has one for each credential it uses.
const MAX_ADMITTED: usize = 16;

/// Who sits at the other end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Broker,
    Signer,
}

pub(crate) struct Answerer {
    vault: Vault,
    limits: TokenLimits,
    /// By public blob, for the scope they were read for. Decoding an RSA key takes longer than
    /// signing with it.
    decoded: HashMap<Vec<u8>, Decoded>,
    /// Rows of tokens that were presented and may be used here, the latest last.
    admitted: Vec<(Secret<String>, TokenInfo)>,
}

/// What a presented token stands for.
enum Meant {
    /// A row of the vault, or nothing.
    Token(Secret<String>),
    /// A provider's `default` credential.
    Default { provider: &'static str },
}

struct Decoded {
    scope: String,
    key: SigningKey,
    rules: Rules,
}

impl Answerer {
    pub(crate) fn new(vault: Vault, limits: TokenLimits) -> Self {
        Self { vault, limits, decoded: HashMap::new(), admitted: Vec::new() }
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.vault
    }

    /// For the renewal of logins, which writes.
    pub(crate) fn vault_and_limits(&mut self) -> (&mut Vault, &TokenLimits) {
        (&mut self.vault, &self.limits)
    }

    /// The database changed: what was read from it no longer counts.
    pub(crate) fn forget(&mut self) {
        self.decoded.clear();
        self.admitted.clear();
    }

    pub(crate) fn answer(&mut self, role: Role, question: Question) -> Answer {
        let answered = match (role, question) {
            (Role::Broker, Question::Grant { token }) => self.grant(&token).map(Answer::Grant),
            (Role::Signer, Question::Identities { token }) => {
                self.identities(&token).map(Answer::Identities)
            }
            (Role::Signer, Question::Sign { token, to_sign }) => {
                self.sign(&token, &to_sign).map(Answer::Signing)
            }
            (Role::Broker, Question::Identities { .. } | Question::Sign { .. })
            | (Role::Broker, Question::Refresh(_))
            | (Role::Signer, Question::Grant { .. } | Question::Refresh(_)) => {
                log::warn!("the {role} asked what is not its to ask");
                Err(Refusal::NotYours)
            }
        };
        answered.unwrap_or_else(Answer::Refused)
    }

    fn grant(&mut self, token: &Secret<String>) -> Result<Grant, Refusal> {
        let token = self.admit(token)?;
        let stored = self.vault.credential(&token.credential_set, &token.provider);
        let credential = match stored {
            Ok(Some(stored)) => usable(&stored).ok_or(CredentialProblem::Misconfigured),
            Ok(None) => Err(CredentialProblem::Missing),
            Err(CredentialError::Database(why)) => return Err(unreadable(&why)),
            Err(why) => {
                log::error!("{why}");
                Err(CredentialProblem::Misconfigured)
            }
        };
        Ok(Grant { token, credential })
    }

    fn identities(&mut self, token: &Secret<String>) -> Result<Vec<Identity>, Refusal> {
        let scope = self.admit_ssh(token)?.scope;
        let keys = self.vault.ssh_keys(&scope).map_err(|why| unreadable(&why))?;
        Ok(keys
            .into_iter()
            .map(|key| Identity { public_blob: key.public_blob, comment: key.comment })
            .collect())
    }

    fn sign(&mut self, token: &Secret<String>, to_sign: &ToSign) -> Result<Signing, Refusal> {
        let TokenInfo { scope, subject, .. } = self.admit_ssh(token)?;
        let outcome = match self.decoded(&scope, &to_sign.public_blob)? {
            Err(denial) => Err(denial),
            Ok(Decoded { key, rules, .. }) => permit(to_sign, rules)
                .and_then(|()| key.sign(&to_sign.data, to_sign.flags).ok_or(Denial::CannotSign)),
        };
        Ok(Signing { scope, subject, outcome })
    }

    fn decoded(
        &mut self,
        scope: &str,
        public_blob: &[u8],
    ) -> Result<Result<&Decoded, Denial>, Refusal> {
        let is_there = self.decoded.get(public_blob).is_some_and(|known| known.scope == scope);
        if !is_there {
            let database = |why| unreadable(&why);
            let Some(stored) = self.vault.ssh_private_key(scope, public_blob).map_err(database)?
            else {
                return Ok(Err(Denial::UnknownKey));
            };
            let Some(key) = SigningKey::decode(stored.public.kind, &stored.private_der) else {
                return Ok(Err(Denial::CannotSign));
            };
            let rules = self.vault.ssh_key_rules(&stored.public.fingerprint).map_err(database)?;
            if self.decoded.len() >= MAX_DECODED {
                self.decoded.clear();
            }
            let decoded = Decoded { scope: scope.to_owned(), key, rules };
            self.decoded.insert(public_blob.to_vec(), decoded);
        }
        Ok(self.decoded.get(public_blob).ok_or(Denial::UnknownKey))
    }

    fn admit_ssh(&mut self, token: &Secret<String>) -> Result<TokenInfo, Refusal> {
        let token = self.admit(token)?;
        if token.provider == SSH { Ok(token) } else { Err(Refusal::WrongProvider) }
    }

    /// The token's row, if this container may use it.
    fn admit(&mut self, token: &Secret<String>) -> Result<TokenInfo, Refusal> {
        let meant = match self.meant(token) {
            Meant::Token(meant) => meant,
            Meant::Default { provider } => {
                return Ok(TokenInfo {
                    credential_set: "default".to_owned(),
                    provider: provider.to_owned(),
                    ..TokenInfo::default()
                });
            }
        };
        let presented = meant.expose();
        if let Some((_, info)) = self.admitted.iter().find(|(known, _)| known.matches(presented)) {
            return Ok(info.clone());
        }
        let row = self
            .vault
            .token(presented)
            .map_err(|why| unreadable(&why))?
            .ok_or(Refusal::UnknownToken)?;
        let info = TokenInfo {
            scope: row.scope,
            subject: row.subject,
            credential_set: row.credential_set,
            provider: row.provider,
        };
        if !within(&self.limits, &info) {
            return Err(Refusal::WrongScope(info));
        }
        if self.admitted.len() >= MAX_ADMITTED {
            self.admitted.remove(0);
        }
        self.admitted.push((meant, info.clone()));
        Ok(info)
    }

    /// A static marker stands for the token that the sidecar names for its provider, else for the
    /// provider's `default` credential, and then carries no scope.
    fn meant(&self, presented: &Secret<String>) -> Meant {
        let token = |token: &String| Meant::Token(token.clone().into());
        let marked = STATIC_MARKERS.iter().find(|(marker, _)| presented.matches(marker));
        let Some((_, provider)) = marked else { return token(presented.expose()) };
        match self.limits.marker_tokens.iter().find(|(of, _)| of == provider) {
            Some((_, meant)) => token(meant),
            None if self.limits.static_markers => Meant::Default { provider },
            None => token(presented.expose()),
        }
    }
}

pub(crate) fn within(limits: &TokenLimits, token: &TokenInfo) -> bool {
    let scope = limits.scope_id.is_empty() || limits.scope_id == token.scope;
    let subject = limits.token_subject.as_ref().is_none_or(|subject| *subject == token.subject);
    scope && subject
}

fn usable(stored: &vault_store::credential::Credential) -> Option<Credential> {
    let members =
        stored.companions().into_iter().map(|(name, value)| (name, Member(value))).collect();
    let kind = match stored.kind() {
        Kind::OAuth => CredentialKind::OAuth,
        Kind::Key => CredentialKind::Key,
    };
    Some(Credential { kind, value: stored.secret()?, members })
}

fn unreadable(why: &DatabaseError) -> Refusal {
    log::error!("{why}");
    Refusal::Locked
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Broker => "broker",
            Self::Signer => "signer",
        })
    }
}

#[cfg(test)]
mod tests;
