//! The audit: one JSON line per request, who used which credential for what, written to the
//! descriptor the parent handed down. No bodies, no queries, no tokens.
//!
//! In: what becomes of each request. Out: lines in the `trail`.

mod trail;

use std::cell::RefCell;
use std::convert::Infallible;
use std::fs::File;
use std::rc::Rc;
use std::time::Instant;

use hyper::Method;
use hyper::http::uri::PathAndQuery;
use jiff::Timestamp;
use serde::Serialize;
use vault_grant::TokenInfo;

use crate::limit::{Meter, Permit};
use trail::Trail;

/// Longest path written out; a container must not fill the disk with one request.
const MAX_PATH: usize = 2048;

/// What a client's going away before it got a response counts as; nginx's number for it.
const CLIENT_GONE: (u16, &str) = (499, "client_disconnected");

/// The status of a tunnel's lines (RFC 9110 section 15.2.2).
const SWITCHING: u16 = 101;

pub(crate) struct Audit {
    trail: Trail,
    clock: RefCell<Clock>,
}

/// Keys and their order are a format other programs read.
#[derive(Serialize)]
struct Line<'a> {
    ts: &'a str,
    scope: &'a str,
    subject: &'a str,
    credential_set: &'a str,
    provider: &'a str,
    method: &'a str,
    path: &'a str,
    status: u16,
    outcome: &'a str,
    duration_ms: u64,
    /// Of a tunnel that closed.
    #[serde(flatten)]
    moved: Option<Moved>,
}

/// Bytes that went through a tunnel.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Moved {
    pub(crate) bytes_up: u64,
    pub(crate) bytes_down: u64,
}

/// One request under way. Dropped without an end, its client went away.
pub(crate) struct Entry {
    audit: Rc<Audit>,
    started: Instant,
    method: Method,
    target: Option<PathAndQuery>,
    token: Option<Rc<TokenInfo>>,
    ended: bool,
    /// What the route's ceilings count as running until this ends.
    permit: Option<Permit>,
    /// The status a client had already seen when it went away.
    gone_as: u16,
}

impl Audit {
    pub(crate) fn new(file: Option<File>) -> Self {
        Self { trail: Trail::to(file), clock: RefCell::default() }
    }

    /// Writes lines that wait for others, for as long as the service runs.
    pub(crate) async fn keep_written(&self) -> Infallible {
        self.trail.keep_written().await
    }

    pub(crate) fn begin(
        self: &Rc<Self>,
        started: Instant,
        method: Method,
        target: Option<PathAndQuery>,
    ) -> Entry {
        let audit = Rc::clone(self);
        let gone_as = CLIENT_GONE.0;
        Entry { audit, started, method, target, token: None, ended: false, permit: None, gone_as }
    }
}

/// UTC to the second with a numeric offset, `2026-01-02T03:04:05+00:00`, made once a second.
#[derive(Default)]
struct Clock {
    second: i64,
    text: String,
}

impl Clock {
    fn now(&mut self) -> &str {
        let now = Timestamp::now();
        if now.as_second() != self.second || self.text.is_empty() {
            self.second = now.as_second();
            self.text = now.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
        }
        &self.text
    }
}

impl Entry {
    pub(crate) fn used_by(&mut self, token: &Rc<TokenInfo>) {
        self.token = Some(Rc::clone(token));
    }

    pub(crate) fn holds(&mut self, permit: Option<Permit>) {
        self.permit = permit;
    }

    /// For the bytes of its bodies, if anybody counts them.
    pub(crate) fn meter(&self) -> Option<Meter> {
        self.permit.as_ref().and_then(Permit::meter)
    }

    /// From now on the client has seen this status.
    pub(crate) fn answered(&mut self, status: u16) {
        self.gone_as = status;
    }

    pub(crate) fn end(mut self, status: u16, outcome: &str) {
        self.write(status, outcome, None);
    }

    /// A tunnel has opened; its end is another line.
    pub(crate) fn opened(&mut self) {
        self.write(SWITCHING, "websocket_opened", None);
        self.ended = false;
        self.gone_as = SWITCHING;
    }

    pub(crate) fn closed(mut self, outcome: &str, moved: Moved) {
        self.write(SWITCHING, outcome, Some(moved));
    }

    fn write(&mut self, status: u16, outcome: &str, moved: Option<Moved>) {
        self.ended = true;
        let nobody = TokenInfo::default();
        let token = self.token.as_deref().unwrap_or(&nobody);
        let now = Instant::now();
        let took = now.saturating_duration_since(self.started).as_millis();
        let mut clock = self.audit.clock.borrow_mut();
        let line = Line {
            ts: clock.now(),
            scope: &token.scope,
            subject: &token.subject,
            credential_set: &token.credential_set,
            provider: &token.provider,
            method: self.method.as_str(),
            path: shortened(self.target.as_ref().map_or("", PathAndQuery::path)),
            status,
            outcome,
            duration_ms: u64::try_from(took).unwrap_or(u64::MAX),
            moved,
        };
        self.audit.trail.add(&line, now);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.ended {
            self.write(self.gone_as, CLIENT_GONE.1, None);
        }
    }
}

fn shortened(path: &str) -> &str {
    let fits = |(at, _): &(usize, char)| *at <= MAX_PATH;
    match path.len() {
        ..=MAX_PATH => path,
        _ => path.char_indices().take_while(fits).last().map_or("", |(at, _)| &path[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom};

    fn lines(write: impl FnOnce(&Rc<Audit>)) -> Vec<String> {
        let mut file = tempfile::tempfile().unwrap();
        let audit = Rc::new(Audit::new(Some(file.try_clone().unwrap())));
        write(&audit);
        drop(audit);
        let mut text = String::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_string(&mut text).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn begin(audit: &Rc<Audit>, target: &str) -> Entry {
        audit.begin(Instant::now(), Method::GET, Some(target.parse().unwrap()))
    }

    #[test]
    fn a_line_has_exactly_the_contracts_keys_in_order() {
        let lines = lines(|audit| {
            let mut entry = begin(audit, "/a%2Fb?token=no");
            entry.used_by(&Rc::new(TokenInfo {
                scope: "s".into(),
                subject: "web".into(),
                credential_set: "default".into(),
                provider: "github".into(),
            }));
            entry.end(200, "ok");
        });
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        let (ts, rest) = line.split_once(r#"","scope""#).unwrap();
        assert_eq!(ts.len(), r#"{"ts":"2026-01-02T03:04:05+00:00"#.len());
        let (rest, duration) = rest.split_once(r#""duration_ms":"#).unwrap();
        assert_eq!(
            rest,
            r#":"s","subject":"web","credential_set":"default","provider":"github","method":"GET","path":"/a%2Fb","status":200,"outcome":"ok","#
        );
        assert!(duration.strip_suffix('}').unwrap().parse::<u64>().is_ok());
    }

    #[test]
    fn a_request_nobody_waited_for_is_in_the_audit_too() {
        let lines = lines(|audit| drop(begin(audit, "/")));
        assert!(lines[0].contains(r#""status":499,"outcome":"client_disconnected""#));
    }

    #[test]
    fn an_endless_path_is_cut() {
        let lines = lines(|audit| begin(audit, &format!("/{}", "a".repeat(9000))).end(200, "ok"));
        assert!(lines[0].len() < MAX_PATH + 300);
    }
}
