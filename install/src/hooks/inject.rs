//! `terokctl hooks inject`: writes our hooks into the `config.json` of an OCI bundle, for
//! `crun run`, `runc run` and other callers without a hooks directory.
//!
//! In: a bundle, and the sidecar it belongs to (`--sidecar`, else what the bundle says itself).
//! Out: the same file with annotation and hooks; doing it again changes nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::json;
use terok_shared::annotation::{self, PathError, SidecarPath};
use terok_shared::bundle::{Bundle, BundleError, Hooks, STAGES, VARIABLE, Variable};

use crate::Failure;
use crate::cli::InjectArgs;
use crate::directories::Directories;
use crate::output::tell;
use crate::setup::HOOK;

const CONFIG: &str = "config.json";

#[derive(Debug)]
enum InjectError {
    NotOurs { config: PathBuf },
    Sidecar { why: PathError },
    NoHook { looked_in: Vec<PathBuf> },
    NotUtf8(PathBuf),
    Bundle(BundleError),
}

pub(super) fn run(directories: &Directories, args: &InjectArgs) -> Result<(), Failure> {
    let bundle = Bundle::read(&args.bundle.join(CONFIG)).map_err(InjectError::Bundle)?;
    let sidecar = sidecar(&bundle, args)?;
    let program = hook(directories)?;
    let arguments = arguments(directories, args)?;
    let hooks = Hooks { program: &program, arguments: &arguments };
    let changed = bundle
        .update(|config| {
            let annotated = config.annotate(&sidecar)?;
            let removed = config.remove_variable()?;
            Ok(config.add_hooks(&hooks)? || annotated || removed)
        })
        .map_err(InjectError::Bundle)?;
    let config = args.bundle.join(CONFIG);
    let told = report(&config, &program, &sidecar, changed);
    let facts =
        json!({ "config": config, "hook": program, "sidecar": sidecar, "changed": changed });
    Ok(tell(args.json, &told, &facts)?)
}

fn report(config: &Path, program: &Path, sidecar: &str, changed: bool) -> String {
    let config = config.display();
    if !changed {
        return format!("{config} has our hooks already");
    }
    let stages = STAGES.join(" and ");
    format!("{config}: {stages} call {}\nsidecar: {sidecar}", program.display())
}

/// The sidecar's path, absolute and of the form that the hook accepts.
fn sidecar(bundle: &Bundle, args: &InjectArgs) -> Result<String, InjectError> {
    let config = args.bundle.join(CONFIG);
    let named = match &args.sidecar {
        Some(path) => Some(text(&absolute(path))?),
        None => bundle.config().sidecar(Variable::Accepted).map_err(|why| {
            InjectError::Bundle(BundleError::Config { path: config.clone(), why })
        })?,
    };
    let named = named.ok_or(InjectError::NotOurs { config })?;
    SidecarPath::parse(&named).map_err(|why| InjectError::Sidecar { why })?;
    Ok(named)
}

/// Without `..` and links on the way, as far as there is such a directory. The file itself stays
/// named as it is: one that is a link is refused by the hook.
fn absolute(path: &Path) -> PathBuf {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (whole.parent().map(Path::canonicalize), whole.file_name()) {
        (Some(Ok(directory)), Some(name)) => directory.join(name),
        _ => whole,
    }
}

/// Where `setup` put it, else with the rest of this installation.
fn hook(directories: &Directories) -> Result<PathBuf, InjectError> {
    let own = std::env::current_exe().unwrap_or_default();
    let beside = own.parent().unwrap_or(Path::new("/"));
    let prefix = beside.parent().unwrap_or(Path::new("/"));
    let places = [directories.state.programs(), beside.to_owned(), prefix.join("libexec/terok")];
    match places.iter().map(|place| place.join(HOOK)).find(|hook| hook.is_file()) {
        Some(hook) => Ok(hook),
        None => Err(InjectError::NoHook { looked_in: places.into() }),
    }
}

fn arguments(directories: &Directories, args: &InjectArgs) -> Result<Vec<String>, InjectError> {
    let mut words = vec!["--state-root".to_owned(), text(directories.state.path())?];
    if let Some(root) = &args.only_below {
        words.extend(["--only-below".to_owned(), text(root)?]);
    }
    Ok(words)
}

/// JSON holds text only.
fn text(path: &Path) -> Result<String, InjectError> {
    path.to_str().map(str::to_owned).ok_or_else(|| InjectError::NotUtf8(path.to_owned()))
}

impl fmt::Display for InjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOurs { config } => write!(
                f,
                "add hooks to {}: it has neither the annotation {} nor the variable {VARIABLE}\nhint: name the container's sidecar with --sidecar; `terokctl prepare` makes one",
                config.display(),
                annotation::KEY
            ),
            Self::Sidecar { why } => write!(f, "add hooks: {why}"),
            Self::NoHook { looked_in } => {
                let places: Vec<_> = looked_in.iter().map(|p| p.display().to_string()).collect();
                write!(f, "find {HOOK}: not in {}\nhint: run `terokctl setup`", places.join(", "))
            }
            Self::NotUtf8(path) => {
                write!(f, "use {}: not UTF-8, which config.json needs", path.display())
            }
            Self::Bundle(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for InjectError {}
