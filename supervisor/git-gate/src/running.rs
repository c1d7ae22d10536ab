//! A backend at work: the body goes in while the answer comes out, and each side learns when the
//! other is gone. Silence is bounded on either side, and so is the whole, however lively.
//!
//! In: a started backend. Out: the head of its answer and a stream of its chunks.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::process::ChildStdout;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::answer::Aborted;
use crate::backend::Backend;
use crate::cgi::{self, Head, MAX_HEAD};
use crate::exchange::{Begun, ExchangeError, MAX_BACKENDS};
use crate::moderation::Transfer;
use crate::push::Underway;
use crate::request_body::{BodyError, Feeding};
use crate::route::Resource;

/// Bytes read from a backend at once: the more, the fewer calls, and the more memory.
const CHUNK: usize = 64 * 1024;
const LARGE_CHUNK: usize = 256 * 1024;
/// What all backends together may have for that, above their smallest chunks.
const CHUNKS: usize = 512 * 1024;
/// How long git may take to give up by itself on a request that was cut short.
const HANG_UP: Duration = Duration::from_millis(500);
/// How long git may say nothing once it has been told everything; at work it shows a sign of life
/// every few seconds (git-config(1), `uploadpack.keepAlive`, `receive.keepAlive`).
const SILENT: Duration = Duration::from_secs(600);
/// How long a client may leave what it asked for unread.
const UNREAD: Duration = Duration::from_secs(300);

/// A started backend; fields are dropped in this order when the gate ends.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) backend: Backend,
    pub(crate) stdout: ChildStdout,
    pub(crate) feeding: Feeding,
    pub(crate) push: Option<Underway>,
    pub(crate) place: OwnedSemaphorePermit,
    /// When the request is given up whatever goes on.
    pub(crate) deadline: Instant,
}

/// How the passing on of git's output ended.
enum Delivered {
    ToTheEnd,
    ReadFailed(io::Error),
    BodyBroken(BodyError),
    ClientGone,
    Overtime,
}

impl Running {
    /// From the start of the backend to its end; `asker` gets the head of the answer, and with it
    /// the stream of the rest.
    pub(crate) async fn answer(mut self, resource: Resource, mut asker: oneshot::Sender<Begun>) {
        let head = tokio::select! {
            head = timeout(SILENT, read_head(&mut self.stdout)) => {
                head.unwrap_or(Err(ExchangeError::NoAnswer))
            }
            why = self.feeding.broken() => Err(ExchangeError::Client(why)),
            () = asker.closed() => return self.abandon(resource).await,
            () = sleep_until(self.deadline) => Err(ExchangeError::Overtime),
        };
        match head {
            Err(why) => {
                self.hang_up().await;
                drop(asker.send(Err(why)));
            }
            Ok((head, rest)) => {
                let (sender, output) = mpsc::channel(1);
                // When this fails the sender's other end is gone too, and `deliver` sees it.
                drop(asker.send(Ok((head, output))));
                self.deliver(rest, sender, resource).await;
            }
        }
    }

    async fn deliver(
        mut self,
        rest: BytesMut,
        sender: mpsc::Sender<Result<Bytes, Aborted>>,
        resource: Resource,
    ) {
        let relayed = relay(
            rest,
            &mut self.stdout,
            &mut self.feeding,
            &mut self.push,
            &sender,
            self.place.semaphore(),
        );
        let relayed = tokio::select! {
            relayed = relayed => relayed,
            () = sleep_until(self.deadline) => Delivered::Overtime,
        };
        match relayed {
            Delivered::ToTheEnd => self.end(sender).await,
            Delivered::ClientGone => self.abandon(resource).await,
            Delivered::BodyBroken(why) => {
                log::debug!("{resource:?}: the request broke off: {why}");
                let _ = sender.try_send(Err(Aborted));
                self.hang_up().await;
            }
            Delivered::ReadFailed(why) => {
                log::warn!("{resource:?}: read git's answer: {why}");
                let stop = async {
                    self.backend.stop().await;
                    drop(self.place);
                };
                tokio::join!(stop, break_off(sender));
            }
            Delivered::Overtime => {
                log::warn!("{resource:?}: {}: git is stopped", ExchangeError::Overtime);
                tokio::join!(self.hang_up(), break_off(sender));
            }
        }
    }

