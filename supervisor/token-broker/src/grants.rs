//! What tokens grant, asked of the keeper once and remembered until the vault changes.
//!
//! In: a token. Out: its row and the credential, or the keeper's refusal. Refusals are asked
//! again each time: a token may be minted at any moment.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use terok_shared::secret::Secret;
use tokio::sync::watch;
use vault_grant::refresh::Login;
use vault_grant::{Credential, CredentialKind, CredentialProblem, Keeper, Refusal, TokenInfo};

use crate::inject::{Injection, Unusable};
use crate::route::Route;

/// Most tokens remembered; a container has one per provider.
const MAX_REMEMBERED: usize = 256;

pub(crate) struct Grants {
    keeper: Keeper,
    remembered: RefCell<Remembered>,
}

struct Remembered {
    epoch: watch::Receiver<u64>,
    /// Counts how often everything was forgotten.
    forgotten: u64,
    by_token: HashMap<String, Rc<Granted>>,
}

/// One token's grant, with the headers last made from it.
pub(crate) struct Granted {
    pub(crate) token: Rc<TokenInfo>,
    credential: Result<Credential, CredentialProblem>,
    /// An upstream has taken the credential.
    proved: Cell<bool>,
    injection: RefCell<Option<(Rc<Route>, Rc<Injection>)>>,
}

/// Why a grant cannot be used on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CredentialTrouble {
    Missing,
    Misconfigured,
}

impl Grants {
    pub(crate) fn new(keeper: Keeper) -> Self {
        let remembered =
            Remembered { epoch: keeper.epoch(), forgotten: 0, by_token: HashMap::new() };
        Self { keeper, remembered: RefCell::new(remembered) }
    }

    pub(crate) async fn of(&self, token: &str) -> Result<Rc<Granted>, Refusal> {
        let asked_at = {
            let mut remembered = self.remembered.borrow_mut();
            remembered.catch_up();
            if let Some(granted) = remembered.by_token.get(token) {
                return Ok(Rc::clone(granted));
            }
            remembered.forgotten
        };
        let grant = self.keeper.grant(Secret::from(token.to_owned())).await?;
        let granted = Rc::new(Granted {
            token: Rc::new(grant.token),
            credential: grant.credential,
            proved: Cell::new(false),
            injection: RefCell::new(None),
        });
        let mut remembered = self.remembered.borrow_mut();
        remembered.catch_up();
        // An answer that crossed a change of the vault serves its own request alone.
        if remembered.forgotten == asked_at {
            if remembered.by_token.len() >= MAX_REMEMBERED {
                remembered.by_token.clear();
            }
            remembered.by_token.insert(token.to_owned(), Rc::clone(&granted));
        }
        Ok(granted)
    }

    /// Asks again from now on: the keeper has said that something changed, and its notice may
    /// still be under way.
    pub(crate) fn forget(&self) {
        self.remembered.borrow_mut().forget();
    }
}

impl Remembered {
    fn catch_up(&mut self) {
        // An error means that the line is gone for good: no change will be heard of any more.
        if self.epoch.has_changed().unwrap_or(true) {
            self.epoch.mark_unchanged();
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.forgotten += 1;
        self.by_token.clear();
    }
}

impl Granted {
    /// The access token, when this is a login that `route` knows how to renew.
    pub(crate) fn renewable(&self, route: &Route) -> Option<&Secret<String>> {
        let credential = self.credential.as_ref().ok()?;
        let renewable =
            credential.kind == CredentialKind::OAuth && route.rules.oauth_refresh.is_some();
        renewable.then_some(&credential.value)
    }

    pub(crate) fn login(&self) -> Login {
        Login {
            credential_set: self.token.credential_set.clone(),
            provider: self.token.provider.clone(),
        }
    }

    /// An upstream has taken the credential; whether that is news.
    pub(crate) fn prove(&self) -> bool {
        !self.proved.replace(true)
    }

    /// The headers this grant puts into a request on `route`.
    pub(crate) fn injection(&self, route: &Rc<Route>) -> Result<Rc<Injection>, CredentialTrouble> {
        if let Some((made_for, injection)) = &*self.injection.borrow()
            && Rc::ptr_eq(made_for, route)
        {
            return Ok(Rc::clone(injection));
        }
        let credential = self.credential.as_ref().map_err(|problem| match problem {
            CredentialProblem::Missing => CredentialTrouble::Missing,
            CredentialProblem::Misconfigured => CredentialTrouble::Misconfigured,
        })?;
        let injection = Injection::new(&route.rules, credential)
            .map_err(|Unusable| CredentialTrouble::Misconfigured)?;
        let injection = Rc::new(injection);
        *self.injection.borrow_mut() = Some((Rc::clone(route), Rc::clone(&injection)));
        Ok(injection)
    }
}
