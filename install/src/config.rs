//! The operator's configuration: what is set, and who has set it.
//!
//! In: configuration files that are shared with the Python package (`layers` finds them, `file`
//! reads one), and variables of the environment. Out: a value for every setting with its origin.
//! An option of a command wins over a variable, a variable over a file, a file over the default.

mod layers;

mod file;

mod show;

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use terok_shared::secret::Secret;

use crate::cli::{Mode, UnlockArgs};

pub(crate) use self::file::File;
pub(crate) use self::layers::{ConfigError, Layers};
pub(crate) use self::show::run as show;

const COMMAND_VARIABLE: &str = "TEROK_VAULT_PASSPHRASE_COMMAND";
const KEYRING_VARIABLE: &str = "TEROK_VAULT_USE_KEYRING";

/// Who has set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    /// Through this variable.
    Environment(&'static str),
    /// On this line, counted from 1.
    File {
        path: PathBuf,
        line: usize,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

impl<T> Setting<T> {
    pub(crate) fn default(value: T) -> Self {
        Self { value, origin: Origin::Default }
    }

    pub(crate) fn environment(name: &'static str, value: T) -> Self {
        Self { value, origin: Origin::Environment(name) }
    }

    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Setting<U> {
        Setting { value: change(self.value), origin: self.origin }
    }
}

/// What commands do when none of their options says otherwise.
#[derive(Debug)]
pub(crate) struct Preferences {
    mode: Setting<Mode>,
    use_keyring: Setting<bool>,
    /// Its text may itself be sensitive.
    passphrase_command: Setting<Option<Secret<String>>>,
}

impl Preferences {
    /// Takes what the file does not have from the defaults. Empty variables count as unset.
    ///
    /// # Errors
    /// A variable with a value that means nothing.
    pub(crate) fn resolve(
        file: &File,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let set = |name| variable(name).filter(|value| !value.trim().is_empty());
        let use_keyring = match set(KEYRING_VARIABLE) {
            Some(word) => Setting::environment(
                KEYRING_VARIABLE,
                file::boolean(&word).ok_or(ConfigError::Variable {
                    name: KEYRING_VARIABLE,
                    expected: "`true` or `false`",
                })?,
            ),
            None => file.use_keyring.clone().unwrap_or(Setting::default(false)),
        };
        let passphrase_command = match (set(COMMAND_VARIABLE), &file.passphrase_command) {
            (Some(text), _) => Setting::environment(COMMAND_VARIABLE, Some(text.into())),
            (None, Some(Setting { value, origin })) => {
                Setting { value: Some(value.expose().clone().into()), origin: origin.clone() }
            }
            (None, None) => Setting::default(None),
        };
        let mode = file.mode.clone().unwrap_or(Setting::default(Mode::Socket));
        Ok(Self { mode, use_keyring, passphrase_command })
    }

    /// How containers reach their services, unless `--mode` says it.
    pub(crate) fn mode(&self, option: Option<Mode>) -> Mode {
        option.unwrap_or(self.mode.value)
    }

    pub(crate) fn use_keyring(&self, unlock: &UnlockArgs) -> bool {
        unlock.use_keyring.unwrap_or(self.use_keyring.value)
    }

    pub(crate) fn passphrase_command(&self, unlock: &UnlockArgs) -> Option<Secret<String>> {
        let option = unlock.passphrase_command.as_ref();
        let text = option.or(self.passphrase_command.value.as_ref().map(Secret::expose))?;
        Some(text.clone().into())
    }
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            mode: Setting::default(Mode::Socket),
            use_keyring: Setting::default(false),
            passphrase_command: Setting::default(None),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment(name) => f.write_str(name),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// The word that `--mode` and the file have for it.
fn word(mode: Mode) -> String {
    let value = mode.to_possible_value().expect("no mode is skipped");
    value.get_name().to_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const TEXT: &str = "services: {mode: tcp}\ncredentials:\n  use_keyring: yes\n  \
                        passphrase_command: pass show vault\n";

    fn preferences(text: &str, variables: &[(&str, &str)]) -> Result<Preferences, ConfigError> {
        let file = File::parse(Path::new("/c.yml"), text, None).unwrap();
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Preferences::resolve(&file, variable)
    }

    fn command(preferences: &Preferences, unlock: &UnlockArgs) -> Option<String> {
        preferences.passphrase_command(unlock).map(|text| text.expose().clone())
    }

    #[test]
    fn a_file_wins_over_the_defaults() {
        let (none, unlock) = (preferences("", &[]).unwrap(), UnlockArgs::default());
        assert_eq!(none.mode(None), Mode::Socket);
        assert!(!none.use_keyring(&unlock) && command(&none, &unlock).is_none());
        let set = preferences(TEXT, &[]).unwrap();
        assert_eq!(set.mode(None), Mode::Tcp);
        assert!(set.use_keyring(&unlock));
        assert_eq!(command(&set, &unlock).as_deref(), Some("pass show vault"));
        assert_eq!(set.use_keyring.origin.to_string(), "/c.yml:3");
    }

    #[test]
    fn a_variable_wins_over_the_file_and_an_option_over_both() {
        let variables = [(KEYRING_VARIABLE, "false"), (COMMAND_VARIABLE, "from-variable")];
        let set = preferences(TEXT, &variables).unwrap();
        let mut unlock = UnlockArgs::default();
        assert!(!set.use_keyring(&unlock));
        assert_eq!(command(&set, &unlock).as_deref(), Some("from-variable"));
        assert_eq!(set.passphrase_command.origin, Origin::Environment(COMMAND_VARIABLE));
        unlock.use_keyring = Some(true);
        unlock.passphrase_command = Some("from-option".to_owned());
        assert!(set.use_keyring(&unlock));
        assert_eq!(command(&set, &unlock).as_deref(), Some("from-option"));
        assert_eq!(set.mode(Some(Mode::Socket)), Mode::Socket);
    }

    #[test]
    fn an_empty_variable_is_unset_and_a_senseless_one_refused() {
        let empty = preferences(TEXT, &[(KEYRING_VARIABLE, ""), (COMMAND_VARIABLE, " ")]).unwrap();
        assert!(empty.use_keyring(&UnlockArgs::default()));
        assert!(empty.passphrase_command.value.is_some());
        let error = preferences("", &[(KEYRING_VARIABLE, "maybe")]).unwrap_err();
        assert!(error.to_string().contains(KEYRING_VARIABLE), "{error}");
    }

    #[test]
    fn the_commands_text_is_not_in_debugging_output() {
        let set = preferences(TEXT, &[]).unwrap();
        assert!(!format!("{set:?}").contains("pass show"));
    }
}
