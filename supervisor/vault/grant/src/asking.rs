//! The asking side: many tasks, one line, one open question each.
//!
//! The keeper may be killed and restarted behind the line at any moment. Questions are harmless
//! to repeat, so those still open are asked again when a new keeper says that it serves.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixDatagram as StdUnixDatagram;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use terok_shared::secret::Secret;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::{oneshot, watch};
use zeroize::Zeroizing;

use crate::line::{self, LineError};
use crate::message::{Answer, Grant, Identity, Notice, Question, Refusal, Reply, Request};

/// Longest wait for an answer: a key derivation and a passphrase helper fit well within.
const PATIENCE: Duration = Duration::from_secs(35);

/// The keeper, as broker and signer see it. Cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    inner: Arc<Inner>,
}

struct Inner {
    /// Awaited as a datagram socket: the runtime has no type for packets in sequence, and
    /// readiness is the same.
    line: UnixDatagram,
    open: Mutex<Open>,
    epoch: watch::Sender<u64>,
}

struct Open {
    next: u64,
    questions: HashMap<u64, Asked>,
}

struct Asked {
    bytes: Zeroizing<Vec<u8>>,
    answer: oneshot::Sender<Result<Answer, Refusal>>,
}

impl Keeper {
    /// Begins to listen on `line`, on the current runtime.
    pub fn on(line: OwnedFd) -> io::Result<Self> {
        let line = StdUnixDatagram::from(line);
        line.set_nonblocking(true)?;
        // A process that takes over a dead one's line must not take its late answers for its own.
        let mut first = [0u8; 8];
        first[..4].copy_from_slice(&std::process::id().to_be_bytes());
        let open = Open { next: u64::from_be_bytes(first) + 1, questions: HashMap::new() };
        let inner = Arc::new(Inner {
            line: UnixDatagram::from_std(line)?,
            open: Mutex::new(open),
            epoch: watch::Sender::new(0),
        });
        tokio::spawn(listen(Arc::clone(&inner)));
        Ok(Self { inner })
    }

    /// What the token grants.
    pub async fn grant(&self, token: Secret<String>) -> Result<Grant, Refusal> {
        match self.ask(Question::Grant { token }).await? {
            Answer::Grant(grant) => Ok(grant),
            _ => Err(Refusal::Unavailable),
        }
    }

    /// The public keys of the token's scope, default first.
    pub async fn identities(&self, token: Secret<String>) -> Result<Vec<Identity>, Refusal> {
        match self.ask(Question::Identities { token }).await? {
            Answer::Identities(identities) => Ok(identities),
            _ => Err(Refusal::Unavailable),
        }
    }

    /// A signature string: algorithm name and signature blob, ready for SSH_AGENT_SIGN_RESPONSE.
    pub async fn sign(
        &self,
        token: Secret<String>,
        public_blob: Vec<u8>,
        data: Vec<u8>,
        flags: u32,
    ) -> Result<Vec<u8>, Refusal> {
        match self.ask(Question::Sign { token, public_blob, data, flags }).await? {
            Answer::Signature(signature) => Ok(signature),
            _ => Err(Refusal::Unavailable),
        }
    }

    /// A number that grows whenever grants remembered from before no longer count.
    pub fn epoch(&self) -> watch::Receiver<u64> {
        self.inner.epoch.subscribe()
    }

    async fn ask(&self, question: Question) -> Result<Answer, Refusal> {
        let (answer, answered) = oneshot::channel();
        let id = self.inner.enter(question, answer).ok_or(Refusal::Unavailable)?;
        let _forget = Forget { inner: &self.inner, id };
        let waited = tokio::time::timeout(PATIENCE, async {
            self.inner.say(id).await.map_err(|why| {
                log::warn!("ask the keeper: {why}");
                Refusal::Unavailable
            })?;
            answered.await.unwrap_or(Err(Refusal::Unavailable))
        });
        match waited.await {
            Ok(Ok(Answer::Refused(refusal))) => Err(refusal),
            Ok(answer) => answer,
            Err(_elapsed) => Err(Refusal::Unavailable),
        }
    }
}

/// Takes a question off the list when its asker is done, or gone.
struct Forget<'a> {
    inner: &'a Inner,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.inner.open().questions.remove(&self.id);
    }
}

impl Inner {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn enter(
        &self,
        question: Question,
        answer: oneshot::Sender<Result<Answer, Refusal>>,
    ) -> Option<u64> {
        let mut open = self.open();
        let id = open.next;
        open.next += 1;
        let bytes = Zeroizing::new(postcard::to_stdvec(&Request { id, question }).ok()?);
        open.questions.insert(id, Asked { bytes, answer });
        Some(id)
    }

