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
    text += "\nMemory (RSS, MB) of the process on the socket file:\n\n";
    text += "| | before | after all of it | 10 s later |\n|---|--:|--:|--:|\n";
    let mb = |kb: u64| kb as f64 / 1024.0;
    for m in memory {
        let (before, after, later) = (mb(m.before), mb(m.after), mb(m.later));
        writeln!(text, "| {} | {before:.1} | {after:.1} | {later:.1} |", m.contender).unwrap();
    }
    text += "\nServer-sent events, from the upstream's write to the client's read, µs:\n\n";
    text += "| | p50 | p99 |\n|---|--:|--:|\n";
    for delay in events {
        writeln!(text, "| {} | {:.0} | {:.0} |", delay.contender, delay.p50_us, delay.p99_us)
            .unwrap();
    }
    text
}

fn same_run(a: &Row, b: &Row) -> bool {
    (a.door, a.body, a.connections) == (b.door, b.body, b.connections)
}
