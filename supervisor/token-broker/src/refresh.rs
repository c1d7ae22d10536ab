//! Keeps logins usable: renews them before they end, and when an upstream refused one.
//!
//! In: the table's routes, and logins that were refused. Out: whether there is a newer access
//! token. The keeper says which login, takes the lock and stores the outcome; here is the call in
//! between. A renewal runs on its own: the client that caused it may go away, the token is spent.

mod token_endpoint;

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use terok_shared::routes::OAuthRefresh;
use terok_shared::secret::Secret;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use vault_grant::refresh::{Begun, Login, Receipt, Spent};
use vault_grant::{Keeper, Member, Refusal};

use crate::route::Route;
use crate::table::Table;
use crate::upstream::Client;

/// Between two looks at all logins.
const INTERVAL: Duration = Duration::from_secs(300);
/// After a change of the vault: it may have brought a login that ends soon.
const SETTLED: Duration = Duration::from_secs(1);
/// A login is not renewed again sooner than this, unless its last access token was seen to work.
const QUIET: Duration = Duration::from_secs(60);
/// How long a request waits while another supervisor renews its login.
const PATIENCE: Duration = Duration::from_secs(25);
/// How often it looks whether that is done.
const LOOK: Duration = Duration::from_millis(50);
/// How long what was bought is offered to a keeper that cannot store it.
const STORING: Duration = Duration::from_secs(120);
/// How long the end of the service waits for renewals under way.
const SETTLING: Duration = Duration::from_secs(15);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The vault holds another access token than before.
    Renewed,
    NotRenewed,
}

pub(crate) struct Refresher {
    keeper: Keeper,
    logins: RefCell<HashMap<Login, Known>>,
}

/// What this process knows of one login.
#[derive(Default)]
struct Known {
    under_way: Option<watch::Receiver<Option<Outcome>>>,
    /// When a renewal last ended.
    last: Option<Instant>,
    /// The last access token that was seen to work.
    proved: Option<Secret<String>>,
}

/// One renewal, with everything it needs to go on by itself.
struct Renewal {
    keeper: Keeper,
    client: Client,
    terms: Arc<OAuthRefresh>,
    login: Login,
    rejected: Option<Secret<String>>,
    /// How long to wait for another supervisor.
    patience: Duration,
}

impl Refresher {
    pub(crate) fn new(keeper: Keeper) -> Self {
        Self { keeper, logins: RefCell::default() }
    }

    /// An upstream has taken this access token.
    pub(crate) fn prove(&self, login: Login, access_token: &Secret<String>) {
        let mut logins = self.logins.borrow_mut();
        logins.entry(login).or_default().proved = Some(access_token.expose().clone().into());
    }

    /// Renews a login whose access token an upstream refused. One renewal serves all requests that
    /// wait for it.
    pub(crate) async fn after_refusal(
        &self,
        login: &Login,
        route: &Route,
        rejected: &Secret<String>,
    ) -> Outcome {
        if self.wait_for_other(login).await == Some(Outcome::Renewed) {
            return Outcome::Renewed;
        }
        if !self.is_due(login, Some(rejected)) {
            return Outcome::NotRenewed;
        }
        let rejected = Some(rejected.expose().clone().into());
        self.renew(login, route, rejected, PATIENCE).await
    }

    /// Renews what ends soon, for as long as the service runs.
    pub(crate) async fn keep_fresh(&self, table: &Table) -> Infallible {
        let mut epoch = self.keeper.epoch();
        loop {
            epoch.mark_unchanged();
            self.renew_expiring(table).await;
            tokio::select! {
                () = sleep(INTERVAL) => {}
                changed = epoch.changed() => match changed {
                    Ok(()) => sleep(SETTLED).await,
                    // The line to the keeper is gone for good.
                    Err(_) => sleep(INTERVAL).await,
                },
            }
        }
    }

    /// Waits for renewals under way: what they bought must be stored.
    pub(crate) async fn settle(&self) {
        let under_way: Vec<_> =
            self.logins.borrow().values().filter_map(|known| known.under_way.clone()).collect();
        let all = async {
            for mut renewal in under_way {
                let _ = renewal.wait_for(Option::is_some).await;
            }
        };
        let _ = timeout(SETTLING, all).await;
    }

    async fn renew_expiring(&self, table: &Table) {
        let providers = table.renewable();
        if providers.is_empty() {
            return;
        }
        let logins = match self.keeper.expiring(providers).await {
            Ok(logins) => logins,
            Err(why) => return log::debug!("ask which logins end soon: {why:?}"),
        };
        for login in logins {
            let route = table.route(&login.provider, std::time::Instant::now());
            if let Some(route) = route.filter(|_| self.is_due(&login, None)) {
                self.renew(&login, &route, None, Duration::ZERO).await;
            }
        }
    }

