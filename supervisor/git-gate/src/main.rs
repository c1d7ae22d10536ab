//! The git gate: smart HTTP before one bare mirror, opened by one token, answered by git's own
//! `git http-backend`.
//!
//! In: a slice (directory of mirrors, project, token) and a listening socket. Out: git's answers,
//! byte for byte. The same program is also the `post-receive` hook that git runs after a push, so
//! that no shell and no script is ever part of it.

mod life;

mod auth;
mod door;
mod route;

mod answer;
mod cgi;
mod exchange;
mod request_body;

mod backend;
mod environment;
mod git;
mod home;
mod lane;
mod mirror;

mod backup;
mod marker;
mod post_receive;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let invoked_as = std::env::args_os().next().unwrap_or_default();
    match Path::new(&invoked_as).file_name().and_then(OsStr::to_str) {
        Some(home::POST_RECEIVE) => post_receive::main(),
        Some(home::SILENT) => ExitCode::SUCCESS,
        _ => terok_service::run::<life::Gate>(),
    }
}
