//! What `--fix` does: never more than a finding allows, each step checked at the moment it is done.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use terok_shared::socket_file;

use super::finding::{Finding, Mend};
use super::launches;
use crate::directories::Directories;
use crate::observe::known::age;
use crate::observe::respawn::{self, Back};
use crate::observe::tree;

/// What is younger than this may be in the making: a start takes milliseconds, on a slow machine
/// seconds.
pub(super) const GRACE: Duration = Duration::from_secs(90);

/// Does what the findings allow and notes on each what came of it; how many there were.
pub(super) fn all(directories: &Directories, findings: &mut [Finding]) -> usize {
    let mut done = 0;
    for finding in findings {
        let Some(mend) = &finding.mend else { continue };
        finding.mended = Some(match mend {
            Mend::End { process } => tree::end(*process),
            Mend::Remove { files, directory } => remove(files, directory.as_deref()),
            Mend::Respawn { name } => respawn(directories, name),
            Mend::Forget { container } => launches::forget(directories, container),
        });
        done += 1;
    }
    done
}

/// A socket that somebody serves stays, and so does a directory that holds anything else.
fn remove(files: &[PathBuf], directory: Option<&Path>) -> Result<String, String> {
    for file in files {
        let removed = match file.extension() {
            Some(ending) if ending == "sock" => {
                socket_file::clear(file).map_err(|why| why.to_string())
            }
            // Another start of the container may have written it since it was looked at.
            _ if age(file).is_some_and(|age| age <= GRACE) => {
                Err(format!("{} has just been written", file.display()))
            }
            _ => absent(fs::remove_file(file)).map_err(|why| told(file, &why)),
        };
        removed?;
    }
    let Some(directory) = directory else { return Ok("removed".to_owned()) };
    for entry in fs::read_dir(directory).map_err(|why| told(directory, &why))?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            absent(fs::remove_dir(entry.path())).map_err(|why| told(&entry.path(), &why))?;
        }
    }
    absent(fs::remove_dir(directory)).map_err(|why| told(directory, &why))?;
    Ok("removed".to_owned())
}

fn absent(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn told(path: &Path, why: &io::Error) -> String {
    format!("remove {}: {why}", path.display())
}

fn respawn(directories: &Directories, name: &str) -> Result<String, String> {
    match respawn::bring_back(directories, name) {
        Ok(Back::Started(pid)) => Ok(format!("supervisor {pid} serves {name} again")),
        Ok(Back::WasThere(pid)) => Ok(format!("supervisor {pid} serves {name}")),
        Err(why) => Err(why.to_string().replace('\n', "; ")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_directory_goes_with_its_dead_sockets_and_stays_with_anything_else() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("web");
        let socket = place.join("vault/vault.sock");
        fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let files = [socket];
        assert!(remove(&files, Some(&place)).unwrap_err().contains("serving"));
        drop(listener);
        fs::write(place.join("precious"), "").unwrap();
        remove(&files, Some(&place)).unwrap_err();
        assert!(place.join("precious").exists());
        fs::remove_file(place.join("precious")).unwrap();
        remove(&files, Some(&place)).unwrap();
        assert!(!place.exists());
    }

    #[test]
    fn a_file_that_was_just_written_anew_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("supervisor-abc.pid");
        fs::write(&file, "7\n").unwrap();
        assert!(
            remove(std::slice::from_ref(&file), None).unwrap_err().contains("just been written")
        );
        let past = std::time::SystemTime::now() - GRACE * 2;
        fs::File::options().write(true).open(&file).unwrap().set_modified(past).unwrap();
        remove(std::slice::from_ref(&file), None).unwrap();
        assert!(!file.exists());
    }
}
