//! Stands in until the command line is wired: `terokctl setup|uninstall STATE_DIR`.
mod setup;

use setup::{Options, Places, PythonHooks, Run};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let places = Places::of_this_process(args[2].clone().into()).expect("places");
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let run = if has("--dry-run") { Run::Dry } else { Run::Apply };
    let python_hooks = if has("--replace") { PythonHooks::SetAside } else { PythonHooks::Refuse };
    let result = if args[1] == "setup" {
        setup::setup(&places, &Options { python_hooks, run })
    } else {
        setup::uninstall(&places, run)
    };
    match result {
        Ok(report) => print!("{report}"),
        Err(error) => println!("error: {error}"),
    }
}
