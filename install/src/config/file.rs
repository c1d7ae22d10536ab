//! The settings of one configuration file.
//!
//! The file belongs to the whole ecosystem: sections that are not ours are passed over, and so are
//! keys of ours that only other tools use. A key nobody knows is noted, because it is likely a
//! misspelt one; a value that means nothing is an error.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use terok_shared::secret::Secret;

use super::{ConfigError, Origin, Setting};
use crate::cli::Mode;
use crate::yaml::{Entry, NotYaml, Settings};

/// Our sections, with the keys that are used here.
pub(super) const USED: [(&str, &[&str]); 3] = [
    ("services", &["mode"]),
    ("credentials", &["dir", "use_keyring", "passphrase_command"]),
    ("paths", &["root"]),
];
/// Keys of the same sections that only other tools use.
const OF_OTHERS: [(&str, &[&str]); 1] = [(
    "paths",
    &[
        "build_dir",
        "sandbox_live_dir",
        "user_projects_dir",
        "user_presets_dir",
        "port_registry_dir",
    ],
)];

/// What one file sets, or several laid over each other.
#[derive(Debug, Default)]
pub(crate) struct File {
    /// The parent of state directory and vault.
    pub(crate) root: Option<Setting<PathBuf>>,
    pub(crate) vault_dir: Option<Setting<PathBuf>>,
    pub(super) mode: Option<Setting<Mode>>,
    pub(super) use_keyring: Option<Setting<bool>>,
    pub(super) passphrase_command: Option<Setting<Secret<String>>>,
    /// `section.key` with its place.
    pub(super) unknown: Vec<Setting<String>>,
}

impl File {
    /// Reads the text of `path`; `home` is what `~` stands for.
    ///
    /// # Errors
    /// Text that is no YAML, or a setting with a value that means nothing; never quotes a value of
    /// the section `credentials`.
    pub(crate) fn parse(path: &Path, text: &str, home: Option<&Path>) -> Result<Self, ConfigError> {
        let settings = Settings::parse(text)
            .map_err(|NotYaml { line }| ConfigError::NotYaml { path: path.to_owned(), line })?;
        let mut file = Self::default();
        for entry in settings.entries() {
            file.take(path, entry, home)?;
        }
        Ok(file)
    }

    /// Lays `over` on this one: what it sets, wins.
    pub(super) fn overlaid(self, over: Self) -> Self {
        Self {
            root: over.root.or(self.root),
            vault_dir: over.vault_dir.or(self.vault_dir),
            mode: over.mode.or(self.mode),
            use_keyring: over.use_keyring.or(self.use_keyring),
            passphrase_command: over.passphrase_command.or(self.passphrase_command),
            unknown: self.unknown.into_iter().chain(over.unknown).collect(),
        }
    }

    fn take(&mut self, path: &Path, entry: &Entry, home: Option<&Path>) -> Result<(), ConfigError> {
        let keys: Vec<&str> = entry.path.iter().map(String::as_str).collect();
        let text = entry.value.expose().as_str();
        let origin = || Origin::File { path: path.to_owned(), line: entry.line };
        let refused = |expected| ConfigError::Value {
            path: path.to_owned(),
            line: entry.line,
            key: keys.join("."),
            expected,
        };
        match keys[..] {
            // As YAML 1.2 writes "nothing" (section 10.3.2); an empty section is one, too.
            _ if matches!(text, "" | "~" | "null" | "Null" | "NULL") => {}
            ["services", "mode"] => {
                let value = Mode::from_str(text, false)
                    .map_err(|_| refused("expected `socket` or `tcp`"))?;
                self.mode = Some(Setting { value, origin: origin() });
            }
            ["credentials", "use_keyring"] => {
                let value = boolean(text).ok_or_else(|| refused("expected `true` or `false`"))?;
                self.use_keyring = Some(Setting { value, origin: origin() });
            }
            ["credentials", "passphrase_command"] => {
                let value = Secret::from(text.to_owned());
                self.passphrase_command = Some(Setting { value, origin: origin() });
            }
            ["credentials", "passphrase"] => {
                return Err(refused(
                    "a passphrase in this file is not read; put it into a file of mode 0600 and \
                     set passphrase_command: cat FILE",
                ));
            }
            ["credentials", "dir"] => {
                let value = absolute(text, home).ok_or_else(|| refused(ABSOLUTE))?;
                self.vault_dir = Some(Setting { value, origin: origin() });
            }
            ["paths", "root"] => {
                let value = absolute(text, home).ok_or_else(|| refused(ABSOLUTE))?;
                self.root = Some(Setting { value, origin: origin() });
            }
            [section, key, ..] if lists(&OF_OTHERS, section, key) => {}
            [section, key, _, ..] if lists(&USED, section, key) => {
                return Err(refused("expected a single value"));
            }
            [section] if USED.iter().any(|(ours, _)| *ours == section) => {
                return Err(refused("expected keys below it"));
            }
            [section, key, ..] if USED.iter().any(|(ours, _)| *ours == section) => {
                let value = format!("{section}.{key}");
                self.unknown.push(Setting { value, origin: origin() });
            }
            _ => {} // another tool's section
        }
        Ok(())
    }
}

