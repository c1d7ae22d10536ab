//! What a stored key may be used for: hosts, users and namespaces that an operator allowed.
//!
//! In come rules for a key's fingerprint; out comes what the keeper holds each signature against.
//! They live in a table of their own, made with the first rule, and go by fingerprint, so a key
//! that is removed and imported again is as limited as before.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rusqlite::OptionalExtension;

use super::fingerprint;
use crate::Vault;
use crate::database::{DatabaseError, During};

/// Longest pattern or label, in characters.
const MAX_TEXT: usize = 256;

const TABLE: &str = "
CREATE TABLE IF NOT EXISTS ours_ssh_key_rules (
    fingerprint TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('host','user','namespace')),
    value       TEXT NOT NULL,
    label       TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (fingerprint, kind, value)
)";

/// One thing a key may be used for. A key without rules may be used for every login and every
/// signed message; the first rule makes the list of what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Logging in where this host key is proved.
    Host {
        /// `SHA256:…`, as `ssh-keygen -l` prints it.
        fingerprint: String,
        /// What people call the host; no part of the rule.
        label: String,
    },
    /// Logging in as such a user.
    User(Pattern),
    /// Signed messages (`ssh-keygen -Y sign`) of such a namespace; `git` for commits.
    Namespace(Pattern),
}

/// Text in which `*` stands for any characters and `?` for any one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern(String);

/// All rules of one key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

impl Rule {
    /// A host by its key: a `SHA256:…` fingerprint, or a line of a known_hosts file (sshd(8),
    /// "SSH_KNOWN_HOSTS FILE FORMAT"), as `ssh-keyscan` prints it.
    pub fn host(text: &str) -> Result<Self, RuleError> {
        let text = text.trim();
        if let Some(digest) = text.strip_prefix("SHA256:") {
            let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || b"+/".contains(&byte);
            if digest.len() != 43 || !digest.bytes().all(alphabet) {
                return Err(RuleError::Fingerprint);
            }
            return Ok(Self::Host { fingerprint: text.to_owned(), label: String::new() });
        }
        let mut fields = text.split_ascii_whitespace();
        let (Some(names), Some(kind), Some(blob)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(RuleError::KnownHost);
        };
        if names.starts_with('@') {
            return Err(RuleError::Marker);
        }
        let blob = BASE64_STANDARD.decode(blob).map_err(|_| RuleError::KnownHost)?;
        // RFC 4253, section 6.6: a public key begins with its kind's name.
        let named = blob.get(4..).is_some_and(|rest| rest.starts_with(kind.as_bytes()));
        if !named || blob[..4] != u32::try_from(kind.len()).unwrap_or(0).to_be_bytes() {
            return Err(RuleError::KnownHost);
        }
        // A hashed name says nothing to people.
        let label = if names.starts_with('|') { "" } else { names };
        Ok(Self::Host { fingerprint: fingerprint(&blob), label: checked(label)? })
    }

    pub fn user(pattern: &str) -> Result<Self, RuleError> {
        Pattern::parse(pattern).map(Self::User)
    }

    pub fn namespace(pattern: &str) -> Result<Self, RuleError> {
        Pattern::parse(pattern).map(Self::Namespace)
    }

    fn columns(&self) -> (&'static str, &str, &str) {
        match self {
            Self::Host { fingerprint, label } => ("host", fingerprint, label),
            Self::User(Pattern(pattern)) => ("user", pattern, ""),
            Self::Namespace(Pattern(pattern)) => ("namespace", pattern, ""),
        }
    }

    /// `None` for a kind this release does not know: what limits a key is never passed over.
    fn of_columns(kind: &str, value: String, label: String) -> Option<Self> {
        match kind {
            "host" => Some(Self::Host { fingerprint: value, label }),
            "user" => Some(Self::User(Pattern(value))),
            "namespace" => Some(Self::Namespace(Pattern(value))),
            _ => None,
        }
    }
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        if text.is_empty() {
            return Err(RuleError::Empty);
        }
        checked(text).map(Self)
    }

    /// Whether all of `text` has this form.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        // Where to go on when what followed the last star does not fit.
        let mut retry = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    retry = Some((p + 1, t));
                    p += 1;
                }
                Some(&byte) if byte == b'?' || byte == text[t] => {
                    p += 1;
                    t += 1;
                }
                _ => {
                    let Some((after_star, taken)) = retry else { return false };
                    retry = Some((after_star, taken + 1));
                    (p, t) = (after_star, taken + 1);
                }
            }
        }
        pattern[p..].iter().all(|byte| *byte == b'*')
    }
}

