//! The token broker: a reverse proxy that takes a phantom token from a container's request and
//! sends the request on with the credential it stands for.
//!
//! A request's way: `serve` reads it and `exchange` leads it through the others. `authenticate`
//! finds the token in it, `grants` asks the keeper what it grants, `table` and `route` say where
//! it goes, `allow` and `limit` whether it may, `inject` rewrites its headers, `forward` sends it
//! and its `upload` through `upstream`, and `again` where that helps; `redirect` follows where it
//! leads, `relay` streams the response back and `interim` what comes before it; `websocket` carries
//! what is no longer HTTP. `answer` turns every trouble into a response and `audit` keeps a line of
//! each request. `refresh` renews the logins, `seats` bounds the clients and `patient` their
//! slowness; `rest` gives back what a burst of requests left behind.

mod broker;
mod exchange;
mod patient;
mod rest;
mod seats;
mod serve;

mod authenticate;
mod grants;

mod allow;
mod limit;

mod route;
mod table;

mod inject;

mod upload;

mod again;
mod forward;
mod interim;
mod redirect;
mod refresh;
mod relay;
mod upstream;
mod websocket;

mod answer;
mod audit;

use std::process::ExitCode;

fn main() -> ExitCode {
    terok_service::run::<broker::Broker>()
}
