//! `terokctl version`: ours, and with `-v` that of every program beside it and of the formats they
//! share with others.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;
use terok_shared::sidecar;
use vault_store::SCHEMA_VERSION;

use super::podman;
use crate::Failure;
use crate::cli::observe::VersionArgs;
use crate::directories::Directories;
use crate::output::{print, print_json, table};
use crate::setup::{PROGRAMS, WRAPPER};

pub(super) const OURS: &str = env!("CARGO_PKG_VERSION");

#[derive(Debug, Serialize)]
struct Versions {
    terokctl: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    programs: Option<Vec<Program>>,
    sidecar_contract: &'static str,
    vault_schema: i64,
}

/// One program beside the hook.
#[derive(Debug, Serialize)]
pub(super) struct Program {
    pub(super) name: &'static str,
    /// A number, or why there is none.
    pub(super) version: Result<String, String>,
}

pub(crate) fn run(
    directories: &Directories,
    args: &VersionArgs,
    verbose: bool,
) -> Result<(), Failure> {
    let programs = directory(directories);
    let versions = Versions {
        terokctl: OURS,
        programs: verbose.then(|| of_all(&programs)),
        sidecar_contract: sidecar::CONTRACT,
        vault_schema: SCHEMA_VERSION,
    };
    if args.json {
        return Ok(print_json(&versions)?);
    }
    let mut text = format!("terokctl {OURS}\n");
    if let Some(found) = &versions.programs {
        let shown = |version: &Result<String, String>| match version {
            Ok(version) => version.clone(),
            Err(why) => why.clone(),
        };
        let row = |program: &Program| vec![program.name.to_owned(), shown(&program.version)];
        text += &format!("\nin {}:\n", programs.display());
        text += &table(&["PROGRAM", "VERSION"], &found.iter().map(row).collect::<Vec<_>>());
        text += &format!(
            "\nsidecar contract  {} (terok-sandbox)\nvault schema      {SCHEMA_VERSION}\n",
            sidecar::CONTRACT
        );
    }
    Ok(print(&text)?)
}

/// Where podman's hooks run programs from: installed, packaged, or beside terokctl.
pub(super) fn directory(directories: &Directories) -> PathBuf {
    let installed = directories.state.programs();
    if installed.is_dir() {
        return installed;
    }
    let own = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let beside = own.parent().unwrap_or(Path::new("/")).to_owned();
    let packaged = beside.parent().map(|prefix| prefix.join("libexec/terok"));
    packaged.filter(|packaged| packaged.is_dir()).unwrap_or(beside)
}

/// The version of every program there, as each of them says it.
pub(super) fn of_all(directory: &Path) -> Vec<Program> {
    let version = |name: &'static str| Program { name, version: of(&directory.join(name), name) };
    PROGRAMS.into_iter().map(version).collect()
}

fn of(path: &Path, name: &str) -> Result<String, String> {
    if !path.exists() {
        return Err("missing".to_owned());
    }
    // It passes every argument on, this one too.
    if name == WRAPPER {
        return Err("(says the real runtime's)".to_owned());
    }
    let mut command = Command::new(path);
    command.arg("--version").env_clear();
    let said = podman::ask(command).map_err(|why| why.to_string())?;
    let said = String::from_utf8_lossy(&said).trim().to_owned();
    let number = said.strip_prefix(name).map(|rest| rest.trim().to_owned());
    number.ok_or_else(|| format!("says {said:?}"))
}
