//! One line of the audit, as far as every service writes it.

use std::fmt;

use serde::Deserialize;

use crate::output::printable;

/// Members that a service does not write are empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    pub(super) ts: String,
    pub(super) subject: String,
    pub(super) credential_set: String,
    pub(super) provider: String,
    pub(super) outcome: String,
    /// What the signer and the gate do in place of a request.
    pub(super) kind: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) status: Option<u16>,
    pub(super) duration_ms: Option<u64>,
}

impl Entry {
    /// `None` for what is no whole line: a disk that was full may have cut one.
    pub(super) fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok().filter(|entry: &Self| !entry.ts.is_empty())
    }

    /// Whether the request was turned away: by us, or by its upstream's silence.
    pub(super) fn is_refusal(&self) -> bool {
        const SERVED: [&str; 5] = [
            "ok",
            "websocket_opened",
            "websocket_closed",
            "websocket_silent",
            "client_disconnected",
        ];
        !SERVED.contains(&self.outcome.as_str())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            &self.ts,
            &self.subject,
            &self.provider,
            &self.outcome,
            &self.kind,
            &self.method,
            &self.path,
        ];
        let words: Vec<String> =
            words.into_iter().filter(|word| !word.is_empty()).map(|word| printable(word)).collect();
        write!(f, "{}", words.join(" "))?;
        if let Some(status) = self.status {
            write!(f, " {status}")?;
        }
        if let Some(ms) = self.duration_ms {
            write!(f, " {ms} ms")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_broker_is_told_in_one_line() {
        let entry = Entry::parse(
            r#"{"ts":"2026-01-02T03:04:05+00:00","scope":"s","subject":"web","credential_set":"default",
                "provider":"github","method":"GET","path":"/user\u001b","status":200,"outcome":"ok",
                "duration_ms":12,"new":1}"#,
        );
        assert_eq!(
            entry.unwrap().to_string(),
            "2026-01-02T03:04:05+00:00 web github ok GET /user\\u{1b} 200 12 ms"
        );
    }

    #[test]
    fn what_did_not_reach_its_upstream_is_a_refusal() {
        let entry = |outcome: &str| Entry { outcome: outcome.into(), ..Entry::default() };
        assert!(!entry("ok").is_refusal());
        assert!(entry("wrong_scope").is_refusal());
        assert!(entry("upstream_error:dns").is_refusal());
    }
}
