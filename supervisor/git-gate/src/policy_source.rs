//! Where the rules come from: the sidecar's `gate_policy`, and a file beside the mirror. Both
//! apply. Read once, at the start; a file that is another one later is noticed.
//!
//! Out: the rules, and the same as text for the hooks, which run in processes of their own.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::policy::{Found, Rules};

/// The variable that hands the rules to the hooks.
pub(crate) const VARIABLE: &str = "TEROK_GATE_POLICY";
/// Largest file: with a sidecar's 64 KiB it still fits into one variable (execve(2)).
const MAX_FILE: u64 = 32 * 1024;

#[derive(Debug)]
pub(crate) struct PolicySource {
    pub(crate) rules: Rules,
    text: String,
    watched: Vec<(PathBuf, Option<Identity>)>,
}

/// Changes whenever a file is written, replaced, made or removed.
type Identity = (u64, u64, i64, i64, u64);

impl PolicySource {
    /// `file` may be absent.
    pub(crate) fn open(sidecar: Option<Value>, file: PathBuf) -> Self {
        let before = identity(&file);
        let found = find(sidecar, &file);
        let rules = Rules::parse(&found);
        let mut watched = vec![(file, before)];
        watched.extend(rules.signers().map(|path| (path.to_owned(), identity(path))));
        let text = serde_json::to_string(&found).expect("JSON values are JSON");
        Self { rules, text, watched }
    }

    /// For a hook.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether any of the files is not the one that was read. Confinement leaves only the files of
    /// the start readable, so only a new process can read the new one.
    pub(crate) fn has_changed(&self) -> bool {
        self.watched.iter().any(|(path, then)| identity(path) != *then)
    }
}

/// In a hook: the rules that the gate handed down.
pub(crate) fn handed_down() -> Rules {
    match std::env::var(VARIABLE) {
        Err(std::env::VarError::NotPresent) => Rules::Open,
        Err(why) => Rules::Malformed(why.to_string()),
        Ok(text) => match serde_json::from_str(&text) {
            Ok(found) => Rules::parse(&found),
            Err(why) => Rules::Malformed(why.to_string()),
        },
    }
}

fn find(sidecar: Option<Value>, file: &Path) -> Found {
    let mut found = Vec::new();
    found.extend(sidecar.map(|value| ("sidecar key `gate_policy`".to_owned(), value)));
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match read(file) {
        Ok(None) => {}
        Ok(Some(text)) => match serde_json::from_str(&text) {
            Ok(value) => found.push((name, value)),
            Err(why) => return Err(format!("{name}: {why}")),
        },
        Err(why) => return Err(format!("{name}: {why}")),
    }
    Ok(found)
}

fn read(file: &Path) -> io::Result<Option<String>> {
    let opened = match File::open(file) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut text = String::new();
    opened.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("larger than {MAX_FILE} bytes")));
    }
    Ok(Some(text))
}

fn identity(path: &Path) -> Option<Identity> {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.ctime(), file.ctime_nsec(), file.size()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sidecar_and_file_both_apply_and_the_text_says_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("web.policy.json");
        fs::write(&file, r#"{"max_pack_bytes": 5}"#).unwrap();
        let source = PolicySource::open(Some(json!({ "max_pack_bytes": 9 })), file);
        assert_eq!(source.rules.max_pack_bytes(), Some(5));
        let found: Found = serde_json::from_str(source.text()).unwrap();
        assert_eq!(found.unwrap().len(), 2);
    }

    #[test]
    fn no_policy_anywhere_is_open_and_an_unreadable_file_is_malformed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("web.policy.json");
        assert!(PolicySource::open(None, file.clone()).rules.is_open());
        for text in ["", "{", "\u{0}", &format!("\"{}\"", "x".repeat(MAX_FILE as usize))] {
            fs::write(&file, text).unwrap();
            let source = PolicySource::open(None, file.clone());
            assert!(matches!(source.rules, Rules::Malformed(_)), "{text:.20}");
            let found: Found = serde_json::from_str(source.text()).unwrap();
            assert!(found.unwrap_err().starts_with("web.policy.json: "));
        }
    }

    #[test]
    fn a_file_made_replaced_or_removed_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("p");
        let absent = PolicySource::open(None, file.clone());
        assert!(!absent.has_changed());
        fs::write(&file, "{}").unwrap();
        assert!(absent.has_changed());
        let present = PolicySource::open(None, file.clone());
        assert!(!present.has_changed());
        fs::write(directory.path().join("q"), "{}").unwrap();
        fs::rename(directory.path().join("q"), &file).unwrap();
        assert!(present.has_changed());
        fs::remove_file(&file).unwrap();
        assert!(present.has_changed());
    }
}
