//! One request and its answer, step by step; each step is a file of its own.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use terok_shared::secret::Secret;
use vault_grant::{Keeper, Refusal};

use crate::again::Again;
use crate::answer::{self, Answer, Trouble};
use crate::audit::{Audit, Entry};
use crate::authenticate::{Presented, presented};
use crate::forward::{Failed, Way, send};
use crate::grants::{Granted, Grants};
use crate::inject::Injection;
use crate::interim::Interim;
use crate::limit::Meter;
use crate::redirect::{self, Followed};
use crate::refresh::{Outcome, Refresher};
use crate::relay;
use crate::rest::Rest;
use crate::route::{BadTarget, Route, origin_form};
use crate::table::Table;
use crate::upload::Upload;
use crate::upstream::{Download, Failure};
use crate::websocket;

const HEALTH: &str = "/-/health";

/// How long the same failure of upstreams is not repeated in the log.
const QUIET: Duration = Duration::from_secs(10);

/// What every exchange needs.
pub(crate) struct Exchange {
    grants: Grants,
    pub(crate) refresher: Refresher,
    pub(crate) table: Table,
    pub(crate) audit: Rc<Audit>,
    complained: Cell<Option<(Failure, Instant)>>,
    pub(crate) rest: Rest,
}

impl Exchange {
    pub(crate) fn new(keeper: Keeper, table: Table, audit: Audit) -> Self {
        Self {
            refresher: Refresher::new(keeper.clone()),
            grants: Grants::new(keeper),
            table,
            audit: Rc::new(audit),
            complained: Cell::new(None),
            rest: Rest::default(),
        }
    }

    /// The answer to one request; a tunnel it opened is left in `slot`, what comes before the answer
    /// in `interim`.
    pub(crate) async fn answer(
        &self,
        mut request: Request<Incoming>,
        slot: &websocket::Slot,
        interim: &Interim,
    ) -> Response<Answer> {
        if request.method() == Method::GET && request.uri().path() == HEALTH {
            return answer::healthy();
        }
        let started = Instant::now();
        self.rest.disturb();
        let target = request.uri().path_and_query().cloned();
        let mut entry = self.audit.begin(started, request.method().clone(), target);
        let upgrade = websocket::is_asked_for(&request).then(|| hyper::upgrade::on(&mut request));
        let exchanged = self.exchange(request, started, upgrade.is_some(), &mut entry, interim);
        match exchanged.await {
            Err(trouble) => trouble.answer(entry),
            Ok(response) => match upgrade {
                Some(client) if websocket::is_open(&response) => {
                    let (response, tunnel) = websocket::open(response, client, entry);
                    slot.set(Some(tunnel));
                    response
                }
                // Nobody asked for another protocol.
                None if websocket::is_open(&response) => {
                    Trouble::Upstream(Failure::NotHttp).answer(entry)
                }
                _ => relay::response(response, entry),
            },
        }
    }

    /// Authenticate, route, admit, inject, forward.
    async fn exchange(
        &self,
        request: Request<Incoming>,
        started: Instant,
        upgrade: bool,
        entry: &mut Entry,
        interim: &Interim,
    ) -> Result<Response<Download>, Trouble> {
        let asked = origin_form(request.uri()).map_err(|BadTarget| Trouble::BadTarget)?.clone();
        let granted = match presented(request.headers()) {
            Presented::Nothing => return Err(Trouble::MissingToken),
            Presented::Garbage => return Err(Trouble::InvalidToken),
            Presented::Token(token) => self.grants.of(token).await.map_err(|refusal| {
                if let Refusal::WrongScope(token) = &refusal {
                    entry.used_by(&Rc::new(token.clone()));
                }
                Trouble::from(refusal)
            })?,
        };
        entry.used_by(&granted.token);
        let provider = &granted.token.provider;
        let route = self
            .table
            .route(provider, started)
            .ok_or_else(|| Trouble::NoRoute { provider: provider.clone() })?;
        admit(&request, &asked, &route, started, entry)?;
        let injection = granted.injection(&route).map_err(Trouble::Credential)?;
        let url = route.upstream_url(&asked).map_err(|BadTarget| Trouble::BadTarget)?;

        let renewable = granted.renewable(&route).and_then(|_| token_of(&request));
        // HTTP/1.0 knows no interim responses (RFC 9110 section 15.2).
        let hears_interim = request.version() == Version::HTTP_11;
        let mut request = rewritten(request, url, &injection, upgrade, entry.meter());
        if hears_interim {
            interim.of(&mut request);
        }
        let way = if upgrade { Way::Client(&route.clients.upgrade) } else { route.way(&asked) };
        let again = Again::of(&mut request, renewable.is_some());
        let failed = |failed: Failed| {
            self.complain(provider, &failed);
            Trouble::Upstream(failed.failure)
        };
        // What seldom happens is boxed: each request's future is moved about, whole.
        let response = match (send(way, request).await, &again) {
            (Err(why), Some(again)) => match again.after(&why) {
                Some(mut request) => {
                    if hears_interim {
                        interim.of(&mut request);
                    }
                    Box::pin(send(way, request)).await
                }
                None => Err(why),
            },
            (sent, _) => sent,
        }
        .map_err(failed)?;
        let response = match (response.status(), renewable, &again) {
            (StatusCode::UNAUTHORIZED, Some(token), Some(again)) => {
                let renewing = self.renewed(&token, &granted, &route, again, way, response);
                Box::pin(renewing).await.map_err(failed)?
            }
            (StatusCode::UNAUTHORIZED, ..) => response,
            _ => {
                self.prove(&granted, &route);
                response
            }
        };
        let leads_on = !upgrade && redirect::is_one(&response);
        let again = again.as_ref().filter(|_| leads_on);
        match again.and_then(|again| Followed::from_request(again.head())) {
            Some(followed) => Box::pin(followed.follow(&route, response)).await.map_err(failed),
            None => Ok(response),
        }
    }

