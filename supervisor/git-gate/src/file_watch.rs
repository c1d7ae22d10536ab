//! Word that files may have changed, from inotify(7) on the directories they lie in: files are
//! replaced, and one that is absent now may come. So an idle gate never wakes to look.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A buffer for many events (inotify(7)): what they say does not matter.
const EVENTS: usize = 4096;

pub(crate) struct FileWatch(OwnedFd);

impl FileWatch {
    /// Before confinement, which takes the paths away.
    ///
    /// # Errors
    /// A directory is not there, or this user has no inotify instance left.
    pub(crate) fn on<'p>(files: impl IntoIterator<Item = &'p Path>) -> nix::Result<Self> {
        let changes = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_ATTRIB;
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
        let directories: BTreeSet<&Path> = files.into_iter().filter_map(Path::parent).collect();
        for directory in directories {
            inotify.add_watch(directory, changes)?;
        }
        Ok(Self(inotify.into()))
    }

    /// In the runtime that waits.
    #[expect(deprecated, reason = "the successor needs `unsafe`; an `OwnedFd` is owned")]
    pub(crate) fn listen(self) -> std::io::Result<Listening> {
        AsyncFd::with_interest(self.0, Interest::READABLE).map(Listening)
    }
}

pub(crate) struct Listening(AsyncFd<OwnedFd>);

impl Listening {
    /// Waits for anything to happen in one of the directories.
    pub(crate) async fn heard(&self) {
        let Ok(mut ready) = self.0.readable().await else { return };
        let mut events = [0; EVENTS];
        while nix::unistd::read(self.0.get_ref(), &mut events).is_ok_and(|length| length > 0) {}
        ready.clear_ready();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn in_time(runtime: &tokio::runtime::Runtime, watch: &Listening) -> bool {
        let patience = Duration::from_millis(300);
        runtime.block_on(async { tokio::time::timeout(patience, watch.heard()).await.is_ok() })
    }

    #[test]
    fn what_comes_changes_and_goes_is_heard_once_and_silence_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("web.policy.json");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let entered = runtime.enter();
        let watch = FileWatch::on([file.as_path()]).unwrap().listen().unwrap();
        drop(entered);
        assert!(!in_time(&runtime, &watch));
        std::fs::write(&file, "{}").unwrap();
        assert!(in_time(&runtime, &watch));
        assert!(!in_time(&runtime, &watch));
        std::fs::remove_file(&file).unwrap();
        assert!(in_time(&runtime, &watch));
    }

    #[test]
    fn a_directory_that_is_not_there_is_refused() {
        assert!(FileWatch::on([Path::new("/nonexistent/file")]).is_err());
    }
}
