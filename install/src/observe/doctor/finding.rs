//! One thing the doctor found: how bad, what, and what to do.

use std::path::PathBuf;

use serde::{Serialize, Serializer};
use terok_shared::container::ContainerName;
use terok_shared::process::Process;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Grade {
    Good,
    /// Nothing to do, but worth knowing.
    Note,
    /// Containers are served; something is not as it should be.
    Warning,
    /// A container is not served, or will not be.
    Broken,
}

#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// Where it was found, one word.
    pub(super) place: &'static str,
    pub(super) grade: Grade,
    pub(super) what: String,
    pub(super) hint: Option<String>,
    /// What is safe to do about it.
    #[serde(rename = "fixable", serialize_with = "is_some")]
    pub(super) mend: Option<Mend>,
    /// What came of doing it.
    #[serde(rename = "fixed", skip_serializing_if = "Option::is_none")]
    pub(super) mended: Option<Result<String, String>>,
}

/// What `--fix` does.
#[derive(Debug)]
pub(super) enum Mend {
    /// Ends a supervisor with its children, or a service without one.
    End { process: Process },
    /// Removes files that nobody uses, and then the directory if it is empty.
    Remove { files: Vec<PathBuf>, directory: Option<PathBuf> },
    /// Starts a supervisor for a container that runs.
    Respawn { name: String },
    /// Revokes and removes what a launch that is gone has borrowed.
    Forget { container: ContainerName },
}

impl Finding {
    pub(super) fn good(place: &'static str, what: impl Into<String>) -> Self {
        Self::new(place, Grade::Good, what.into(), None)
    }

    pub(super) fn note(place: &'static str, what: impl Into<String>) -> Self {
        Self::new(place, Grade::Note, what.into(), None)
    }

    pub(super) fn warning(
        place: &'static str,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(place, Grade::Warning, what.into(), Some(hint.into()))
    }

    pub(super) fn broken(
        place: &'static str,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self::new(place, Grade::Broken, what.into(), Some(hint.into()))
    }

    /// From an error's text: its second line is the hint already.
    pub(super) fn of_error(place: &'static str, grade: Grade, why: &impl ToString) -> Self {
        let text = why.to_string();
        let (what, hint) = match text.split_once("\nhint: ") {
            Some((what, hint)) => (what.to_owned(), Some(hint.to_owned())),
            None => (text, None),
        };
        Self::new(place, grade, what.replace('\n', "; "), hint)
    }

    pub(super) fn with(self, mend: Mend) -> Self {
        Self { mend: Some(mend), ..self }
    }

    pub(super) fn is_mended(&self) -> bool {
        matches!(self.mended, Some(Ok(_)))
    }

    fn new(place: &'static str, grade: Grade, what: String, hint: Option<String>) -> Self {
        Self { place, grade, what, hint, mend: None, mended: None }
    }
}

fn is_some<S: Serializer>(mend: &Option<Mend>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(mend.is_some())
}
