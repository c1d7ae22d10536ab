//! The synthetic repository: many commits with a file of random bytes each, written as one pack.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Fills a bare repository with `commits` commits of one new file of `bytes` bytes.
pub(crate) fn fill(mirror: &Path, commits: usize, bytes: usize) {
    // Random bytes do not get smaller.
    let settings = ["-c", "core.compression=0", "-c", "fastimport.unpackLimit=1"];
    let arguments = [&settings[..], &["fast-import", "--quiet"]].concat();
    let mut import = git(mirror, &arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut out = BufWriter::new(import.stdin.take().unwrap());
    let mut random = File::open("/dev/urandom").unwrap();
    let mut file = vec![0; bytes];
    for n in 0..commits {
        random.read_exact(&mut file).unwrap();
        let time = 1_700_000_000 + n;
        write!(out, "commit refs/heads/main\ncommitter T <t@example.org> {time} +0000\n").unwrap();
        write!(out, "data 1\nx\nM 100644 inline d{}/f{n}\ndata {bytes}\n", n % 50).unwrap();
        out.write_all(&file).unwrap();
        out.write_all(b"\n").unwrap();
    }
    drop(out);
    assert!(import.wait().unwrap().success());
}

/// What the other servers need to see in the repository's own configuration.
pub(crate) fn open_to_all(mirror: &Path) {
    for (key, value) in [
        ("http.receivepack", "true"),
        ("uploadpack.allowFilter", "true"),
        ("gc.auto", "0"),
        ("receive.autogc", "false"),
        ("transfer.hideRefs", "refs/terok"),
    ] {
        assert!(git(mirror, &["config", key, value]).status().unwrap().success());
    }
}

/// Makes `tree` a repository with one commit of `bytes` random bytes, packed.
pub(crate) fn single(tree: &Path, bytes: usize) {
    std::fs::create_dir(tree).unwrap();
    assert!(git(tree, &["init", "-q", "--bare", "-b", "main"]).status().unwrap().success());
    fill(tree, 1, bytes);
}

pub(crate) fn git(directory: &Path, arguments: &[&str]) -> Command {
    let mut git = Command::new("git");
    git.args(["-c", "gc.auto=0", "-c", "safe.directory=*", "-c", "http.proxy="])
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    git
}
