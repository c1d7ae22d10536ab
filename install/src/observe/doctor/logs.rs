//! Logs of containers that are long gone: each container has one of its own, and nothing else takes
//! it away.

use std::path::PathBuf;
use std::time::Duration;

use terok_shared::layout::StateRoot;
use terok_shared::pid_file;

use super::finding::{Finding, Grade, Mend};
use crate::directories::Directories;
use crate::observe::known::{age, entries};
use crate::output::count;

const PLACE: &str = "logs";
/// How long somebody may want to read what a container did.
const KEPT_DAYS: u64 = 30;
const KEPT: Duration = Duration::from_secs(KEPT_DAYS * 24 * 60 * 60);

pub(super) fn examine(directories: &Directories) -> Vec<Finding> {
    let old = match old(&directories.state) {
        Ok(old) => old,
        Err(why) => return vec![Finding::of_error(PLACE, Grade::Warning, &why)],
    };
    if old.is_empty() {
        return vec![];
    }
    let bytes: u64 = old.iter().filter_map(|file| file.metadata().ok()).map(|it| it.len()).sum();
    let what = format!(
        "no word for {KEPT_DAYS} days from containers that have {} KiB of logs in {}; \
         terokctl doctor --fix removes them",
        bytes.div_ceil(1024),
        count(old.len(), "file")
    );
    vec![Finding::note(PLACE, what).with(Mend::Remove { files: old, directory: None })]
}

fn old(root: &StateRoot) -> std::io::Result<Vec<PathBuf>> {
    let logs = entries(&root.logs())?;
    let over = |id: &_| pid_file::living(&root.pid_file(id), id).is_none();
    let gone = logs.iter().filter_map(|log| StateRoot::container_of_log(log)).filter(over);
    let files = gone.map(|id| root.container_logs(&id));
    let files = files.filter(|files| files.iter().filter_map(|file| age(file)).all(|it| it > KEPT));
    Ok(files.flatten().filter(|file| file.exists()).collect())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::SystemTime;

    use terok_shared::container::ContainerId;
    use terok_shared::pid_file::Living;
    use terok_shared::process::Process;

    use super::*;

    #[test]
    fn a_months_silence_of_a_container_that_is_gone_makes_its_logs_old() {
        let dir = tempfile::tempdir().unwrap();
        let root = StateRoot::new(dir.path());
        fs::create_dir(root.logs()).unwrap();
        fs::create_dir(root.pids()).unwrap();
        let id = |name: &str| ContainerId::parse(name).unwrap();
        let write = |path: PathBuf, days: u64| {
            let past = SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
            File::create(path).unwrap().set_modified(past).unwrap();
        };
        for (name, days) in [("new", 29), ("old", 31), ("quiet", 31), ("back", 1)] {
            write(root.container_log(&id(name)), days);
        }
        for name in ["old", "back"] {
            write(root.container_logs(&id(name))[1].clone(), 40);
        }
        write(root.diary(), 50);
        let living = Living { supervisor: Process::current().unwrap(), container: None };
        pid_file::write(&root.pid_file(&id("quiet")), living).unwrap();
        let [_, older, log] = root.container_logs(&id("old"));
        assert_eq!(old(&root).unwrap(), [older, log]);
    }
}
