//! The private snapshot of what upstream has: `refs/terok/upstream/*`, which no container sees.
//!
//! Every step leaves each object that a ref pointed at reachable, so that a crash between any two
//! loses nothing: what upstream removed is noted before it leaves the snapshot, and git stores
//! objects before it moves refs.

use super::fetch::{self, Access};
use super::mirror::Mirror;
use super::refs::{GONE, Move, Refs, SNAPSHOT};
use super::upstream::Upstream;
use crate::Failure;

/// What upstream says it has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// The branch its HEAD names, with `refs/`.
    pub(super) head: Option<String>,
    /// Branches and tags, without `refs/`.
    refs: Refs,
}

/// Makes the snapshot what upstream has now.
///
/// # Errors
/// Upstream cannot be reached or refuses; then the snapshot is the last one.
pub(super) fn refresh(
    mirror: &Mirror,
    upstream: &Upstream,
    access: &Access,
) -> Result<Listing, Failure> {
    let url = upstream.url.as_str();
    let patterns = ["HEAD", "refs/heads/*", "refs/tags/*"];
    let listed =
        fetch::run(mirror, access, &[&["ls-remote", "--symref", url], &patterns[..]].concat())?;
    let listing = parse(&listed);
    let before = mirror.refs(SNAPSHOT)?;
    let (first, second) = note_removals(&before, &listing.refs, &mirror.refs(GONE)?);
    mirror.move_refs(&first)?;
    mirror.move_refs(&second)?;
    if listing.refs != before {
        let fetch = ["fetch", "--progress", "--no-tags", "--no-write-fetch-head"];
        let heads = format!("+refs/heads/*:{SNAPSHOT}heads/*");
        let tags = format!("+refs/tags/*:{SNAPSHOT}tags/*");
        fetch::run(mirror, access, &[&fetch[..], &[url, &heads, &tags]].concat())?;
    }
    Ok(listing)
}

/// Two transactions: what makes room for names, and then what needs it.
fn note_removals(before: &Refs, now: &Refs, gone: &Refs) -> (Vec<Move>, Vec<Move>) {
    let removed: Refs = before
        .iter()
        .filter(|(name, _)| !now.contains_key(*name))
        .map(|(name, object)| (name.clone(), object.clone()))
        .collect();
    let stands_in_the_way = |noted: &String| {
        now.contains_key(noted) || removed.keys().any(|name| one_is_directory(noted, name))
    };
    let first = gone
        .iter()
        .filter(|(noted, _)| stands_in_the_way(noted))
        .map(|(noted, old)| Move::Delete { name: format!("{GONE}{noted}"), old: old.clone() })
        .collect();
    let mut second = Vec::new();
    for (name, old) in removed {
        second.push(Move::Set { name: format!("{GONE}{name}"), new: old.clone() });
        second.push(Move::Delete { name: format!("{SNAPSHOT}{name}"), old });
    }
    (first, second)
}

/// A ref cannot be a file and a directory of refs at once.
fn one_is_directory(a: &str, b: &str) -> bool {
    let below = |long: &str, short: &str| {
        long.strip_prefix(short).is_some_and(|rest| rest.starts_with('/'))
    };
    below(a, b) || below(b, a)
}

/// Reads `git ls-remote --symref`: `ref: <target>\tHEAD`, then `<object>\t<ref>`.
fn parse(listed: &str) -> Listing {
    let mut listing = Listing::default();
    for line in listed.lines() {
        let Some((object, name)) = line.split_once('\t') else { continue };
        if let Some(target) = object.strip_prefix("ref: ") {
            if name == "HEAD" {
                listing.head = Some(target.to_owned());
            }
        } else if let Some(name) = name.strip_prefix("refs/")
            // What a tag object points at is listed too.
            && !name.ends_with("^{}")
        {
            listing.refs.insert(name.to_owned(), object.to_owned());
        }
    }
    listing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(names: &[&str]) -> Refs {
        names.iter().map(|name| ((*name).to_owned(), "1".to_owned())).collect()
    }

    #[test]
    fn a_listing_has_head_branches_and_tags() {
        let listing = parse(
            "ref: refs/heads/trunk\tHEAD\n1\tHEAD\n1\trefs/heads/trunk\n2\trefs/tags/v1\n\
             3\trefs/tags/v1^{}\n",
        );
        assert_eq!(listing.head.as_deref(), Some("refs/heads/trunk"));
        let names: Vec<_> = listing.refs.keys().cloned().collect();
        assert_eq!(names, ["heads/trunk", "tags/v1"]);
        assert_eq!(parse(""), Listing::default());
    }

    #[test]
    fn what_is_removed_upstream_is_noted_and_what_is_back_is_not_noted_any_more() {
        let (first, second) = note_removals(
            &refs(&["heads/a", "heads/b"]),
            &refs(&["heads/b", "heads/c"]),
            &refs(&["heads/c"]),
        );
        assert_eq!(first, [Move::Delete { name: format!("{GONE}heads/c"), old: "1".into() }]);
        assert_eq!(
            second,
            [
                Move::Set { name: format!("{GONE}heads/a"), new: "1".into() },
                Move::Delete { name: format!("{SNAPSHOT}heads/a"), old: "1".into() },
            ]
        );
    }

    #[test]
    fn a_note_that_stands_in_a_new_ones_way_goes_first() {
        let (first, _) = note_removals(&refs(&["heads/a/b"]), &refs(&[]), &refs(&["heads/a"]));
        assert_eq!(first.len(), 1);
        assert!(one_is_directory("a/b", "a") && !one_is_directory("a/b", "a/bc"));
    }
}
