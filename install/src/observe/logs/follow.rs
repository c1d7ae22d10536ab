//! What is written from now on: both files are looked at again and again, and read from where they
//! ended. A file that has become shorter, or another one, was set aside, and is read from its
//! beginning.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::Story;
use super::line::{Line, Source};
use crate::observe::grown::Grown;

const PAUSE: Duration = Duration::from_millis(200);

pub(super) struct Follow<'s> {
    story: &'s Story,
    tails: [Tail; 2],
}

struct Tail {
    source: Source,
    path: PathBuf,
    inode: u64,
    grown: Grown,
    last: String,
}

impl<'s> Follow<'s> {
    /// From the files' ends as they are now.
    pub(super) fn begin(story: &'s Story) -> Self {
        let tail = |source, path: &PathBuf| {
            let facts = path.metadata();
            Tail {
                source,
                path: path.clone(),
                inode: facts.as_ref().map_or(0, MetadataExt::ino),
                grown: Grown::beyond(facts.map_or(0, |facts| facts.len())),
                last: String::new(),
            }
        };
        let tails = [tail(Source::Container, &story.log), tail(Source::Hook, &story.diary)];
        Self { story, tails }
    }

    /// The next lines, at least one.
    pub(super) fn next(&mut self) -> io::Result<Vec<Line>> {
        loop {
            let lines = self.look()?;
            if !lines.is_empty() {
                return Ok(lines);
            }
            thread::sleep(PAUSE);
        }
    }

    fn look(&mut self) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        for tail in &mut self.tails {
            for text in tail.read()? {
                if self.story.tells(tail.source, &text) {
                    lines.push(Line::parse(tail.source, &text, &mut tail.last));
                }
            }
        }
        lines.sort_by(|one, other| one.time.cmp(&other.time));
        Ok(lines)
    }
}

impl Tail {
    /// Whole lines written since the last look.
    fn read(&mut self) -> io::Result<Vec<String>> {
        let file = match File::open(&self.path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
            file => file?,
        };
        let inode = file.metadata()?.ino();
        if inode != self.inode {
            self.inode = inode;
            self.grown = Grown::default();
        }
        self.grown.lines(&file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    use terok_shared::container::ContainerId;

    use super::*;

    #[test]
    fn new_lines_come_whole_and_a_file_that_was_set_aside_is_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        let (diary, log) = (dir.path().join("hook.log"), dir.path().join("abc.log"));
        fs::write(&log, "2026-01-01T00:00:00Z INFO  a: old\n").unwrap();
        fs::write(&diary, "").unwrap();
        let id = ContainerId::parse("abc").unwrap();
        let story = Story { diary: diary.clone(), log: log.clone(), id };
        let mut follow = Follow::begin(&story);
        assert!(follow.look().unwrap().is_empty());

        let mut open = OpenOptions::new().append(true).open(&log).unwrap();
        open.write_all(b"2026-01-01T00:00:02Z INFO  a: half").unwrap();
        assert!(follow.look().unwrap().is_empty());
        open.write_all(b" and whole\n").unwrap();
        let line = "2026-01-01T00:00:01Z [abc] ours\n2026-01-01T00:00:01Z [abd] theirs\n";
        fs::write(&diary, line).unwrap();
        let told: Vec<_> = follow.look().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(
            told,
            [
                "2026-01-01T00:00:01Z INFO  hook: ours",
                "2026-01-01T00:00:02Z INFO  a: half and whole"
            ]
        );

        open.set_len(0).unwrap();
        open.write_all(b"2026-01-01T00:00:03Z INFO  a: new\n").unwrap();
        assert_eq!(follow.look().unwrap().len(), 1);
    }
}