const ABSOLUTE: &str = "expected an absolute path, or one below `~/`";

fn lists(sections: &[(&str, &[&str])], section: &str, key: &str) -> bool {
    sections.iter().any(|(name, keys)| *name == section && keys.contains(&key))
}

/// The words the Python package takes for a truth value.
pub(super) fn boolean(word: &str) -> Option<bool> {
    match word.trim().to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "y" | "t" | "1" => Some(true),
        "false" | "no" | "off" | "n" | "f" | "0" => Some(false),
        _ => None,
    }
}

fn absolute(text: &str, home: Option<&Path>) -> Option<PathBuf> {
    let path = match (text, text.strip_prefix("~/")) {
        ("~", _) => home?.to_owned(),
        (_, Some(below)) => home?.join(below),
        _ => PathBuf::from(text),
    };
    path.is_absolute().then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<File, ConfigError> {
        File::parse(Path::new("/c.yml"), text, Some(Path::new("/home/op")))
    }

    #[test]
    fn a_file_of_the_python_package_is_read() {
        let text = "# shared by all tools\nexperimental: true\nimage:\n  base: [a, {b: c}]\n\
                    services:\n  mode: tcp\ncredentials:\n  dir: ~/vault\n  use_keyring: True\n  \
                    passphrase_command: \"pass show 'a b'\"\npaths:\n  root: /virt/terok\n  \
                    sandbox_live_dir: /live\n  build_dir:\nrun:\n  hooks: {pre_start: x}\n";
        let file = parse(text).unwrap();
        assert_eq!(file.mode.unwrap().value, Mode::Tcp);
        let vault = file.vault_dir.unwrap();
        assert_eq!(vault.value, Path::new("/home/op/vault"));
        assert_eq!(vault.origin.to_string(), "/c.yml:8");
        assert!(file.use_keyring.unwrap().value);
        assert_eq!(file.passphrase_command.unwrap().value.expose(), "pass show 'a b'");
        assert_eq!(file.root.unwrap().value, Path::new("/virt/terok"));
        assert!(file.unknown.is_empty(), "{:?}", file.unknown);
    }

    #[test]
    fn nothing_is_set_by_an_empty_value() {
        let file = parse("services:\ncredentials:\n  passphrase_command: ''\n  use_keyring: ~\n");
        let file = file.unwrap();
        assert!(file.passphrase_command.is_none() && file.use_keyring.is_none());
        assert!(parse("").unwrap().mode.is_none());
    }

    #[test]
    fn a_misspelt_key_of_ours_is_noted_with_its_line() {
        let file = parse("services:\n  mod: tcp\nservce: {mode: tcp}\n").unwrap();
        let noted: Vec<_> = file.unknown.iter().map(|key| (&*key.value, &key.origin)).collect();
        let line = Origin::File { path: "/c.yml".into(), line: 2 };
        assert_eq!(noted, [("services.mod", &line)]);
    }

    #[test]
    fn a_value_that_means_nothing_is_refused_by_its_line_and_secrets_are_not_quoted() {
        for (text, line) in [
            ("services: {mode: hunter2}", 1),
            ("services: hunter2", 1),
            ("services:\n  mode: {hunter2: x}", 2),
            ("credentials:\n  use_keyring: hunter2", 2),
            ("credentials:\n  passphrase: hunter2", 2),
            ("credentials: {dir: hunter2}", 1),
            ("paths: {root: ../hunter2}", 1),
            ("a: 1\nb: [hunter2\n", 3),
        ] {
            let why = parse(text).unwrap_err().to_string();
            assert!(why.contains(&format!("/c.yml:{line}: ")), "{text}: {why}");
            assert!(!why.contains("= hunter2") && !why.contains("`hunter2`"), "{why}");
        }
    }

    #[test]
    fn without_a_home_a_path_below_it_is_refused() {
        assert!(File::parse(Path::new("/c"), "paths: {root: ~/x}", None).is_err());
    }

    #[test]
    fn the_later_file_wins_key_by_key() {
        let system = parse("services: {mode: tcp}\npaths: {root: /system}\n").unwrap();
        let own = parse("paths: {root: /own}\n").unwrap();
        let both = system.overlaid(own);
        assert_eq!(both.root.unwrap().value, Path::new("/own"));
        assert_eq!(both.mode.unwrap().value, Mode::Tcp);
    }
}
