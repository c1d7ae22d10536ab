//! One client: request and answer in turn. Its token says whose keys it sees; the keeper is asked
//! anew each time, so a new key, rule or revocation needs no restart.
//!
//! A client does not wait for its line of the audit, which is written while the answer travels.

use std::cell::Cell;
use std::rc::Rc;

use terok_service::clients::{Connection, Drain};
use terok_shared::secret::Secret;
use tokio::io::BufReader;
use vault_grant::fingerprint::fingerprint;
use vault_grant::purpose::Purpose;
use vault_grant::{Keeper, Patience, Refusal, Signing, ToSign};

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
    turns: Rc<Turns>,
}

/// Whose turn it was last: a client that signs again and again while no other does is answered
/// sooner when nobody sleeps in between.
#[derive(Default)]
struct Turns {
    clients: Cell<u64>,
    last: Cell<u64>,
}

impl Desk {
    pub(crate) fn new(keeper: Keeper, audit: Audit) -> Self {
        Self { keeper, audit: Rc::new(audit), turns: Rc::default() }
    }
}

struct Session {
    desk: Desk,
    /// This client's number.
    number: u64,
    token: Secret<String>,
    binds: Binds,
    /// The key asked for last and its fingerprint; clients rarely change it.
    named: (Vec<u8>, String),
}

/// What a client is told, and the line about it that the audit gets.
struct Answered {
    payload: Vec<u8>,
    record: Option<Record>,
}

/// A request to sign and what became of it.
#[derive(Default)]
struct Record {
    /// Kept for the audit alone: the keeper judges the data itself.
    data: Vec<u8>,
    scope: String,
    subject: String,
    outcome: &'static str,
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
    let mut session = Session::new(desk, token);
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
        let Answered { payload, record } = session.answer(Request::parse(&payload)).await;
        let audit = async {
            if let Some(record) = record {
                session.write_down(&record);
            }
        };
        // In this order: the audit's line waits for no client that takes its answer slowly.
        let (written, ()) = tokio::join!(biased; frame::write(&mut client, &payload), audit);
        if let Err(why) = written {
            return log::info!("client dropped: {why}");
        }
    }
}

impl Session {
    fn new(desk: Desk, token: Secret<String>) -> Self {
        let number = desk.turns.clients.get() + 1;
        desk.turns.clients.set(number);
        Self { desk, number, token, binds: Binds::default(), named: (vec![], String::new()) }
    }

    async fn answer(&mut self, request: Request) -> Answered {
        let payload = match request {
            Request::Sign { public_blob, data, flags } => {
                let route = self.binds.route();
                return self.sign(ToSign { public_blob, data, flags, route }).await;
            }
            Request::Identities => self.identities().await,
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
        };
        Answered { payload, record: None }
    }

    async fn identities(&self) -> Vec<u8> {
        match self.desk.keeper.identities(self.token()).await {
            Ok(identities) => message::identities(&identities),
            Err(refusal) => refused(reason(&refusal).1),
        }
    }

    async fn sign(&mut self, to_sign: ToSign) -> Answered {
        if self.named.0 != to_sign.public_blob {
            self.named = (to_sign.public_blob.clone(), fingerprint(&to_sign.public_blob));
        }
        let mut record = Record { data: to_sign.data.clone(), ..Record::default() };
        if self.binds.is_broken() && matches!(Purpose::of(&record.data), Some(Purpose::UserAuth(_)))
        {
            record.outcome = "bind_refused";
            let payload = refused("login after a session bind that was refused");
            return Answered { payload, record: Some(record) };
        }
        let is_alone = self.desk.turns.last.replace(self.number) == self.number;
        let patience = if is_alone { Patience::Awake } else { Patience::Sleeping };
        let payload = match self.desk.keeper.sign(self.token(), to_sign, patience).await {
            Ok(Signing { scope, subject, outcome }) => {
                (record.scope, record.subject) = (scope, subject);
                match outcome {
                    Ok(signature) => {
                        record.outcome = "ok";
                        message::signature(&signature)
                    }
                    Err(denial) => {
                        record.outcome = denial.outcome();
                        refused(&format!("signature by {}: {denial}", self.named.1))
                    }
                }
            }
            Err(refusal) => {
                let (outcome, words) = reason(&refusal);
                record.outcome = outcome;
                if let Refusal::WrongScope(token) = refusal {
                    (record.scope, record.subject) = (token.scope, token.subject);
                }
                refused(words)
            }
        };
        Answered { payload, record: Some(record) }
    }

    fn write_down(&self, record: &Record) {
        self.desk.audit.write(&Entry {
            scope: &record.scope,
            subject: &record.subject,
            key: &self.named.1,
            purpose: Purpose::of(&record.data),
            host: self.binds.host(),
            outcome: record.outcome,
        });
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
