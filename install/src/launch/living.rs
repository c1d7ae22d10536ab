//! Whether a supervisor serves a sidecar right now, asked of the kernel: pid files and names can
//! be left over, a process that runs with the sidecar among its arguments cannot.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use terok_shared::process::Process;

/// A supervisor of this sidecar, ours or another implementation's, however it was started.
pub(super) fn supervisor(sidecar: &Path) -> io::Result<Option<Process>> {
    let wanted = sidecar.as_os_str().as_bytes();
    let own = std::process::id();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        if u32::try_from(pid).is_ok_and(|pid| pid == own) {
            continue;
        }
        // One that ends meanwhile is none.
        let Ok(process) = Process::of(pid) else { continue };
        if process.arguments().is_ok_and(|words| serves(&words, wanted)) && process.is_alive() {
            return Ok(Some(process));
        }
    }
    Ok(None)
}

/// An editor that has the sidecar open is no supervisor.
fn serves(words: &[Vec<u8>], sidecar: &[u8]) -> bool {
    let named = |word: &Vec<u8>| word.windows(10).any(|part| part == b"supervisor");
    words.iter().any(|word| word == sidecar)
        && words.iter().filter(|word| *word != sidecar).any(named)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
    }

    #[test]
    fn supervisors_are_told_from_readers() {
        let sidecar = b"/s/supervisor/sidecar/web.json";
        for (line, is) in [
            ("/lib/terok-supervisor --sidecar /s/supervisor/sidecar/web.json", true),
            ("python -m x supervisor abc /s/supervisor/sidecar/web.json 7", true),
            ("vim /s/supervisor/sidecar/web.json", false),
            ("/lib/terok-supervisor --sidecar /s/supervisor/sidecar/web2.json", false),
            ("", false),
        ] {
            assert_eq!(serves(&words(line), sidecar), is, "{line}");
        }
    }

    #[test]
    fn nobody_serves_a_sidecar_that_nobody_names() {
        assert_eq!(supervisor(Path::new("/nowhere/sidecar/x.json")).unwrap(), None);
    }
}
