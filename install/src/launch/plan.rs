//! What a launch shall be: the operator's words and directories, checked against each other.
//! Nothing is looked at and nothing is made here.

use std::fmt;
use std::path::{Path, PathBuf};

use terok_shared::annotation::{PathError, SidecarPath};
use terok_shared::container::ContainerName;
use terok_shared::layout;
use vault_store::scope::{ScopeError, ScopeName};

use crate::cli::{Activation, LaunchArgs, Mode, OciRuntime};
use crate::credential_name::{ProviderName, SetName};
use crate::directories::Directories;

/// The scope of an operator who does not care for scopes.
const DEFAULT_SCOPE: &str = "default";

#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: ContainerName,
    pub(super) sidecar: SidecarPath,
    /// Beside the sidecar: the runtime directory is what the container sees.
    pub(super) environment_file: PathBuf,
    pub(super) database: PathBuf,
    pub(super) routes: PathBuf,
    pub(super) runtime_dir: PathBuf,
    /// Mounted into the container in socket mode.
    pub(super) socket_directory: PathBuf,
    pub(super) scope: ScopeName,
    /// Empty when there is none.
    pub(super) project: String,
    pub(super) set: SetName,
    /// Each once.
    pub(super) providers: Vec<ProviderName>,
    pub(super) ssh: bool,
    pub(super) gate: Option<Gate>,
    pub(super) mode: Mode,
    /// Whether the services are on the container's own loopback too.
    pub(super) loopback: bool,
    pub(super) required: bool,
    pub(super) activation: Activation,
    /// Seconds; only for activation on demand.
    pub(super) leave_after: Option<u64>,
    pub(super) runtime: Option<OciRuntime>,
    pub(super) passphrase_command: Option<String>,
    pub(super) use_keyring: bool,
}

#[derive(Debug)]
pub(super) struct Gate {
    /// The directory of all mirrors.
    pub(super) base: PathBuf,
    pub(super) mirror: PathBuf,
    /// Whether an empty mirror is made where there is none.
    pub(super) init: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum PlanError {
    Sidecar(PathError),
    /// The sidecar is JSON: it has no other paths.
    NotText(PathBuf),
    /// podman takes a colon for the end of a volume's source.
    Colon(PathBuf),
    /// Variables would name the host, and a container of root has no loopback of its own there.
    LoopbackInTcpMode,
    /// There is nothing to leave for services that stay.
    LeaveWithoutOnDemand,
    /// The project cannot be a scope's name, and no scope was given.
    Scope {
        project: String,
        why: ScopeError,
    },
}

impl Plan {
    pub(super) fn new(directories: &Directories, args: &LaunchArgs) -> Result<Self, PlanError> {
        let sidecar = directories.state.sidecar(&args.name);
        let sidecar = SidecarPath::parse(text(&sidecar)?).map_err(PlanError::Sidecar)?;
        let socket_directory = layout::socket_directory(&directories.runtime, &args.name);
        if text(&socket_directory)?.contains(':') {
            return Err(PlanError::Colon(socket_directory));
        }
        if args.loopback && args.mode == Mode::Tcp {
            return Err(PlanError::LoopbackInTcpMode);
        }
        if args.leave_after.is_some() && args.activation == Activation::Eager {
            return Err(PlanError::LeaveWithoutOnDemand);
        }
        let base = directories.state.mirrors();
        let gate = args.project.as_ref().filter(|_| args.gate).map(|project| Gate {
            mirror: base.join(format!("{project}.git")),
            base: base.clone(),
            init: args.init_mirror,
        });
        let mut providers = args.providers.clone();
        providers.sort();
        providers.dedup();
        let plan = Self {
            name: args.name.clone(),
            environment_file: sidecar.as_path().with_file_name(format!("{}.env", args.name)),
            sidecar,
            database: directories.database(),
            routes: directories.routes(),
            runtime_dir: directories.runtime.clone(),
            socket_directory,
            scope: scope(args)?,
            project: args.project.clone().unwrap_or_default(),
            set: args.set.clone(),
            providers,
            ssh: args.ssh,
            gate,
            mode: args.mode,
            loopback: args.loopback,
            required: args.required,
            activation: args.activation,
            leave_after: args.leave_after,
            runtime: args.runtime,
            passphrase_command: args.unlock.passphrase_command.clone(),
            use_keyring: args.unlock.use_keyring,
        };
        for path in [&plan.database, &plan.runtime_dir, &base] {
            text(path)?;
        }
        Ok(plan)
    }

