//! `gate init`: a new mirror, empty or filled from an upstream. It is made under another name and
//! appears whole or not at all.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::fetch::Access;
use super::mirror::Mirror;
use super::sync::{self, Wanted};
use super::upstream::{Upstream, Url};
use crate::Failure;
use crate::cli::InitMirrorArgs;
use crate::directories::Directories;
use crate::output::tell;
use crate::private_file;

#[derive(Debug)]
enum InitError {
    Exists { path: PathBuf },
    Io { doing: &'static str, path: PathBuf, why: io::Error },
}

pub(super) fn run(directories: &Directories, args: &InitMirrorArgs) -> Result<(), Failure> {
    let mirror = Mirror::locate(directories, &args.mirror);
    let url = args.upstream.as_deref().map(Url::parse).transpose()?;
    let base = mirror.path.parent().expect("a mirror is in a directory");
    private_file::make_directory(base).map_err(io_error("make", base))?;
    let _claim = mirror.claim()?;
    if mirror.path.symlink_metadata().is_ok() {
        return Err(InitError::Exists { path: mirror.path }.into());
    }
    let draft = Mirror {
        project: mirror.project.clone(),
        path: base.join(format!(".{}.git.new", mirror.project)),
    };
    // What an earlier attempt left when it was killed; nobody else is here.
    remove(&draft.path)?;
    match fill(directories, args, &draft, url) {
        Ok(()) => {}
        Err(why) => {
            remove(&draft.path)?;
            return Err(why);
        }
    }
    fs::rename(&draft.path, &mirror.path).map_err(io_error("name", &mirror.path))?;
    let path = mirror.path.display().to_string();
    Ok(tell(args.json, &path, &json!({ "project": mirror.project.as_str(), "mirror": path }))?)
}

fn fill(
    directories: &Directories,
    args: &InitMirrorArgs,
    draft: &Mirror,
    url: Option<Url>,
) -> Result<(), Failure> {
    let path = draft.path.to_string_lossy();
    // Without templates: their hooks are not for the gate.
    draft.ask(&["init", "--quiet", "--bare", "--template=", "--initial-branch=main", &path])?;
    // For whoever else serves the mirror; the gate does not rely on it.
    draft.ask(&["config", "--local", "transfer.hideRefs", "refs/terok"])?;
    let Some(url) = url else { return Ok(()) };
    let upstream = Upstream {
        url,
        credential: args.credential.as_ref().map(|name| name.as_str().to_owned()),
        set: args.set.as_str().to_owned(),
        scope: args.scope.as_ref().map(ToString::to_string),
    };
    upstream.write(draft)?;
    let access = Access::to(&upstream, draft, directories, &args.unlock)?;
    sync::synchronise(draft, &upstream, &access, &Wanted::Named(&[]))?;
    Ok(())
}

fn remove(path: &Path) -> Result<(), InitError> {
    match fs::remove_dir_all(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(why)),
        _ => Ok(()),
    }
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> InitError {
    move |why| InitError::Io { doing, path: path.to_owned(), why }
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists { path } => write!(
                f,
                "make mirror {}: it is there already\nhint: `terokctl gate sync` renews it",
                path.display()
            ),
            Self::Io { doing, path, why } => write!(f, "{doing} {}: {why}", path.display()),
        }
    }
}

impl std::error::Error for InitError {}
