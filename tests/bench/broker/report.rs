//! The table.

use std::fmt::Write;

use crate::events::Delay;
use crate::{Memory, Row};

const HEAD: &str = "\
# The broker beside nginx

`make bench-broker` wrote this file. One client program asks for the same body over and over on
1, 16 or 64 connections; the proxy in between has a processor to itself, load and upstream share
another. All contenders take turns in every round, the numbers are medians.

- *direct*: the upstream itself, an nginx with the bodies as files. Its processor time is its own.
- *nginx*: Debian's nginx as a reverse proxy that sets one header, defaults otherwise, with its
  access log: a line per request, as our audit is. *nginx, no log* is the same without.
- *broker*: looks the token up, injects the credential, writes its audit line.

![processor time per request](broker.svg)
";

pub(crate) fn text(rows: &[Row], memory: &[Memory], events: &[Delay]) -> String {
    let mut text = String::from(HEAD);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("?");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    writeln!(text, "\nOn {model}, Linux {}.\n", kernel.trim()).unwrap();
    text += "| door | body | connections | | requests/s | p50 µs | p99 µs | CPU µs/request | CPU : nginx | p99 : nginx |\n";
    text += "|---|---|--:|---|--:|--:|--:|--:|--:|--:|\n";
    for row in rows {
        let m = row.measured;
        let nginx = rows.iter().find(|other| same_run(row, other) && other.contender == "nginx");
        let ratio = |number: fn(&Row) -> f64| match nginx {
            Some(nginx) => format!("{:.2}", number(row) / number(nginx)),
            None => String::new(),
        };
        writeln!(
            text,
            "| {:?} | {} | {} | {} | {:.0} | {:.0} | {:.0} | {:.1} | {} | {} |",
            row.door,
            row.body,
            row.connections,
            row.contender,
            m.per_second,
            m.p50_us,
            m.p99_us,
            m.cpu_us,
            ratio(|row| row.measured.cpu_us),
            ratio(|row| row.measured.p99_us),
        )
        .unwrap();
    }
    text += "\nMemory (RSS, MB) of the process on the socket file, before, right after and 10 s after its\nload:\n\n";
    text += "| | before | after | 10 s later |\n|---|--:|--:|--:|\n";
    let mb = |kb: u64| kb as f64 / 1024.0;
    for m in memory {
        let (before, after, later) = (mb(m.before), mb(m.after), mb(m.later));
        writeln!(text, "| {} | {before:.1} | {after:.1} | {later:.1} |", m.contender).unwrap();
    }
    text += "\nServer-sent events from the upstream's write to the client's read, and pieces of an\nupload from the client's write to the upstream's read, µs:\n\n";
    text += "| | event p50 | p99 | piece p50 | p99 |\n|---|--:|--:|--:|--:|\n";
    for Delay { contender, down, up } in events {
        writeln!(
            text,
            "| {contender} | {:.0} | {:.0} | {:.0} | {:.0} |",
            down.p50, down.p99, up.p50, up.p99
        )
        .unwrap();
    }
    text + &targets(rows, memory, events)
}

fn same_run(a: &Row, b: &Row) -> bool {
    (a.door, a.body, a.connections) == (b.door, b.body, b.connections)
}

/// What was promised, and what came of it.
fn targets(rows: &[Row], memory: &[Memory], events: &[Delay]) -> String {
    let of_nginx = |body: &str, number: fn(&Row) -> f64| -> Vec<f64> {
        let ours = rows.iter().filter(|row| row.contender == "broker" && row.body == body);
        ours.filter_map(|row| {
            let nginx = rows.iter().find(|o| same_run(row, o) && o.contender == "nginx")?;
            Some(number(row) / number(nginx))
        })
        .collect()
    };
    let cpu: fn(&Row) -> f64 = |row| row.measured.cpu_us;
    let p99: fn(&Row) -> f64 = |row| row.measured.p99_us;
    let rate: fn(&Row) -> f64 = |row| row.measured.per_second;
    let delay =
        |name, of: fn(&Delay) -> f64| events.iter().find(|d| d.contender == name).map_or(0.0, of);
    let added = |of| delay("broker", of) - delay("direct", of);
    let ours = memory.iter().find(|m| m.contender == "broker").map_or(0, |m| m.later);
    let mut text =
        "\nThe targets, with the span of all runs:\n\n| | target | measured |\n|---|---|---|\n"
            .to_owned();
    for (what, target, ratios) in [
        ("CPU per request, 1 KiB", "≤ 1.0 × nginx", of_nginx("1 KiB", cpu)),
        ("CPU per request, 1 MiB", "≤ 0.7 × nginx", of_nginx("1 MiB", cpu)),
        ("requests per second, 1 KiB", "≥ 1.0 × nginx", of_nginx("1 KiB", rate)),
        ("requests per second, 1 MiB", "≥ 1.0 × nginx", of_nginx("1 MiB", rate)),
        ("p99, 1 KiB", "≤ 1.2 × nginx", of_nginx("1 KiB", p99)),
        ("p99, 1 MiB", "≤ 1.2 × nginx", of_nginx("1 MiB", p99)),
    ] {
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        writeln!(text, "| {what} | {target} | {least:.2} to {most:.2} |").unwrap();
    }
    let (event, piece) = (added(|d| d.down.p50), added(|d| d.up.p50));
    writeln!(text, "| an event's first byte | ≤ 1 ms | {event:.0} µs after direct |").unwrap();
    writeln!(text, "| a piece of an upload | ≤ 2 ms | {piece:.0} µs after direct |").unwrap();
    writeln!(text, "| memory after the load | ≤ 10 MB | {:.1} MB |", ours as f64 / 1024.0).unwrap();
    text + TAIL
}

const TAIL: &str = "
At 1 KiB both make the same calls for a request: two reads, two writes, and a wait for each read
while there is one connection alone. Two thirds of the broker's time are the kernel's part in them
(perf). The rest, about 8 µs, is spread over many functions, none above a tenth of it: heads parsed
into maps of shared buffers, moved through hyper's queue between a request and its connection, and
made into text again; a copy of the head for a repeat; the audit's line as JSON. Where a target is
missed at 1 KiB, this is why: an HTTP/1 client of our own would be needed to go below.

On a machine with other work the numbers of one run vary by a fifth; the ratios, taken in turns,
by a tenth.
";