    /// A killed backend's output is not whole, whatever it looks like; one that ended with an
    /// error of its own has told the client about it in git's protocol.
    async fn end(self, sender: mpsc::Sender<Result<Bytes, Aborted>>) {
        match self.backend.finish().await {
            Ok(status) if status.code().is_some() => {
                log::debug!("git ended with {status}");
                if let Some(push) = self.push {
                    let rest = push.end().await;
                    let _ = timeout(UNREAD, sender.send(Ok(rest))).await;
                }
            }
            Ok(status) => {
                log::warn!("git ended with {status}");
                let _ = timeout(UNREAD, sender.send(Err(Aborted))).await;
            }
            Err(why) => log::warn!("wait for git: {why}"),
        }
        drop(self.place);
        drop(sender);
        self.feeding.linger().await;
    }

    /// The client is gone.
    async fn abandon(self, resource: Resource) {
        if resource == Resource::ReceivePack && self.feeding.is_whole() {
            self.finish_push().await;
        } else {
            self.hang_up().await;
        }
    }

    /// Closes git's input. A push cut short lets it remove the objects it had stored already, which
    /// it does not do on a signal; whatever goes on after a moment is ended by one, as a fetch is at
    /// once.
    async fn hang_up(mut self) {
        drop(self.feeding);
        if self.push.is_some() {
            let _ = timeout(HANG_UP, ignore(&mut self.stdout)).await;
        }
        self.backend.stop().await;
    }

    /// A push that git has received whole is finished without its client: stopping git between
    /// the update of a branch and the hook would lose the backup of the branch's old tip.
    async fn finish_push(mut self) {
        log::info!("a client left during its push, which is finished without it");
        if timeout_at(self.deadline, ignore(&mut self.stdout)).await.is_err() {
            log::warn!("a push: {}: git is stopped", ExchangeError::Overtime);
            return self.backend.stop().await;
        }
        if let Err(why) = self.backend.finish().await {
            log::warn!("wait for git: {why}");
        }
    }
}

/// Tells the client that its answer is not whole, as soon as there is room to say so: the end of
/// the channel alone would look like the answer's own.
async fn break_off(sender: mpsc::Sender<Result<Bytes, Aborted>>) {
    let _ = timeout(UNREAD, sender.send(Err(Aborted))).await;
}

/// Reads to the end: git must not die of a closed pipe before it has cleaned up.
async fn ignore(stdout: &mut ChildStdout) {
    let mut ignored = BytesMut::with_capacity(CHUNK);
    while let Ok(Ok(1..)) = timeout(SILENT, stdout.read_buf(&mut ignored)).await {
        ignored.clear();
    }
}

/// Passes git's output on as it comes, one chunk in flight.
async fn relay(
    mut chunk: BytesMut,
    stdout: &mut ChildStdout,
    feeding: &mut Feeding,
    push: &mut Option<Underway>,
    sender: &mpsc::Sender<Result<Bytes, Aborted>>,
    places: &Semaphore,
) -> Delivered {
    let mut transfer = Transfer::default();
    loop {
        let mut passing = chunk.split().freeze();
        if let Some(push) = push {
            passing = push.pass(passing);
        }
        transfer.passed(passing.len());
        if !passing.is_empty() {
            let passed = timeout(UNREAD, sender.send(Ok(passing))).await;
            if !matches!(passed, Ok(Ok(()))) {
                return Delivered::ClientGone;
            }
        }
        let running = MAX_BACKENDS - places.available_permits();
        chunk.reserve((CHUNKS / running.max(1)).clamp(CHUNK, LARGE_CHUNK));
        tokio::select! {
            read = timeout(SILENT, stdout.read_buf(&mut chunk)) => match read {
                Ok(Ok(0)) => return Delivered::ToTheEnd,
                Ok(Ok(_)) => {}
                Ok(Err(why)) => return Delivered::ReadFailed(why),
                // A client that is slow to send has a bound of its own.
                Err(_) if !feeding.is_whole() => {}
                Err(why) => return Delivered::ReadFailed(why.into()),
            },
            why = feeding.broken() => return Delivered::BodyBroken(why),
            () = sender.closed() => return Delivered::ClientGone,
        }
    }
}

