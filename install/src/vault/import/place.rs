//! Where programs keep their files, when the operator names none.

use std::env;
use std::fmt;
use std::path::PathBuf;

use crate::cli::{ImportArgs, ImportFormat};
use crate::secret_source::Source;

#[derive(Debug)]
pub(super) enum PlaceError {
    /// No program has a usual place for it.
    NoUsualPlace,
    NoHome,
}

/// What to read: the named file, or the program's own.
pub(super) fn of(args: &ImportArgs) -> Result<Source, PlaceError> {
    match &args.file {
        Some(file) => Ok(Source::of_file(Some(file))),
        None => usual(args.format, |name| {
            env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
        })
        .map(Source::File),
    }
}

fn usual(
    format: ImportFormat,
    variable: impl Fn(&str) -> Option<PathBuf>,
) -> Result<PathBuf, PlaceError> {
    // A program's own variable, else a directory below the home or the configuration directory.
    let below = |own: &str, config: Option<&str>, home: &str| {
        variable(own)
            .or_else(|| Some(variable("XDG_CONFIG_HOME")?.join(config?)))
            .or_else(|| Some(variable("HOME")?.join(home)))
            .ok_or(PlaceError::NoHome)
    };
    Ok(match format {
        ImportFormat::Claude => {
            below("CLAUDE_CONFIG_DIR", None, ".claude")?.join(".credentials.json")
        }
        ImportFormat::Codex => below("CODEX_HOME", None, ".codex")?.join("auth.json"),
        ImportFormat::Gh => below("GH_CONFIG_DIR", Some("gh"), ".config/gh")?.join("hosts.yml"),
        ImportFormat::Glab => {
            below("GLAB_CONFIG_DIR", Some("glab-cli"), ".config/glab-cli")?.join("config.yml")
        }
        ImportFormat::Env | ImportFormat::Json => return Err(PlaceError::NoUsualPlace),
    })
}

impl fmt::Display for PlaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoUsualPlace => {
                f.write_str("import: no file\nhint: name one, or `-` for standard input")
            }
            Self::NoHome => f.write_str("import: HOME is not set\nhint: name the file"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_is_looked_for_where_it_keeps_its_file() {
        let home = |name: &str| (name == "HOME").then(|| PathBuf::from("/h"));
        let xdg = |name: &str| match name {
            "HOME" => Some("/h".into()),
            "XDG_CONFIG_HOME" => Some("/c".into()),
            _ => None,
        };
        let own = |name: &str| (name != "XDG_CONFIG_HOME").then(|| PathBuf::from("/own"));
        for (format, at_home, by_xdg, by_own) in [
            (
                ImportFormat::Claude,
                "/h/.claude/.credentials.json",
                "/h/.claude/.credentials.json",
                "/own/.credentials.json",
            ),
            (ImportFormat::Codex, "/h/.codex/auth.json", "/h/.codex/auth.json", "/own/auth.json"),
            (ImportFormat::Gh, "/h/.config/gh/hosts.yml", "/c/gh/hosts.yml", "/own/hosts.yml"),
            (
                ImportFormat::Glab,
                "/h/.config/glab-cli/config.yml",
                "/c/glab-cli/config.yml",
                "/own/config.yml",
            ),
        ] {
            assert_eq!(usual(format, home).unwrap().to_str(), Some(at_home));
            assert_eq!(usual(format, xdg).unwrap().to_str(), Some(by_xdg));
            assert_eq!(usual(format, own).unwrap().to_str(), Some(by_own));
        }
        assert!(matches!(usual(ImportFormat::Gh, |_| None), Err(PlaceError::NoHome)));
        assert!(matches!(usual(ImportFormat::Env, home), Err(PlaceError::NoUsualPlace)));
    }
}