    /// Whether anything in the vault is asked for.
    pub(super) fn needs_vault(&self) -> bool {
        self.ssh || !self.providers.is_empty()
    }
}

fn scope(args: &LaunchArgs) -> Result<ScopeName, PlanError> {
    match (&args.scope, &args.project) {
        (Some(scope), _) => Ok(scope.clone()),
        (None, Some(project)) => ScopeName::parse(project)
            .map_err(|why| PlanError::Scope { project: project.clone(), why }),
        (None, None) => Ok(ScopeName::parse(DEFAULT_SCOPE).expect("the default is a scope's name")),
    }
}

fn text(path: &Path) -> Result<&str, PlanError> {
    path.to_str().ok_or_else(|| PlanError::NotText(path.to_owned()))
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sidecar(why) => {
                write!(f, "{why}\nhint: set TEROK_SANDBOX_STATE_DIR to a plain absolute path")
            }
            Self::NotText(path) => write!(
                f,
                "use {}: not UTF-8, which the sidecar needs\n\
                 hint: set the TEROK_* directories to other paths",
                path.display()
            ),
            Self::Colon(path) => write!(
                f,
                "use {}: podman mounts no path with a colon\n\
                 hint: set TEROK_SANDBOX_RUNTIME_DIR to another path",
                path.display()
            ),
            Self::LoopbackInTcpMode => f.write_str(
                "use the container's own loopback: that is for socket mode\n\
                 hint: leave out `--mode tcp` or `--loopback`",
            ),
            Self::LeaveWithoutOnDemand => f.write_str(
                "use --leave-after: services started with the container stay\n\
                 hint: add `--activation on-demand`",
            ),
            Self::Scope { project, why } => write!(
                f,
                "use project {project} as the scope: {why}\nhint: name a scope with --scope"
            ),
        }
    }
}

impl std::error::Error for PlanError {}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    /// The plan of `terokctl prepare WORDS`, in directories below `/t`.
    pub(in crate::launch) fn plan(words: &str) -> Result<Plan, PlanError> {
        let line = ["terokctl", "prepare"].into_iter().chain(words.split_whitespace());
        let Command::Prepare(args) = Cli::parse_from(line).command else { unreachable!() };
        Plan::new(&Directories::below("/t"), &args.launch)
    }

    #[test]
    fn names_follow_the_contract() {
        let plan = plan("web --project app --gate --provider b --provider a --provider b").unwrap();
        assert_eq!(plan.sidecar.as_path(), Path::new("/t/state/sidecar/web.json"));
        assert_eq!(plan.environment_file, Path::new("/t/state/sidecar/web.env"));
        assert_eq!(plan.socket_directory, Path::new("/t/run/run/web"));
        assert_eq!(plan.gate.unwrap().mirror, Path::new("/t/state/gate/app.git"));
        assert_eq!(plan.providers.iter().map(ProviderName::as_str).collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn the_scope_is_the_one_given_else_the_project_else_the_default() {
        for (words, scope) in
            [("web --scope s --project p", "s"), ("web --project p", "p"), ("web", DEFAULT_SCOPE)]
        {
            assert_eq!(plan(words).unwrap().scope.as_str(), scope, "{words}");
        }
        assert!(matches!(plan("web --project=.p"), Err(PlanError::Scope { .. })));
    }

    #[test]
    fn a_launch_without_credentials_needs_no_vault() {
        assert!(!plan("web --project p --gate").unwrap().needs_vault());
        assert!(plan("web --ssh").unwrap().needs_vault());
        assert!(plan("web --provider p").unwrap().needs_vault());
    }
}
