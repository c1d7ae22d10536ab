//! `terokctl setup` and `uninstall` as they are typed: options in, a report out.

use serde_json::{Value, json};

use super::purge::{self, PurgeError};
use super::{Options, Places, Proof, PythonHooks, Report, Run, setup, uninstall};
use crate::Failure;
use crate::cli::{SetupArgs, UninstallArgs};
use crate::directories::Directories;
use crate::observe::served;
use crate::output::{print, tell};

impl Places {
    /// Where things are for this operator.
    ///
    /// # Errors
    /// A machine that cannot be asked.
    pub(crate) fn of(directories: &Directories) -> Result<Self, Failure> {
        Self::of_this_process(directories.state.path().to_owned())
            .map_err(|why| format!("find out about this machine: {why}").into())
    }
}

pub(crate) fn run_setup(directories: &Directories, args: &SetupArgs) -> Result<(), Failure> {
    let places = Places::of(directories)?;
    let options = Options {
        python_hooks: if args.replace { PythonHooks::SetAside } else { PythonHooks::Refuse },
        run: run(args.dry_run),
        proof: if args.no_verify { Proof::Skip } else { Proof::FireHook },
    };
    let report = setup(&places, &options)?;
    Ok(tell(args.json, &report.to_string(), &facts(&report))?)
}

pub(crate) fn run_uninstall(
    directories: &Directories,
    args: &UninstallArgs,
) -> Result<(), Failure> {
    let places = Places::of(directories)?;
    if !args.purge {
        let report = uninstall(&places, run(args.dry_run))?;
        return Ok(tell(args.json, &report.to_string(), &facts(&report))?);
    }
    let doomed = purge::doomed(directories)?;
    let supervisors = served(directories)?;
    if supervisors > 0 {
        return Err(PurgeError::InUse(supervisors).into());
    }
    if !args.yes && !args.dry_run {
        purge::ask(&doomed)?;
    }
    let report = uninstall(&places, run(args.dry_run))?;
    if !args.dry_run {
        purge::remove(directories, &doomed)?;
    }
    if args.json {
        let mut facts = facts(&report);
        facts["purged"] = json!(doomed);
        return Ok(tell(true, "", &facts)?);
    }
    let word = if args.dry_run { "would" } else { "done" };
    let lines = doomed.iter().map(|path| format!("{word:<9}  remove {}\n", path.display()));
    Ok(print(&format!("{report}{}", lines.collect::<String>()))?)
}

fn run(dry_run: bool) -> Run {
    if dry_run { Run::Dry } else { Run::Apply }
}

fn facts(report: &Report) -> Value {
    let steps = report
        .steps
        .iter()
        .map(|(outcome, line)| json!({ "outcome": outcome.word(), "step": line }));
    json!({ "steps": steps.collect::<Vec<_>>() })
}
