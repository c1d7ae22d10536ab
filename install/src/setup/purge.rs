//! `uninstall --purge`: what uninstall leaves is taken away as well, once the operator has said so.
//!
//! In: this operator's directories. Out: our own files and directories below them are gone; what
//! others keep there stays. Refused while a supervisor lives.

use std::fmt;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use terok_shared::layout;
use vault_store::unlock::session_cache::{self, SessionCacheError};

use crate::directories::Directories;

/// In the vault's directory, each with what is beside it under a longer name: write-ahead log,
/// locks, set-aside audits.
const OF_VAULT: [&str; 4] =
    ["credentials.db", "routes.json", "vault.passphrase.cred", "credential_audit.jsonl"];

#[derive(Debug)]
pub(crate) enum PurgeError {
    /// So many supervisors live.
    InUse(usize),
    NobodyToAsk,
    Declined,
    Session(SessionCacheError),
    Io {
        doing: &'static str,
        path: PathBuf,
        why: io::Error,
    },
}

/// Everything that goes, sorted, of what is there.
///
/// # Errors
/// A directory that cannot be read.
pub(crate) fn doomed(directories: &Directories) -> Result<Vec<PathBuf>, PurgeError> {
    let state = &directories.state;
    let mut doomed: Vec<PathBuf> =
        [state.sidecars(), state.logs(), state.pids(), state.mirrors()].into_iter().collect();
    doomed.push(layout::socket_directories(&directories.runtime));
    doomed.push(layout::refresh_locks(&directories.runtime));
    let database = directories.database();
    let vault = database.parent().unwrap_or(Path::new("/"));
    for entry in entries(vault)? {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if OF_VAULT.iter().any(|ours| name.starts_with(ours)) {
            doomed.push(entry);
        }
    }
    doomed.retain(|path| path.symlink_metadata().is_ok());
    doomed.sort();
    Ok(doomed)
}

/// Asks on the terminal; anything but `yes` is a no.
///
/// # Errors
/// There is nobody to ask, or they do not want it.
pub(crate) fn ask(doomed: &[PathBuf]) -> Result<(), PurgeError> {
    if !io::stdin().is_terminal() {
        return Err(PurgeError::NobodyToAsk);
    }
    let mut text = String::from("This removes, with every credential, key and mirror in it:\n");
    for path in doomed {
        text += &format!("  {}\n", path.display());
    }
    text += "Type `yes` to go on: ";
    let mut terminal = io::stderr().lock();
    let asked = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
    let mut answer = String::new();
    let heard = asked.and_then(|()| io::stdin().lock().read_line(&mut answer));
    match heard {
        Ok(_) if answer.trim() == "yes" => Ok(()),
        Ok(_) => Err(PurgeError::Declined),
        Err(why) => Err(failed("ask on", Path::new("the terminal"))(why)),
    }
}

/// Removes all of it, the cached passphrase first, and then directories left empty.
///
/// # Errors
/// The first thing that could not be removed; the rest is still there then.
pub(crate) fn remove(directories: &Directories, doomed: &[PathBuf]) -> Result<(), PurgeError> {
    for directory in directories.session_passphrases() {
        session_cache::forget(&directory, &directories.database()).map_err(PurgeError::Session)?;
    }
    for path in doomed {
        let is_directory = path.symlink_metadata().is_ok_and(|facts| facts.is_dir());
        let removed = if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        match removed {
            Err(why) if why.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", path)(why));
            }
            _ => {}
        }
    }
    let database = directories.database();
    let vault = database.parent().unwrap_or(Path::new("/"));
    for root in [directories.state.path(), &directories.runtime, vault] {
        let within = doomed.iter().filter(|path| path.starts_with(root));
        let emptied = within.flat_map(|path| path.ancestors().skip(1));
        let emptied = emptied.filter(|path| path.starts_with(root));
        // The parent all tools share; never a home or what else an operator has named.
        let shared = root.parent().filter(|parent| parent.ends_with("terok"));
        for directory in emptied.chain([root]).chain(shared) {
            // One that others use stays.
            let _ = fs::remove_dir(directory);
        }
    }
    Ok(())
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>, PurgeError> {
    match fs::read_dir(directory) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(why) => Err(failed("read", directory)(why)),
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
    }
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> PurgeError + 'a {
    move |why| PurgeError::Io { doing, path: path.to_owned(), why }
}

impl fmt::Display for PurgeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse(supervisors) => write!(
                f,
                "purge: {}; nothing was changed\n\
                 hint: remove those containers first, `terokctl status` lists them",
                match supervisors {
                    1 => "a container is being served".to_owned(),
                    n => format!("{n} containers are being served"),
                }
            ),
            Self::NobodyToAsk => f.write_str(
                "purge: standard input is no terminal, so nobody can be asked; nothing was \
                 changed\nhint: add `--yes`, or see with `--dry-run` what would go",
            ),
            Self::Declined => f.write_str("purge: nothing was changed"),
            Self::Session(why) => write!(f, "purge: {why}"),
            Self::Io { doing, path, why } => write!(f, "purge: {doing} {}: {why}", path.display()),
        }
    }
}

impl std::error::Error for PurgeError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn furnished() -> (tempfile::TempDir, Directories) {
        let directory = tempfile::tempdir().unwrap();
        for file in [
            "state/sidecar/web.json",
            "state/logs/hook.log",
            "state/gate/web.git/HEAD",
            "state/port-claims.json",
            "run/run/web/vault/vault.sock",
            "vault/credentials.db",
            "vault/credentials.db-wal",
            "vault/routes.json",
            "vault/somebody-elses",
        ] {
            let path = directory.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let directories = Directories::below(directory.path().to_str().unwrap());
        (directory, directories)
    }

    #[test]
    fn what_is_ours_goes_and_what_others_keep_there_stays() {
        let (place, directories) = furnished();
        let doomed = doomed(&directories).unwrap();
        remove(&directories, &doomed).unwrap();
        let is_there = |below: &str| place.path().join(below).exists();
        assert!(is_there("state/port-claims.json") && is_there("vault/somebody-elses"));
        assert!(place.path().is_dir());
        for gone in ["state/sidecar", "state/logs", "state/gate", "run", "vault/credentials.db-wal"]
        {
            assert!(!is_there(gone), "{gone}");
        }
    }

    #[test]
    fn a_directory_that_the_operator_named_is_not_followed_upwards() {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().join("home");
        fs::create_dir_all(home.join("state/logs")).unwrap();
        let directories = Directories::below(home.to_str().unwrap());
        remove(&directories, &doomed(&directories).unwrap()).unwrap();
        assert!(home.is_dir() && !home.join("state").exists());
    }

    #[test]
    fn without_a_terminal_nobody_is_asked() {
        let (place, directories) = furnished();
        if !io::stdin().is_terminal() {
            let doomed = doomed(&directories).unwrap();
            assert!(matches!(ask(&doomed), Err(PurgeError::NobodyToAsk)));
        }
        assert!(place.path().join("vault/credentials.db").exists());
    }

    #[test]
    fn nothing_there_is_nothing_to_do() {
        let directories = Directories::below("/nowhere/at/all");
        assert!(doomed(&directories).unwrap().is_empty());
    }
}
