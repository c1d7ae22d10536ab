//! One client: request and answer in turn. Its token says whose keys it sees; the keeper is asked
//! anew each time, so a new key, rule or revocation needs no restart.

use std::rc::Rc;

use terok_service::clients::{Connection, Drain};
use terok_shared::secret::Secret;
use tokio::io::BufReader;
use vault_grant::fingerprint::fingerprint;
use vault_grant::purpose::Purpose;
use vault_grant::{Keeper, Refusal, Signing, ToSign};

use crate::audit::{Audit, Entry};
use crate::binds::Binds;
use crate::message::Request;
use crate::{frame, handshake, message};

/// Bytes read at once: a request is a few hundred.
const READ: usize = 2048;

/// What all clients share.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) keeper: Keeper,
    pub(crate) audit: Rc<Audit>,
}

struct Session {
    desk: Desk,
    token: Secret<String>,
    binds: Binds,
    /// The key asked for last and its fingerprint; clients rarely change it.
    named: (Vec<u8>, String),
}

/// A client that presents its token first.
pub(crate) async fn with_handshake(client: Connection, desk: Desk, drain: Drain) {
    let mut client = BufReader::with_capacity(READ, client);
    match handshake::read(&mut client).await {
        Ok(token) => run(client, desk, token, drain).await,
        Err(why) => log::info!("client refused: {why}"),
    }
}

/// A client that was checked otherwise, and has this token.
pub(crate) async fn with_token(
    client: Connection,
    desk: Desk,
    token: Secret<String>,
    drain: Drain,
) {
    run(BufReader::with_capacity(READ, client), desk, token, drain).await;
}

async fn run(
    mut client: BufReader<Connection>,
    desk: Desk,
    token: Secret<String>,
    mut drain: Drain,
) {
    let mut session =
        Session { desk, token, binds: Binds::default(), named: (vec![], String::new()) };
    loop {
        let payload = tokio::select! {
            payload = frame::read(&mut client) => payload,
            () = drain.begun() => return,
        };
        let payload = match payload {
            Ok(Some(payload)) => payload,
            Ok(None) => return,
            Err(why) => return log::info!("client dropped: {why}"),
        };
        let answer = session.answer(Request::parse(&payload)).await;
        if let Err(why) = frame::write(&mut client, &answer).await {
            return log::info!("client dropped: {why}");
        }
    }
}

impl Session {
    async fn answer(&mut self, request: Request) -> Vec<u8> {
        match request {
            Request::Identities => self.identities().await,
            Request::Sign { public_blob, data, flags } => {
                let route = self.binds.route();
                self.sign(ToSign { public_blob, data, flags, route }).await
            }
            Request::Query => message::extensions(),
            Request::Bind(bind) => match self.binds.add(bind) {
                Ok(()) => message::success(),
                Err(why) => refused(&format!("session bind: {why}")),
            },
            Request::OtherExtension => {
                log::debug!("an unknown extension refused");
                message::failure()
            }
            Request::Other(number) => {
                log::debug!("message {number} refused");
                message::failure()
            }
            Request::Malformed => refused("malformed message"),
        }
    }

    async fn identities(&self) -> Vec<u8> {
        match self.desk.keeper.identities(self.token()).await {
            Ok(identities) => message::identities(&identities),
            Err(refusal) => refused(reason(&refusal).1),
        }
    }

    async fn sign(&mut self, to_sign: ToSign) -> Vec<u8> {
        if self.named.0 != to_sign.public_blob {
            self.named = (to_sign.public_blob.clone(), fingerprint(&to_sign.public_blob));
        }
        // Kept for the audit: the keeper judges the data itself.
        let data = to_sign.data.clone();
        let purpose = Purpose::of(&data);
        let entry =
            Entry { key: &self.named.1, purpose, host: self.binds.host(), ..Entry::default() };
        let audit = &self.desk.audit;
        if self.binds.is_broken() && matches!(purpose, Some(Purpose::UserAuth(_))) {
            audit.write(&Entry { outcome: "bind_refused", ..entry });
            return refused("login after a session bind that was refused");
        }
        match self.desk.keeper.sign(self.token(), to_sign).await {
            Ok(Signing { scope, subject, outcome }) => {
                let entry = Entry { scope: &scope, subject: &subject, ..entry };
                match outcome {
                    Ok(signature) => {
                        audit.write(&Entry { outcome: "ok", ..entry });
                        message::signature(&signature)
                    }
                    Err(denial) => {
                        audit.write(&Entry { outcome: denial.outcome(), ..entry });
                        refused(&format!("signature by {}: {denial}", entry.key))
                    }
                }
            }
            Err(refusal) => {
                let (outcome, words) = reason(&refusal);
                let (scope, subject) = match &refusal {
                    Refusal::WrongScope(token) => (token.scope.as_str(), token.subject.as_str()),
                    _ => ("", ""),
                };
                audit.write(&Entry { scope, subject, outcome, ..entry });
                refused(words)
            }
        }
    }

    /// A copy for one question.
    fn token(&self) -> Secret<String> {
        Secret::from(self.token.expose().clone())
    }
}

fn refused(why: &str) -> Vec<u8> {
    log::info!("request refused: {why}");
    message::failure()
}

/// The word in the audit and the words in the log.
fn reason(refusal: &Refusal) -> (&'static str, &'static str) {
    match refusal {
        Refusal::UnknownToken => ("invalid_token", "unknown token"),
        Refusal::WrongScope(_) => ("wrong_scope", "a token of another container or scope"),
        Refusal::WrongProvider => ("wrong_provider", "a token that is not for SSH"),
        Refusal::NotYours => ("not_allowed", "not a signer's question"),
        Refusal::Locked => ("vault_locked", "the vault is locked"),
        Refusal::Unavailable => ("vault_unavailable", "the keeper does not answer"),
    }
}
