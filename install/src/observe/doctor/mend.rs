//! What `--fix` does: never more than a finding allows, each step checked at the moment it is done.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use terok_shared::process::{Process, session_members};
use terok_shared::socket_file;

use super::finding::{Finding, Mend};
use crate::directories::Directories;
use crate::observe::known::age;
use crate::observe::respawn::{self, Back};

/// What is younger than this may be in the making: a start takes milliseconds, on a slow machine
/// seconds.
pub(super) const GRACE: Duration = Duration::from_secs(90);
/// A supervisor drains for 150 ms.
const LEAVING: Duration = Duration::from_secs(1);

/// Does what the findings allow and notes on each what came of it; how many there were.
pub(super) fn all(directories: &Directories, findings: &mut [Finding]) -> usize {
    let mut done = 0;
    for finding in findings {
        let Some(mend) = &finding.mend else { continue };
        finding.mended = Some(match mend {
            Mend::End { process } => end(*process),
            Mend::Remove { files, directory } => remove(files, directory.as_deref()),
            Mend::Respawn { name } => respawn(directories, name),
        });
        done += 1;
    }
    done
}

/// A supervisor leads a session of its own (setsid(2)), so its children get the signal too.
fn end(process: Process) -> Result<String, String> {
    let pid = process.pid();
    let leads = is_leader(process);
    if !process.is_alive() {
        return Ok(format!("{pid} has ended by itself"));
    }
    if leads {
        signal_group(pid, Signal::SIGTERM)?;
    } else {
        return process.kill().map(|()| format!("ended {pid}")).map_err(|why| why.to_string());
    }
    let deadline = Instant::now() + LEAVING;
    while process.is_alive() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(10));
    }
    if process.is_alive() {
        signal_group(pid, Signal::SIGKILL)?;
    }
    for stray in session_members(pid).unwrap_or_default() {
        // One that ends in this moment is fine.
        let _ = stray.kill();
    }
    Ok(format!("ended supervisor {pid}"))
}

fn is_leader(process: Process) -> bool {
    nix::unistd::getpgid(Some(Pid::from_raw(process.pid())))
        .is_ok_and(|group| group.as_raw() == process.pid())
}

fn signal_group(leader: i32, signal: Signal) -> Result<(), String> {
    match killpg(Pid::from_raw(leader), signal) {
        Ok(()) | Err(nix::Error::ESRCH) => Ok(()),
        Err(errno) => Err(format!("signal {leader}: {errno}")),
    }
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
    use std::process::Command;

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

    #[test]
    fn a_process_that_leads_nobody_is_ended_alone() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::of(i32::try_from(child.id()).unwrap()).unwrap();
        end(process).unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(end(process).unwrap().contains("by itself"));
    }
}
