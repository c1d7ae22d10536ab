//! The page about a run: a table of medians beside the targets, and what missed them.

use std::fmt::Write;

use crate::usage::Usage;

const HEAD: &str = "\
# The gate beside git itself and beside nginx

`make bench-gate` wrote this file. A synthetic repository of 2000 commits with a file of 100 KB of
random bytes each, 200 MB in one pack, is cloned and fetched, and packs of random bytes are pushed,
through four doors to the same bare repository, on the same machine as the client:

- *file://*: git alone, without a server.
- *git daemon*: git's own server, no authentication.
- *nginx*: Debian's nginx with fcgiwrap and `git http-backend`, no authentication.
- *gate*: token, Landlock, hooks for backups, marker and audit; pushes are unpacked by git under it.

Every round goes through all four, each time beginning with another; the numbers are medians of wall
time, of five rounds or, above 400 MB, two. *own CPU* is the gate's process alone, *git's CPU* what
it started.
";
/// Wall time over `file://`: a part of it, and a constant for HTTP and the first process.
const OVER_FILE: f64 = 1.05;
const CONSTANT: f64 = 0.03;
const CPU_PER_GB: f64 = 0.3;
const MEMORY_KIB: u64 = 8 * 1024;
/// What passes in less is start-up, not transfer.
const MUCH: u64 = 50_000_000;

/// Medians of one operation, in seconds.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) bytes: u64,
    /// In the order of `Server::start_all`.
    pub(crate) walls: [f64; 4],
    pub(crate) used: Usage,
}

impl Row {
    fn allowed(&self) -> f64 {
        self.walls[0] * OVER_FILE + CONSTANT
    }

    fn cpu_per_gb(&self) -> Option<f64> {
        (self.bytes >= MUCH).then(|| self.used.own / (self.bytes as f64 / 1e9))
    }

    pub(crate) fn line(&self) -> String {
        let [file, daemon, nginx, gate] = self.walls;
        let per_gb = self.cpu_per_gb().map_or("–".to_owned(), |cpu| format!("{cpu:.2}"));
        format!(
            "| {} | {file:.3} | {daemon:.3} | {nginx:.3} | **{gate:.3}** | {:.3} | {:.2} | {:.3} | {:.3} | {per_gb} |",
            self.name,
            self.allowed(),
            gate / nginx,
            self.used.own,
            self.used.children,
        )
    }

    fn misses(&self) -> Vec<String> {
        let [_, _, nginx, gate] = self.walls;
        let mut misses = Vec::new();
        if gate > self.allowed() {
            let over = gate - self.allowed();
            misses.push(format!("{}: {over:.3} s above the target beside `file://`", self.name));
        }
        if gate > nginx {
            misses.push(format!("{}: {:.2} times as long as nginx", self.name, gate / nginx));
        }
        if let Some(cpu) = self.cpu_per_gb().filter(|cpu| *cpu > CPU_PER_GB) {
            misses.push(format!("{}: {cpu:.2} s of processor time per GB", self.name));
        }
        misses
    }
}

pub(crate) const TABLE: &str = "\
| operation | file:// s | git daemon s | nginx s | gate s | target s | gate : nginx | own CPU s | git's CPU s | own CPU s/GB |
|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|";

/// The whole page; `peak` and `anonymous` are KiB.
pub(crate) fn page(rows: &[Row], total: &Usage, peak: u64, anonymous: u64) -> String {
    let mut text = String::from(HEAD);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("?");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(2).unwrap_or("?").to_owned();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    writeln!(
        text,
        "\nOn {processors} processors ({model}), Linux {}, with a load of {load} over the last \
         quarter of an hour.\nTargets: wall at most {OVER_FILE} times `file://` and {:.0} ms (column \
         *target*), and at most nginx's; {CPU_PER_GB} s/GB;\n{} MiB.\n",
        kernel.trim(),
        CONSTANT * 1e3,
        MEMORY_KIB / 1024,
    )
    .unwrap();
    text += TABLE;
    text.push('\n');
    rows.iter().for_each(|row| writeln!(text, "{}", row.line()).unwrap());
    writeln!(
        text,
        "\nIn all the gate used {:.2} s of processor time beside {:.2} s of git's. At its largest it \
         was {:.1} MiB resident,\nof which {anonymous} KiB are its own after the run.\n",
        total.own,
        total.children,
        peak as f64 / 1024.0,
    )
    .unwrap();
    let mut misses: Vec<String> = rows.iter().flat_map(Row::misses).collect();
    if peak > MEMORY_KIB {
        misses.push(format!("memory: {:.1} MiB", peak as f64 / 1024.0));
    }
    if misses.is_empty() {
        text += "Every target was met.\n";
    } else {
        text += "What missed its target in this run:\n\n";
        misses.iter().for_each(|miss| writeln!(text, "- {miss}").unwrap());
    }
    text
}
