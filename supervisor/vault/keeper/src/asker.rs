//! One of the two services at the other end of a line, and what it remembers: one that remembers
//! nothing is not woken when the vault changes.

use nix::poll::PollFlags;
use terok_service::Inherited;
use vault_grant::{Answer, Line, Notice, Reply};

use crate::answer::Role;

/// One service that asks, and what it may ask: the line says who it is.
pub(crate) struct Asker {
    pub(crate) role: Role,
    pub(crate) line: Line,
    remembers: Remembers,
}

/// What an asker may know of our answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Remembers {
    Nothing,
    Answers,
    /// Answers of before a change, which its line had no room to tell.
    Outdated,
}

impl Asker {
    pub(crate) fn all(inherited: Inherited) -> Vec<Self> {
        let broker = inherited.line.map(|line| (Role::Broker, line));
        let signer = inherited.signer_line.map(|line| (Role::Signer, line));
        let asker =
            |(role, line)| Self { role, line: Line::new(line), remembers: Remembers::Outdated };
        broker.into_iter().chain(signer).map(asker).collect()
    }

    /// Says something without waiting, and gives back whether there was room: an asker that does
    /// not read loses an answer, and asks again.
    pub(crate) fn say(&self, reply: &Reply) -> bool {
        let said = self.line.send(reply);
        if let Err(why) = &said {
            log::warn!("answer the {}: {why}", self.role);
        }
        said.is_ok()
    }

    pub(crate) fn answer(&mut self, id: u64, answer: Answer) {
        self.say(&Reply::To(id, answer));
        if self.remembers == Remembers::Nothing {
            self.remembers = Remembers::Answers;
        }
    }

    /// Whether it is still to be told of a change.
    pub(crate) fn is_outdated(&self) -> bool {
        self.remembers == Remembers::Outdated
    }

    /// What its line has to be for us to have something to do.
    pub(crate) fn awaited(&self) -> PollFlags {
        match self.remembers {
            Remembers::Nothing | Remembers::Answers => PollFlags::POLLIN,
            Remembers::Outdated => PollFlags::POLLIN | PollFlags::POLLOUT,
        }
    }

    /// Says this notice, of which each kind makes it forget, unless there is nothing to forget.
    pub(crate) fn make_forget(&mut self, notice: Notice) {
        if self.remembers != Remembers::Nothing {
            let said = self.say(&Reply::Notice(notice));
            self.remembers = if said { Remembers::Nothing } else { Remembers::Outdated };
        }
    }
}
