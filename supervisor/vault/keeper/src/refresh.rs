//! Renewing a login: hands out its refresh token under the lock of all supervisors, and stores
//! what the broker bought with it.
//!
//! Written first, used afterwards: a refresh token is good for one use, so what it bought is in
//! the vault before the broker may send it anywhere. A token that is handed out is marked in the
//! vault, so that not even the end of this process lets another spend it at the same time.

mod lock;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use terok_shared::handover::TokenLimits;
use terok_shared::secret::Secret;
use terok_shared::token::STATIC_MARKERS;
use vault_grant::TokenInfo;
use vault_grant::refresh::{Answer, Begun, Login, Question, Receipt, Spent};
use vault_grant::{Member, Refusal};
use vault_store::Vault;
use vault_store::credential::{Credential, CredentialError, CredentialName, Kind};
use vault_store::database::DatabaseError;
use vault_store::refresh::{Remembered, Renewal, TokenDigest};

use crate::answer::within;
use lock::Lock;

/// An access token that ends within this many seconds is renewed.
const SOON: i64 = 600;

/// How long a broker may take between the beginning and the end; its call has 15 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a mark in the vault holds others back, in seconds: a little longer than a call takes.
const MARK: i64 = 20;

pub(crate) struct Refreshes {
    /// `None` when there is no directory for locks: nothing is renewed then.
    locks: Option<PathBuf>,
    held: HashMap<Login, Held>,
    /// The process the questions come from, by the upper half of their numbers.
    asker: u64,
}

struct Held {
    _lock: Lock,
    until: Instant,
}

/// What an answer did to the vault.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    /// A credential is another than before.
    Changed,
}

impl Refreshes {
    /// Makes the locks' directory while that is still possible.
    pub(crate) fn with_locks_in(directory: PathBuf) -> Self {
        let locks = match lock::make_directory(&directory) {
            Ok(()) => Some(directory),
            Err(why) => {
                log::error!("{why}; logins are not renewed");
                None
            }
        };
        Self { locks, held: HashMap::new(), asker: 0 }
    }

    /// What must stay writable.
    pub(crate) fn directory(&self) -> Option<&Path> {
        self.locks.as_deref()
    }

    /// When to call `release_overdue`, if ever.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.held.values().map(|held| held.until).min()
    }

    /// Gives back what a broker took and never came back for.
    pub(crate) fn release_overdue(&mut self, vault: &mut Vault, now: Instant) {
        self.release(vault, |held| held.until <= now);
    }

    /// Answers question number `id`.
    pub(crate) fn answer(
        &mut self,
        vault: &mut Vault,
        limits: &TokenLimits,
        id: u64,
        question: Question,
    ) -> Result<(Answer, Effect), Refusal> {
        // A broker numbers its questions from its process id on: this is another one, and what
        // its predecessor had taken is lost.
        if std::mem::replace(&mut self.asker, id >> 32) != id >> 32 {
            self.release(vault, |_| true);
        }
        match question {
            Question::Expiring { providers } => {
                let logins = expiring(vault, limits, &providers)?;
                Ok((Answer::Expiring(logins), Effect::None))
            }
            Question::Begin { login, rejected } => {
                let rejected = rejected.map(|Member(token)| token);
                let begun = self.begin(vault, limits, login, rejected.as_ref())?;
                Ok((Answer::Begin(begun), Effect::None))
            }
            Question::End { login, receipt, outcome } => {
                if !may_use(vault, limits, &login)? {
                    return Err(Refusal::NotYours);
                }
                Ok(self.end(vault, &login, &receipt, outcome))
            }
        }
    }

    fn begin(
        &mut self,
        vault: &mut Vault,
        limits: &TokenLimits,
        login: Login,
        rejected: Option<&Secret<String>>,
    ) -> Result<Begun, Refusal> {
        if !may_use(vault, limits, &login)? {
            return Ok(Begun::NotRenewable);
        }
        let Some(lock) = self.lock(&login) else { return Ok(Begun::Elsewhere) };
        // Read under the lock: whoever had it before may have written.
        let name = name_of(&login);
        let Some(row) = read(vault, &name)? else { return Ok(Begun::NotRenewable) };
        let Some(refresh_token) = row.refresh_token() else { return Ok(Begun::NotRenewable) };
        if !has_reason(&row, rejected, now()) {
            return Ok(Begun::Fresh);
        }
        let digest = TokenDigest::of(&refresh_token);
        match vault.remembered(&name, &digest).map_err(unreadable)? {
            Remembered::Refused => return Ok(Begun::Refused),
            Remembered::Spending { since } if (now() - since).abs() < MARK => {
                return Ok(Begun::Elsewhere);
            }
            Remembered::Spending { .. } | Remembered::Nothing => {}
        }
        // A keeper that was killed lost its lock, and its successor stores what the broker bought
        // without one: perhaps between our reading of the row and of what is remembered of it.
        if !is_begun(vault.begin_refresh(&name, &digest, now()))? {
            return Ok(Begun::Elsewhere);
        }
        log::info!("login {}/{} is being renewed", login.credential_set, login.provider);
        self.held.insert(login, Held { _lock: lock, until: Instant::now() + PATIENCE });
        let receipt = Receipt(digest.as_str().to_owned());
        Ok(Begun::Spend { refresh_token: Member(refresh_token), receipt })
    }

    fn lock(&self, login: &Login) -> Option<Lock> {
        let taken = Lock::take(self.locks.as_ref()?, login);
        taken.unwrap_or_else(|why| {
            log::error!("{why}");
            None
        })
    }

    fn end(
        &mut self,
        vault: &mut Vault,
        login: &Login,
        receipt: &Receipt,
        outcome: Spent,
    ) -> (Answer, Effect) {
        let ended = record(vault, &name_of(login), &TokenDigest::from_text(&receipt.0), outcome);
        match ended {
            Ok(effect) => {
                self.held.remove(login);
                (Answer::Stored, effect)
            }
            Err(why) => {
                log::error!("store a renewed login: {why}");
                // The broker still has what it bought: nobody else may spend meanwhile.
                if let Some(held) = self.held.get_mut(login) {
                    held.until = Instant::now() + PATIENCE;
                }
                (Answer::NotStored, Effect::None)
            }
        }
    }

    fn release(&mut self, vault: &mut Vault, which: impl Fn(&Held) -> bool) {
        for (login, _lock) in self.held.extract_if(|_, held| which(held)) {
            log::warn!(
                "the broker began to renew {}/{} and never said how it went",
                login.credential_set,
                login.provider
            );
            if let Err(why) = vault.abandon_refresh(&name_of(&login)) {
                log::error!("{why}");
            }
        }
    }
}

