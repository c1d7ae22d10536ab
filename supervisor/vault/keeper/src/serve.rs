//! The keeper's loop: one poll over two lines, the database's files and SIGTERM, with a time limit
//! only while a login is being renewed, or where it shall leave when nobody asks.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::SIGTERM;
use terok_service::Failure;
use terok_shared::handover::TokenLimits;
use vault_grant::refresh;
use vault_grant::{Answer, LineError, Linger, Notice, Packet, Question, Request};
use vault_store::Vault;

use crate::answer::{Answerer, Role};
use crate::asker::Asker;
use crate::refresh::{Effect, Refreshes};
use crate::watch::Watch;

/// How long the database is watched after a question. What was answered is remembered as long.
const WAKEFUL: Duration = Duration::from_secs(10);

pub(crate) struct Keeper {
    answerer: Answerer,
    refreshes: Refreshes,
    watch: Watch,
    askers: Vec<Asker>,
    packet: Packet,
    stop: UnixStream,
    /// How long nobody may ask anything before we leave; the next question starts another keeper.
    leave_after: Option<Duration>,
    last_asked: Instant,
    /// Who signs one thing after another asks sooner than a sleeper wakes: until when the next
    /// question is looked for.
    awake_until: Option<Instant>,
    linger: Linger,
}

impl Keeper {
    pub(crate) fn new(
        vault: Vault,
        limits: TokenLimits,
        refreshes: Refreshes,
        askers: Vec<Asker>,
    ) -> Result<Self, Failure> {
        let watch = Watch::on(&vault)?;
        let (stop, write) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGTERM, write)?;
        Ok(Self {
            answerer: Answerer::new(vault, limits),
            refreshes,
            watch,
            askers,
            packet: Packet::default(),
            stop,
            leave_after: None,
            last_asked: Instant::now(),
            awake_until: None,
            linger: Linger::default(),
        })
    }

    pub(crate) fn leaving_after(self, leave_after: Option<Duration>) -> Self {
        Self { leave_after, ..self }
    }

    pub(crate) fn db_path(&self) -> &Path {
        self.answerer.vault().path()
    }

    pub(crate) fn locks(&self) -> Option<&Path> {
        self.refreshes.directory()
    }

    pub(crate) fn run(mut self) -> Result<(), Failure> {
        self.make_forget(Notice::Serving);
        loop {
            let woken = self.wait()?;
            if woken.stop {
                let _ = self.stop.read(&mut [0]);
                return Ok(());
            }
            if !woken.askers.is_empty() {
                self.last_asked = Instant::now();
                self.watch.wake(self.answerer.vault())?;
            }
            // Before any question: an answer must not be older than a change we could have seen.
            if self.watch.changed(self.answerer.vault(), woken.database)? {
                self.answerer.forget();
                self.make_forget(Notice::Changed);
            }
            for asker in self.askers.iter_mut().filter(|asker| asker.is_outdated()) {
                asker.make_forget(Notice::Changed);
            }
            self.refreshes.release_overdue(self.answerer.vault_and_limits().0, Instant::now());
            let now = Instant::now();
            if self.sleep_at().is_some_and(|due| due <= now) {
                // Nobody watches the database from here on: no grant may be remembered.
                self.make_forget(Notice::Changed);
                self.watch.sleep();
            }
            if self.leave_at().is_some_and(|due| due <= now) {
                return Ok(());
            }
            for n in woken.askers {
                self.answer(n)?;
            }
        }
    }

    /// When to stop watching the database for want of questions.
    fn sleep_at(&self) -> Option<Instant> {
        let after = self.leave_after.unwrap_or(WAKEFUL).min(WAKEFUL);
        self.watch.is_awake().then(|| self.last_asked + after)
    }

    /// When we may go: not while a renewal of ours is under way.
    fn leave_at(&self) -> Option<Instant> {
        self.leave_after
            .filter(|_| self.refreshes.due().is_none())
            .map(|after| self.last_asked + after)
    }

    /// Answers one question, so that a busy asker does not keep the other waiting.
    fn answer(&mut self, n: usize) -> Result<(), Failure> {
        let asker = &mut self.askers[n];
        match asker.line.receive_in::<Request>(&mut self.packet) {
            Ok(Request { id, question: Question::Refresh(question) })
                if asker.role == Role::Broker =>
            {
                let answer = self.renew(id, question);
                self.askers[n].answer(id, answer);
                Ok(())
            }
            Ok(Request { id, question }) => {
                let answer = self.answerer.answer(asker.role, question);
                asker.answer(id, answer);
                if asker.role == Role::Signer {
                    self.awake_until = self.linger.begin();
                }
                Ok(())
            }
            Err(LineError::WouldBlock) => Ok(()),
            Err(why @ (LineError::Malformed | LineError::TooLarge(_))) => {
                log::warn!("the {} said: {why}", asker.role);
                Ok(())
            }
            Err(why) => Err(format!("line to the {}: {why}", asker.role).into()),
        }
    }

    /// Our own writes are no news to the watch, so a change is told here, before its answer.
    fn renew(&mut self, id: u64, question: refresh::Question) -> Answer {
        let (vault, limits) = self.answerer.vault_and_limits();
        match self.refreshes.answer(vault, limits, id, question) {
            Ok((answer, effect)) => {
                if effect == Effect::Changed {
                    self.make_forget(Notice::Changed);
                }
                Answer::Refresh(answer)
            }
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    fn make_forget(&mut self, notice: Notice) {
        self.askers.iter_mut().for_each(|asker| asker.make_forget(notice));
    }

    fn wait(&mut self) -> io::Result<Woken> {
        let mut watched = vec![readable(self.stop.as_fd())];
        let lines = self.askers.iter();
        watched.extend(lines.map(|asker| PollFd::new(asker.line.as_fd(), asker.awaited())));
        watched.extend(self.watch.ear().map(readable));
        if !look_again(&mut watched, self.awake_until.take(), &mut self.linger)? {
            let due = [self.refreshes.due(), self.leave_at(), self.sleep_at(), self.watch.due()];
            let due = due.into_iter().flatten().min();
            match poll(&mut watched, due.map_or(PollTimeout::NONE, until)) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let happened: Vec<bool> = watched.iter().map(|fd| fd.any() == Some(true)).collect();
        let (lines, ear) = happened[1..].split_at(self.askers.len());
        Ok(Woken {
            stop: happened[0],
            askers: (0..lines.len()).filter(|n| lines[*n]).collect(),
            database: ear == [true],
        })
    }
}

struct Woken {
    stop: bool,
    askers: Vec<usize>,
    database: bool,
}

/// Looks until then without sleeping; whether anything happened.
fn look_again(
    watched: &mut [PollFd<'_>],
    until: Option<Instant>,
    linger: &mut Linger,
) -> io::Result<bool> {
    let Some(until) = until else { return Ok(false) };
    loop {
        match poll(watched, PollTimeout::ZERO) {
            Ok(0) if Instant::now() >= until => {
                linger.in_vain();
                return Ok(false);
            }
            // The asker may need this very processor.
            Ok(0) => std::thread::yield_now(),
            Ok(_) => {
                linger.found(until);
                return Ok(true);
            }
            Err(nix::Error::EINTR) => return Ok(false),
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Rounded up: waking a little early would only spin.
fn until(due: Instant) -> PollTimeout {
    let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
}

fn readable(descriptor: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::new(descriptor, PollFlags::POLLIN)
}
