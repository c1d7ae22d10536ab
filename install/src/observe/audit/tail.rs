//! What is written to a file from now on. A file that became shorter was emptied, one of another
//! inode was put in its place: either is read from its beginning.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Most that is taken at once, in bytes.
const CHUNK: u64 = 1024 * 1024;

pub(super) struct Tail {
    path: PathBuf,
    inode: u64,
    at: u64,
    /// A line whose end is not written yet.
    rest: Vec<u8>,
}

impl Tail {
    pub(super) fn at_the_end_of(path: PathBuf) -> io::Result<Self> {
        let (inode, at) = match path.metadata() {
            Err(why) if why.kind() == io::ErrorKind::NotFound => (0, 0),
            facts => facts.map(|facts| (facts.ino(), facts.len()))?,
        };
        Ok(Self { path, inode, at, rest: vec![] })
    }

    /// Where it began, in bytes.
    pub(super) fn position(&self) -> u64 {
        self.at
    }

    /// Whole lines written since the last look.
    pub(super) fn lines(&mut self) -> io::Result<Vec<String>> {
        let mut file = match File::open(&self.path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            file => file?,
        };
        let facts = file.metadata()?;
        if facts.ino() != self.inode || facts.len() < self.at {
            (self.inode, self.at) = (facts.ino(), 0);
            self.rest.clear();
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write;

    #[test]
    fn only_whole_new_lines_are_told_and_a_new_file_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        fs::write(&path, "old\n").unwrap();
        let mut tail = Tail::at_the_end_of(path.clone()).unwrap();
        let append = |text: &str| {
            let mut file = File::options().append(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        append("one\ntw");
        assert_eq!(tail.lines().unwrap(), ["one"]);
        append("o\n");
        assert_eq!(tail.lines().unwrap(), ["two"]);
        fs::rename(&path, dir.path().join("aside")).unwrap();
        assert!(tail.lines().unwrap().is_empty());
        fs::write(&path, "new\n").unwrap();
        assert_eq!(tail.lines().unwrap(), ["new"]);
    }
}
