//! How the hook was called: its stage, the state root its descriptor names, the directory below
//! which alone sidecars count, and where supervisors are to live.
//!
//! podman gives all stages of one descriptor the same arguments, so there is a descriptor, and a
//! stage argument, for each.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use terok_hook::admin_root::{AdminRoot, RootError};
use terok_hook::operator;
use terok_shared::placement::Placement;

/// runtime-spec, config.md, "POSIX-platform Hooks".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Also the deprecated `prestart`.
    CreateRuntime,
    Poststop,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    pub stage: Stage,
    /// Where to write the diary when the state does not lead to one: `--state-root`, else the
    /// directory this program was installed below.
    pub state_root: Option<PathBuf>,
    /// `--only-below`, where annotations are written by somebody we do not trust.
    pub only_below: Option<AdminRoot>,
    /// `--placement`, for sidecars that do not say.
    pub placement: Placement,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UsageError {
    NoStage,
    Unknown(OsString),
    NoValue(&'static str),
    OnlyBelow(RootError),
    Placement(OsString),
}

impl Invocation {
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Self, UsageError> {
        let (mut stage, mut state_root, mut only_below) = (None, None, None);
        let mut placement = Placement::default();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.to_str() {
                Some("createRuntime" | "prestart") => stage = Some(Stage::CreateRuntime),
                Some("poststop") => stage = Some(Stage::Poststop),
                Some("--state-root") => {
                    state_root = Some(directory(arguments.next(), "--state-root")?);
                }
                Some("--only-below") => {
                    let root = AdminRoot::parse(directory(arguments.next(), "--only-below")?);
                    only_below = Some(root.map_err(UsageError::OnlyBelow)?);
                }
                Some("--placement") => {
                    let word = arguments.next().unwrap_or_default();
                    let parsed = word.to_str().and_then(Placement::parse);
                    placement = parsed.ok_or(UsageError::Placement(word))?;
                }
                _ => return Err(UsageError::Unknown(argument)),
            }
        }
        let stage = stage.ok_or(UsageError::NoStage)?;
        let state_root = state_root.or_else(operator::installed_below);
        Ok(Self { stage, state_root, only_below, placement })
    }
}

fn directory(value: Option<OsString>, option: &'static str) -> Result<PathBuf, UsageError> {
    value.map(PathBuf::from).ok_or(UsageError::NoValue(option))
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CreateRuntime => "createRuntime",
            Self::Poststop => "poststop",
        })
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoStage => write!(f, "terok-hook: no stage given")?,
            Self::Unknown(what) => write!(f, "terok-hook: unknown argument {what:?}")?,
            Self::NoValue(option) => write!(f, "terok-hook: {option} needs a directory")?,
            Self::OnlyBelow(why) => write!(f, "terok-hook: --only-below: {why}")?,
            Self::Placement(word) => {
                write!(f, "terok-hook: --placement {word:?}: expected {}", Placement::WORDS)?;
            }
        }
        write!(
            f,
            "\nhint: terok-hook createRuntime|prestart|poststop [--state-root DIR] [--only-below DIR] \
             [--placement auto|daemon|unit] < state"
        )
    }
}

impl std::error::Error for UsageError {}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Invocation, UsageError> {
        Invocation::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn prestart_is_another_word_for_create_runtime() {
        assert_eq!(parse(&["prestart"]).unwrap().stage, Stage::CreateRuntime);
        assert_eq!(parse(&["createRuntime"]).unwrap().stage, Stage::CreateRuntime);
        assert_eq!(parse(&["poststop"]).unwrap().stage, Stage::Poststop);
    }

    #[test]
    fn the_state_root_comes_from_the_descriptor() {
        let invocation = parse(&["poststop", "--state-root", "/s"]).unwrap();
        assert_eq!(invocation.state_root.as_deref(), Some(Path::new("/s")));
    }

    #[test]
    fn other_arguments_are_refused() {
        assert_eq!(parse(&[]), Err(UsageError::NoStage));
        assert_eq!(parse(&["poststart"]), Err(UsageError::Unknown("poststart".into())));
        for option in ["--state-root", "--only-below"] {
            assert_eq!(parse(&["poststop", option]), Err(UsageError::NoValue(option)));
        }
    }

    #[test]
    fn the_descriptor_may_say_where_supervisors_live() {
        assert_eq!(parse(&["createRuntime"]).unwrap().placement, Placement::Auto);
        let invocation = parse(&["createRuntime", "--placement", "unit"]).unwrap();
        assert_eq!(invocation.placement, Placement::Unit);
        for words in [&["poststop", "--placement"][..], &["poststop", "--placement", "x"]] {
            assert!(matches!(parse(words), Err(UsageError::Placement(_))), "{words:?}");
        }
    }

    #[test]
    fn an_administrators_root_is_absolute_or_nothing_is_done() {
        let invocation = parse(&["createRuntime", "--only-below", "/srv/terok"]).unwrap();
        assert_eq!(invocation.only_below.unwrap().as_path(), Path::new("/srv/terok"));
        assert_eq!(parse(&["createRuntime"]).unwrap().only_below, None);
        let relative = parse(&["createRuntime", "--only-below", "srv"]);
        assert!(matches!(relative, Err(UsageError::OnlyBelow(_))));
    }
}