impl Rules {
    pub fn new(rules: impl IntoIterator<Item = Rule>) -> Self {
        Self(rules.into_iter().collect())
    }

    /// Without rules everything that can be signed may be signed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.0.iter()
    }

    /// Fingerprints of the hosts it may log in to; none when no rule limits them.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|rule| match rule {
            Rule::Host { fingerprint, .. } => Some(fingerprint.as_str()),
            _ => None,
        })
    }

    /// Users it may log in as; none when no rule limits them.
    pub fn users(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter().filter_map(|rule| match rule {
            Rule::User(pattern) => Some(pattern),
            _ => None,
        })
    }

    pub fn namespaces(&self) -> impl Iterator<Item = &Pattern> {
        self.0.iter().filter_map(|rule| match rule {
            Rule::Namespace(pattern) => Some(pattern),
            _ => None,
        })
    }
}

impl Vault {
    /// The rules of the key with this fingerprint, whether or not the key is stored.
    pub fn ssh_key_rules(&self, fingerprint: &str) -> Result<Rules, DatabaseError> {
        if !self.has_rules()? {
            return Ok(Rules::default());
        }
        self.connection()
            .prepare_cached(
                "SELECT kind, value, label FROM ours_ssh_key_rules WHERE fingerprint = ?
                 ORDER BY kind, value",
            )
            .and_then(|mut statement| {
                statement
                    .query_map([fingerprint], |row| {
                        let kind: String = row.get(0)?;
                        Rule::of_columns(&kind, row.get(1)?, row.get(2)?).ok_or_else(|| {
                            let text = rusqlite::types::Type::Text;
                            rusqlite::Error::InvalidColumnType(0, "kind".to_owned(), text)
                        })
                    })
                    .and_then(Iterator::collect)
            })
            .map(Rules)
            .during("read the rules of an ssh key")
    }

    /// Allows one thing more to a key. Returns whether it was not allowed by the same rule before.
    pub fn add_ssh_key_rule(
        &mut self,
        fingerprint: &str,
        rule: &Rule,
    ) -> Result<bool, DatabaseError> {
        let (kind, value, label) = rule.columns();
        self.write(|transaction| {
            transaction.execute_batch(TABLE).during("make the table of rules")?;
            transaction
                .execute(
                    "INSERT INTO ours_ssh_key_rules (fingerprint, kind, value, label)
                     VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (fingerprint, kind, value, label),
                )
                .map(|added| added > 0)
                .during("store a rule")
        })
    }

    /// Removes one rule. Returns whether the key had it. Without its last rule a key may be used
    /// for everything again.
    pub fn remove_ssh_key_rule(
        &mut self,
        fingerprint: &str,
        rule: &Rule,
    ) -> Result<bool, DatabaseError> {
        if !self.has_rules()? {
            return Ok(false);
        }
        let (kind, value, _) = rule.columns();
        self.write(|transaction| {
            transaction
                .execute(
                    "DELETE FROM ours_ssh_key_rules
                     WHERE fingerprint = ? AND kind = ? AND value = ?",
                    (fingerprint, kind, value),
                )
                .map(|removed| removed > 0)
                .during("remove a rule")
        })
    }

    /// Removes all rules of a key at once. Returns how many there were.
    pub fn clear_ssh_key_rules(&mut self, fingerprint: &str) -> Result<usize, DatabaseError> {
        if !self.has_rules()? {
            return Ok(0);
        }
        self.write(|transaction| {
            transaction
                .execute("DELETE FROM ours_ssh_key_rules WHERE fingerprint = ?", [fingerprint])
                .during("remove rules")
        })
    }

