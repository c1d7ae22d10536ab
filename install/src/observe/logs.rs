//! `terokctl logs`: one container's story, the hook's diary and the log of supervisor and services
//! merged by time.
//!
//! Both files begin every line with a time stamp to the second, in UTC; a line without one belongs
//! to the line before it.

mod follow;
mod line;

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use terok_shared::container::{ContainerId, ContainerName};
use terok_shared::layout::{self, StateRoot};
use terok_shared::logging;

use self::line::{Line, Source};
use super::known::{self, entries};
use super::status::unknown;
use crate::Failure;
use crate::cli::observe::LogsArgs;
use crate::directories::Directories;
use crate::output::print;

/// Where the supervisor says whose log this is: within its first lines.
const TITLE_LINES: usize = 20;

/// The files that tell of one container, and which of their lines do.
pub(super) struct Story {
    diary: PathBuf,
    log: PathBuf,
    id: ContainerId,
}

pub(crate) fn run(directories: &Directories, args: &LogsArgs) -> Result<(), Failure> {
    let story = Story::of(&directories.state, &args.name)?
        .ok_or_else(|| unknown(directories, &args.name))?;
    let mut follow = follow::Follow::begin(&story);
    let mut lines = story.lines()?;
    if let Some(wanted) = args.lines {
        lines.drain(..lines.len().saturating_sub(wanted));
    }
    say(&lines, args.json)?;
    if !args.follow {
        return Ok(());
    }
    loop {
        say(&follow.next()?, args.json)?;
    }
}

fn say(lines: &[Line], json: bool) -> io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let shown = |line: &Line| match json {
        true => serde_json::to_string(line).expect("a line is text") + "\n",
        false => format!("{line}\n"),
    };
    print(&lines.iter().map(shown).collect::<String>())
}

impl Story {
    /// The latest run of the container of this name, or of the id that begins like this.
    fn of(root: &StateRoot, word: &str) -> io::Result<Option<Self>> {
        let running =
            known::one(root, word)?.and_then(|known| Some(known.runs.first()?.id.clone()));
        let id = match running {
            Some(id) => Some(id),
            None => logged(root, word)?,
        };
        Ok(id.map(|id| Self { diary: root.diary(), log: root.container_log(&id), id }))
    }

    fn lines(&self) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        for (path, source) in [(&self.log, Source::Container), (&self.diary, Source::Hook)] {
            let mut last = String::new();
            for path in [layout::set_aside(path), path.clone()] {
                let found = read(&path)?;
                let ours = found.iter().filter(|text| self.tells(source, text));
                lines.extend(ours.map(|text| Line::parse(source, text, &mut last)));
            }
        }
        // The supervisor speaks before the hook that waits for it; a stable sort keeps that.
        lines.sort_by(|one, other| one.time.cmp(&other.time));
        Ok(lines)
    }

    fn tells(&self, source: Source, text: &str) -> bool {
        match source {
            Source::Container => true,
            Source::Hook => text.contains(&format!(" [{}] ", self.id.short())),
        }
    }
}

/// The container whose log was written to last, among those whose log says this name, or whose id
/// begins with it.
fn logged(root: &StateRoot, word: &str) -> io::Result<Option<ContainerId>> {
    let mut found: Option<(SystemTime, ContainerId)> = None;
    for path in entries(&root.logs())? {
        let Some(id) = StateRoot::container_of_log(&path) else { continue };
        let matches = word.len() >= 4 && id.as_str().starts_with(word) || is_of(&path, word, &id);
        let Ok(written) = path.metadata().and_then(|facts| facts.modified()) else { continue };
        if matches && found.as_ref().is_none_or(|(latest, _)| written > *latest) {
            found = Some((written, id));
        }
    }
    Ok(found.map(|(_, id)| id))
}

fn is_of(log: &Path, name: &str, id: &ContainerId) -> bool {
    let Ok(name) = ContainerName::parse(name) else { return false };
    let title = logging::title(&name, id);
    let Ok(file) = fs::File::open(log) else { return false };
    BufReader::new(file)
        .lines()
        .take(TITLE_LINES)
        .map_while(Result::ok)
        .any(|line| line.contains(&title))
}

/// The lines of a file; one that is not there has none. Bytes that are no text are shown as such.
fn read(path: &Path) -> io::Result<Vec<String>> {
    match fs::read(path) {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        bytes => Ok(String::from_utf8_lossy(&bytes?).lines().map(str::to_owned).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef";

    fn house() -> (tempfile::TempDir, StateRoot) {
        let dir = tempfile::tempdir().unwrap();
        let root = StateRoot::new(dir.path());
        fs::create_dir(root.logs()).unwrap();
        fs::write(
            root.logs().join(format!("{ID}.log")),
            format!(
                "2026-01-01T00:00:01Z INFO  supervisor: container web is {ID}\n\
                 2026-01-01T00:00:01Z INFO  supervisor: listening on broker /x\n\
                 thread panicked\n\
                 2026-01-01T00:00:09Z INFO  supervisor: the container has ended\n"
            ),
        )
        .unwrap();
        fs::write(
            root.diary(),
            "2026-01-01T00:00:01Z [0123456789ab] supervisor 7 listening after 3 ms\n\
             2026-01-01T00:00:02Z [ffffffffffff] somebody else\n\
             2026-01-01T00:00:09Z [0123456789ab] container stopped\n",
        )
        .unwrap();
        (dir, root)
    }

    #[test]
    fn diary_and_log_are_one_story_by_time() {
        let (_dir, root) = house();
        let told: Vec<String> = Story::of(&root, "web")
            .unwrap()
            .unwrap()
            .lines()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            [
                "2026-01-01T00:00:01Z INFO  supervisor: container web is 0123456789abcdef",
                "2026-01-01T00:00:01Z INFO  supervisor: listening on broker /x",
                "thread panicked",
                "2026-01-01T00:00:01Z INFO  hook: supervisor 7 listening after 3 ms",
                "2026-01-01T00:00:09Z INFO  supervisor: the container has ended",
                "2026-01-01T00:00:09Z INFO  hook: container stopped",
            ]
        );
    }

    #[test]
    fn what_was_set_aside_comes_first() {
        let (_dir, root) = house();
        let earlier = format!("2026-01-01T00:00:00Z INFO  supervisor: container web is {ID}\n");
        let log = root.container_log(&ContainerId::parse(ID).unwrap());
        fs::write(layout::set_aside(&log), earlier).unwrap();
        let lines = Story::of(&root, "web").unwrap().unwrap().lines().unwrap();
        assert_eq!(lines[0].time, "2026-01-01T00:00:00Z");
        assert_eq!(lines.len(), 7);
    }

    #[test]
    fn an_id_will_do_and_a_stranger_has_no_story() {
        let (_dir, root) = house();
        assert!(Story::of(&root, "0123").unwrap().is_some());
        for stranger in ["we", "web2", "nobody", "012"] {
            assert!(Story::of(&root, stranger).unwrap().is_none(), "{stranger}");
        }
    }
}
