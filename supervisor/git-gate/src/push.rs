//! A push on its way through the gate: its command list judged before git is started, the hooks'
//! news read while git works, git's report replaced when the push was refused.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Incoming;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::audit::Audit;
use crate::command_list::{CommandList, Reader, Reading};
use crate::news::{self, MAX_LINE, News};
use crate::policy::Refusal;
use crate::policy_source::PolicySource;
use crate::report::{self, Refusals, Withheld};
use crate::request_body::{self, BodyError};

/// How long the hooks' pipe may stay open after git has ended.
const LAST_NEWS: Duration = Duration::from_secs(1);

/// The start of a push's body.
#[derive(Debug)]
pub(crate) struct Opening {
    /// All that was read, for git to read again.
    pub(crate) bytes: Bytes,
    /// `None` for what only git may understand; the hook judges that too.
    list: Option<CommandList>,
    list_length: usize,
}

impl Opening {
    /// Reads until the command list is whole.
    pub(crate) async fn read(first: Option<Bytes>, body: &mut Incoming) -> Result<Self, BodyError> {
        let mut reader = Reader::default();
        let mut chunk = first;
        let list = loop {
            // A body that ends early is git's to complain about.
            let Some(bytes) = chunk else { break None };
            match reader.push(&bytes) {
                Reading::Whole(list) => break Some(list),
                Reading::Strange => break None,
                Reading::More => chunk = request_body::next(body).await?,
            }
        };
        let (bytes, list_length) = reader.into_bytes();
        Ok(Self { bytes: bytes.into(), list, list_length })
    }

    /// The answer to a push that the names of its refs rule out; `None` when git is to have it.
    pub(crate) fn refuse(&self, source: &PolicySource, audit: &Audit) -> Option<Vec<u8>> {
        let list = self.list.as_ref()?;
        let changed = source.has_changed();
        let verdict =
            |update: &_| if changed { Some(Refusal::Changed) } else { source.rules.refuse(update) };
        let refusals: Refusals = list
            .updates()
            .filter_map(|update| Some((update.name.to_vec(), verdict(&update)?.to_string())))
            .collect();
        if refusals.is_empty() {
            return None;
        }
        audit_refusals(audit, list, &refusals);
        Some(report::refusal(list, &refusals))
    }
}

fn audit_refusals(audit: &Audit, list: &CommandList, refusals: &Refusals) {
    let companion = Refusal::Companion.to_string();
    for update in list.updates() {
        audit.refused(&update, refusals.get(update.name).unwrap_or(&companion));
    }
}

/// A push that git works on.
#[derive(Debug)]
pub(crate) struct Underway {
    audit: Rc<Audit>,
    judged: Option<Judged>,
    refusals: Rc<RefCell<Refusals>>,
    hooks: JoinHandle<()>,
    /// Bytes handed to git so far.
    pub(crate) received: Rc<Cell<u64>>,
}

/// What is only there when rules apply.
#[derive(Debug)]
struct Judged {
    list: CommandList,
    list_length: u64,
    withheld: Withheld,
    max_pack: Option<u64>,
}

impl Underway {
    /// The other end of the pipe goes to the hooks.
    pub(crate) fn begin(
        opening: Option<Opening>,
        max_pack: Option<u64>,
        audit: &Rc<Audit>,
    ) -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = io::pipe()?;
        let pipe = Receiver::from_owned_fd(reader.into())?;
        let refusals = Rc::default();
        let hooks = tokio::task::spawn_local(listen(pipe, Rc::clone(audit), Rc::clone(&refusals)));
        let judged = opening.and_then(|opening| {
            let list = opening.list?;
            let withheld = Withheld::new(&list);
            Some(Judged { list, list_length: opening.list_length as u64, withheld, max_pack })
        });
        let audit = Rc::clone(audit);
        let underway = Self { audit, judged, refusals, hooks, received: Rc::default() };
        Ok((underway, writer.into()))
    }

    /// What of git's answer may go out at once.
    pub(crate) fn pass(&mut self, chunk: Bytes) -> Bytes {
        match &mut self.judged {
            Some(judged) => judged.withheld.pass(&chunk),
            None => chunk,
        }
    }

    /// The rest of the answer, once git has ended.
    pub(crate) async fn end(self) -> Bytes {
        if timeout(LAST_NEWS, self.hooks).await.is_err() {
            log::warn!("the hooks' pipe is still open after git has ended");
        }
        let Some(judged) = self.judged else { return Bytes::new() };
        let mut refusals = self.refusals.take();
        let pack = self.received.get().saturating_sub(judged.list_length);
        if let Some(max) = judged.max_pack.filter(|max| pack > *max)
            && judged.withheld.says_unpack_failed()
        {
            let reason = Refusal::PackTooLarge { max }.to_string();
            refusals = judged.list.updates().map(|u| (u.name.to_vec(), reason.clone())).collect();
            audit_refusals(&self.audit, &judged.list, &refusals);
        }
        if refusals.is_empty() {
            judged.withheld.release()
        } else {
            judged.withheld.replace(&judged.list, &refusals)
        }
    }
}

/// Reads until every hook has ended. Goes on when the push's client has left.
async fn listen(pipe: Receiver, audit: Rc<Audit>, refusals: Rc<RefCell<Refusals>>) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut pipe).take(MAX_LINE as u64).read_until(b'\n', &mut line).await;
        match read {
            Ok(1..) => {}
            Ok(0) => return,
            Err(why) => return log::warn!("read the hooks' news: {why}"),
        }
        match line.strip_suffix(b"\n").and_then(news::parse) {
            Some(News::Refused { update, reason }) => {
                audit.refused(&update, reason);
                refusals.borrow_mut().insert(update.name.to_vec(), reason.to_owned());
            }
            Some(News::Updated { update, backup }) => audit.updated(&update, backup),
            None => log::warn!("the hooks' news have a line of another form"),
        }
    }
}