    fn prove(&self, granted: &Granted, route: &Route) {
        if granted.prove()
            && let Some(access_token) = granted.renewable(route)
        {
            self.refresher.prove(granted.login(), access_token);
        }
    }

    /// The response to a request that its upstream refused, repeated with a renewed login; the
    /// refusal itself when there is none.
    async fn renewed(
        &self,
        token: &Secret<String>,
        granted: &Granted,
        route: &Rc<Route>,
        again: &Again,
        way: Way<'_>,
        refusal: Response<Download>,
    ) -> Result<Response<Download>, Failed> {
        let Some((request, renewed)) = self.renew(token, granted, route, again).await else {
            return Ok(refusal);
        };
        let response = send(way, request).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            self.prove(&renewed, route);
        }
        Ok(response)
    }

    /// The request once more, and whose credential it carries now.
    async fn renew(
        &self,
        token: &Secret<String>,
        granted: &Granted,
        route: &Rc<Route>,
        again: &Again,
    ) -> Option<(Request<Upload>, Rc<Granted>)> {
        let rejected = granted.renewable(route)?;
        // While this request was under way, another one may have had the login renewed.
        let renewed = match self.another(token, route, rejected).await {
            Some(renewed) => renewed,
            None => match self.refresher.after_refusal(&granted.login(), route, rejected).await {
                Outcome::Renewed => {
                    self.grants.forget();
                    self.another(token, route, rejected).await?
                }
                Outcome::NotRenewed => return None,
            },
        };
        let injection = renewed.injection(route).ok()?;
        Some((again.with(&injection)?, renewed))
    }

    /// What the token grants now, if that is another login than the rejected one.
    async fn another(
        &self,
        token: &Secret<String>,
        route: &Route,
        rejected: &Secret<String>,
    ) -> Option<Rc<Granted>> {
        let granted = self.grants.of(token.expose()).await.ok()?;
        let is_another = !granted.renewable(route)?.matches(rejected.expose());
        is_another.then_some(granted)
    }

    /// Logs a failure with what a client must not hear, unless that was just done: a container
    /// can repeat its requests faster than anybody can read.
    fn complain(&self, provider: &str, failed: &Failed) {
        let now = Instant::now();
        let repeated = self.complained.get().is_some_and(|(failure, at)| {
            failure == failed.failure && now.saturating_duration_since(at) < QUIET
        });
        if !repeated {
            self.complained.set(Some((failed.failure, now)));
            log::warn!("upstream of {provider}: {}", failed.detail);
        }
    }
}

/// Holds a request against its route's rules.
fn admit(
    request: &Request<Incoming>,
    asked: &PathAndQuery,
    route: &Route,
    now: Instant,
    entry: &mut Entry,
) -> Result<(), Trouble> {
    if let Some(allow) = &route.allow
        && !allow.permits(request.method(), asked.path(), request.headers())
    {
        return Err(Trouble::NotAllowed);
    }
    entry.holds(route.limiter.admit(now).map_err(Trouble::Exceeded)?);
    Ok(())
}

fn token_of(request: &Request<Incoming>) -> Option<Secret<String>> {
    match presented(request.headers()) {
        Presented::Token(token) => Some(token.to_owned().into()),
        Presented::Nothing | Presented::Garbage => None,
    }
}

/// The request as the upstream shall see it.
fn rewritten(
    mut request: Request<Incoming>,
    url: Uri,
    injection: &Injection,
    upgrade: bool,
    meter: Option<Meter>,
) -> Request<Upload> {
    *request.uri_mut() = url;
    *request.version_mut() = Version::HTTP_11;
    request.extensions_mut().clear();
    let headers = request.headers_mut();
    let chunked = headers.contains_key(TRANSFER_ENCODING);
    injection.apply(headers);
    if upgrade {
        websocket::ask(headers);
    }
    if chunked {
        // A body of unknown length needs chunks of our own making (RFC 9112 section 6.3). Said
        // aloud because the HTTP library takes a GET without a length for one without a body.
        headers.remove(CONTENT_LENGTH);
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    request.map(|body| Upload::of(body, meter))
}
