//! The hook git runs when the objects of a push are in quarantine and no ref has moved yet
//! (githooks(5), "pre-receive"): judges the push, and saves what it is about to throw away.
//!
//! In: the refs on standard input, the repository in `GIT_DIR`, the rules in a variable. Out: exit
//! status 1 and a reason for each ref when the push is refused, which git then forgets as a whole;
//! else 0 and backups. A backup made here is there before the old tip is lost, whatever happens to
//! git and the gate in between.

use std::collections::HashMap;
use std::process::ExitCode;

use jiff::Timestamp;

use crate::ask_git::{self, Tip};
use crate::backup::{self, Need};
use crate::hook::{self, Hook};
use crate::news;
use crate::policy::{Refusal, Rules};
use crate::policy_source;
use crate::update::Update;

/// When a backup was made, as its name says it.
pub(crate) const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// Where the pushed refs point now.
type Tips = HashMap<Vec<u8>, Tip>;

pub(crate) fn main() -> ExitCode {
    let mut hook = Hook::begin();
    let input = std::mem::take(&mut hook.input);
    let updates = hook::updates(&input);
    let refusals = judge(&policy_source::handed_down(), &updates);
    if refusals.iter().any(Option::is_some) {
        refuse(&mut hook, &updates, &refusals);
        return ExitCode::FAILURE;
    }
    let now = Timestamp::now().strftime(STAMP).to_string();
    for update in &updates {
        if loses_its_tip(update)
            && let Some(branch) = update.branch()
        {
            // A failure is told after the push, when it is sure that there is no backup.
            ask_git::make_ref(&backup::name(branch, &now, update.old), update.old);
        }
    }
    ExitCode::SUCCESS
}

/// Whether the update throws a branch's old tip away. git makes sure that it is the old tip: of
/// moves by itself, of deletions because stale ones are refused.
pub(crate) fn loses_its_tip(update: &Update<'_>) -> bool {
    match backup::need(update) {
        Need::Nothing => false,
        Need::Backup => true,
        Need::BackupUnlessForwarded => !ask_git::is_ancestor(update.old, update.new),
    }
}

/// The refusal of each update, if any.
fn judge(rules: &Rules, updates: &[Update<'_>]) -> Vec<Option<Refusal>> {
    let by_name: Vec<_> = updates.iter().map(|update| rules.refuse(update)).collect();
    if by_name.iter().any(Option::is_some) {
        return by_name;
    }
    let by_ref = by_ref(rules, updates);
    if by_ref.iter().any(Option::is_some) {
        return by_ref;
    }
    let as_a_whole = by_content(rules, updates);
    updates.iter().map(|_| as_a_whole.clone()).collect()
}

/// What the refs of the repository rule out. git itself takes a deletion whose old object it does
/// not have for that of a damaged ref, and deletes whatever is there; such a deletion must not get
/// past the backup.
fn by_ref(rules: &Rules, updates: &[Update<'_>]) -> Vec<Option<Refusal>> {
    let asked = |update: &&Update<'_>| !rules.is_open() || update.deletes();
    let names: Vec<&[u8]> = updates.iter().filter(asked).map(|update| update.name).collect();
    let Ok(tips) = ask_git::tips(&names) else {
        let unchecked = Refusal::Unchecked { what: "the refs" };
        return updates.iter().map(|_| Some(unchecked.clone())).collect();
    };
    updates.iter().map(|update| refuse_by_tip(rules, &tips, update)).collect()
}

fn refuse_by_tip(rules: &Rules, tips: &Tips, update: &Update<'_>) -> Option<Refusal> {
    let tip = tips.get(update.name);
    if update.deletes() && tip.is_some_and(|tip| tip.object != update.old) {
        return Some(Refusal::Stale);
    }
    if rules.is_open() {
        return None;
    }
    if tip.is_some_and(|tip| tip.is_symbolic) {
        return Some(Refusal::Symbolic);
    }
    let forward = || ask_git::is_ancestor(update.old, update.new);
    let refused = update.moves() && !rules.allows_rewriting(update.name) && !forward();
    refused.then_some(Refusal::Rewrite)
}

/// What the objects of the push rule out.
fn by_content(rules: &Rules, updates: &[Update<'_>]) -> Option<Refusal> {
    let pushed: Vec<&str> =
        updates.iter().filter(|update| !update.deletes()).map(|update| update.new).collect();
    if pushed.is_empty() {
        return None;
    }
    if let Some(max) = rules.max_blob_bytes() {
        match ask_git::larger_blob(&pushed, max) {
            Ok(None) => {}
            Ok(Some(blob)) => return Some(Refusal::BlobTooLarge { blob, max }),
            Err(_) => return Some(Refusal::Unchecked { what: "the size of blobs" }),
        }
    }
    for signers in rules.signers() {
        match ask_git::unsigned_commit(&pushed, signers) {
            Ok(None) => {}
            Ok(Some(commit)) => return Some(Refusal::Unsigned { commit }),
            Err(_) => return Some(Refusal::Unchecked { what: "signatures" }),
        }
    }
    None
}

fn refuse(hook: &mut Hook, updates: &[Update<'_>], refusals: &[Option<Refusal>]) {
    for (update, refusal) in updates.iter().zip(refusals) {
        let reason = refusal.as_ref().unwrap_or(&Refusal::Companion).to_string();
        hook.report(&news::refused(update, &reason));
        if refusal.is_some() {
            hook.tell(&[update.name, b": ", reason.as_bytes()].concat());
        }
    }
}