    /// What came of a renewal that was under way for another reason.
    async fn wait_for_other(&self, login: &Login) -> Option<Outcome> {
        let mut under_way = self.logins.borrow().get(login)?.under_way.clone()?;
        if under_way.borrow().is_some() {
            return None;
        }
        under_way.wait_for(Option::is_some).await.ok().and_then(|ended| *ended)
    }

    fn is_due(&self, login: &Login, rejected: Option<&Secret<String>>) -> bool {
        let logins = self.logins.borrow();
        let Some(known) = logins.get(login) else { return true };
        let worked =
            rejected.zip(known.proved.as_ref()).is_some_and(|(a, b)| a.matches(b.expose()));
        worked || known.last.is_none_or(|last| last.elapsed() >= QUIET)
    }

    /// Joins the renewal under way, or starts one.
    async fn renew(
        &self,
        login: &Login,
        route: &Route,
        rejected: Option<Secret<String>>,
        patience: Duration,
    ) -> Outcome {
        let Some(terms) = route.rules.oauth_refresh.clone() else { return Outcome::NotRenewed };
        let under_way = {
            let mut logins = self.logins.borrow_mut();
            let known = logins.entry(login.clone()).or_default();
            // Left by one that nobody waited for to the end.
            known.under_way.take_if(|ended| ended.borrow().is_some());
            known
                .under_way
                .get_or_insert_with(|| {
                    let renewal = Renewal {
                        keeper: self.keeper.clone(),
                        client: route.clients.upstream.clone(),
                        terms,
                        login: login.clone(),
                        rejected,
                        patience,
                    };
                    let (ended, under_way) = watch::channel(None);
                    tokio::spawn(async move { ended.send_replace(Some(renewal.run().await)) });
                    under_way
                })
                .clone()
        };
        let outcome =
            under_way.clone().wait_for(Option::is_some).await.map_or(None, |ended| *ended);
        if let Some(known) = self.logins.borrow_mut().get_mut(login)
            && known.under_way.take_if(|current| current.same_channel(&under_way)).is_some()
        {
            known.last = Some(Instant::now());
        }
        outcome.unwrap_or(Outcome::NotRenewed)
    }
}

impl Renewal {
    async fn run(self) -> Outcome {
        let deadline = Instant::now() + self.patience;
        loop {
            match self.keeper.begin_refresh(&self.login, self.rejected.as_ref()).await {
                Ok(Begun::Spend { refresh_token: Member(token), receipt }) => {
                    return self.spend(&token, &receipt).await;
                }
                Ok(Begun::Fresh) => return Outcome::Renewed,
                Ok(Begun::Elsewhere) if Instant::now() < deadline => sleep(LOOK).await,
                Ok(Begun::Elsewhere | Begun::Refused | Begun::NotRenewable) => {
                    return Outcome::NotRenewed;
                }
                Err(why) => {
                    log::debug!("begin to renew {}: {why:?}", self.login.provider);
                    return Outcome::NotRenewed;
                }
            }
        }
    }

    /// Written first, used afterwards: renewed means that the vault holds it.
    async fn spend(&self, token: &Secret<String>, receipt: &Receipt) -> Outcome {
        let (spent, line) = token_endpoint::spend(&self.client, &self.terms, token).await;
        let (provider, set) = (&self.login.provider, &self.login.credential_set);
        log::info!("token endpoint of {provider}, for {set}: {line}");
        let bought = matches!(spent, Spent::Bought { .. });
        match self.store(receipt, spent).await {
            true if bought => Outcome::Renewed,
            _ => Outcome::NotRenewed,
        }
    }

    /// Offers the outcome until the keeper has stored it.
    async fn store(&self, receipt: &Receipt, mut spent: Spent) -> bool {
        let deadline = Instant::now() + STORING;
        loop {
            let (now, later) = twice(spent);
            match self.keeper.end_refresh(&self.login, receipt, now).await {
                Ok(true) => return true,
                Ok(false) | Err(Refusal::Locked | Refusal::Unavailable)
                    if Instant::now() < deadline =>
                {
                    spent = later;
                    sleep(SETTLED).await;
                }
                said => {
                    let provider = &self.login.provider;
                    log::error!("what renewed the login of {provider} is not stored: {said:?}");
                    return false;
                }
            }
        }
    }
}

/// Secrets are not cloned by accident; here it is on purpose.
fn twice(spent: Spent) -> (Spent, Spent) {
    let copy = |Member(token): &Member| Member(token.expose().clone().into());
    let other = match &spent {
        Spent::Bought { access_token, refresh_token, expires_in } => Spent::Bought {
            access_token: copy(access_token),
            refresh_token: refresh_token.as_ref().map(copy),
            expires_in: *expires_in,
        },
        Spent::Refused { reason } => Spent::Refused { reason: reason.clone() },
        Spent::Failed => Spent::Failed,
    };
    (spent, other)
}
