//! How a mirror's refs differ from the upstream's, and what may be done about it without asking.
//! Pure but for the one question whether a commit is another's ancestor.

use serde::Serialize;

use super::refs::{HEADS, Move, Refs, backup_of};

/// What a difference amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Same,
    /// Upstream has it, the mirror has not.
    New,
    /// Upstream went on from where the mirror is.
    Forward,
    /// The mirror went on from where upstream is.
    Ahead,
    /// Both went on, or upstream was rewritten.
    Diverged,
    /// A tag, or anything else that is no branch, is another object.
    Moved,
    /// Upstream had it and has removed it.
    Gone,
}

/// One ref, `refs/` included in its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    #[serde(rename = "ref")]
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) mirror: Option<String>,
    pub(super) upstream: Option<String>,
}

impl Kind {
    /// Loses no commit of the mirror, whatever happens.
    pub(super) fn is_safe(self) -> bool {
        matches!(self, Self::New | Self::Forward)
    }

    /// Waits for the operator's word.
    pub(super) fn is_pending(self) -> bool {
        matches!(self, Self::Diverged | Self::Moved | Self::Gone)
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::New => "new upstream",
            Self::Forward => "behind upstream",
            Self::Ahead => "ahead of upstream",
            Self::Diverged => "diverged",
            Self::Moved => "another object upstream",
            Self::Gone => "removed upstream",
        }
    }
}

/// Compares the mirror's own refs with the snapshot of upstream's and with what upstream has
/// removed. All names are without `refs/`.
pub(super) fn compare<E>(
    mirror: &Refs,
    snapshot: &Refs,
    gone: &Refs,
    mut is_ancestor: impl FnMut(&str, &str) -> Result<bool, E>,
) -> Result<Vec<Difference>, E> {
    let mut differences = Vec::new();
    for (name, theirs) in snapshot {
        let full = format!("refs/{name}");
        let ours = mirror.get(name);
        let kind = match ours {
            None => Kind::New,
            Some(ours) if ours == theirs => Kind::Same,
            Some(_) if !full.starts_with(HEADS) => Kind::Moved,
            Some(ours) if is_ancestor(ours, theirs)? => Kind::Forward,
            Some(ours) if is_ancestor(theirs, ours)? => Kind::Ahead,
            Some(_) => Kind::Diverged,
        };
        differences.push(Difference {
            name: full,
            kind,
            mirror: ours.cloned(),
            upstream: Some(theirs.clone()),
        });
    }
    for name in gone.keys().filter(|name| !snapshot.contains_key(*name)) {
        if let Some(ours) = mirror.get(name) {
            differences.push(Difference {
                name: format!("refs/{name}"),
                kind: Kind::Gone,
                mirror: Some(ours.clone()),
                upstream: None,
            });
        }
    }
    Ok(differences)
}

impl Difference {
    /// The name a person would use.
    pub(super) fn short(&self) -> &str {
        self.name.strip_prefix(HEADS).unwrap_or(&self.name)
    }

    /// Whether an operator who wrote `word` means this ref.
    pub(super) fn is_meant_by(&self, word: &str) -> bool {
        self.name == word || self.short() == word
    }

    /// What keeps the mirror's tip before `take_over` throws it away.
    pub(super) fn backup(&self, stamp: &str) -> Option<Move> {
        let old = self.mirror.as_ref().filter(|_| self.kind.is_pending())?;
        Some(Move::Set { name: backup_of(&self.name, old, stamp), new: old.clone() })
    }

    /// Makes the mirror's ref what upstream's is; refused by git when somebody pushed meanwhile.
    pub(super) fn take_over(&self) -> Option<Move> {
        let name = self.name.clone();
        match (self.mirror.clone(), self.upstream.clone()) {
            (None, Some(new)) => Some(Move::Create { name, new }),
            (Some(old), Some(new)) => Some(Move::Update { name, new, old }),
            (Some(old), None) => Some(Move::Delete { name, old }),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn refs(list: &[(&str, &str)]) -> Refs {
        list.iter().map(|(name, object)| ((*name).to_owned(), (*object).to_owned())).collect()
    }

    /// Commits are `1`, `12`, `13`, …: a prefix is an ancestor.
    fn kinds(mirror: &Refs, snapshot: &Refs, gone: &Refs) -> Vec<(String, Kind)> {
        let ancestor = |old: &str, new: &str| Ok::<_, Infallible>(new.starts_with(old));
        let Ok(differences) = compare(mirror, snapshot, gone, ancestor);
        differences.into_iter().map(|one| (one.name, one.kind)).collect()
    }

    #[test]
    fn every_kind_of_difference_is_told() {
        let mirror = refs(&[
            ("heads/ahead", "12"),
            ("heads/behind", "1"),
            ("heads/forked", "12"),
            ("heads/gone", "1"),
            ("heads/ours", "1"),
            ("heads/same", "1"),
            ("tags/v1", "1"),
        ]);
        let snapshot = refs(&[
            ("heads/ahead", "1"),
            ("heads/behind", "12"),
            ("heads/forked", "13"),
            ("heads/new", "1"),
            ("heads/same", "1"),
            ("tags/v1", "12"),
        ]);
        let gone = refs(&[("heads/gone", "1"), ("heads/never-here", "1"), ("heads/same", "1")]);
        let expected = [
            ("refs/heads/ahead", Kind::Ahead),
            ("refs/heads/behind", Kind::Forward),
            ("refs/heads/forked", Kind::Diverged),
            ("refs/heads/new", Kind::New),
            ("refs/heads/same", Kind::Same),
            ("refs/tags/v1", Kind::Moved),
            ("refs/heads/gone", Kind::Gone),
        ];
        let expected = expected.map(|(name, kind)| (name.to_owned(), kind));
        assert_eq!(kinds(&mirror, &snapshot, &gone), expected);
    }

    #[test]
    fn only_what_loses_nothing_is_safe_and_the_rest_gets_a_backup() {
        for kind in [Kind::New, Kind::Forward] {
            assert!(kind.is_safe() && !kind.is_pending());
        }
        for kind in [Kind::Diverged, Kind::Moved, Kind::Gone] {
            let one = Difference {
                name: "refs/heads/a".into(),
                kind,
                mirror: Some("1".repeat(40)),
                upstream: None,
            };
            assert!(kind.is_pending() && !kind.is_safe() && one.backup("S").is_some());
        }
        assert!(!Kind::Ahead.is_pending() && !Kind::Ahead.is_safe());
    }
}
