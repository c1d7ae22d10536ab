//! The git gate: smart HTTP before one bare mirror, opened by one token, answered by git's own
//! `git http-backend`.
//!
//! In: a slice (directory of mirrors, project, token) and a listening socket. Out: git's answers,
//! byte for byte. The same program is also the hooks that git runs before and after a push, so that
//! no shell and no script is ever part of it.

mod life;

mod auth;
mod door;
mod route;

mod answer;
mod cgi;
mod exchange;
mod moderation;
mod request_body;
mod running;

mod command_list;
mod pattern;
mod pkt_line;
mod policy;
mod policy_source;
mod push;
mod report;
mod update;

mod backend;
mod environment;
mod git;
mod home;
mod lane;
mod mirror;
mod outdated;

mod ask_git;
mod backup;
mod hook;
mod marker;
mod news;
mod post_receive;
mod pre_receive;

mod audit;

use std::ffi::OsStr;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let invoked_as = std::env::args_os().next().unwrap_or_default();
    match Path::new(&invoked_as).file_name().and_then(OsStr::to_str) {
        Some(home::PRE_RECEIVE) => pre_receive::main(),
        Some(home::POST_RECEIVE) => post_receive::main(),
        Some(home::SILENT) => ExitCode::SUCCESS,
        _ => terok_service::run::<life::Gate>(),
    }
}