    /// Sends an open question, waiting for room on the line.
    async fn say(&self, id: u64) -> Result<(), LineError> {
        let Some(bytes) = self.open().questions.get(&id).map(|asked| asked.bytes.clone()) else {
            return Ok(());
        };
        self.line
            .async_io(Interest::WRITABLE, || would_block(line::send(self.line.as_fd(), &bytes)))
            .await
            .map_err(LineError::Io)?
    }

    async fn hear(&self) -> Result<Reply, LineError> {
        self.line
            .async_io(Interest::READABLE, || would_block(line::receive(self.line.as_fd())))
            .await
            .map_err(LineError::Io)?
    }

    fn forget_grants(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
    }
}

async fn listen(inner: Arc<Inner>) {
    loop {
        match inner.hear().await {
            Ok(Reply::To(id, answer)) => {
                if let Some(asked) = inner.open().questions.remove(&id) {
                    // An asker that went away is fine.
                    let _ = asked.answer.send(Ok(answer));
                }
            }
            Ok(Reply::Notice(Notice::Changed)) => inner.forget_grants(),
            Ok(Reply::Notice(Notice::Serving)) => {
                inner.forget_grants();
                let again: Vec<u64> = inner.open().questions.keys().copied().collect();
                for id in again {
                    if let Err(why) = inner.say(id).await {
                        log::warn!("ask the keeper again: {why}");
                    }
                }
            }
            Ok(Reply::Notice(Notice::Locked)) => {
                inner.forget_grants();
                let open = std::mem::take(&mut inner.open().questions);
                for asked in open.into_values() {
                    let _ = asked.answer.send(Err(Refusal::Locked));
                }
            }
            Err(LineError::Malformed | LineError::TooLarge(_)) => {
                log::warn!("the keeper said something malformed");
            }
            Err(why) => return log::error!("line to the keeper: {why}"),
        }
    }
}

/// The form in which the runtime learns that a call has to be repeated.
fn would_block<T>(tried: Result<T, LineError>) -> io::Result<Result<T, LineError>> {
    match tried {
        Err(LineError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        other => Ok(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::Line;
    use crate::message::Grant;
    use terok_shared::packet_pair;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    async fn next(keeper: &Line) -> u64 {
        loop {
            match keeper.receive::<Request>() {
                Ok(request) => return request.id,
                Err(LineError::WouldBlock) => tokio::task::yield_now().await,
                Err(why) => panic!("{why}"),
            }
        }
    }

    fn grant() -> Answer {
        let credential = Err(crate::message::CredentialProblem::Missing);
        Answer::Grant(Grant { token: crate::message::TokenInfo::default(), credential })
    }

    #[test]
    fn a_restarted_keeper_is_asked_again() {
        runtime().block_on(async {
            let (ours, theirs) = packet_pair::new().unwrap();
            let ours = Line::new(ours);
            let keeper = Keeper::on(theirs).unwrap();
            let asked =
                tokio::spawn(async move { keeper.grant("t".to_owned().into()).await.is_ok() });
            let lost = next(&ours).await;
            ours.send(&Reply::Notice(Notice::Serving)).unwrap();
            let again = next(&ours).await;
            assert_eq!(lost, again);
            ours.send(&Reply::To(again, grant())).unwrap();
            assert!(asked.await.unwrap());
        });
    }

    #[test]
    fn a_locked_vault_answers_every_open_question() {
        runtime().block_on(async {
            let (ours, theirs) = packet_pair::new().unwrap();
            let ours = Line::new(ours);
            let keeper = Keeper::on(theirs).unwrap();
            let asked =
                tokio::spawn(async move { keeper.grant("t".to_owned().into()).await.err() });
            next(&ours).await;
            ours.send(&Reply::Notice(Notice::Locked)).unwrap();
            assert_eq!(asked.await.unwrap(), Some(Refusal::Locked));
        });
    }

    #[test]
    fn a_change_of_the_vault_moves_the_epoch() {
        runtime().block_on(async {
            let (ours, theirs) = packet_pair::new().unwrap();
            let keeper = Keeper::on(theirs).unwrap();
            let mut epoch = keeper.epoch();
            Line::new(ours).send(&Reply::Notice(Notice::Changed)).unwrap();
            epoch.changed().await.unwrap();
            assert_eq!(*epoch.borrow(), 1);
        });
    }
}
