//! The broker as a service: what it opens, where it may go afterwards, how it serves.

use std::cell::Cell;
use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use terok_service::clients::{self, Drain, Listener};
use terok_service::{Failure, Inherited, Lane, Life, Sockets};
use terok_shared::handover::{BrokerSlice, Common};
use terok_shared::service::Service;
use tokio::task::JoinSet;
use vault_grant::Keeper;

use crate::audit::Audit;
use crate::exchange::Exchange;
use crate::seats::Seats;
use crate::serve;
use crate::table::Table;
use crate::upstream::Upstreams;

/// Most clients at a time, busy ones included; more wait in the kernel's queue. `Seats` has room
/// for half as many idle ones.
const MAX_CLIENTS: usize = 1024;

/// Descriptors: one for each client, one for its upstream, and a few more.
const DESCRIPTORS: u64 = 4096;

/// What the system's resolver reads: its settings, and the libraries of the name services they
/// name (nsswitch.conf(5)).
const RESOLVER: [&str; 11] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/run/systemd/resolve",
    "/etc/ld.so.cache",
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
];

/// Roots that a later route may name.
const ROOTS: &str = "/etc/ssl";

pub(crate) struct Broker {
    listener: Listener,
    line: OwnedFd,
    audit: Audit,
    table: Table,
}

impl Life for Broker {
    const SERVICE: Service = Service::Broker;
    type Slice = BrokerSlice;

    fn open(slice: BrokerSlice, _: &Common, mut inherited: Inherited) -> Result<Self, Failure> {
        raise_descriptor_limit();
        if inherited.audit.is_none() {
            log::warn!("no audit file was handed down: requests leave no trace");
        }
        Ok(Self {
            listener: inherited.listener()?,
            line: inherited.line()?,
            audit: Audit::new(inherited.audit.take()),
            table: Table::open(slice.routes_path, Upstreams::load())?,
        })
    }

    fn lane(&self) -> Lane {
        let mut read = self.table.watched();
        read.extend(RESOLVER.iter().chain([&ROOTS]).map(Into::into));
        Lane { read, sockets: Sockets::Dial, ..Lane::default() }
    }

    fn serve(self) -> Result<(), Failure> {
        let served = clients::block_on(async move {
            let keeper = Keeper::on(self.line)?;
            let exchange = Rc::new(Exchange::new(keeper, self.table, self.audit));
            let seats = Rc::new(Seats::default());
            let (room, served_by) = (Rc::clone(&seats), Rc::clone(&exchange));
            let watched = Cell::new(false);
            let serving = clients::serve(self.listener, MAX_CLIENTS, move |client, drain| {
                if !watched.replace(true) {
                    tokio::task::spawn_local(finish_with(drain, Rc::clone(&room)));
                }
                serve::client(Rc::clone(&served_by), room.take(), client)
            });
            let beside = housekeeping(&exchange, &seats);
            let served = serving.await;
            drop(beside);
            exchange.refresher.settle().await;
            served
        });
        Ok(served??)
    }
}

/// One wait for the service's end in place of one for each client.
async fn finish_with(mut drain: Drain, seats: Rc<Seats>) {
    drain.begun().await;
    seats.finish();
}

/// What goes on beside the requests, until it is dropped.
fn housekeeping(exchange: &Rc<Exchange>, seats: &Rc<Seats>) -> JoinSet<Infallible> {
    let mut tasks = JoinSet::new();
    let (seats, at) = (Rc::clone(seats), Rc::clone(exchange));
    tasks.spawn_local(async move { seats.clear().await });
    tasks.spawn_local(async move { at.refresher.keep_fresh(&at.table).await });
    let at = Rc::clone(exchange);
    tasks.spawn_local(async move { at.audit.keep_written().await });
    let at = Rc::clone(exchange);
    tasks.spawn_local(async move { at.rest.tidy_up(&at.table).await });
    tasks
}

/// Up to what the hard limit allows: the usual soft one is for programs that use select(2).
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, soft.max(hard.min(DESCRIPTORS)), hard)
    });
    if let Err(why) = raised {
        log::warn!("raise the limit of open descriptors: {why}");
    }
}