/// The head of git's answer, and what came with it of the body.
async fn read_head(stdout: &mut ChildStdout) -> Result<(Head, BytesMut), ExchangeError> {
    let mut bytes = BytesMut::with_capacity(CHUNK);
    loop {
        if stdout.read_buf(&mut bytes).await.map_err(ExchangeError::Read)? == 0 {
            return Err(ExchangeError::NoAnswer);
        }
        if let Some(end) = cgi::head_end(&bytes) {
            let head = bytes.split_to(end);
            return Ok((cgi::parse_head(&head).map_err(ExchangeError::Head)?, bytes));
        }
        if bytes.len() > MAX_HEAD {
            return Err(ExchangeError::HeadTooLong);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::sync::Arc;

    use tokio::task::LocalSet;

    use super::*;
    use crate::environment::Environment;
    use crate::git::Git;

    const BOUND: Duration = Duration::from_millis(300);

    /// Runs `script` in place of `git http-backend`, with `BOUND` for the whole.
    fn running(directory: &Path, script: &str) -> Running {
        let git = Git {
            program: directory.join("git"),
            exec_path: directory.to_owned(),
            ssh_keygen: None,
        };
        fs::write(git.backend(), format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(git.backend(), fs::Permissions::from_mode(0o755)).unwrap();
        let (backend, pipes) =
            Backend::spawn(&git, &Environment::default(), &[], false, None).unwrap();
        let place = Arc::new(Semaphore::new(MAX_BACKENDS)).try_acquire_owned().unwrap();
        let deadline = Instant::now() + BOUND;
        let feeding = Feeding::default();
        Running { backend, stdout: pipes.stdout, feeding, push: None, place, deadline }
    }

    fn block_on(work: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, work);
    }

    const CHATTER: &str = "while :; do echo x; sleep 0.02; done";

    #[test]
    fn a_backend_that_never_stops_talking_is_stopped_at_the_end_of_the_bound() {
        let directory = tempfile::tempdir().unwrap();
        block_on(async {
            let script = format!("printf 'A: b\\n\\n'; {CHATTER}");
            let running = running(directory.path(), &script);
            let started = Instant::now();
            let (asker, begun) = oneshot::channel();
            let work = tokio::task::spawn_local(running.answer(Resource::FetchRefs, asker));
            let (_, mut output) = begun.await.unwrap().unwrap();
            let mut last = None;
            while let Some(chunk) = output.recv().await {
                last = Some(chunk);
            }
            work.await.unwrap();
            assert!(matches!(last, Some(Err(Aborted))), "a client must see that this is not all");
            assert!((BOUND..BOUND * 20).contains(&started.elapsed()));
        });
    }

    #[test]
    fn a_head_without_end_is_no_answer_at_the_end_of_the_bound() {
        let directory = tempfile::tempdir().unwrap();
        block_on(async {
            let running = running(directory.path(), "while :; do sleep 0.02; done");
            let (asker, begun) = oneshot::channel();
            running.answer(Resource::FetchRefs, asker).await;
            assert!(matches!(begun.await.unwrap(), Err(ExchangeError::Overtime)));
        });
    }

    #[test]
    fn a_push_finished_without_its_client_has_the_same_bound() {
        let directory = tempfile::tempdir().unwrap();
        block_on(async {
            let running = running(directory.path(), CHATTER);
            let (asker, begun) = oneshot::channel();
            drop(begun);
            let work = running.answer(Resource::ReceivePack, asker);
            timeout(BOUND * 20, work).await.unwrap();
        });
    }
}
