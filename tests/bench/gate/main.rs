//! The gate beside three other ways to the same repository: `file://`, `git daemon`, and nginx with
//! fcgiwrap and `git http-backend`.
//!
//! Every operation is done with every one of them in turn, so that whatever else the machine does
//! strikes all alike. Out: `docs/benchmarks/gate.md`, and the table as it grows on standard output.
//!
//! `TEROK_BENCH_ROUNDS`, `TEROK_BENCH_COMMITS` and `TEROK_BENCH_ONLY` (a part of an operation's name,
//! which writes no page) make it shorter.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a broken set-up ends the run

#[path = "../../../supervisor/git-gate/tests/gate/mod.rs"]
mod gate;
mod operations;
mod report;
mod repository;
mod servers;
mod usage;

use std::time::Instant;

use gate::World;
use operations::Operation;
use report::Row;
use servers::Server;
use usage::Usage;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/benchmarks/gate.md");

fn main() {
    let rounds = number("TEROK_BENCH_ROUNDS", 5);
    let commits = number("TEROK_BENCH_COMMITS", 2000);
    let world = World::new();
    repository::fill(&world.mirror(), commits, 100_000);
    repository::open_to_all(&world.mirror());
    let servers = Server::start_all(&world);
    let only = std::env::var("TEROK_BENCH_ONLY").unwrap_or_default();
    let operations = Operation::all(&world, &only);
    std::println!("{}", report::TABLE);
    let before = Usage::of(world.gate.id());
    let mut rows = Vec::new();
    for operation in &operations {
        let rounds = if operation.is_heavy() { (rounds / 2).max(1) } else { rounds };
        let row = measure(&world, operation, &servers, rounds);
        std::println!("{}", row.line());
        rows.push(row);
    }
    let total = Usage::of(world.gate.id()) - before;
    let (peak, anonymous) = (world.status_kib("VmHWM:"), world.status_kib("RssAnon:"));
    std::println!("at most {peak} KiB resident");
    if only.is_empty() {
        std::fs::write(PAGE, report::page(&rows, &total, peak, anonymous)).unwrap();
    }
}

/// Every server in turn, each round beginning with another.
fn measure(world: &World, operation: &Operation<'_>, servers: &[Server], rounds: usize) -> Row {
    let mut walls = vec![Vec::new(); servers.len()];
    let mut used = Vec::new();
    for round in 0..rounds {
        for turn in 0..servers.len() {
            let at = (turn + round) % servers.len();
            operation.prepare(&servers[at]);
            let before = Usage::of(world.gate.id());
            let start = Instant::now();
            operation.run(&servers[at]);
            walls[at].push(start.elapsed().as_secs_f64());
            if servers[at].is_gate() {
                used.push(Usage::of(world.gate.id()) - before);
            }
            operation.clean_up();
        }
    }
    let of = |part: fn(&Usage) -> f64| median(&used.iter().map(part).collect::<Vec<_>>());
    Row {
        name: operation.name(),
        bytes: operation.bytes(),
        walls: [0, 1, 2, 3].map(|server: usize| median(&walls[server])),
        used: Usage { own: of(|usage| usage.own), children: of(|usage| usage.children) },
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
