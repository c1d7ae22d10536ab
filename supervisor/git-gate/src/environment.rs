//! The environment every backend starts with, built from nothing: where the mirror is, and the
//! settings that a repository's own configuration cannot override.
//!
//! Settings in `GIT_CONFIG_KEY_<n>` count as given on the command line, above every file
//! (git-config(1), "Environment").

use std::ffi::OsString;

use crate::ask_git::SSH_KEYGEN;
use crate::git::Git;
use crate::home::{Home, SILENT};
use crate::mirror::Mirror;
use crate::policy_source::{self, PolicySource};

/// Names and values, the same for every request.
#[derive(Debug)]
#[cfg_attr(test, derive(Default))]
pub(crate) struct Environment(Vec<(String, OsString)>);

impl Environment {
    pub(crate) fn new(git: &Git, home: &Home, mirror: &Mirror, policy: &PolicySource) -> Self {
        let mut variables: Vec<(String, OsString)> = [
            // The commands first: they call `git` by name and must meet their own version.
            ("PATH", search_path(git, home)),
            ("GIT_EXEC_PATH", git.exec_path.clone().into()),
            ("HOME", home.directory.clone().into()),
            ("LC_ALL", "C".into()),
            ("GIT_PROJECT_ROOT", mirror.base().into()),
            ("GIT_HTTP_EXPORT_ALL", "1".into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".into()),
            ("GIT_ATTR_NOSYSTEM", "1".into()),
            // The backend fetches nothing, neither missing objects nor submodules.
            ("GIT_ALLOW_PROTOCOL", "none".into()),
            ("GIT_NO_LAZY_FETCH", "1".into()),
            ("GIT_TERMINAL_PROMPT", "0".into()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if !policy.rules.is_open() {
            variables.push((policy_source::VARIABLE.to_owned(), policy.text().into()));
        }
        if let Some(program) = &git.ssh_keygen {
            variables.push((SSH_KEYGEN.to_owned(), program.into()));
        }
        let mut settings = settings(home, mirror);
        if let Some(max) = policy.rules.max_pack_bytes() {
            settings.push(("receive.maxInputSize", max.to_string().into()));
        }
        variables.push(("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string().into()));
        for (index, (key, value)) in settings.into_iter().enumerate() {
            variables.push((format!("GIT_CONFIG_KEY_{index}"), key.into()));
            variables.push((format!("GIT_CONFIG_VALUE_{index}"), value));
        }
        Self(variables)
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, &OsString)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

fn search_path(git: &Git, home: &Home) -> OsString {
    let programs = home.programs();
    let directories = [Some(git.exec_path.as_path()), git.program.parent(), Some(&programs)];
    std::env::join_paths(directories.into_iter().flatten()).unwrap_or_else(|_| {
        // A colon in one of them: the commands are still found by GIT_EXEC_PATH.
        "/usr/local/bin:/usr/bin:/bin".into()
    })
}

fn settings(home: &Home, mirror: &Mirror) -> Vec<(&'static str, OsString)> {
    vec![
        // Only our hooks, never one that came with a repository.
        ("core.hooksPath", home.hooks().into()),
        // Every other setting that a repository could make git run a program with. git does run
        // the second, for the objects a push has in quarantine; a plain word needs no shell.
        ("core.fsmonitor", "false".into()),
        ("core.alternateRefsCommand", SILENT.into()),
        ("gpg.program", SILENT.into()),
        ("gpg.ssh.program", SILENT.into()),
        ("gpg.x509.program", SILENT.into()),
        ("safe.directory", mirror.path().into()),
        // Backups and snapshots are the operator's.
        ("transfer.hideRefs", "refs/terok".into()),
        ("http.uploadpack", "true".into()),
        ("http.receivepack", "true".into()),
        ("uploadpack.allowFilter", "true".into()),
        // A client of protocol 0 and 1 (git's default before 2.26) may ask for what a client of
        // protocol 2 may ask for in any case (gitprotocol-v2(5), "fetch"): the blobs of a partial
        // clone, and a tip that was replaced since it was listed.
        ("uploadpack.allowAnySHA1InWant", "true".into()),
        ("receive.advertisePushOptions", "true".into()),
        // A blob larger than this is streamed instead of held in memory, and what searching for
        // deltas may hold is bounded.
        ("core.bigFileThreshold", "32m".into()),
        ("pack.windowMemory", "128m".into()),
        ("pack.deltaCacheSize", "64m".into()),
        ("core.deltaBaseCacheLimit", "64m".into()),
        // Nothing outlives the request that started it.
        ("gc.autoDetach", "false".into()),
        ("maintenance.autoDetach", "false".into()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Repository;
    use std::path::Path;

    fn environment() -> Environment {
        let git = Git {
            program: "/usr/bin/git".into(),
            exec_path: "/usr/lib/git-core".into(),
            ssh_keygen: None,
        };
        let home = Home::of("/x/git-home".into(), "/x/terok-git-gate".into());
        let mirror = Mirror::locate(Path::new("/nowhere/gate"), &Repository::parse("web").unwrap());
        let sidecar = Some(serde_json::json!({ "max_pack_bytes": 77 }));
        let policy = PolicySource::open(sidecar, "/nowhere/gate/web.policy.json".into());
        Environment::new(&git, &home, &mirror, &policy)
    }

    fn value(name: &str) -> Option<String> {
        let made = environment();
        let found = made.variables().find(|(key, _)| *key == name)?;
        Some(found.1.to_str().unwrap().to_owned())
    }

    #[test]
    fn every_setting_is_counted() {
        let count: usize = value("GIT_CONFIG_COUNT").unwrap().parse().unwrap();
        let last = count - 1;
        assert!(value(&format!("GIT_CONFIG_KEY_{last}")).is_some());
        assert!(value(&format!("GIT_CONFIG_VALUE_{last}")).is_some());
        assert!(value(&format!("GIT_CONFIG_KEY_{count}")).is_none());
    }

    #[test]
    fn hooks_and_home_are_ours_and_the_repository_is_safe() {
        assert_eq!(value("GIT_CONFIG_KEY_0").as_deref(), Some("core.hooksPath"));
        assert_eq!(value("GIT_CONFIG_VALUE_0").as_deref(), Some("/x/git-home/hooks"));
        assert_eq!(value("HOME").as_deref(), Some("/x/git-home"));
        assert_eq!(value("PATH").as_deref(), Some("/usr/lib/git-core:/usr/bin:/x/git-home/bin"));
        let made = environment();
        assert!(made.variables().any(|(_, value)| value == "/nowhere/gate/web.git"));
    }

    #[test]
    fn the_policy_reaches_git_and_the_hooks() {
        assert!(value(policy_source::VARIABLE).unwrap().contains("77"));
        let made = environment();
        assert!(made.variables().any(|(_, value)| value == "receive.maxInputSize"));
    }
}
