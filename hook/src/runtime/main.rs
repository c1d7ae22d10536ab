//! `terok-runtime`: an OCI runtime that adds our hooks and then becomes the real one.
//!
//! Docker and containerd have no hooks directory; they do let an administrator name the runtime.
//! In: the runtime's own command line. When it makes a container whose `config.json` carries our
//! annotation (or, for older Docker, our variable), our hooks are put in. Out: the real runtime,
//! with the same arguments, descriptors, environment and directory.
//!
//! Every other container and every other command passes through untouched. Trouble is said, not
//! fatal, unless the sidecar says `required`.

mod command_line;

mod settings;

mod inject;

mod real_runtime;

mod refuse;

use std::env;
use std::process::ExitCode;

use command_line::CommandLine;
use settings::Settings;

fn main() -> ExitCode {
    // Descriptors, signals, umask and environment are the real runtime's: nothing is reset here.
    let line = CommandLine::parse(env::args_os().skip(1));
    let settings = Settings::gather(&line.options, |name| env::var_os(name));
    if let Some(config) = &line.config
        && let Err(refusal) = inject::inject(config, &settings)
    {
        return refuse::refuse(&refusal.to_string(), line.log.as_ref());
    }
    let why = real_runtime::become_real(settings.real_runtime(), &line.passed_on);
    refuse::refuse(&why.to_string(), line.log.as_ref())
}