    /// Puts these rules in the place of all a key has, in one step: in between it would be allowed
    /// everything. Returns how many there were.
    pub fn replace_ssh_key_rules(
        &mut self,
        fingerprint: &str,
        rules: &[Rule],
    ) -> Result<usize, DatabaseError> {
        self.write(|transaction| {
            transaction.execute_batch(TABLE).during("make the table of rules")?;
            let old = transaction
                .execute("DELETE FROM ours_ssh_key_rules WHERE fingerprint = ?", [fingerprint])
                .during("remove rules")?;
            for (kind, value, label) in rules.iter().map(Rule::columns) {
                transaction
                    .execute(
                        "INSERT INTO ours_ssh_key_rules (fingerprint, kind, value, label)
                         VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                        (fingerprint, kind, value, label),
                    )
                    .during("store a rule")?;
            }
            Ok(old)
        })
    }

    fn has_rules(&self) -> Result<bool, DatabaseError> {
        self.connection()
            .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = 'ours_ssh_key_rules'")
            .and_then(|mut statement| statement.query_row([], |_| Ok(())).optional())
            .map(|found| found.is_some())
            .during("look for rules")
    }
}

/// No text that could spoof a terminal or fill a line.
fn checked(text: &str) -> Result<String, RuleError> {
    match text.chars().count() > MAX_TEXT || text.chars().any(char::is_control) {
        true => Err(RuleError::Text),
        false => Ok(text.to_owned()),
    }
}

/// Why a text is not a rule.
#[derive(Debug, PartialEq, Eq)]
pub enum RuleError {
    Empty,
    Text,
    Fingerprint,
    KnownHost,
    Marker,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("pattern is empty"),
            Self::Text => write!(f, "more than {MAX_TEXT} characters, or a control character"),
            Self::Fingerprint => f.write_str("SHA256: is not followed by 43 characters of base64"),
            Self::KnownHost => f.write_str(
                "expected SHA256:… or a line of known_hosts\nhint: run ssh-keyscan HOST, or \
                 ssh-keygen -F HOST",
            ),
            Self::Marker => {
                f.write_str("a line with a marker (@cert-authority, @revoked) is no host key")
            }
        }
    }
}

impl std::error::Error for RuleError {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { fingerprint, label } if label.is_empty() => {
                write!(f, "host {fingerprint}")
            }
            Self::Host { fingerprint, label } => write!(f, "host {fingerprint} ({label})"),
            Self::User(pattern) => write!(f, "user {pattern}"),
            Self::Namespace(pattern) => write!(f, "namespace {pattern}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GITHUB: &str = "github.com ssh-ed25519 \
        AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";

    #[test]
    fn a_line_of_known_hosts_names_a_host_by_its_key() {
        // As GitHub publishes it.
        let expected = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU";
        let Ok(Rule::Host { fingerprint, label }) = Rule::host(GITHUB) else { panic!("no host") };
        assert_eq!((fingerprint.as_str(), label.as_str()), (expected, "github.com"));
        let Ok(Rule::Host { fingerprint, label }) = Rule::host(expected) else { panic!("no host") };
        assert_eq!((fingerprint.as_str(), label.as_str()), (expected, ""));
    }

    #[test]
    fn what_names_no_host_key_is_refused() {
        for (text, why) in [
            ("github.com", RuleError::KnownHost),
            ("", RuleError::KnownHost),
            ("github.com ssh-ed25519 AAAA", RuleError::KnownHost),
            ("github.com ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIOMq", RuleError::KnownHost),
            ("SHA256:short", RuleError::Fingerprint),
            ("@revoked h ssh-ed25519 AAAA", RuleError::Marker),
        ] {
            assert_eq!(Rule::host(text), Err(why), "{text}");
        }
        assert_eq!(Rule::user(""), Err(RuleError::Empty));
        assert_eq!(Rule::user("a\u{1b}b"), Err(RuleError::Text));
    }

    #[test]
    fn stars_and_question_marks_match_as_in_ssh_config() {
        for (pattern, text, fits) in [
            ("git", "git", true),
            ("git", "gitx", false),
            ("git", "", false),
            ("*", "", true),
            ("*", "anything", true),
            ("g?t", "get", true),
            ("g?t", "gt", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdef", false),
            ("*ab", "aab", true),
            ("file@*", "file@example.org", true),
            ("*x", "y", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(text), fits, "{pattern} {text}");
        }
    }
}