/// Writes the outcome of a renewal down.
fn record(
    vault: &mut Vault,
    name: &CredentialName,
    spent: &TokenDigest,
    outcome: Spent,
) -> Result<Effect, CredentialError> {
    let login = format!("login {}/{}", name.credential_set, name.provider);
    match outcome {
        Spent::Bought { access_token: Member(access), refresh_token, expires_in } => {
            let refresh_token = refresh_token.map(|Member(token)| token);
            let expires_at = now().saturating_add(i64::try_from(expires_in).unwrap_or(i64::MAX));
            match vault.renew(name, spent, &access, refresh_token.as_ref(), expires_at)? {
                Renewal::Stored => log::info!("{login} renewed for {expires_in} s"),
                Renewal::Superseded => {
                    log::warn!("{login} was changed by another while it was renewed; that stays");
                }
            }
            Ok(Effect::Changed)
        }
        Spent::Refused { reason } => {
            log::error!(
                "{login} can no longer be renewed: {reason:?}\n\
                 hint: log in anew and store it with `terokctl vault add`"
            );
            vault.refuse_refresh(name, spent, &reason, now())?;
            Ok(Effect::None)
        }
        Spent::Failed => {
            vault.abandon_refresh(name)?;
            Ok(Effect::None)
        }
    }
}

/// Logins of these providers that end soon and may be renewed.
fn expiring(
    vault: &Vault,
    limits: &TokenLimits,
    providers: &[String],
) -> Result<Vec<Login>, Refusal> {
    let mut found = Vec::new();
    for name in vault.credentials().map_err(unreadable)? {
        if !providers.contains(&name.provider) {
            continue;
        }
        let login =
            Login { credential_set: name.credential_set.clone(), provider: name.provider.clone() };
        let Some(row) = read(vault, &name)? else { continue };
        let Some(refresh_token) = row.refresh_token() else { continue };
        if !has_reason(&row, None, now()) || !may_use(vault, limits, &login)? {
            continue;
        }
        let digest = TokenDigest::of(&refresh_token);
        if vault.remembered(&name, &digest).map_err(unreadable)? != Remembered::Refused {
            found.push(login);
        }
    }
    Ok(found)
}

/// Whether there is reason to renew: it ends soon or nobody knows when, or it is the very access
/// token that an upstream refused.
fn has_reason(row: &Credential, rejected: Option<&Secret<String>>, now: i64) -> bool {
    if row.kind() != Kind::OAuth {
        return false;
    }
    match rejected {
        Some(rejected) => row.secret().is_none_or(|held| held.matches(rejected.expose())),
        None => row.expires_at().is_none_or(|end| end < now.saturating_add(SOON)),
    }
}

/// Whether this container holds, or could hold, a token for the login.
fn may_use(vault: &Vault, limits: &TokenLimits, login: &Login) -> Result<bool, Refusal> {
    if limits.scope_id.is_empty() && limits.token_subject.is_none() {
        return Ok(true);
    }
    let marked = limits.static_markers
        && login.credential_set == "default"
        && STATIC_MARKERS.iter().any(|(_, provider)| login.provider == *provider);
    if marked {
        return Ok(true);
    }
    let tokens = vault.tokens().map_err(unreadable)?;
    Ok(tokens.into_iter().map(|token| token.info).any(|info| {
        info.credential_set == login.credential_set
            && info.provider == login.provider
            && within(
                limits,
                &TokenInfo {
                    scope: info.scope,
                    subject: info.subject,
                    credential_set: info.credential_set,
                    provider: info.provider,
                },
            )
    }))
}

fn name_of(login: &Login) -> CredentialName {
    CredentialName {
        credential_set: login.credential_set.clone(),
        provider: login.provider.clone(),
    }
}

/// The row, unless there is none or it cannot be read as a credential.
fn read(vault: &Vault, name: &CredentialName) -> Result<Option<Credential>, Refusal> {
    match vault.credential(&name.credential_set, &name.provider) {
        Ok(row) => Ok(row),
        Err(CredentialError::Database(why)) => Err(unreadable(why)),
        Err(why) => {
            log::error!("{why}");
            Ok(None)
        }
    }
}

fn is_begun(begun: Result<bool, CredentialError>) -> Result<bool, Refusal> {
    match begun {
        Err(CredentialError::Database(why)) => Err(unreadable(why)),
        Err(why) => {
            log::error!("{why}");
            Ok(false)
        }
        Ok(begun) => Ok(begun),
    }
}

fn unreadable(why: DatabaseError) -> Refusal {
    log::error!("{why}");
    Refusal::Locked
}

/// Unix seconds.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
