//! What the broker costs, side by side with Debian's nginx doing the least of the same: adding one
//! header. `make bench-broker` runs it and writes `docs/benchmarks/broker.{md,svg}`.
//!
//! The proxy under test has the first processor to itself; the load and the upstream share the
//! second. Contenders take turns in every round, so that whatever else the machine does hits all
//! of them. A name of a contender or a body size as argument runs a part and writes nothing.

// A benchmark that cannot be set up has nothing better to do than to panic.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod contender;
mod events;
mod load;
mod nginx;
mod ours;
mod plot;
mod process;
mod report;

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use contender::{Contender, Door};
use load::Measured;

/// The proxy's processor, and everybody else's.
const PROXY_CPU: usize = 0;
const OTHERS_CPU: usize = 1;

const ROUNDS: usize = 5;
const WARM_UP: Duration = Duration::from_millis(300);
const LASTS: Duration = Duration::from_millis(1500);

pub(crate) const BODIES: [(&str, usize); 2] = [("1 KiB", 1024), ("1 MiB", 1024 * 1024)];
pub(crate) const CONNECTIONS: [usize; 3] = [1, 16, 64];
pub(crate) const DOORS: [Door; 2] = [Door::Unix, Door::Tcp];

/// One line of the table: the median of all rounds.
pub(crate) struct Row {
    pub(crate) door: Door,
    pub(crate) body: &'static str,
    pub(crate) connections: usize,
    pub(crate) contender: &'static str,
    pub(crate) measured: Measured,
}

/// Memory of a contender, in kB.
pub(crate) struct Memory {
    pub(crate) contender: &'static str,
    pub(crate) before: u64,
    pub(crate) after: u64,
    pub(crate) later: u64,
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    if !nginx::is_installed() {
        eprintln!("skipped: no nginx\nhint: apt-get install nginx-light");
        return;
    }
    process::pin_self(OTHERS_CPU);
    let place = tempfile::tempdir().unwrap();
    let source = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = nginx::upstream(place.path(), source.local_addr().unwrap().port());
    let address = upstream.tcp.0;
    let contenders = [
        upstream,
        nginx::proxy(place.path(), "nginx", true, address),
        nginx::proxy(place.path(), "nginx, no log", false, address),
        ours::broker(place.path(), address),
    ];
    let memory_now = || contenders.iter().map(Contender::rss_kb).collect::<Vec<u64>>();
    let before = memory_now();
    let mut rows = measure(&contenders, Door::Unix, &wanted);
    let after = memory_now();
    std::thread::sleep(Duration::from_secs(10));
    let later = memory_now();
    let memory: Vec<Memory> = contenders
        .iter()
        .zip(before.into_iter().zip(after).zip(later))
        .map(|(contender, ((before, after), later))| Memory {
            contender: contender.name,
            before,
            after,
            later,
        })
        .collect();
    rows.extend(measure(&contenders, Door::Tcp, &wanted));
    let events = events::delays(&contenders, source);
    let text = report::text(&rows, &memory, &events);
    eprintln!("{text}");
    if wanted.is_empty() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarks");
        std::fs::create_dir_all(&docs).unwrap();
        std::fs::write(docs.join("broker.md"), text).unwrap();
        std::fs::write(docs.join("broker.svg"), plot::svg(&rows)).unwrap();
    }
}

fn measure(contenders: &[Contender], door: Door, wanted: &[String]) -> Vec<Row> {
    let is_wanted = |name: &str| wanted.iter().any(|part| name == part);
    let all = |names: &[&str]| !names.iter().any(|name| is_wanted(name));
    let names: Vec<&str> = contenders.iter().map(|contender| contender.name).collect();
    let (all_names, all_bodies) = (all(&names), all(&BODIES.map(|(name, _)| name)));
    let mut rows = Vec::new();
    for (body, bytes) in BODIES.into_iter().filter(|(name, _)| all_bodies || is_wanted(name)) {
        for connections in CONNECTIONS {
            let taking_part: Vec<&Contender> =
                contenders.iter().filter(|c| all_names || is_wanted(c.name)).collect();
            let mut rounds: Vec<Vec<Measured>> = taking_part.iter().map(|_| vec![]).collect();
            for _ in 0..ROUNDS {
                for (contender, measured) in taking_part.iter().zip(&mut rounds) {
                    load::run(contender, door, bytes, connections, WARM_UP);
                    measured.push(load::run(contender, door, bytes, connections, LASTS));
                }
            }
            for (contender, measured) in taking_part.iter().zip(rounds) {
                let measured = load::median(measured);
                let name = contender.name;
                eprintln!("{door:?} {body} c={connections} {name}: {measured:?}");
                rows.push(Row { door, body, connections, contender: name, measured });
            }
        }
    }
    rows
}
