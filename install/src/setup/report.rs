//! A plan's steps, and what is told about them afterwards.

use std::fmt;

use super::changes::Change;

/// One thing to tell the operator, with the changes it stands for: none when nothing is to do.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) line: String,
    pub(super) changes: Vec<Change>,
}

impl Step {
    pub(super) fn new(line: String, changes: Vec<Change>) -> Self {
        Self { line, changes }
    }

    pub(super) fn unchanged(line: String) -> Self {
        Self::new(line, Vec::new())
    }
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Only in a dry run.
    Planned,
    /// There was nothing to do: already there, or already gone.
    Unchanged,
}

/// The steps in order, each with what became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) steps: Vec<(Outcome, String)>,
}

impl Report {
    /// Tells of each step that has changes that they are now `outcome`.
    pub(super) fn of(steps: Vec<Step>, outcome: Outcome) -> Self {
        let told = |step: Step| {
            let unchanged = step.changes.is_empty();
            (if unchanged { Outcome::Unchanged } else { outcome }, step.line)
        };
        Self { steps: steps.into_iter().map(told).collect() }
    }
}

impl Outcome {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Planned => "would",
            Self::Unchanged => "unchanged",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (outcome, line) in &self.steps {
            writeln!(f, "{:<9}  {line}", outcome.word())?;
        }
        Ok(())
    }
}
