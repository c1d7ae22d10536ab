//! The token broker: a reverse proxy that takes a phantom token from a container's request and
//! sends the request on with the credential it stands for.
//!
//! A request's way: `serve` reads it and `exchange` leads it through the others. `authenticate`
//! finds the token in it, `grants` asks the keeper what it grants, `table` and `route` say where
//! it goes, `inject` rewrites its headers, `forward` sends it through `upstream`, `redirect`
//! follows where that leads, `relay` streams the response back; `websocket` carries what is no
//! longer HTTP. `answer` turns every trouble into a response and `audit` keeps a line of
//! each request.

mod broker;
mod exchange;
mod serve;

mod authenticate;
mod grants;

mod route;
mod table;

mod inject;

mod forward;
mod redirect;
mod relay;
mod upstream;
mod websocket;

mod answer;
mod audit;

use std::process::ExitCode;

fn main() -> ExitCode {
    terok_service::run::<broker::Broker>()
}
