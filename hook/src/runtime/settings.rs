//! What the administrator chose for this wrapper: `--terok-KEY=VALUE` before the runtime's command,
//! the variable `TEROK_REAL_RUNTIME`, or a file of `KEY = VALUE` lines, in this order.
//!
//! The file is `terok-runtime.conf` beside this program, else `/etc/terok/runtime.conf`: containerd
//! can pass a runtime neither options nor variables. A mistake in it never stops a container, but
//! nothing is injected while we do not know what was meant.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use terok_hook::admin_root::{AdminRoot, RootError};
use terok_shared::bundle::Variable;

const VARIABLE: &str = "TEROK_REAL_RUNTIME";
const FILE: &str = "terok-runtime.conf";
const SYSTEM_FILE: &str = "/etc/terok/runtime.conf";
const MAX_BYTES: u64 = 64 * 1024;
/// What is executed when nobody chose.
const DEFAULT: &str = "runc";

#[derive(Debug, Default)]
pub(crate) struct Settings {
    real_runtime: Option<PathBuf>,
    /// For the hook: where its diary is when the state does not lead to one.
    pub state_root: Option<PathBuf>,
    pub only_below: Option<AdminRoot>,
    variable: Option<Variable>,
    /// The first mistake, for which nothing is injected.
    pub mistake: Option<SettingsError>,
}

#[derive(Debug)]
pub(crate) enum SettingsError {
    File { path: PathBuf, why: io::Error },
    Writable { path: PathBuf, mode: u32 },
    Line { path: PathBuf, line: usize, why: Box<SettingsError> },
    Form,
    Key(String),
    Value { key: String, expected: &'static str },
    OnlyBelow(RootError),
}

impl Settings {
    pub(crate) fn gather(
        options: &[OsString],
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let mut settings = Self::default();
        for option in options {
            let set = key_and_value(option).and_then(|(key, value)| settings.set(key, value));
            settings.note(set);
        }
        if settings.real_runtime.is_none() {
            settings.real_runtime =
                variable(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        }
        let read = settings.read_file();
        settings.note(read);
        settings
    }

    pub(crate) fn real_runtime(&self) -> &Path {
        self.real_runtime.as_deref().unwrap_or(Path::new(DEFAULT))
    }

    /// Accepted unless refused: who names this runtime for a container chose its variables too.
    pub(crate) fn variable(&self) -> Variable {
        self.variable.unwrap_or(Variable::Accepted)
    }

    fn note(&mut self, result: Result<(), SettingsError>) {
        self.mistake = self.mistake.take().or(result.err());
    }

    fn read_file(&mut self) -> Result<(), SettingsError> {
        let own = std::env::current_exe().ok().map(|program| program.with_file_name(FILE));
        for path in own.into_iter().chain([PathBuf::from(SYSTEM_FILE)]) {
            if let Some(text) = read(&path)? {
                return self.take_lines(&path, &text);
            }
        }
        Ok(())
    }

    fn take_lines(&mut self, path: &Path, text: &[u8]) -> Result<(), SettingsError> {
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            key_and_value(OsStr::from_bytes(line))
                .and_then(|(key, value)| self.set(key, value))
                .map_err(|why| SettingsError::Line {
                    path: path.to_owned(),
                    line: at + 1,
                    why: why.into(),
                })?;
        }
        Ok(())
    }

