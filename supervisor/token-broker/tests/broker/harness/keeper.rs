//! The keeper's end of the line: answers from a script that a test may change.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use terok_shared::secret::Secret;
use vault_grant::{
    Answer, Credential, CredentialKind, CredentialProblem, Grant, Line, LineError, Member, Notice,
    Question, Refusal, Reply, Request, TokenInfo,
};

use super::logins::{self, Logins};
use super::{REAL, TOKEN};

/// What the keeper says to a token.
#[derive(Clone)]
pub(crate) enum Scripted {
    Key {
        provider: &'static str,
        value: String,
    },
    OAuth {
        provider: &'static str,
        value: String,
        members: Vec<(String, String)>,
    },
    Problem {
        provider: &'static str,
        problem: CredentialProblem,
    },
    Refusal(Refusal),
    /// No answer at all.
    Silence,
}

pub(super) type Script = Arc<Mutex<HashMap<String, Scripted>>>;

pub(crate) struct Keeper {
    line: Arc<Line>,
    script: Script,
    asked: Arc<AtomicUsize>,
    pub(crate) logins: Arc<Mutex<Logins>>,
}

impl Keeper {
    pub(crate) fn on(end: OwnedFd) -> Self {
        let line = Arc::new(Line::new(end));
        let asked = Arc::new(AtomicUsize::new(0));
        let known = Scripted::Key { provider: "p", value: REAL.into() };
        let script: Script = Arc::new(Mutex::new([(TOKEN.to_owned(), known)].into()));
        let logins = Arc::<Mutex<Logins>>::default();
        let (at, answers, count) = (Arc::clone(&line), Arc::clone(&script), Arc::clone(&asked));
        let known_logins = Arc::clone(&logins);
        thread::spawn(move || answer(&at, &answers, &count, &known_logins));
        Self { line, script, asked, logins }
    }

    pub(crate) fn say(&self, token: &str, answer: Scripted) {
        self.script.lock().unwrap().insert(token.into(), answer);
    }

    pub(crate) fn forget(&self, token: &str) {
        self.script.lock().unwrap().remove(token);
    }

    pub(crate) fn notify(&self, notice: Notice) {
        self.line.send(&Reply::Notice(notice)).unwrap();
    }

    /// How many tokens were asked about so far.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

fn answer(line: &Line, script: &Script, asked: &AtomicUsize, logins: &Mutex<Logins>) {
    loop {
        let mut ready = [PollFd::new(line.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::NONE).unwrap();
        let request = match line.receive::<Request>() {
            Ok(request) => request,
            Err(LineError::WouldBlock) => continue,
            Err(_) => return,
        };
        let token = match request.question {
            Question::Grant { token } => token,
            Question::Refresh(question) => {
                if let Some(answer) = logins::answer(line, script, logins, question) {
                    let _ = line.send(&Reply::To(request.id, Answer::Refresh(answer)));
                }
                continue;
            }
            _ => panic!("no broker's question"),
        };
        asked.fetch_add(1, Ordering::SeqCst);
        let scripted = script.lock().unwrap().get(token.expose()).cloned();
        let answer = match scripted {
            None => Answer::Refused(Refusal::UnknownToken),
            Some(Scripted::Silence) => continue,
            Some(Scripted::Refusal(refusal)) => Answer::Refused(refusal),
            Some(Scripted::Problem { provider, problem }) => grant(provider, Err(problem)),
            Some(Scripted::Key { provider, value }) => {
                grant(provider, Ok(credential(CredentialKind::Key, value, vec![])))
            }
            Some(Scripted::OAuth { provider, value, members }) => {
                grant(provider, Ok(credential(CredentialKind::OAuth, value, members)))
            }
        };
        let _ = line.send(&Reply::To(request.id, answer));
    }
}

fn credential(kind: CredentialKind, value: String, members: Vec<(String, String)>) -> Credential {
    let member = |(name, value)| (name, Member(Secret::from(value)));
    Credential { kind, value: value.into(), members: members.into_iter().map(member).collect() }
}

fn grant(provider: &str, credential: Result<Credential, CredentialProblem>) -> Answer {
    let token = TokenInfo {
        scope: "scope-1".into(),
        subject: "web".into(),
        credential_set: "default".into(),
        provider: provider.into(),
    };
    Answer::Grant(Grant { token, credential })
}
