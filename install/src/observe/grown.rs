//! What others have appended to a file since the last look, in whole lines. A file that became
//! shorter was emptied, and is read from its beginning.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

/// Most that is taken at once, in bytes.
const CHUNK: u64 = 1024 * 1024;

/// How far a file was read.
#[derive(Debug, Default)]
pub(super) struct Grown {
    at: u64,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl Grown {
    /// From this many bytes on.
    pub(super) fn beyond(at: u64) -> Self {
        Self { at, rest: vec![] }
    }

    /// How many bytes were read.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Whole lines written since the last look.
    pub(super) fn lines(&mut self, mut file: &File) -> io::Result<Vec<String>> {
        if file.metadata()?.len() < self.at {
            *self = Self::default();
        }
        file.seek(SeekFrom::Start(self.at))?;
        self.at += file.take(CHUNK).read_to_end(&mut self.rest)? as u64;
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(vec![]);
        };
        let whole: Vec<u8> = self.rest.drain(..=end).collect();
        Ok(String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect())
    }
}