    /// The first source that names a key wins.
    fn set(&mut self, key: &str, value: &OsStr) -> Result<(), SettingsError> {
        let wrong = |expected| SettingsError::Value { key: key.to_owned(), expected };
        let absolute = || {
            let path = PathBuf::from(value);
            if path.is_absolute() { Ok(path) } else { Err(wrong("an absolute path")) }
        };
        match key {
            "real-runtime" if value.is_empty() => return Err(wrong("a program")),
            "real-runtime" => {
                self.real_runtime.get_or_insert_with(|| value.into());
            }
            "state-root" => {
                self.state_root.get_or_insert(absolute()?);
            }
            "only-below" => {
                let root = AdminRoot::parse(value.into()).map_err(SettingsError::OnlyBelow)?;
                self.only_below.get_or_insert(root);
            }
            "variable" => {
                let choice = match value.to_str() {
                    Some("accept") => Variable::Accepted,
                    Some("ignore") => Variable::Ignored,
                    _ => return Err(wrong("`accept` or `ignore`")),
                };
                self.variable.get_or_insert(choice);
            }
            _ => return Err(SettingsError::Key(key.to_owned())),
        }
        Ok(())
    }
}

/// `key=value`, with spaces around either left out.
fn key_and_value(line: &OsStr) -> Result<(&str, &OsStr), SettingsError> {
    let bytes = line.as_bytes();
    let at = bytes.iter().position(|byte| *byte == b'=').ok_or(SettingsError::Form)?;
    let (key, value) = (bytes[..at].trim_ascii(), bytes[at + 1..].trim_ascii());
    let key = std::str::from_utf8(key).map_err(|_| SettingsError::Form)?;
    Ok((key, OsStr::from_bytes(value)))
}

/// The text of a settings file, `None` where there is none.
fn read(path: &Path) -> Result<Option<Vec<u8>>, SettingsError> {
    let failed = |why| SettingsError::File { path: path.to_owned(), why };
    let file = match File::open(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    let mode = file.metadata().map_err(failed)?.mode();
    if mode & 0o022 != 0 {
        return Err(SettingsError::Writable { path: path.to_owned(), mode: mode & 0o7777 });
    }
    let mut text = Vec::new();
    file.take(MAX_BYTES).read_to_end(&mut text).map_err(failed)?;
    Ok(Some(text))
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, why } => write!(f, "read {}: {why}", path.display()),
            Self::Writable { path, mode } => write!(
                f,
                "read {0}: mode {mode:04o} lets others write\nhint: run chmod go-w {0}",
                path.display()
            ),
            Self::Line { path, line, why } => {
                write!(f, "{} line {line}: {why}", path.display())
            }
            Self::Form => write!(f, "expected `key = value`"),
            Self::Key(key) => write!(
                f,
                "unknown key {key:?}\nhint: known are real-runtime, state-root, only-below, variable"
            ),
            Self::Value { key, expected } => write!(f, "{key}: expected {expected}"),
            Self::OnlyBelow(why) => write!(f, "only-below: {why}"),
        }
    }
}

impl std::error::Error for SettingsError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(options: &[&str]) -> Settings {
        let options: Vec<OsString> = options.iter().map(OsString::from).collect();
        let mut settings = Settings::default();
        for option in &options {
            let set = key_and_value(option).and_then(|(key, value)| settings.set(key, value));
            settings.note(set);
        }
        settings
    }

    #[test]
    fn runc_is_the_real_runtime_when_nobody_chose() {
        assert_eq!(options(&[]).real_runtime(), Path::new("runc"));
        assert_eq!(
            options(&["real-runtime=/usr/bin/crun"]).real_runtime(),
            Path::new("/usr/bin/crun")
        );
    }

    #[test]
    fn a_file_says_what_options_did_not() {
        let mut settings = options(&["real-runtime=/a"]);
        let text = b"# chosen\n\nreal-runtime = /b\nonly-below = /srv/terok\n  variable=ignore  \n";
        settings.take_lines(Path::new("/f"), text).unwrap();
        assert_eq!(settings.real_runtime(), Path::new("/a"));
        assert_eq!(settings.only_below.as_ref().unwrap().as_path(), Path::new("/srv/terok"));
        assert_eq!(settings.variable(), Variable::Ignored);
    }

    #[test]
    fn a_mistake_is_named_with_its_line() {
        for (text, words) in [
            ("real-runtime = /a\nrael-runtime = /b", ["/f line 2", "rael-runtime"]),
            ("only-below = srv", ["/f line 1", "absolute"]),
            ("variable = maybe", ["/f line 1", "`ignore`"]),
            ("\nnonsense", ["/f line 2", "key = value"]),
            ("state-root = x", ["/f line 1", "absolute"]),
        ] {
            let mut settings = Settings::default();
            let why =
                settings.take_lines(Path::new("/f"), text.as_bytes()).unwrap_err().to_string();
            assert!(words.iter().all(|word| why.contains(word)), "{why}");
        }
        assert!(options(&["typo"]).mistake.is_some());
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        assert!(read(&path).unwrap().is_none());
        std::fs::write(&path, "real-runtime = /evil").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o646)).unwrap();
        assert!(matches!(read(&path), Err(SettingsError::Writable { .. })));
    }
}
