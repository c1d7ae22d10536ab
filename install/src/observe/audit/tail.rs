//! A file that others append to and somebody rotates: what it holds, and what is written from now
//! on. A file that became shorter was emptied and is read from its beginning. One that was renamed
//! is read on beside its successor: who had it open goes on writing to it. The one renamed last,
//! `NAME.1`, counts from the start.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::observe::grown::Grown;

/// Files read at a time; the oldest goes first.
const MAX_FILES: usize = 3;

pub(super) struct Tail {
    path: PathBuf,
    /// The oldest first.
    files: Vec<Reading>,
}

struct Reading {
    file: File,
    inode: u64,
    grown: Grown,
}

impl Tail {
    pub(super) fn at_the_end_of(path: PathBuf) -> io::Result<Self> {
        let mut rotated = path.clone().into_os_string();
        rotated.push(".1");
        let mut files = Vec::new();
        for path in [Path::new(&rotated), &path] {
            if let Some(mut reading) = Reading::open(path)? {
                reading.grown = Grown::beyond(reading.file.metadata()?.len());
                files.push(reading);
            }
        }
        Ok(Self { path, files })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// What was there when following began, the oldest file first.
    pub(super) fn past(&self) -> impl Iterator<Item = io::Result<BufReader<io::Take<&File>>>> {
        self.files.iter().map(|reading| {
            let mut file = &reading.file;
            file.seek(SeekFrom::Start(0))?;
            Ok(BufReader::new(file.take(reading.grown.at())))
        })
    }

    /// Whole lines written since the last look.
    pub(super) fn lines(&mut self) -> io::Result<Vec<String>> {
        if let Some(reading) = Reading::open(&self.path)?
            && !self.files.iter().any(|known| known.inode == reading.inode)
        {
            self.files.push(reading);
            let surplus = self.files.len().saturating_sub(MAX_FILES);
            self.files.drain(..surplus);
        }
        let mut lines = Vec::new();
        for reading in &mut self.files {
            lines.extend(reading.grown.lines(&reading.file)?);
        }
        Ok(lines)
    }
}

impl Reading {
    /// At its beginning; `None` when there is no such file.
    fn open(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let inode = file.metadata()?.ino();
        Ok(Some(Self { file, inode, grown: Grown::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::{BufRead, Write};

    fn open(path: &Path) -> File {
        File::options().append(true).create(true).open(path).unwrap()
    }

    #[test]
    fn only_whole_new_lines_are_told_and_an_emptied_file_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        fs::write(&path, "old\n").unwrap();
        let mut tail = Tail::at_the_end_of(path.clone()).unwrap();
        let append = |text: &str| open(&path).write_all(text.as_bytes()).unwrap();
        append("one\ntw");
        assert_eq!(tail.lines().unwrap(), ["one"]);
        append("o\n");
        assert_eq!(tail.lines().unwrap(), ["two"]);
        fs::write(&path, "new\n").unwrap();
        assert_eq!(tail.lines().unwrap(), ["new"]);
    }

    #[test]
    fn a_renamed_file_is_read_on_beside_its_successor() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit");
        let mut writer = open(&path);
        let mut tail = Tail::at_the_end_of(path.clone()).unwrap();
        fs::rename(&path, dir.path().join("audit.1")).unwrap();
        writer.write_all(b"by who had it open\n").unwrap();
        fs::write(&path, "by another\n").unwrap();
        assert_eq!(tail.lines().unwrap(), ["by who had it open", "by another"]);
        let mut late = Tail::at_the_end_of(path).unwrap();
        let past: Vec<String> =
            late.past().flat_map(|file| file.unwrap().lines()).flatten().collect();
        assert_eq!(past, ["by who had it open", "by another"]);
        writer.write_all(b"more\n").unwrap();
        assert_eq!(
            (late.lines().unwrap(), tail.lines().unwrap()),
            (vec!["more".to_owned()], vec!["more".to_owned()])
        );
    }
}
