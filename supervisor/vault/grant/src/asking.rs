//! The asking side: many tasks, one line, one open question each.
//!
//! The keeper may be killed and restarted behind the line at any moment. Questions are harmless
//! to repeat, so those still open are asked again when a new keeper says that it serves.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use terok_shared::secret::Secret;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{oneshot, watch};
use zeroize::Zeroizing;

use crate::line::{self, LineError, Packet};
use crate::linger::Linger;
use crate::message::{Answer, Grant, Identity, Notice, Question, Refusal, Reply, Request};
use crate::signing::{Signing, ToSign};

/// Longest wait for an answer: a key derivation and a passphrase helper fit well within.
const PATIENCE: Duration = Duration::from_secs(35);
/// How often open questions are looked at for that. One clock for all of them: a timer each would
/// cost as much as the question.
const LOOK: Duration = Duration::from_secs(2);

/// The keeper, as broker and signer see it. Cheap to clone.
#[derive(Clone)]
pub struct Keeper {
    inner: Arc<Inner>,
}

struct Inner {
    /// Awaited for reading alone: room to write is there almost always, and each return of it
    /// would wake us.
    line: AsyncFd<OwnedFd>,
    open: Mutex<Open>,
    /// Where messages arrive.
    packet: Mutex<Packet>,
    linger: Mutex<Linger>,
    epoch: watch::Sender<u64>,
}

struct Open {
    next: u64,
    questions: HashMap<u64, Asked>,
    /// Somebody looks for questions that have waited too long.
    is_looked_at: bool,
}

struct Asked {
    bytes: Zeroizing<Vec<u8>>,
    since: Instant,
    answer: oneshot::Sender<Result<Answer, Refusal>>,
}

