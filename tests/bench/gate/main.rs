//! The gate beside three other ways to the same repository: `file://`, `git daemon`, and nginx with
//! fcgiwrap and `git http-backend`.
//!
//! Every operation is done with every one of them in turn, so that whatever else the machine does
//! strikes all alike. Out: one Markdown table of medians, and what the gate itself used.

#![allow(clippy::unwrap_used, clippy::print_stderr)] // a broken set-up ends the run

#[path = "../../../supervisor/git-gate/tests/gate/mod.rs"]
mod gate;
mod operations;
mod repository;
mod servers;
mod usage;

use std::time::Instant;

use gate::{Plan, World};
use operations::Operation;
use servers::Server;
use usage::Usage;

fn main() {
    let rounds = number("TEROK_BENCH_ROUNDS", 5);
    let commits = number("TEROK_BENCH_COMMITS", 2000);
    let world = World::planned(&Plan { own_program: true, ..Plan::default() });
    repository::fill(&world.mirror(), commits, 100_000);
    repository::open_to_all(&world.mirror());
    let servers = Server::start_all(&world);
    let only = std::env::var("TEROK_BENCH_ONLY").unwrap_or_default();
    let operations = Operation::all(&world, &only);
    std::println!("{}", heading(&servers));
    let before = Usage::of(world.gate.id());
    for operation in &operations {
        let rounds = if operation.is_heavy() { rounds.div_ceil(2) } else { rounds };
        let mut walls = vec![Vec::new(); servers.len()];
        let mut gates = Vec::new();
        for round in 0..rounds {
            for turn in 0..servers.len() {
                let at = (turn + round) % servers.len();
                operation.prepare(&servers[at]);
                let used = Usage::of(world.gate.id());
                let start = Instant::now();
                operation.run(&servers[at]);
                walls[at].push(start.elapsed().as_secs_f64());
                if servers[at].is_gate() {
                    gates.push(Usage::of(world.gate.id()) - used);
                }
                operation.clean_up();
            }
        }
        std::println!("{}", row(operation, &walls, &gates));
    }
    let used = Usage::of(world.gate.id()) - before;
    std::println!(
        "\ngate: {:.2} s of its own and {:.2} s of git's, at most {} KiB resident, of which {} KiB \
         anonymous now",
        used.own,
        used.children,
        world.status_kib("VmHWM:"),
        world.status_kib("RssAnon:"),
    );
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn heading(servers: &[Server]) -> String {
    let names: Vec<_> = servers.iter().map(|server| format!(" {} |", server.name)).collect();
    let rules = "--:|".repeat(servers.len() + 4);
    format!(
        "| operation |{} gate / file | gate / nginx | gate's own CPU | git's CPU | CPU per GB |\n\
         |---|{rules}--:|",
        names.concat()
    )
}

fn row(operation: &Operation<'_>, walls: &[Vec<f64>], gates: &[Usage]) -> String {
    let medians: Vec<f64> = walls.iter().map(|times| median(times)).collect();
    let cells: Vec<_> = medians.iter().map(|time| format!(" {time:.3} s |")).collect();
    let own = median(&gates.iter().map(|usage| usage.own).collect::<Vec<_>>());
    let gits = median(&gates.iter().map(|usage| usage.children).collect::<Vec<_>>());
    let [file, _, nginx, gate] = medians[..] else { return String::new() };
    let per_gb = match operation.bytes() {
        bytes @ 50_000_000.. => format!("{:.2} s", own / (bytes as f64 / 1e9)),
        _ => "–".to_owned(),
    };
    format!(
        "| {} |{} {:.2} | {:.2} | {:.3} s | {:.3} s | {per_gb} |",
        operation.name(),
        cells.concat(),
        gate / file,
        gate / nginx,
        own,
        gits
    )
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
