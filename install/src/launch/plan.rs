//! What a launch shall be: the operator's words and directories, checked against each other.
//! Nothing is looked at and nothing is made here.

use std::fmt;
use std::path::{Path, PathBuf};

use terok_shared::annotation::{PathError, SidecarPath};
use terok_shared::container::ContainerName;
use terok_shared::layout;
use vault_store::scope::{ScopeError, ScopeName};

use crate::cli::{Activation, LaunchArgs, Mode, OciRuntime, Placement};
use crate::credential_name::{ProviderName, SetName};
use crate::directories::Directories;
use crate::egress::{Program, TokenRef};

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
    /// The token env map: what is borrowed from this machine's environment.
    pub(super) tokens: Vec<TokenRef>,
    /// Programs of this machine whose logins are borrowed.
    pub(super) programs: Vec<Program>,
    /// The home inside in which clients look for their files, where they shall find some.
    pub(super) client_home: Option<PathBuf>,
    pub(super) ssh: Ssh,
    pub(super) gate: Option<Gate>,
    pub(super) mode: Mode,
    /// Whether the services are on the container's own loopback too.
    pub(super) loopback: bool,
    pub(super) required: bool,
    pub(super) activation: Activation,
    pub(super) placement: Placement,
    /// Seconds; only for activation on demand.
    pub(super) leave_after: Option<u64>,
    pub(super) runtime: Option<OciRuntime>,
    pub(super) passphrase_command: Option<String>,
    pub(super) use_keyring: bool,
}

/// Whether the scope's SSH keys can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ssh {
    No,
    /// If the scope has any.
    IfAny,
    Yes,
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
    /// In words that do not quote it.
    Token(String),
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
        for path in [&socket_directory, sidecar.as_path()] {
            if text(path)?.contains(':') {
                return Err(PlanError::Colon(path.to_owned()));
            }
        }
        let mode = directories.preferences.mode(args.mode);
        if args.loopback && mode == Mode::Tcp {
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
            tokens: args
                .tokens
                .iter()
                .map(|word| TokenRef::parse(word).map_err(PlanError::Token))
                .collect::<Result<_, _>>()?,
            programs: args.forward_host_credentials.clone(),
            client_home: args.dummy_auth_file.clone(),
            ssh: ssh(args),
            gate,
            mode,
            loopback: args.loopback,
            required: args.required,
            activation: args.activation,
            placement: args.placement,
            leave_after: args.leave_after,
            runtime: args.runtime,
            passphrase_command: directories
                .preferences
                .passphrase_command(&args.unlock)
                .map(|text| text.expose().clone()),
            use_keyring: directories.preferences.use_keyring(&args.unlock),
        };
        for path in [&plan.database, &plan.runtime_dir, &base] {
            text(path)?;
        }
        Ok(plan)
    }

    /// Whether anything in the vault is asked for, or goes into it.
    pub(super) fn needs_vault(&self) -> bool {
        self.ssh == Ssh::Yes
            || !self.providers.is_empty()
            || !self.tokens.is_empty()
            || !self.programs.is_empty()
    }
}

/// An image that needs no bridge for broker and gate needs none for the agent: there the keys of a
/// scope that was named come along.
fn ssh(args: &LaunchArgs) -> Ssh {
    let names_scope = args.project.is_some() || args.scope.is_some();
    match (args.ssh, args.no_ssh) {
        (true, _) => Ssh::Yes,
        (false, false) if args.loopback && names_scope => Ssh::IfAny,
        (false, _) => Ssh::No,
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
                 hint: set TEROK_SANDBOX_RUNTIME_DIR or TEROK_SANDBOX_STATE_DIR to another path",
                path.display()
            ),
            Self::LoopbackInTcpMode => f.write_str(
                "use the container's own loopback: that is for socket mode\n\
                 hint: leave out `--mode tcp` or `--loopback`",
            ),
            Self::Token(why) => {
                write!(f, "use --token: {why}\nhint: for example `--token github=MY_GITHUB_TOKEN`")
            }
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
        assert!(plan("web --token p=V").unwrap().needs_vault());
        assert!(plan("web --forward-host-credentials gh").unwrap().needs_vault());
    }

    #[test]
    fn keys_of_a_named_scope_come_along_to_an_image_without_bridges() {
        for (words, ssh) in [
            ("web", Ssh::No),
            ("web --project p", Ssh::No),
            ("web --loopback", Ssh::No),
            ("web --loopback --project p", Ssh::IfAny),
            ("web --loopback --scope s", Ssh::IfAny),
            ("web --loopback --scope s --no-ssh", Ssh::No),
            ("web --loopback --scope s --ssh", Ssh::Yes),
        ] {
            assert_eq!(plan(words).unwrap().ssh, ssh, "{words}");
        }
    }
}