impl Keeper {
    /// Begins to listen on `line`, on the current runtime.
    pub fn on(line: OwnedFd) -> io::Result<Self> {
        // A process that takes over a dead one's line must not take its late answers for its own.
        let mut first = [0u8; 8];
        first[..4].copy_from_slice(&std::process::id().to_be_bytes());
        let next = u64::from_be_bytes(first) + 1;
        let open = Open { next, questions: HashMap::new(), is_looked_at: false };
        let inner = Arc::new(Inner {
            line: awaited(line, Interest::READABLE)?,
            open: Mutex::new(open),
            packet: Mutex::default(),
            linger: Mutex::default(),
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

    /// A signature, or why this token's keys do not sign that.
    pub async fn sign(
        &self,
        token: Secret<String>,
        to_sign: ToSign,
        patience: Patience,
    ) -> Result<Signing, Refusal> {
        match self.ask_with(Question::Sign { token, to_sign }, patience).await? {
            Answer::Signing(signing) => Ok(signing),
            _ => Err(Refusal::Unavailable),
        }
    }

    /// A number that grows whenever grants remembered from before no longer count.
    pub fn epoch(&self) -> watch::Receiver<u64> {
        self.inner.epoch.subscribe()
    }

    pub(crate) async fn ask(&self, question: Question) -> Result<Answer, Refusal> {
        self.ask_with(question, Patience::Sleeping).await
    }

    async fn ask_with(&self, question: Question, patience: Patience) -> Result<Answer, Refusal> {
        let (answer, mut answered) = oneshot::channel();
        let id = self.inner.enter(question, answer).ok_or(Refusal::Unavailable)?;
        let _forget = Forget { inner: &self.inner, id };
        if self.inner.open().begin_looking() {
            tokio::spawn(give_up_on_old_questions(Arc::clone(&self.inner)));
        }
        self.inner.say(id).await.map_err(|why| {
            log::warn!("ask the keeper: {why}");
            Refusal::Unavailable
        })?;
        if patience == Patience::Awake {
            self.inner.linger(&mut answered).await;
        }
        match answered.await.unwrap_or(Err(Refusal::Unavailable)) {
            Ok(Answer::Refused(refusal)) => Err(refusal),
            answer => answer,
        }
    }
}

/// How an answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Others are served meanwhile.
    Sleeping,
    /// Without sleeping for a moment, while nobody else is served: for an asker that is alone.
    Awake,
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

impl Open {
    /// Whether somebody has to begin to look for old questions.
    fn begin_looking(&mut self) -> bool {
        !std::mem::replace(&mut self.is_looked_at, true)
    }
}

impl Inner {
    fn open(&self) -> MutexGuard<'_, Open> {
        lock(&self.open)
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
        open.questions.insert(id, Asked { bytes, since: Instant::now(), answer });
        Some(id)
    }

    /// Sends an open question, waiting for room on the line.
    async fn say(&self, id: u64) -> Result<(), LineError> {
        let Some(bytes) = self.open().questions.get(&id).map(|asked| asked.bytes.clone()) else {
            return Ok(());
        };
        match line::send(self.line.as_fd(), &bytes) {
            Err(LineError::WouldBlock) => self.say_when_there_is_room(&bytes).await,
            said => said,
        }
    }

    async fn say_when_there_is_room(&self, bytes: &[u8]) -> Result<(), LineError> {
        // A descriptor of its own, since one is registered with a runtime only once.
        let copy = self.line.get_ref().try_clone().map_err(LineError::Io)?;
        let line = awaited(copy, Interest::WRITABLE).map_err(LineError::Io)?;
        line.async_io(Interest::WRITABLE, |line| would_block(line::send(line.as_fd(), bytes)))
            .await
            .map_err(LineError::Io)?
    }

    /// One message, if there is one.
    fn receive(&self) -> Result<Reply, LineError> {
        line::receive(self.line.as_fd(), &mut lock(&self.packet))
    }

    async fn hear(&self) -> Result<Reply, LineError> {
        loop {
            let mut ready = self.line.readable().await.map_err(LineError::Io)?;
            match self.receive() {
                Err(LineError::WouldBlock) => ready.clear_ready(),
                heard => return heard,
            }
        }
    }

    /// Heeds what the keeper says within a moment, up to this answer.
    async fn linger(&self, answered: &mut oneshot::Receiver<Result<Answer, Refusal>>) {
        let Some(until) = lock(&self.linger).begin() else { return };
        loop {
            match self.receive() {
                // The keeper may need this very processor.
                Err(LineError::WouldBlock) if Instant::now() < until => std::thread::yield_now(),
                Err(LineError::WouldBlock) => return lock(&self.linger).in_vain(),
                heard => {
                    if self.heed(heard).await.is_err() {
                        return;
                    }
                    if !answered.is_empty() {
                        return lock(&self.linger).found(until);
                    }
                }
            }
        }
    }

    /// Does what a message asks for; gives back why there will be no other.
    async fn heed(&self, heard: Result<Reply, LineError>) -> Result<(), LineError> {
        match heard {
            Ok(Reply::To(id, answer)) => {
                if let Some(asked) = self.open().questions.remove(&id) {
                    // An asker that went away is fine.
                    let _ = asked.answer.send(Ok(answer));
                }
            }
            Ok(Reply::Notice(Notice::Changed)) => self.forget_grants(),
            Ok(Reply::Notice(Notice::Serving)) => {
                self.forget_grants();
                let again: Vec<u64> = self.open().questions.keys().copied().collect();
                for id in again {
                    if let Err(why) = self.say(id).await {
                        log::warn!("ask the keeper again: {why}");
                    }
                }
            }
            Ok(Reply::Notice(Notice::Locked)) => {
                self.forget_grants();
                let open = std::mem::take(&mut self.open().questions);
                for asked in open.into_values() {
                    let _ = asked.answer.send(Err(Refusal::Locked));
                }
            }
            Err(LineError::Malformed | LineError::TooLarge(_)) => {
                log::warn!("the keeper said something malformed");
            }
            Err(why) => return Err(why),
        }
        Ok(())
    }

    fn forget_grants(&self) {
        self.epoch.send_modify(|epoch| *epoch += 1);
    }
}

/// What is behind it is whole whenever the lock is free, also after a panic.
fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Runs while there are open questions, and answers those that the keeper did not.
async fn give_up_on_old_questions(inner: Arc<Inner>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let mut open = inner.open();
        let old = |asked: &mut Asked| asked.since.elapsed() >= PATIENCE;
        for (_, asked) in open.questions.extract_if(|_, asked| old(asked)) {
            let _ = asked.answer.send(Err(Refusal::Unavailable));
        }
        if open.questions.is_empty() {
            open.is_looked_at = false;
            return;
        }
    }
}

async fn listen(inner: Arc<Inner>) {
    loop {
        let heard = inner.hear().await;
        if let Err(why) = inner.heed(heard).await {
            return log::error!("line to the keeper: {why}");
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe, for descriptors that could lie; this one owns"
)]
fn awaited(line: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(line, interest)
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
