//! Putting our hooks into the configuration of a container that asks for us.
//!
//! What goes wrong is told in the diary of the sidecar's state root and the container starts
//! without us; only a sidecar that says `required` makes it a refusal.

use std::fmt;
use std::path::{Path, PathBuf};

use terok_hook::admin_root::Refusal;
use terok_hook::diary::Diary;
use terok_hook::operator;
use terok_shared::annotation::{PathError, SidecarPath};
use terok_shared::bundle::{Bundle, BundleError, Hooks};
use terok_shared::sibling::{self, SiblingError};
use terok_shared::sidecar;

use crate::settings::{Settings, SettingsError};

const HOOK: &str = "terok-hook";

#[derive(Debug)]
pub(crate) enum InjectError<'s> {
    Settings(&'s SettingsError),
    Sidecar(PathError),
    Outside(Refusal),
    Program(SiblingError),
    Bundle(BundleError),
}

/// # Errors
/// Only for a container that is ours and may not start without us.
pub(crate) fn inject<'s>(config: &Path, settings: &'s Settings) -> Result<(), InjectError<'s>> {
    // What we cannot read, the real runtime cannot either, and says so better.
    let Ok(bundle) = Bundle::read(config) else { return Ok(()) };
    let sidecar = match bundle.config().sidecar(settings.variable()) {
        Ok(None) => return Ok(()),
        Ok(Some(sidecar)) => sidecar,
        Err(why) => {
            let why = BundleError::Config { path: config.to_owned(), why };
            tell(settings.state_root.as_deref(), &why);
            return Ok(());
        }
    };
    let path = match admitted(&sidecar, settings) {
        Ok(path) => path,
        Err(why) => {
            tell(settings.state_root.as_deref(), &why);
            return Ok(());
        }
    };
    match change(bundle, &sidecar, settings) {
        Ok(()) => Ok(()),
        Err(why) if is_required(&path) => Err(why),
        Err(why) => {
            tell(Some(path.state_root()), &why);
            Ok(())
        }
    }
}

/// The hook would refuse the others too; here it is told once more, and nothing is opened.
fn admitted<'s>(sidecar: &str, settings: &'s Settings) -> Result<SidecarPath, InjectError<'s>> {
    let path = SidecarPath::parse(sidecar).map_err(InjectError::Sidecar)?;
    if let Some(root) = &settings.only_below {
        root.admits(&path).map_err(InjectError::Outside)?;
    }
    Ok(path)
}

fn change<'s>(
    bundle: Bundle,
    sidecar: &str,
    settings: &'s Settings,
) -> Result<(), InjectError<'s>> {
    if let Some(mistake) = &settings.mistake {
        return Err(InjectError::Settings(mistake));
    }
    let program = sibling::program(HOOK).map_err(InjectError::Program)?;
    let arguments = arguments(settings);
    let hooks = Hooks { program: &program, arguments: &arguments };
    bundle
        .update(|config| {
            let annotated = config.annotate(sidecar)?;
            let removed = config.remove_variable()?;
            Ok(config.add_hooks(&hooks)? || annotated || removed)
        })
        .map(drop)
        .map_err(InjectError::Bundle)
}

fn arguments(settings: &Settings) -> Vec<String> {
    let only_below = settings.only_below.as_ref().map(|root| root.as_path().to_owned());
    [("--state-root", settings.state_root.clone()), ("--only-below", only_below)]
        .into_iter()
        .filter_map(|(option, value)| Some([option.to_owned(), text(value?)]))
        .flatten()
        .collect()
}

/// JSON has no other paths; one that is not UTF-8 will be missed, and said to be missing.
fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

fn is_required(path: &SidecarPath) -> bool {
    sidecar::read(path).is_ok_and(|(_, text)| sidecar::insists(&text))
}

fn tell(root: Option<&Path>, why: &dyn fmt::Display) {
    let installed = operator::installed_below();
    let root = root.filter(|root| operator::owns(root)).or(installed.as_deref());
    Diary::open(root).write(None, &format!("terok-runtime: {why}"));
}

impl fmt::Display for InjectError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hooks not added: ")?;
        match self {
            Self::Settings(why) => why.fmt(f),
            Self::Sidecar(why) => why.fmt(f),
            Self::Outside(why) => why.fmt(f),
            Self::Program(why) => why.fmt(f),
            Self::Bundle(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for InjectError<'_> {}
